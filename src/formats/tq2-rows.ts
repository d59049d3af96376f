import { BLOCK_WEIGHTS, ternaryRowBytes } from './ternary-blocks.js';

/*
 * Codes of other layouts as rows of TQ2_0 with a scale of 1, which kernels take by the block (Kernels.packBlocks). Byte m of half h of a block of
 * TQ2_0 holds the columns 128h + m + 32n in bits 2n and 2n + 1; a half is worked on four bytes at a time.
 */

/** Columns, and bytes, of half a block. */
export const HALF_COLUMNS = 128;
const HALF_BYTES = 32;
const BLOCK_BYTES = 66;
const ONE = 0x3c00; // as float16
/** Sixteen codes of the weight 0. */
const ZERO_CODES = 0x55555555;

/** Bytes of a row of `columns` columns, which are whole halves of blocks. */
export function tq2RowBytes(columns: number): number {
  return ternaryRowBytes('TQ2_0', Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
}

/**
 * From rows of I2_S in blocks of 128, which are halves of TQ2_0 with the first weight of a byte in the top bits instead of the lowest.
 * @returns as many rows, in `into`, or in memory of their own where that is too small.
 */
export function tq2FromPlain(bytes: Uint8Array, columns: number, into: Uint8Array): Uint8Array {
  const rowBytes = columns / 4;
  const length = (bytes.length / rowBytes) * tq2RowBytes(columns);
  const blocks = into.length < length ? new Uint8Array(length) : into.subarray(0, length);
  const from = viewOf(bytes);
  const to = viewOf(blocks);
  for (let row = 0, out = 0; row < bytes.length; row += rowBytes, out += tq2RowBytes(columns)) {
    for (let half = 0; half * HALF_COLUMNS < columns; half++) {
      const [at, place] = [row + half * HALF_BYTES, out + placeOf(half)];
      for (let m = 0; m < HALF_BYTES; m += 4) {
        const x = from.getUint32(at + m, true);
        const nibbles = ((x & 0x0f0f0f0f) << 4) | ((x >>> 4) & 0x0f0f0f0f);
        to.setUint32(place + m, ((nibbles & 0x33333333) << 2) | ((nibbles >>> 2) & 0x33333333), true);
      }
    }
    finishRow(to, out, columns);
  }
  return blocks;
}

/**
 * From rows of bytes in the packing of Hugging Face transformers (packed-rows.ts).
 * @param bytes [rows, columns]
 * @param blocks four times as many rows: those that the bytes have in bits 0 and 1, in 2 and 3, in 4 and 5, in 6 and 7.
 */
export function tq2FromPacked(bytes: Uint8Array, columns: number, blocks: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]): void {
  const from = viewOf(bytes);
  const [to0, to1, to2, to3] = blocks.map(viewOf) as [DataView, DataView, DataView, DataView];
  for (let row = 0, out = 0; row < bytes.length; row += columns, out += tq2RowBytes(columns)) {
    for (let half = 0; half * HALF_COLUMNS < columns; half++) {
      const [at, place] = [row + half * HALF_COLUMNS, out + placeOf(half)];
      for (let m = 0; m < HALF_BYTES; m += 4) {
        let x0 = from.getUint32(at + m, true);
        let x1 = from.getUint32(at + m + 32, true);
        let x2 = from.getUint32(at + m + 64, true);
        let x3 = from.getUint32(at + m + 96, true);
        // Four codes in each of four bytes: rows and columns change places, first in squares of two, then within them.
        let t = ((x0 >>> 4) ^ x2) & 0x0f0f0f0f;
        x2 ^= t;
        x0 ^= t << 4;
        t = ((x1 >>> 4) ^ x3) & 0x0f0f0f0f;
        x3 ^= t;
        x1 ^= t << 4;
        t = ((x0 >>> 2) ^ x1) & 0x33333333;
        to1.setUint32(place + m, x1 ^ t, true);
        to0.setUint32(place + m, x0 ^ (t << 2), true);
        t = ((x2 >>> 2) ^ x3) & 0x33333333;
        to3.setUint32(place + m, x3 ^ t, true);
        to2.setUint32(place + m, x2 ^ (t << 2), true);
      }
    }
    for (const to of [to0, to1, to2, to3]) finishRow(to, out, columns);
  }
}

function placeOf(half: number): number {
  return (half >> 1) * BLOCK_BYTES + (half & 1) * HALF_BYTES;
}

/** Zeros in a half that is left, and the scales. */
function finishRow(to: DataView, out: number, columns: number): void {
  if (columns % BLOCK_WEIGHTS !== 0) {
    const place = out + placeOf(columns / HALF_COLUMNS);
    for (let m = 0; m < HALF_BYTES; m += 4) to.setUint32(place + m, ZERO_CODES, true);
  }
  for (let column = 0, end = out + BLOCK_BYTES; column < columns; column += BLOCK_WEIGHTS, end += BLOCK_BYTES) to.setUint16(end - 2, ONE, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
