import type { TensorSpec } from '../architectures/blueprint.js';
import { ggufRows } from '../architectures/gguf-order.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import type { readTernaryWeight } from './gguf-ternary.js';
import type { GgufWeight } from './gguf-weight.js';

/** Reads a weight whose rows a file has in pairs, row by row: blocks cannot be taken as they are. @param read reads what is stored. */
export async function readPairedRows(
  read: typeof readTernaryWeight, weight: GgufWeight, tensor: TensorSpec, scales: Float32Array, onRow: OnRow, reading?: TernaryReading,
): Promise<void> {
  const order = ggufRows(tensor)!;
  await read(weight, scales, (row, trits) => onRow(order[row]!, trits), { ...reading, onBlocks: undefined });
  const stored = scales.slice();
  order.forEach((row, n) => { scales[row] = stored[n]!; });
}
