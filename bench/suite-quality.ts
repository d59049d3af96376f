import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createKernels, loadModel, type BackendName, type Checkpoint } from 'matmulfree';
import { describeModel } from '../src/model/describe.js';
import { scoreIds } from '../src/generate/score.js';
import { openCheckpoint } from '../src/model/open-checkpoint.js';
import { filesFromDisk } from '../src/disk.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatModel } from './baselines/float-model.js';
import { openLlama } from './baselines/llama-checkpoint.js';
import { scoreFloat, type FloatScore } from './baselines/score.js';
import { buildTransformer } from './baselines/transformer.js';
import { median, takeTurns } from './measure.js';
import { floatMatMulFreeCost, transformerCost, type Sizes, type TokenCost } from './operations.js';
import { counted, speed, type Result } from './results.js';
import { packedBytes } from './ternary-parts.js';

export interface QualitySettings {
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** Of the hundred stories, the first so many. */
  readonly stories: number;
  readonly rounds: number;
  readonly roundMs: number;
}

const inRepository = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
/** No story has more tokens. */
const CONTEXT = 2048;
/** Tokens before the one whose speed and cost are told. */
const POSITION = 256;

interface Trained {
  readonly name: string;
  readonly weightBytes: number;
  readonly cost: TokenCost;
  score(ids: readonly number[]): FloatScore;
  /** Decodes one token after `POSITION` others. */
  decode(): void;
  dispose(): void;
}

/** Perplexity of the trained models over the validation stories, with what it costs. One thread. */
export async function measureQuality(
  { backend, stories, rounds, roundMs }: QualitySettings, onResult: (result: Result) => void, note: (text: string) => void,
): Promise<void> {
  const texts = (JSON.parse(readFileSync(inRepository('test/fixtures/tinystories-9m/validation-stories.json'), 'utf8')) as number[][]).slice(0, stories);
  const checkpoint = await openCheckpoint(await filesFromDisk(inRepository('examples/models/tinystories-9m.gguf')));
  const models = [await trainedTernary(checkpoint, backend), await trainedFloat(checkpoint, backend)];
  await checkpoint.close();
  const folder = inRepository('../shared/models/llama-9m');
  if (existsSync(folder)) models.push(await trainedLlama(folder, backend));
  else note(`the trained transformer (${folder}) is not here: left out`);

  const times = takeTurns(models.map(({ decode }) => decode), { rounds, roundMs });
  models.forEach(({ name, weightBytes, cost, score, dispose }, n) => {
    const scores = texts.map(score);
    const tokens = scores.reduce((sum, one) => sum + one.tokens, 0);
    const nll = scores.reduce((sum, one) => sum + one.nll, 0);
    const id = (what: string): string => `quality/${name}/${what}`;
    onResult(counted(id(`perplexity of ${texts.length} stories`), '', Math.exp(nll / tokens), 'lower', 1e-4));
    onResult(counted(id('predicted tokens'), '', tokens, 'higher'));
    onResult(speed(id(`decode at ${POSITION}`), 'tokens/s', 1, times[n], 1));
    onResult(counted(id('milliseconds of a token'), 'ms', median(times[n]), 'lower', 0.1));
    onResult(counted(id('weights'), 'bytes', weightBytes));
    onResult(counted(id(`bytes read at ${POSITION}`), 'bytes/token', cost.bytes));
    onResult(counted(id(`integer additions at ${POSITION}`), '1/token', cost.integerAdditions));
    onResult(counted(id(`float additions at ${POSITION}`), '1/token', cost.floatAdditions));
    onResult(counted(id(`float multiplications at ${POSITION}`), '1/token', cost.floatMultiplications));
    dispose();
  });
}

async function trainedTernary(checkpoint: Checkpoint, backend: QualitySettings['backend']): Promise<Trained> {
  const kernels = await createKernels({ backend, threads: 1 });
  const model = await loadModel(checkpoint, kernels);
  const state = model.createState();
  const out = new Float32Array(model.parts.config.vocabSize);
  const { operations: { ternaryAdditions, multiplications }, embeddingBytes } = describeModel(model);
  const weightBytes = packedBytes(model);
  return {
    name: 'ternary', weightBytes,
    cost: {
      integerAdditions: ternaryAdditions, floatAdditions: multiplications, floatMultiplications: multiplications,
      bytes: weightBytes - embeddingBytes + embeddingBytes / model.parts.config.vocabSize + state.byteLength,
    },
    score: (ids) => scoreIds(model, ids),
    decode: () => model.forwardLast([5], state, out),
    dispose: () => kernels.dispose(),
  };
}

async function trainedFloat(checkpoint: Checkpoint, backend: QualitySettings['backend']): Promise<Trained> {
  const { hiddenSize: hidden, recurrentSize: mixer, intermediateSize: intermediate, layers, vocabSize: vocab } = checkpoint.config;
  const model = await buildFloatMatMulFree(checkpoint, { backend, threads: 1 });
  return floatTrained('float MatMul-free', model, (bytes) => floatMatMulFreeCost({ hidden, mixer, intermediate, layers, vocab }, bytes));
}

async function trainedLlama(folder: string, backend: QualitySettings['backend']): Promise<Trained> {
  const { config, weights, close } = await openLlama(await filesFromDisk(folder));
  const model = await buildTransformer(config, weights, CONTEXT, { backend, threads: 1 });
  await close();
  const sizes: Sizes = {
    hidden: config.hiddenSize, mixer: config.heads * config.headSize, intermediate: config.intermediateSize, layers: config.layers, vocab: config.vocabSize,
  };
  return floatTrained('Transformer++', model, (bytes) => transformerCost(sizes, bytes, POSITION));
}

function floatTrained(name: string, model: FloatModel, cost: (bytes: number) => TokenCost): Trained {
  const { weightBytes, embeddings, norm } = model.parts;
  model.pretend(POSITION);
  return {
    name, weightBytes,
    cost: cost(weightBytes - embeddings.byteLength + norm.byteLength),
    score: (ids) => scoreFloat(model, ids),
    decode() {
      model.position = POSITION;
      model.forward([5]);
    },
    dispose: () => model.dispose(),
  };
}
