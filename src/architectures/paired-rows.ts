import type { TensorSpec } from './blueprint.js';

/** Which row of the model each row of a tensor in a GGUF file is; undefined where they are the same. */
export function ggufRows({ ggufPairs: head, shape: [rows = 0] }: TensorSpec): Int32Array | undefined {
  if (head === undefined) return undefined;
  return Int32Array.from({ length: rows }, (_, row) => {
    const inHead = row % head;
    return row - inHead + (inHead >> 1) + (inHead & 1 ? head / 2 : 0);
  });
}
