import type { TensorSpec } from '../architectures/blueprint.js';
import { ggufRows } from '../architectures/paired-rows.js';
import type { OnRow, TernaryReading } from './checkpoint.js';

/** Reads a weight whose rows a file has in pairs, row by row: blocks cannot be taken as they are. @param read reads what is stored. */
export async function readPairedRows(
  tensor: TensorSpec, scales: Float32Array, onRow: OnRow, reading: TernaryReading | undefined, read: (onRow: OnRow, reading?: TernaryReading) => Promise<void>,
): Promise<void> {
  const order = ggufRows(tensor)!;
  await read((row, trits) => onRow(order[row]!, trits), { ...reading, onBlocks: undefined });
  const stored = scales.slice();
  order.forEach((row, n) => { scales[row] = stored[n]!; });
}
