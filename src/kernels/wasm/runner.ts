import type { Arena } from '../arena.js';
import type { TernaryMatrix } from '../kernels.js';
import type { KernelMemory } from './memory.js';

/** An argument of a kernel: an address or a whole number, or a float32. */
export type Argument = number | { readonly f32: number };

/** How kernels of a module are called, for those that are not in every module. */
export interface Runner {
  /** The address of a view. */
  readonly at: KernelMemory['address'];
  /**
   * Runs a kernel over `units` units of work, on all threads if `work` multiply-accumulates are worth it, in chunks of `unitsPerChunk`
   * (0: two a thread).
   */
  call(kernel: string, args: readonly Argument[], units: number, unitsPerChunk: number, work: number): void;
  /**
   * A product with a ternary matrix: by `<prefix>Rows` and `<prefix>Tile8`, `…16`, which have the arguments that those of `ternary` have.
   * @param scalesPerToken of which the kernels are given the address; undefined for one, which is given as it is.
   * @param group behind all other arguments.
   */
  multiply(prefix: string, matrix: TernaryMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array, scalesPerToken?: number, group?: number): void;
  readonly threads: number;
  /** Memory for a matrix's packed weights. */
  allocate(arena: Arena, rows: number, columns: number): Uint8Array;
  /** Runs a kernel over so many row blocks that are packed. */
  pack(kernel: string, args: readonly number[], units: number): void;
  /** The same for kernels that go element by element. */
  elements(kernel: string, args: readonly Argument[], units: number, elements: number): void;
}
