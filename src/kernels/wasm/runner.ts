import type { TernaryMatrix } from '../kernels.js';
import type { KernelMemory } from './memory.js';

/** An argument of a kernel: an address or a whole number, or a float32. */
export type Argument = number | { readonly f32: number };

/** All memory, and where the work space of thread 0 is. */
export interface StageMemory {
  readonly memory: ArrayBufferLike;
  readonly work: number;
}

/** How kernels of a module are called. */
export interface Runner {
  readonly threads: number;
  /** The address of a view. */
  readonly at: KernelMemory['address'];
  /**
   * Runs a kernel over `units` units of work: on all threads, in chunks of `unitsPerChunk` (0: two a thread), if `work` multiply-accumulates
   * are worth it.
   */
  call(kernel: string, args: readonly Argument[], units: number, unitsPerChunk: number, work: number): void;
  /** Whether so many multiply-accumulates are. */
  isShared(work: number): boolean;
  /** The same for kernels that go element by element. */
  elements(kernel: string, args: readonly Argument[], units: number, elements: number): void;
  /** Runs a kernel over so many row blocks that are packed. */
  pack(kernel: string, args: readonly number[], units: number): void;
  /** All memory, and the work space of thread 0. */
  stage(): StageMemory;
  /** Which product other threads may expect after this one, if there are any: products come in the same order for every token. */
  nextOf(matrix: TernaryMatrix): TernaryMatrix | undefined;
}
