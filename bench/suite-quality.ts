import { createKernels, createScalarKernels, loadModel, type BackendName } from 'matmulfree';
import { readText, type FileSet } from '../src/formats/bytes.js';
import { describeModel } from '../src/model/describe.js';
import { scoreIds } from '../src/scoring/score.js';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import type { FloatKernelOptions } from './baselines/create.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatModel } from './baselines/float-model.js';
import { openLlama } from './baselines/llama-checkpoint.js';
import { scoreFloat, type FloatScore } from './baselines/score.js';
import { buildTransformer } from './baselines/transformer.js';
import type { Host, Listener } from './host.js';
import { estimateEnergy, floatMatMulFreeCost, transformerCost, type Sizes, type TokenCost } from './operations.js';
import { counted, JAVASCRIPT_NOISE, ONCE_NOISE, speed } from './results.js';
import { packedBytes } from './ternary-parts.js';
import { takeTurns } from './turns.js';

export interface QualitySettings {
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** Of the hundred stories, the first so many. */
  readonly stories: number;
  readonly rounds: number;
  readonly roundMs: number;
}

const MAX_STORIES_BYTES = 1 << 24;
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
export async function measureQuality({ backend, stories, rounds, roundMs }: QualitySettings, host: Host, tell: Listener): Promise<void> {
  const [texts, ternary, llama] = await Promise.all([
    host.open('test/fixtures/tinystories-9m/validation-stories.json'), host.open('examples/models/tinystories-9m.gguf'),
    host.open('../shared/models/llama-9m', ['config.json', 'model.safetensors']),
  ]);
  if (!texts || !ternary) return tell.note('the trained model or its stories are not here: left out');
  const ids = (await storiesIn(texts)).slice(0, stories);
  const models: Trained[] = [];
  const loadersOf = (ours: BackendName, theirs: FloatKernelOptions['backend']) => [
    () => trainedTernary(ternary, ours), () => trainedFloat(ternary, theirs), ...(llama ? [() => trainedLlama(llama, theirs)] : []),
  ];
  for (const load of loadersOf(backend, backend)) {
    const start = performance.now();
    const model = await load();
    models.push(model);
    tell.result(counted(`quality/${model.name}/seconds to load`, 's', (performance.now() - start) / 1000, 'lower', ONCE_NOISE));
  }
  if (!llama) tell.note('the trained transformer (../shared/models/llama-9m) is not here: left out');

  const inJavaScript = await Promise.all(loadersOf('scalar', 'js').map((load) => load()));
  const times = takeTurns([...models, ...inJavaScript].map(({ decode }) => decode), { rounds, roundMs });
  inJavaScript.forEach(({ name, dispose }, n) => {
    const result = speed(`quality/${name}/decode in JavaScript at ${POSITION}`, 'tokens/s', 1, times[models.length + n], 1);
    tell.result({ ...result, noise: JAVASCRIPT_NOISE });
    dispose();
  });
  models.forEach(({ name, weightBytes, cost, score, dispose }, n) => {
    const scores = ids.map(score);
    const tokens = scores.reduce((sum, one) => sum + one.tokens, 0);
    const nll = scores.reduce((sum, one) => sum + one.nll, 0);
    const { arithmetic, memory: [least, most] } = estimateEnergy(cost);
    const id = (what: string): string => `quality/${name}/${what}`;
    tell.result(counted(id(`perplexity of ${ids.length} stories`), '', Math.exp(nll / tokens), 'lower', 1e-4));
    tell.result(counted(id('predicted tokens'), '', tokens, 'higher'));
    tell.result(speed(id(`decode at ${POSITION}`), 'tokens/s', 1, times[n], 1));
    tell.result(counted(id('weights'), 'bytes', weightBytes));
    tell.result(counted(id(`bytes read at ${POSITION}`), 'bytes/token', cost.bytes));
    tell.result(counted(id(`integer additions at ${POSITION}`), '1/token', cost.integerAdditions));
    tell.result(counted(id(`float additions at ${POSITION}`), '1/token', cost.floatAdditions));
    tell.result(counted(id(`float multiplications at ${POSITION}`), '1/token', cost.floatMultiplications));
    tell.result(counted(id(`energy of arithmetic at ${POSITION} (estimate)`), 'mJ/token', arithmetic));
    tell.result(counted(id(`energy of memory at ${POSITION} (estimate, least)`), 'mJ/token', least));
    tell.result(counted(id(`energy of memory at ${POSITION} (estimate, most)`), 'mJ/token', most));
    dispose();
  });
}

async function storiesIn(files: FileSet): Promise<readonly (readonly number[])[]> {
  const [name] = await files.list();
  const file = (await files.open(name))!;
  try {
    return JSON.parse(await readText(file, MAX_STORIES_BYTES)) as number[][];
  } finally {
    await file.close();
  }
}

async function trainedTernary(files: FileSet, backend: BackendName): Promise<Trained> {
  const checkpoint = await openCheckpoint(files);
  const kernels = backend === 'scalar' ? createScalarKernels() : await createKernels({ backend, threads: 1 });
  const model = await loadModel(checkpoint, kernels);
  await checkpoint.close();
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

async function trainedFloat(files: FileSet, backend: FloatKernelOptions['backend']): Promise<Trained> {
  const checkpoint = await openCheckpoint(files);
  const { hiddenSize: hidden, recurrentSize: mixer, intermediateSize: intermediate, layers, vocabSize: vocab } = checkpoint.blueprint.config;
  const model = await buildFloatMatMulFree(checkpoint, { backend, threads: 1 });
  await checkpoint.close();
  return floatTrained('float MatMul-free', model, (bytes) => floatMatMulFreeCost({ hidden, mixer, intermediate, layers, vocab, heads: 0 }, bytes));
}

async function trainedLlama(files: FileSet, backend: FloatKernelOptions['backend']): Promise<Trained> {
  const { config, weights, close } = await openLlama(files);
  const model = await buildTransformer(config, weights, CONTEXT, { backend, threads: 1 });
  await close();
  const sizes: Sizes = {
    hidden: config.hiddenSize, mixer: config.heads * config.headSize, intermediate: config.intermediateSize, layers: config.layers, vocab: config.vocabSize, heads: config.heads,
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
