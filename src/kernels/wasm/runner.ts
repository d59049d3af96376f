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
  /** The same for kernels that go element by element. */
  elements(kernel: string, args: readonly Argument[], units: number, elements: number): void;
}
