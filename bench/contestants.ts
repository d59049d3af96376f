import { createKernels, createScalarKernels, type BackendName } from 'matmulfree';
import { describeModel } from '../src/model/describe.js';
import { CHUNK_TOKENS } from './baselines/build-model.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatKernelOptions } from './baselines/create.js';
import type { FloatModel } from './baselines/float-model.js';
import { randomWeights, transformerOf } from './baselines/random-transformer.js';
import { buildTransformer } from './baselines/transformer.js';
import { floatMatMulFreeCost, transformerCost, type TokenCost } from './operations.js';
import { randomCheckpoint, randomModel, sizesOf, type ShapeName } from './random-model.js';
import { packedBytes } from './ternary-parts.js';

/** A model that takes part. All of a size have as many weights. */
export interface Contestant {
  readonly name: 'ternary' | 'float MatMul-free' | 'Transformer++';
  readonly threads: number;
  /** Of weights, as they are in memory, embeddings included. */
  readonly weightBytes: number;
  /** Bytes of what it knows of a text of so many tokens. */
  memoryAt(position: number): number;
  /** What a token after `position` others costs. */
  costAt(position: number): TokenCost;
  /** Makes it ready to go on from any position up to this one; takes a moment. */
  reach(position: number): void;
  /** Reads `ids` as what comes after `position` tokens. @returns the logits of the last. */
  read(ids: readonly number[], position: number): Float32Array;
  /**
   * Continues as many texts by a token each, all at once. The float models, which have one text, read the ids as one: its products are
   * the same, and a transformer's attention is that of texts of a few tokens.
   */
  readEach(ids: readonly number[]): void;
  dispose(): void;
}

export interface ContestantOptions {
  readonly shape: ShapeName;
  /** Default: all of the published model. */
  readonly layers?: number | undefined;
  readonly threads: number;
}

export async function createTernary({ shape, layers, threads }: ContestantOptions, backend: 'auto' | BackendName): Promise<Contestant> {
  const kernels = backend === 'scalar' ? createScalarKernels() : await createKernels({ backend, threads });
  const model = await randomModel(kernels, shape, layers);
  const state = model.createState();
  const states = [state]; // of several texts
  const out = new Float32Array(model.parts.config.vocabSize);
  const { operations } = describeModel(model);
  const { hiddenSize } = model.parts.config;
  const weightBytes = packedBytes(model);
  const cost: TokenCost = {
    integerAdditions: operations.ternaryAdditions, floatAdditions: operations.multiplications, floatMultiplications: operations.multiplications,
    bytes: weightBytes - model.parts.embeddings.byteLength + 2 * hiddenSize + state.byteLength,
  };
  return {
    name: 'ternary', threads: kernels.threads, weightBytes,
    memoryAt: () => state.byteLength,
    costAt: () => cost,
    reach() {},
    read(ids) {
      model.forwardLast(ids, state, out);
      return out;
    },
    readEach(ids) {
      while (states.length < ids.length) states.push(model.createState());
      model.forwardSequences(ids.map((id, n) => ({ ids: [id], state: states[n], want: 'last' as const })), (logits) => out.set(logits));
    },
    dispose: () => kernels.dispose(),
  };
}

export async function createFloatMatMulFree({ shape, layers, threads }: ContestantOptions, backend: FloatKernelOptions['backend']): Promise<Contestant> {
  const model = await buildFloatMatMulFree(randomCheckpoint(shape, layers), { backend, threads });
  const bytes = streamedBytes(model);
  return floatContestant('float MatMul-free', model, () => floatMatMulFreeCost(sizesOf(shape, layers), bytes));
}

/** @param contextLength the most tokens that it will be asked to read in one text. */
export async function createTransformer(
  { shape, layers, threads }: ContestantOptions, backend: FloatKernelOptions['backend'], contextLength: number,
): Promise<Contestant> {
  const model = await buildTransformer(transformerOf(shape, layers), randomWeights(1), contextLength + CHUNK_TOKENS, { backend, threads });
  const bytes = streamedBytes(model);
  return floatContestant('Transformer++', model, (position) => transformerCost(sizesOf(shape, layers), bytes, position));
}

function floatContestant(name: Contestant['name'], model: FloatModel, costAt: Contestant['costAt']): Contestant {
  const { memory, weightBytes, stages: [{ kernels }] } = model.parts;
  return {
    name, threads: kernels.threads, weightBytes, costAt,
    memoryAt: (position) => memory.fixed + position * memory.perToken,
    reach: (position) => model.pretend(position),
    read(ids, position) {
      model.position = position;
      return model.forward(ids);
    },
    readEach(ids) {
      model.position = 0;
      model.forwardAll(ids, () => {}); // each wants its logits
    },
    dispose: () => model.dispose(),
  };
}

/** What a decoded token reads of the weights: all but the other tokens' embeddings. */
function streamedBytes({ parts: { weightBytes, embeddings, norm } }: FloatModel): number {
  return weightBytes - embeddings.byteLength + norm.byteLength;
}
