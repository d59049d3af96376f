/** How the input of a weight is brought to the basis in which the weight is stored (bonsai.md §2.6): signs, then a Walsh-Hadamard matrix on each block of columns. */
export interface Rotation {
  readonly block: number;
  /** [columns] ±1, in the kernels' memory; undefined where all are 1. */
  readonly signs: Float32Array | undefined;
  readonly rotated: Float32Array; // [maxTokens, columns, or more] where it is put
}
