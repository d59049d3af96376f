import { FormatError } from '../errors.js';
import { arenaOn } from '../kernels/arena.js';
import { createKernelsAndArena } from '../kernels/create.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { loadModel, modelBytes, type Progress } from '../model/load-model.js';
import type { Model } from '../model/model.js';
import { givenOptions } from '../options.js';
import type { ModelSource } from '../sources/source.js';
import { openModel, READING_OPTIONS, type SourceOptions } from './open.js';

export interface CheckOptions extends SourceOptions {
  /** Of reading both models, in stage 'verify'. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** What was compared. */
export interface ConversionCheck {
  /** Tokens whose logits, all of them, are the same in both models. */
  readonly tokens: number;
}

/** Ids per forward pass: several tokens at once, then one by one on the state they leave. */
const PASSES = [17, 1, 1, 1];

/**
 * Loads a model and what it was converted to, and compares a few forward passes, bit for bit, and the models' fingerprints (norms,
 * scales, samples of all weights). One is loaded after the other into the same memory: it takes as much as the larger one alone.
 * @throws FormatError when they are not the same model; else as `MatMulFreeLM.load` does.
 */
export async function checkConversion(
  source: ModelSource, converted: ModelSource, options: CheckOptions = {},
): Promise<ConversionCheck> {
  const given = givenOptions('checkConversion', options, READING_OPTIONS);
  given.signal?.throwIfAborted();
  const checkpoints: Checkpoint[] = [];
  let kernels: Kernels | undefined;
  try {
    for (const model of [source, converted]) checkpoints.push(await openModel('checkConversion', model, given));
    const [original, copy] = checkpoints as [Checkpoint, Checkpoint];
    const transformer = checkpoints.map(({ blueprint }) => blueprint.transformer).find((needed) => needed);
    const bytes = async (candidate: Kernels): Promise<number> => Math.max(...(await Promise.all(checkpoints.map((checkpoint) => modelBytes(checkpoint, candidate)))));
    const made = await createKernelsAndArena({ transformer }, bytes);
    kernels = made.kernels;
    const { buffer, byteOffset } = made.arena.u8(0);
    const onProgress = ({ file, loaded, total }: Progress): void => given.onProgress?.({ stage: 'verify', file, loaded, total });
    const load = (checkpoint: Checkpoint): Promise<Model> =>
      loadModel(checkpoint, made.kernels, { signal: given.signal, onProgress, arena: arenaOn(buffer, byteOffset) });
    const expected = run(await load(original));
    const found = run(await load(copy));
    compare(original.name, copy.name, expected, found);
    return { tokens: expected.logits.length / original.blueprint.config.vocabSize };
  } finally {
    kernels?.dispose();
    await Promise.all(checkpoints.map((checkpoint) => checkpoint.close()));
  }
}

interface Outcome {
  readonly fingerprint: string;
  /** [tokens, vocab] */
  readonly logits: Float32Array;
}

function run(model: Model): Outcome {
  const { vocabSize } = model.parts.config;
  const tokens = PASSES.reduce((sum, count) => sum + count);
  const ids = Array.from({ length: tokens }, (_, n) => (Math.imul(n, 0x9e3779b1) >>> 0) % vocabSize); // far apart
  const state = model.createState();
  const logits = new Float32Array(tokens * vocabSize);
  let done = 0;
  for (const count of PASSES) {
    model.forwardAll(ids.slice(done, done + count), state, (row, position) => logits.set(row, (done + position) * vocabSize));
    done += count;
  }
  state.release();
  return { fingerprint: model.parts.stateShape.fingerprint, logits };
}

function compare(source: string, converted: string, expected: Outcome, found: Outcome): void {
  const sameSize = found.logits.length === expected.logits.length;
  const differ = sameSize ? expected.logits.findIndex((value, i) => !Object.is(value, found.logits[i])) : -1;
  if (sameSize && differ < 0 && found.fingerprint === expected.fingerprint) return;
  const what = !sameSize ? 'another vocabulary' : differ < 0 ? 'other weights' : `other logits (${found.logits[differ]} instead of ${expected.logits[differ]})`;
  throw new FormatError(`${converted}: is not the same model as ${source}: it has ${what}; convert it again, and check disk and memory if this repeats`);
}
