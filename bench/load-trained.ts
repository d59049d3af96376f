import { loadModel, type BackendName } from 'matmulfree';
import type { FileSet } from '../src/formats/bytes.js';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint.js';
import { loadTokenizer } from '../src/checkpoint/tokenizer.js';
import type { FloatKernelOptions } from './baselines/create.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatModel } from './baselines/float-model.js';
import { openLlama } from './baselines/llama-checkpoint.js';
import { eachLogitsOf } from './baselines/score.js';
import { buildTransformer } from './baselines/transformer.js';
import { kernelsFor } from './contestants.js';
import { costsOf, type LibraryCosts } from './library-costs.js';
import { placeAt } from './library-states.js';
import { floatMatMulFreeCost, transformerCost, type Sizes, type TokenCost } from './operations.js';
import type { EachLogits } from './stories.js';
import type { TrainedModel } from './trained-models.js';

/** No story has more tokens. */
const CONTEXT = 2048;

/** A trained model, ready to be judged and timed. One thread. */
export interface Loaded extends LibraryCosts {
  readonly eachLogits: EachLogits;
  /** Reads a prompt from the beginning, and goes on from there when it decodes. */
  prefill(ids: readonly number[]): void;
  /** Decodes one token after those of the last `prefill`, again and again. */
  decode(): void;
  dispose(): void;
}

export interface TrainedBackends {
  readonly ours: BackendName;
  readonly theirs: FloatKernelOptions['backend'];
}

export function loadTrained({ runs }: TrainedModel, files: FileSet, { ours, theirs }: TrainedBackends): Promise<Loaded> {
  return { library: () => loadOfLibrary(files, ours), 'float MatMul-free': () => loadFloat(files, theirs), 'Transformer++': () => loadLlama(files, theirs) }[runs]();
}

/** Ids of `names`, with a space before, as far as they are one token of the model's vocabulary. */
export async function idsOfNames(files: FileSet, names: readonly string[]): Promise<ReadonlySet<number>> {
  const checkpoint = await openCheckpoint(files);
  try {
    const tokenizer = await loadTokenizer(checkpoint);
    return new Set(names.flatMap((name) => tokenizer?.tokenToId(`▁${name}`) ?? []));
  } finally {
    await checkpoint.close();
  }
}

async function loadOfLibrary(files: FileSet, backend: BackendName): Promise<Loaded> {
  const checkpoint = await openCheckpoint(files);
  const kernels = await kernelsFor(checkpoint, backend, 1);
  const model = await loadModel(checkpoint, kernels);
  await checkpoint.close();
  const text = model.createState();
  let place = placeAt(model, text);
  const out = new Float32Array(model.parts.config.vocabSize);
  return {
    ...costsOf(model),
    eachLogits(ids, sink) {
      text.reset();
      model.forwardAll(ids.slice(0, -1), text, sink);
    },
    prefill(ids) {
      text.reset();
      model.forwardLast(ids, text, out);
      place = placeAt(model, text);
    },
    decode: () => place.read([5], out),
    dispose: () => kernels.dispose(),
  };
}

async function loadFloat(files: FileSet, backend: FloatKernelOptions['backend']): Promise<Loaded> {
  const checkpoint = await openCheckpoint(files);
  const { hiddenSize: hidden, recurrentSize: mixer, intermediateSize: intermediate, layers, vocabSize: vocab } = checkpoint.blueprint.config;
  const model = await buildFloatMatMulFree(checkpoint, { backend, threads: 1 });
  await checkpoint.close();
  return floatLoaded(model, (bytes) => floatMatMulFreeCost({ hidden, mixer, intermediate, layers, vocab, heads: 0 }, bytes));
}

async function loadLlama(files: FileSet, backend: FloatKernelOptions['backend']): Promise<Loaded> {
  const { config, weights, close } = await openLlama(files);
  const model = await buildTransformer(config, weights, CONTEXT, { backend, threads: 1 });
  await close();
  const sizes: Sizes = {
    hidden: config.hiddenSize, mixer: config.heads * config.headSize, intermediate: config.intermediateSize, layers: config.layers, vocab: config.vocabSize, heads: config.heads,
  };
  return floatLoaded(model, (bytes, position) => transformerCost(sizes, bytes, position));
}

function floatLoaded(model: FloatModel, costAt: (bytes: number, position: number) => TokenCost): Loaded {
  const { weightBytes, embeddings, norm, memory } = model.parts;
  let place = 0;
  return {
    weightBytes,
    costAt: (position) => costAt(weightBytes - embeddings.byteLength + norm.byteLength, position),
    memoryAt: (tokens) => memory.fixed + tokens * memory.perToken,
    eachLogits: eachLogitsOf(model),
    prefill(ids) {
      model.reset();
      model.forward(ids);
      place = ids.length;
    },
    decode() {
      model.position = place;
      model.forward([5]);
    },
    dispose: () => model.dispose(),
  };
}
