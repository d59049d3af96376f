import { describe, expect, it } from 'vitest';
import { clearDotPadding, packDotRow, unpackDotRow } from '../../src/kernels/wasm/dot-layout.js';
import { packedBytes } from '../../src/kernels/wasm/layout.js';
import { freshSeed, randomFrom } from '../support/random.js';

/* The packing for dot products, read from its first byte to its last as dot-layout.ts describes it. */

const UNREAD = 100;

/** [padded rows, padded columns] */
function unpack(packed: Uint8Array, rows: number, columns: number): { weights: Int8Array; paddedRows: number; paddedColumns: number } {
  const [paddedRows, paddedColumns] = [Math.ceil(rows / 32) * 32, Math.ceil(columns / 16) * 16];
  const weights = new Int8Array(paddedRows * paddedColumns).fill(UNREAD);
  let at = 0;
  for (let group = 0; group < paddedRows; group += 16) {
    for (let quad = 0; quad < paddedColumns; quad += 4) {
      for (let lane = 0; lane < 4; lane++) {
        for (let k = 0; k < 4; k++) {
          const byte = packed[at++]!;
          // What the kernel makes of it: 12 averaged in, rounded up, is 6 + c0 + 2·c1 + 8·c2 + 32·c3.
          const average = ((byte + 12 + 1) >> 1) - 6;
          const fields = [byte & 3, (byte >> 2) & 3, (byte >> 4) & 3, byte >> 6];
          const codes = fields.map((field, f) => (f === 0 ? [0, 1, NaN, 2][field]! : field));
          expect(average).toBe(codes[0]! + 2 * codes[1]! + 8 * codes[2]! + 32 * codes[3]!);
          codes.forEach((code, f) => {
            if (code > 2) throw new Error(`byte ${at - 1} is ${byte}: no code`);
            weights[(group + 4 * f + lane) * paddedColumns + quad + k] = code - 1;
          });
        }
      }
    }
  }
  expect(at).toBe(packedBytes(rows, columns));
  return { weights, paddedRows, paddedColumns };
}

/** Packs every row in a random order into memory that held something else, and reads the matrix back. */
function check(rows: number, columns: number, seed: number): void {
  const random = randomFrom(seed);
  const [guard, bytes] = [64, packedBytes(rows, columns)];
  const buffer = new Uint8Array(bytes + 2 * guard).fill(0xbb);
  const packed = buffer.subarray(guard, guard + bytes);
  clearDotPadding(packed, rows, columns);
  const trits = Array.from({ length: rows }, () => Int8Array.from({ length: columns }, () => random.integer(-1, 1)));
  const order = trits.map((_, row) => ({ row, key: random.unit() })).sort((a, b) => a.key - b.key);
  for (const { row } of order) packDotRow(packed, columns, row, trits[row]!);
  const { weights, paddedRows, paddedColumns } = unpack(packed, rows, columns);
  let wrong = 0;
  for (let row = 0; row < paddedRows; row++) {
    for (let c = 0; c < paddedColumns; c++) if (weights[row * paddedColumns + c] !== (trits[row]?.[c] ?? 0)) wrong++;
  }
  expect(wrong, `wrong weights of ${rows}×${columns} (seed ${seed})`).toBe(0);
  const back = new Int8Array(columns);
  trits.forEach((row, r) => {
    unpackDotRow(packed, columns, r, back);
    expect(back).toEqual(row);
  });
  for (const side of [buffer.subarray(0, guard), buffer.subarray(guard + bytes)]) expect(side.every((byte) => byte === 0xbb)).toBe(true);
}

describe('the packing for dot products', () => {
  it.each([[1, 1], [3, 7], [15, 16], [16, 17], [17, 15], [31, 33], [32, 4], [33, 5], [48, 64], [49, 20]])('%i × %i comes back, padding is 0', (rows, columns) => check(rows, columns, 5));

  const seed = freshSeed();
  it(`random shapes come back, nothing outside is written (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 10; n++) check(random.integer(1, 80), random.integer(1, 70), seed + n);
  });
});
