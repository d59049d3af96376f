import { createKernels, loadModel, type BackendName, type Checkpoint, type Kernels, type ModelState } from 'matmulfree';
import { PAGE_POSITIONS } from '../src/kernels/kernels.js';
import { CHUNK_TOKENS } from './baselines/build-model.js';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatKernelOptions } from './baselines/create.js';
import type { FloatModel } from './baselines/float-model.js';
import { randomWeights, transformerOf } from './baselines/random-transformer.js';
import { buildTransformer } from './baselines/transformer.js';
import { costsOf } from './library-costs.js';
import { placeAfter, type Place } from './library-states.js';
import { floatMatMulFreeCost, transformerCost, type TokenCost } from './operations.js';
import { randomCheckpoint, randomKind, sizesOf, type Kind, type ShapeName } from './random-model.js';

/** Texts that are continued at once, at most. */
const MOST_TEXTS = 32;

/** The three that every size has, with as many weights each. */
export type ContestantName = 'ternary' | 'float MatMul-free' | 'Transformer++';

/** A model that takes part. All of a size have as many weights. */
export interface Contestant {
  readonly name: string;
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

/** The library's kernels for what a blueprint needs. */
export async function kernelsFor({ blueprint }: Checkpoint, backend: 'auto' | BackendName, threads: number): Promise<Kernels> {
  return createKernels({ backend, threads, transformer: blueprint.transformer });
}

export async function createTernary({ shape, layers, threads }: ContestantOptions, backend: 'auto' | BackendName): Promise<Contestant> {
  return createOfLibrary('ternary', randomCheckpoint(shape, layers), { backend, threads, positions: [] });
}

/** @param positions after which it will be asked to go on. @param prompt the most tokens that it will be asked to read at once. */
export async function createKind(
  kind: Kind, { shape, layers, threads }: ContestantOptions, backend: BackendName, positions: readonly number[], prompt: number,
): Promise<Contestant> {
  return createOfLibrary(kind, randomKind(kind, shape, layers, Math.max(...positions) + prompt + 1), { backend, threads, positions, prompt });
}

export interface LibraryOptions {
  readonly backend: 'auto' | BackendName;
  readonly threads: number;
  /** Tokens after which it will be asked to go on, of a model with attention. */
  readonly positions: readonly number[];
  /** The most tokens that it will be asked to read at once. */
  readonly prompt?: number;
}

/** A model that this library runs, of whatever kind. */
export async function createOfLibrary<Name extends string>(
  name: Name, checkpoint: Checkpoint, { backend, threads, positions, prompt = 0 }: LibraryOptions,
): Promise<Contestant & { readonly name: Name }> {
  const kernels = await kernelsFor(checkpoint, backend, threads);
  // A page more for each text, which its tokens need not fill.
  const contextTokens = positions.reduce((sum, position) => sum + position + 2 * PAGE_POSITIONS, prompt + MOST_TEXTS * PAGE_POSITIONS);
  const model = await loadModel(checkpoint, kernels, { contextTokens });
  const { weightBytes, costAt, memoryAt } = costsOf(model);
  const text = model.createState();
  const states: ModelState[] = []; // of several texts
  const places = new Map<number, Place>();
  const out = new Float32Array(model.parts.config.vocabSize);
  const isRecurrent = model.parts.pages === undefined; // then it costs the same after any text
  return {
    name, threads: kernels.threads, weightBytes, memoryAt, costAt,
    reach() {},
    read(ids, position) {
      if (!isRecurrent && position > 0) {
        if (!places.has(position)) places.set(position, placeAfter(model, position));
        places.get(position)!.read(ids, out);
        return out;
      }
      text.reset();
      model.forwardLast(ids, text, out);
      return out;
    },
    readEach(ids) {
      while (states.length < ids.length) states.push(model.createState());
      if (!isRecurrent) for (const state of states) state.reset();
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

function floatContestant(name: ContestantName, model: FloatModel, costAt: Contestant['costAt']): Contestant {
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
