import type { Arena, Kernels } from 'matmulfree';

/*
 * What the float32 baselines are computed with: the counterpart of the library's `Kernels`. What is not a product is the library's own
 * (norms, recurrence, gates), so that models differ in nothing but what they are compared by.
 */

/** A float32 weight matrix in the layout of the kernels that made it. */
export interface FloatMatrix {
  /** Output features, a multiple of 16. */
  readonly rows: number;
  /** Input features, a multiple of 4. */
  readonly columns: number;
  readonly values: Float32Array;
}

/** Rows of a matrix come in panels of so many: four vectors of four. */
export const PANEL = 16;

/** The keys and values of one layer, for `capacity` positions, in the layout of the kernels that made it. */
export interface KeyValueCache {
  readonly heads: number;
  /** Channels of a head, a multiple of 16. */
  readonly headSize: number;
  readonly capacity: number;
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

export interface FloatKernels extends Pick<Kernels, 'rmsNorm' | 'mlgruRecurrence' | 'gatedRmsNorm' | 'swiglu' | 'add'> {
  /** `js`: typed arrays. `simd`, `relaxed`: WebAssembly vectors; the relaxed ones multiply and add in one instruction. */
  readonly backend: 'js' | 'simd' | 'relaxed';
  /** Threads that share the work, the calling one included. */
  readonly threads: number;

  /** The memory that all arrays given to these kernels come from. Created once. */
  createArena(bytes: number): Arena;

  /** An empty matrix, to be filled by `setRow`. */
  createMatrix(arena: Arena, rows: number, columns: number): FloatMatrix;
  /** values: [columns] */
  setRow(matrix: FloatMatrix, row: number, values: Float32Array): void;
  /** out = W · x for each token. x: [tokens, columns]; out: [tokens, rows]. */
  matmul(matrix: FloatMatrix, x: Float32Array, tokens: number, out: Float32Array): void;

  /**
   * Rotary position embedding (Su et al., 2021), as Llama pairs channels: j and j + headSize/2 are turned by the angle of pair j.
   * x: [tokens, heads · headSize], in place; angles: [tokens, headSize], cosines of the pairs, then their sines.
   */
  rotate(x: Float32Array, heads: number, headSize: number, angles: Float32Array, tokens: number): void;

  createCache(arena: Arena, heads: number, headSize: number, capacity: number): KeyValueCache;
  /** Stores positions `position` … `position + tokens - 1`. keys, values: [tokens, heads · headSize]. */
  store(cache: KeyValueCache, keys: Float32Array, values: Float32Array, position: number, tokens: number): void;
  /**
   * softmax(q · keysᵀ / √headSize) · values for each head, of queries at positions `position` … `position + tokens - 1`, each over
   * its own position and those before it, which have been stored. Keys are gone through in tiles, with the softmax carried on from one
   * to the next (Milakov, Gimelshein 2018; Dao et al., 2022), so that no row of scores is ever as long as the text.
   * q, out: [tokens, heads · headSize].
   */
  attention(cache: KeyValueCache, q: Float32Array, position: number, tokens: number, out: Float32Array): void;

  /** Ends the other threads. */
  dispose(): void;
}

/** @throws RangeError for shapes that the kernels are not written for; those of published models are all fine. */
export function requireMultiple(what: string, value: number, of: number): void {
  if (!(value > 0 && value % of === 0)) throw new RangeError(`${what} is ${value}; the float baselines take multiples of ${of}`);
}

/** Positions rounded up to whole panels. */
export function paddedCapacity(capacity: number): number {
  return Math.ceil(capacity / PANEL) * PANEL;
}
