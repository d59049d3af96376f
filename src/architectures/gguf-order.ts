import type { TensorSpec, TiledHeads } from './blueprint.js';

/** Which row of the model each row of a tensor in a GGUF file is; undefined where they are the same. */
export function ggufRows({ ggufPairs: head, ggufTiles, shape: [rows = 0] }: TensorSpec): Int32Array | undefined {
  if (ggufTiles) return tiled(ggufTiles, rows);
  if (head === undefined) return undefined;
  return Int32Array.from({ length: rows }, (_, row) => {
    const inHead = row % head;
    return row - inHead + (inHead >> 1) + (inHead & 1 ? head / 2 : 0);
  });
}

/** The same for columns. */
export function ggufColumns({ ggufColumnTiles, shape: [, columns = 0] }: TensorSpec): Int32Array | undefined {
  return ggufColumnTiles && tiled(ggufColumnTiles, columns);
}

function tiled({ first, width, keys, perKey }: TiledHeads, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, n) => {
    if (n < first) return n;
    const head = Math.floor((n - first) / width);
    return first + ((head % keys) * perKey + Math.floor(head / keys)) * width + ((n - first) % width);
  });
}

/** result[order[n]] = n */
export function inverted(order: Int32Array): Int32Array {
  const result = new Int32Array(order.length);
  order.forEach((place, n) => { result[place] = n; });
  return result;
}

/** Row n of what a file has becomes row order[n]. */
export function reordered(values: Float32Array, order: Int32Array): Float32Array {
  const result = new Float32Array(values.length);
  const width = values.length / order.length;
  order.forEach((row, n) => result.set(values.subarray(n * width, (n + 1) * width), row * width));
  return result;
}
