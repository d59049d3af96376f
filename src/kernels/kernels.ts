import type { FloatType } from '../formats/floats.js';
import type { Arena } from './arena.js';
import type { DeltaNetKernels } from './delta-net.js';

/**
 * Backends that exist. Every backend gives bit-identical results; `scalar` defines them. `simd` is WebAssembly with 128-bit
 * vectors, `relaxed` the same with instructions of relaxed SIMD; both look sums up and add, as `scalar` does. `dot` uses the dot products of
 * relaxed SIMD, and so multiplies: the fastest where the engine makes one instruction of them.
 */
export const BACKEND_NAMES = ['scalar', 'simd', 'relaxed', 'dot'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** Which kernels beside those of MatMul-free LMs: none (false), those of Transformers (true), or those of gated delta nets as well. */
export type KernelSet = boolean | 'delta-net';

/** A ternary weight matrix in the packing of the backend that made it. */
export interface TernaryMatrix {
  /** Output features. */
  readonly rows: number;
  /** Input features, at most `MAX_COLUMNS`. */
  readonly columns: number;
  /** In an order that only its backend knows. */
  readonly packed: Uint8Array | Uint32Array;
  /** [rows] weight = trit · scale; the same number in every row of a per-tensor quantised matrix. */
  readonly scales: Float32Array;
}

/** Columns of activations that share a scale in a product with a `GroupedMatrix`; the last ones of a token may be fewer. */
export const ACTIVATION_GROUP = 128;

/** A ternary weight matrix with a scale for each row and group of columns, in the packing of the backend that made it. */
export interface GroupedMatrix extends TernaryMatrix {
  /** Columns of a group: 32, 64 or 128. The last group of a row may have fewer. */
  readonly group: number;
  /** [⌈columns / group⌉, rows] weight = trit · scale; 0 for a group of zeros. */
  readonly scales: Float32Array;
}

/** Blocks of 256 ternary weights as GGUF files have them (formats/ternary-blocks.ts). */
export type TernaryBlockType = 'TQ1_0' | 'TQ2_0';

/** Blocks of a float16 scale and 64 or 128 ternary weights, or 128 that are -1 or 1, as GGUF files have them (formats/group-blocks.ts). */
export type GroupBlockType = 'Q1_0' | 'Q2_0' | 'PQ2_0';

/** Positions of a page of keys and values, and of a tile of attention. */
export const PAGE_POSITIONS = 64;

/**
 * Keys and values of attention layers in pages: [pages][keys, values][kvHeads][64][headDim], in float16 or float32. A sequence's table
 * tells for each 64 of its positions which page holds them.
 */
export interface KeyValuePages {
  readonly elements: Uint16Array | Float32Array;
  /** Elements from one page to the next. */
  readonly pageElements: number;
  readonly kvHeads: number;
  /** Channels of a head. A multiple of 4. */
  readonly headDim: number;
}

/** Where consecutive tokens of a sequence stand: in the rows of a pass, and in its text. */
export interface PageTable {
  /** Of the first token, in arrays of [tokens of the pass, …]. */
  readonly row: number;
  readonly tokens: number;
  /** Of the first token, in its text. */
  readonly position: number;
  /** Page numbers, in the kernels' memory: the first one is of positions 64 · firstPage and on. */
  readonly pages: Uint32Array;
  readonly firstPage: number;
}

/** Activations of a gated linear unit: x · sigmoid(x), or max(x, 0)². */
export type Activation = 'silu' | 'relu2';

/** Up to here |Σ t·q| ≤ 127 · columns < 2²³, so that the int32 sum is exact as float32 too. */
export const MAX_COLUMNS = 65536;

/**
 * All hot loops, on views that the caller has checked: kernels validate nothing. Arrays of several tokens are row-major,
 * one token a row. Results are defined to the bit by the scalar backend: integer sums are exact, float32 operations are
 * rounded one by one in the order given there.
 */
export interface Kernels {
  readonly backend: BackendName;
  /** Why a faster backend was left out, in plain words: it computes wrongly here, or gets no memory. Undefined where none was. */
  readonly backendNote?: string | undefined;
  /** Threads that share the work, the calling one included. */
  readonly threads: number;

  /**
   * The memory for everything that these kernels work on, `bytes` bytes, zeroed. Create it once (the WebAssembly backends have one
   * memory, and refuse arrays that are not on it). @throws BackendError when the engine refuses.
   */
  createArena(bytes: number): Arena;

  /** An empty matrix, to be filled by `packRow` for each row, and `scales` by the caller. @throws ArgumentError: too wide. */
  createTernary(arena: Arena, rows: number, columns: number): TernaryMatrix;
  /** Stores `trits[0..columns)`, each -1, 0 or 1, as row `row`. */
  packRow(matrix: TernaryMatrix, row: number, trits: Int8Array): void;
  /**
   * Stores rows `first` … `first + count - 1` straight from blocks: the same as `packRow` with the trits in them, many times as fast.
   * `first` is a multiple of 32; so is `count`, unless these are the last rows. Each row is ⌈columns / 256⌉ blocks.
   * @returns how many of the weights are 0; or -1 if the rows must be decoded and given to `packRow`, all of them, because one of
   * them is not plain: has a code that no weight has, weights beyond the last column, or blocks whose scales differ, are 0, or are
   * not finite. Absent from backends that have no faster way.
   */
  packBlocks?(matrix: TernaryMatrix, first: number, count: number, type: TernaryBlockType, bytes: Uint8Array): number;

  /**
   * out[t, r] = (Σ_c trit[r, c] · q[t, c]) · (scales[r] · qScales[t]); the sum is exact.
   * q: [tokens, columns], values -127..127; out: [tokens, rows].
   */
  ternaryMatmul(matrix: TernaryMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array): void;

  /** out[t] = x[t] / sqrt(mean(x[t]²) + eps) · weight. x, out: [tokens, width]; out may be x. */
  rmsNorm(x: Float32Array, weight: Float32Array, eps: number, tokens: number, out: Float32Array): void;

  /**
   * RMSNorm, then int8 with one scale a token: q ≈ y · 127 / max|y|, y ≈ q · qScales[t] (hgrn-bit.md, BitLinear steps 1
   * and 2). x, q: [tokens, width].
   */
  rmsNormQuantize(
    x: Float32Array, weight: Float32Array, eps: number, tokens: number, q: Int8Array, qScales: Float32Array,
  ): void;

  /**
   * The MLGRU recurrence: f = lb + (1 - lb)·sigmoid(f); h = f·h + i·sigmoid(i)·(1 - f).
   * i, f: [tokens, width]; lowerBound: [width], or undefined for none; state: [width], advanced in place;
   * h: [tokens, width], the state after each step; h may be i.
   * The tokens are steps of one sequence; or, with `lengths`, lengths[0] steps of a first one, then lengths[1] of a second, …,
   * `tokens` in all, and state is [lengths.length, width].
   */
  mlgruRecurrence(
    i: Float32Array, f: Float32Array, lowerBound: Float32Array | undefined, state: Float32Array, tokens: number,
    h: Float32Array, lengths?: Uint32Array,
  ): void;

  /** out = RMSNorm(g; weight, eps) · h · sigmoid(h). All [tokens, width]; out may be g. */
  gatedRmsNorm(
    g: Float32Array, weight: Float32Array, eps: number, h: Float32Array, tokens: number, out: Float32Array,
  ): void;

  /** out[t, j] = a·sigmoid(a)·b with a = ab[t, j], b = ab[t, width + j]. ab: [tokens, 2·width]; out: [tokens, width]. */
  swiglu(ab: Float32Array, width: number, tokens: number, out: Float32Array): void;

  /** r[i] += x[i] for i < count. */
  add(r: Float32Array, x: Float32Array, count: number): void;

  /** Those that MatMul-free LMs have no need of, if they were asked for. */
  readonly transformer: TransformerKernels | undefined;

  /** Ends the other threads. The kernels must not be called again. */
  dispose(): void;
}

/** What layers of Transformers need beside `Kernels`, on the same memory and to the same contract. */
export interface TransformerKernels {
  /**
   * As `rmsNormQuantize` without the norm, and with halves rounded to even, as every family without norms has it
   * (ternary-transformers.md §2.2). x, q: [tokens, width].
   */
  quantize(x: Float32Array, width: number, tokens: number, q: Int8Array, qScales: Float32Array): void;

  /**
   * Int8 with a scale for each 128 columns of a token: q = x / max|x| · 127, halves rounded to even, x ≈ q · qScales. So a value that is
   * exactly half of the largest is a tie, as it is in real numbers. x, q: [tokens, width]; qScales: [tokens, ⌈width / 128⌉].
   */
  quantizeGroups(x: Float32Array, width: number, tokens: number, q: Int8Array, qScales: Float32Array): void;

  /** out = act(a) · b. All [tokens · width]; out may be a. */
  glu(a: Float32Array, b: Float32Array, activation: Activation, count: number, out: Float32Array): void;

  /**
   * Rotary position embedding (Su et al., 2021): the first `2 · pairs` channels of each head; channel j is paired with j + pairs.
   * x: [tokens of the pass, heads · headDim], in place; angles: [tokens of the pass, 2 · pairs], the cosines of the pairs, then their sines.
   */
  rotate(x: Float32Array, heads: number, headDim: number, pairs: number, angles: Float32Array, tokens: number): void;

  /** Puts keys and values, [tokens of the pass, kvHeads · headDim], where `table` says, rounded to the pages' type (half to even, at most ±65504). */
  storeKeysValues(keys: Float32Array, values: Float32Array, pages: KeyValuePages, table: PageTable): void;

  /**
   * softmax(q · keysᵀ / √headDim) · values for each head; query head h uses kv head ⌊h · kvHeads / heads⌋; each query sees its own position and
   * those before it, `window` in all. Positions are gone through in tiles of 64 from position 0 on, with the softmax carried on
   * from tile to tile (Milakov, Gimelshein 2018; Dao et al., 2022). q, out: [tokens of the pass, heads · headDim].
   */
  attention(q: Float32Array, heads: number, pages: KeyValuePages, table: PageTable, window: number, out: Float32Array): void;

  /** An empty matrix, to be filled by `packGroupedRow` for each row, and `scales` by the caller. @throws ArgumentError: too wide, another group. */
  createGrouped(arena: Arena, rows: number, columns: number, group: number): GroupedMatrix;
  /** As `Kernels.packRow`. */
  packGroupedRow(matrix: GroupedMatrix, row: number, trits: Int8Array): void;
  /**
   * Stores rows and their scales straight from blocks, as `Kernels.packBlocks` does: the same as `packGroupedRow`, with 0 as the scale of a group of zeros.
   * @returns how many of the weights are 0; or -1 if the rows must be decoded: one has a code that no weight has, several scales in a group, or a
   * scale that is negative, not finite, or 0 beside other weights; or blocks and groups do not fit the columns.
   */
  packGroups?(matrix: GroupedMatrix, first: number, count: number, type: GroupBlockType, bytes: Uint8Array): number;
  /** Writes row `row` to `trits[0..columns)`. */
  unpackRow(matrix: GroupedMatrix, row: number, trits: Int8Array): void;

  /**
   * out[t, r] = Σ_g (Σ_{c in g} trit[r, c] · q[t, c]) · (scales[g, r] · qScales[t, a]), groups g of columns in ascending order, in float32
   * from 0 on; the sum of a group is exact. a is the group of 128 columns that g is in.
   * q: [tokens, columns], values -127..127; qScales: [tokens, ⌈columns / 128⌉]; out: [tokens, rows].
   */
  groupedMatmul(matrix: GroupedMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array): void;

  /**
   * out[t, r] = Σ_c rows[r, c] · x[t, c] in float32, in the order of lanes of the norms' sums. x: [tokens, columns]; out: [tokens, rows].
   * @param bytes [rows, columns] of `type`.
   */
  floatMatmul(bytes: Uint8Array, type: FloatType, rows: number, x: Float32Array, columns: number, tokens: number, out: Float32Array): void;

  /** Those that only models with gated delta nets have need of, if they were asked for. */
  readonly deltaNet?: DeltaNetKernels | undefined;
}
