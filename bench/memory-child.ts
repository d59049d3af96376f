/*
 * A process of its own for one model, so that what it takes of memory at most is known: suite-memory.ts starts it with a task in JSON,
 * and reads its findings in JSON from its output.
 */
import { createKernels, loadModel, type BackendName } from 'matmulfree';
import { filesFromDisk } from '../src/platform/disk.js';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { CHUNK_TOKENS } from './baselines/build-model.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatModel } from './baselines/float-model.js';
import { openLlama } from './baselines/llama-checkpoint.js';
import { randomWeights, transformerOf } from './baselines/random-transformer.js';
import { buildTransformer } from './baselines/transformer.js';
import type { ContestantName } from './contestants.js';
import { complain, enableRelaxedSimd, residentBytes } from './measure.js';
import { randomCheckpoint, type ShapeName } from './random-model.js';

export interface MemoryTask {
  readonly name: ContestantName;
  readonly shape: ShapeName;
  readonly layers?: number | undefined;
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** What to load; a model with random weights is made where there is none. */
  readonly file?: string | undefined;
  /** Tokens that it is to have read. */
  readonly position: number;
}

/** Bytes that are resident, and seconds. */
export interface MemoryFindings {
  /** Of the program, before there is a model. */
  readonly before: number;
  readonly seconds: number;
  readonly loaded: number;
  readonly peakOfLoading: number;
  /** With a text of `position` tokens, after one more. */
  readonly withText: number;
}

interface Reader {
  /** Reads a token after `position` others. */
  read(position: number): void;
}

async function load({ name, shape, layers, backend, file, position }: MemoryTask): Promise<Reader> {
  const options = { backend, threads: 1 } as const;
  if (name === 'Transformer++') {
    const context = position + CHUNK_TOKENS;
    if (file === undefined) return floatReader(await buildTransformer(transformerOf(shape, layers), randomWeights(1), context, options));
    const { config, weights, close } = await openLlama(await filesFromDisk(file));
    const model = await buildTransformer(config, weights, context, options);
    await close();
    return floatReader(model);
  }
  const checkpoint = file === undefined ? randomCheckpoint(shape, layers) : await openCheckpoint(await filesFromDisk(file));
  try {
    if (name === 'float MatMul-free') return floatReader(await buildFloatMatMulFree(checkpoint, options));
    const model = await loadModel(checkpoint, await createKernels(options));
    const state = model.createState();
    const out = new Float32Array(model.parts.config.vocabSize);
    return { read: () => model.forwardLast([5], state, out) };
  } finally {
    await checkpoint.close();
  }
}

function floatReader(model: FloatModel): Reader {
  return {
    read(position) {
      model.pretend(position);
      model.forward([5]);
    },
  };
}

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2]) as MemoryTask;
  enableRelaxedSimd();
  const before = residentBytes();
  const start = performance.now();
  const model = await load(task);
  const seconds = (performance.now() - start) / 1000;
  const loaded = residentBytes();
  const peakOfLoading = process.resourceUsage().maxRSS * 1024;
  model.read(task.position);
  const findings: MemoryFindings = { before, seconds, loaded, peakOfLoading, withText: residentBytes() };
  model.read(task.position); // it is still there
  console.log(JSON.stringify(findings));
}

await main().catch(complain);
