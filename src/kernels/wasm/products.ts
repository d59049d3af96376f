import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import type { GroupBlockType, GroupedMatrix, Kernels, TernaryBlockType, TernaryMatrix, TransformerKernels } from '../kernels.js';
import type { Runner } from './runner.js';

/** How a backend packs ternary weights and multiplies with them: by look-ups (lookup-products.ts), or by dot products (dot-products.ts). */
export interface Products {
  /** Parameters of its kernels, by their names, in the order of their numbers. */
  readonly parameters: Readonly<Record<string, Parameters>>;
  /** In the same order. */
  emit(module: ModuleBuilder): readonly Func[];
  /** What JavaScript calls, on a module that has the kernels. */
  on(runner: Runner): ProductCalls;
}

/** `Kernels` and `TransformerKernels` say what these do. */
export interface ProductCalls {
  /** Sets the rows that fill up the last row block to 0: bytes of value 0 would be weights of -1. The others are there to be packed. */
  clearPadding(packed: Uint8Array, rows: number, columns: number): void;
  packRow(matrix: TernaryMatrix, row: number, trits: Int8Array): void;
  packBlocks(matrix: TernaryMatrix, first: number, count: number, type: TernaryBlockType, bytes: Uint8Array): number;
  readonly multiply: Kernels['ternaryMatmul'];
  /** Where it has the kernels. */
  readonly grouped: GroupedCalls | undefined;
}

export interface GroupedCalls {
  unpackRow(matrix: TernaryMatrix, row: number, trits: Int8Array): void;
  packGroups(matrix: GroupedMatrix, first: number, count: number, type: GroupBlockType, bytes: Uint8Array): number;
  readonly multiply: TransformerKernels['groupedMatmul'];
}
