import { missingPart } from '../errors.js';
import { blockScale, decodeTernaryRow, isTernaryBlock, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { Pace } from '../platform/pace.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import { applyScale, pieceBytes, type GgufWeight } from './gguf-weight.js';

/**
 * Reads a ternary weight. In TQ blocks it is trit · d · scale: `d` stands in each block, `scale` in a tensor of its own
 * (formats.md, "GGUF"). Floats and Q8_0 that are ternary weights written out, zeros and one number of either sign in each row,
 * are taken as they are: quantising them again would make their scale smaller by the share of zeros. Others are quantised.
 * @param scales [rows], filled.
 * @throws FormatError, for one where a row's blocks have different scales: a BitLinear has one for each row at most.
 */
export async function readTernaryWeight(
  weight: GgufWeight, scales: Float32Array, onRow: OnRow, reading: TernaryReading = {},
): Promise<void> {
  const { type } = weight;
  if (isTernaryBlock(type)) return decodeBlocks(weight, type, scales, onRow, reading);
  const { readOtherWeight } = await import('./gguf-float-weight.js').catch(missingPart);
  await readOtherWeight(weight, scales, onRow, reading);
}

async function decodeBlocks(
  weight: GgufWeight, type: TernaryBlockType, scales: Float32Array, onRow: OnRow, { pace = new Pace(), onBytes, onBlocks }: TernaryReading,
): Promise<void> {
  const { columns, storedColumns } = weight;
  const trits = new Int8Array(storedColumns);
  const rowBytes = ternaryRowBytes(type, storedColumns);
  let first = 0;
  for await (const bytes of weight.pieces(pieceBytes(rowBytes))) {
    const count = bytes.length / rowBytes;
    const taken = onBlocks?.(first, count, type, bytes) ?? false;
    for (let row = first, at = 0; row < first + count; row++, at += rowBytes) {
      if (taken) {
        scales[row] = blockScale(type, bytes, at);
        continue;
      }
      if (pace.isDue) await pace.giveWay();
      const d = decodeTernaryRow(type, bytes, at, trits);
      if (!Number.isFinite(d) || trits.subarray(columns).some((trit) => trit !== 0)) {
        throw (await import('./gguf-weight-errors.js').catch(missingPart)).rowError(weight, row, trits, d);
      }
      scales[row] = d;
      onRow(row, trits);
    }
    first += count;
    onBytes?.(bytes.length);
    await pace.giveWay();
  }
  await applyScale(weight, scales);
}
