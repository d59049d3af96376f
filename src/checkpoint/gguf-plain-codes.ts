import { rowDecoder } from '../formats/group-blocks.js';
import { BLOCK_WEIGHTS, ternaryRowBytes } from '../formats/ternary-blocks.js';
import { Pace } from '../platform/pace.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import { plainScale, readRowScales } from './gguf-grouped.js';
import { applyScale, pieceBytes, type GgufWeight } from './gguf-weight.js';
import { codeError } from './gguf-weight-errors.js';

/*
 * I2_S in layout A has the weights of TQ2_0 in the same bytes, only the first in the top bits instead of the lowest. So with the bits of each byte turned
 * around and a scale of 1 behind each block, kernels take them as TQ2_0.
 */

/** Bytes of codes of a block of TQ2_0, whose scale follows: 1, as float16. */
const CODE_BYTES = 64;
const ONE = 0x3c00;
/** Sixteen codes of the weight 0. */
const ZERO_CODES = 0x55555555;

/** Reads a weight in I2_S that has one scale. @param scales [rows], filled. */
export async function readPlainCodes(weight: GgufWeight, scales: Float32Array, onRow: OnRow, reading: TernaryReading): Promise<void> {
  const { onBlocks, onBytes, pace = new Pace() } = reading;
  const { rows, columns, storedColumns, i2sLayout: layout = 'A' } = weight;
  const scale = await plainScale(weight);
  if (!onBlocks || layout !== 'A' || storedColumns !== columns || !(scale > 0 && scale < Infinity)) return readRowScales(weight, scales, onRow, reading);
  const { rowBytes, decode } = rowDecoder('I2_S', columns, { scale, layout });
  const blockBytes = ternaryRowBytes('TQ2_0', Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
  const trits = new Int8Array(columns);
  const most = Math.min(pieceBytes(rowBytes), rows * rowBytes);
  const stage = new Uint8Array((most / rowBytes) * blockBytes);
  let first = 0;
  for await (const bytes of weight.pieces(most, rows * rowBytes)) {
    const count = bytes.length / rowBytes;
    const blocks = stage.subarray(0, count * blockBytes);
    turnAround(bytes, rowBytes, blocks);
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

/** Rows of I2_S as rows of TQ2_0. */
function turnAround(bytes: Uint8Array, rowBytes: number, blocks: Uint8Array): void {
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const to = new DataView(blocks.buffer, blocks.byteOffset, blocks.length);
  let out = 0;
  for (let row = 0; row < bytes.length; row += rowBytes) {
    const rowEnd = row + rowBytes;
    for (let at = row; at < rowEnd; out += 2) {
      const [end, outEnd] = [Math.min(at + CODE_BYTES, rowEnd), out + CODE_BYTES];
      for (; at < end; at += 4, out += 4) {
        const x = from.getUint32(at, true);
        const nibbles = ((x & 0x0f0f0f0f) << 4) | ((x >>> 4) & 0x0f0f0f0f);
        to.setUint32(out, ((nibbles & 0x33333333) << 2) | ((nibbles >>> 2) & 0x33333333), true);
      }
      for (; out < outEnd; out += 4) to.setUint32(out, ZERO_CODES, true);
      to.setUint16(out, ONE, true);
    }
  }
}
