import { rowDecoder } from '../formats/group-blocks.js';
import { tq2FromPlain, tq2RowBytes } from '../formats/tq2-rows.js';
import { Pace } from '../platform/pace.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import { plainScale, readRowScales } from './gguf-grouped.js';
import { applyScale, pieceBytes, type GgufWeight } from './gguf-weight.js';
import { codeError } from './gguf-weight-errors.js';

/** Reads a weight in I2_S, which has one scale: by the block where kernels take such. @param scales [rows], filled. */
export async function readPlainCodes(weight: GgufWeight, scales: Float32Array, onRow: OnRow, reading: TernaryReading): Promise<void> {
  const { onBlocks, onBytes, pace = new Pace() } = reading;
  const { rows, columns, storedColumns, i2sLayout: layout = 'A' } = weight;
  const scale = await plainScale(weight);
  if (!onBlocks || layout !== 'A' || storedColumns !== columns || !(scale > 0 && scale < Infinity)) return readRowScales(weight, scales, onRow, reading);
  const { rowBytes, decode } = rowDecoder('I2_S', columns, { scale, layout });
  const trits = new Int8Array(columns);
  const most = Math.min(pieceBytes(rowBytes), rows * rowBytes);
  const stage = new Uint8Array((most / rowBytes) * tq2RowBytes(columns));
  let first = 0;
  for await (const bytes of weight.pieces(most, rows * rowBytes)) {
    const count = bytes.length / rowBytes;
    const blocks = stage.subarray(0, count * tq2RowBytes(columns));
    tq2FromPlain(bytes, columns, blocks);
    if (!onBlocks(first, count, 'TQ2_0', blocks)) {
      for (let row = first, at = 0; at < bytes.length; row++, at += rowBytes) {
        if (pace.isDue) await pace.giveWay();
        const column = decode(bytes, at, trits, scales.subarray(row));
        if (column >= 0) throw codeError(weight, row, column);
        onRow(row, trits);
      }
    }
    scales.fill(scale, first, first + count);
    first += count;
    onBytes?.(bytes.length);
    await pace.giveWay();
  }
  await applyScale(weight, scales);
}
