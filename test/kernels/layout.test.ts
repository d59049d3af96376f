import { describe, expect, it } from 'vitest';
import { clearPadding, packedBytes, packRow, panelBlocks } from '../../src/kernels/wasm/layout.js';
import { freshSeed, randomFrom } from '../support/random.js';

interface Unpacked {
  /** Weight of [row, column], padding included. */
  readonly weight: (row: number, column: number) => number;
  readonly paddedRows: number;
  readonly paddedColumns: number;
  readonly bytes: number;
}

const UNREAD = 100;

/**
 * Reads a packed matrix from its first byte to its last, in the order that layout.ts describes: panels of row blocks; in each
 * [column block of 256][row block of 32][quad of columns][row >> 4][byte], byte = 2·(row & 7) + (row >> 3 & 1).
 */
function unpack(packed: Uint8Array, rows: number, columns: number, panel: number): Unpacked {
  const paddedRows = Math.ceil(rows / 32) * 32;
  const paddedColumns = Math.ceil(columns / 16) * 16;
  const weights = new Int8Array(paddedRows * paddedColumns).fill(UNREAD);
  let at = 0;
  for (let panelStart = 0; panelStart < paddedRows; panelStart += 32 * panel) {
    const panelEnd = Math.min(paddedRows, panelStart + 32 * panel);
    for (let columnBlock = 0; columnBlock < paddedColumns; columnBlock += 256) {
      const columnEnd = Math.min(paddedColumns, columnBlock + 256);
      for (let rowBlock = panelStart; rowBlock < panelEnd; rowBlock += 32) {
        for (let column = columnBlock; column < columnEnd; column += 4) {
          for (let byte = 0; byte < 32; byte++) {
            // Sixteen bytes a vector: the even ones rows 0 to 7, the odd ones rows 8 to 15.
            const inVector = byte % 16;
            const row = rowBlock + (byte >= 16 ? 16 : 0) + (inVector % 2 ? 8 : 0) + Math.floor(inVector / 2);
            const value = packed[at++]!;
            for (const [pair, code] of [value % 16, Math.floor(value / 16)].entries()) {
              if (code > 8) throw new Error(`byte ${at - 1} is ${value}: no code`);
              for (const [n, weight] of [Math.floor(code / 3) - 1, (code % 3) - 1].entries()) {
                const place = row * paddedColumns + column + 2 * pair + n;
                if (weights[place] !== UNREAD) throw new Error(`row ${row}, column ${column + 2 * pair + n} lies in two places`);
                weights[place] = weight;
              }
            }
          }
        }
      }
    }
  }
  expect(weights.includes(UNREAD)).toBe(false);
  return { weight: (row, column) => weights[row * paddedColumns + column]!, paddedRows, paddedColumns, bytes: at };
}

const GUARD = 64;
const UNTOUCHED = 0xbb;
/** A byte of four zeros. */
const ZERO_QUAD = 0x44;

/** Packs every row but those of `missing`, in a random order, and reads the matrix back. */
function check(rows: number, columns: number, panel: number, seed: number, missing: readonly number[] = []): void {
  const random = randomFrom(seed);
  const bytes = packedBytes(rows, columns);
  const buffer = new Uint8Array(bytes + 2 * GUARD).fill(UNTOUCHED);
  const packed = buffer.subarray(GUARD, GUARD + bytes);
  if (missing.length > 0) packed.fill(ZERO_QUAD);
  clearPadding(packed, rows, columns, panel);
  const trits = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
  const order = Array.from({ length: rows }, (_, row) => ({ row, key: random.unit() })).sort((a, b) => a.key - b.key);
  for (const { row } of order) {
    if (!missing.includes(row)) packRow(packed, rows, columns, panel, row, trits.slice(row * columns, (row + 1) * columns));
  }
  const unpacked = unpack(packed, rows, columns, panel);
  expect(unpacked.bytes, 'bytes').toBe(bytes);
  let wrong = 0;
  for (let row = 0; row < unpacked.paddedRows; row++) {
    for (let column = 0; column < unpacked.paddedColumns; column++) {
      const padding = row >= rows || column >= columns || missing.includes(row);
      const expected = padding ? 0 : trits[row * columns + column]!;
      if (unpacked.weight(row, column) !== expected) wrong++;
    }
  }
  expect(wrong, `wrong weights of ${rows}×${columns} in panels of ${panel}`).toBe(0);
  for (const guard of [buffer.subarray(0, GUARD), buffer.subarray(GUARD + bytes)]) expect(guard.every((byte) => byte === UNTOUCHED)).toBe(true);
}

describe('the packing of ternary matrices', () => {
  it.each([
    [1, 1, 64], [1, 16, 64], [31, 17, 64], [32, 15, 1], [33, 256, 1], [65, 257, 2], [100, 255, 3], [130, 300, 2], [130, 272, 4], [64, 513, 64], [97, 20, 64],
  ])('%i × %i in panels of %i row blocks comes back, padding is 0', (rows, columns, panel) => check(rows, columns, panel, 5));

  const seed = freshSeed();
  it(`random shapes come back, padding is 0, nothing outside is written (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 12; n++) {
      const rows = random.integer(1, 150);
      const columns = random.integer(1, n % 3 ? 90 : 400);
      check(rows, columns, random.integer(1, 6), seed + n, [random.integer(0, rows - 1)]);
    }
  });

  it('takes a trit at a time: every trit changes one byte, and no other trit changes it the same way', () => {
    const [rows, columns, panel] = [40, 21, 1];
    const bytes = packedBytes(rows, columns);
    const seen = new Set<string>();
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (const trit of [-1, 1]) {
          const packed = new Uint8Array(bytes);
          packed.fill(ZERO_QUAD);
          const zero = packed.slice();
          packRow(packed, rows, columns, panel, row, new Int8Array(columns).fill(trit, column, column + 1));
          const changed = [...packed.keys()].filter((at) => packed[at] !== zero[at]);
          expect(changed).toHaveLength(1);
          seen.add(`${changed[0]}: ${packed[changed[0]!]}`);
        }
      }
    }
    expect(seen.size).toBe(rows * columns * 2);
  });

  it('takes two bits a weight, of rows padded to 32 and columns padded to 16', () => {
    for (const [rows, columns, bytes] of [[1, 1, 128], [32, 16, 128], [33, 16, 256], [32, 17, 256], [5632, 1024, (5632 * 1024) / 4], [0, 16, 0]] as const) {
      expect(packedBytes(rows, columns)).toBe(bytes);
    }
  });
});

describe('panels', () => {
  it('are at most 64 row blocks, and as many for each thread', () => {
    for (const threads of [1, 2, 3, 4, 7, 16, 64]) {
      for (const rows of [1, 32, 33, 100, 1000, 1024, 2048, 2049, 4096, 5632, 13824, 32000, 151936]) {
        const blocks = Math.ceil(rows / 32);
        const panel = panelBlocks(rows, threads);
        expect(Number.isInteger(panel) && panel >= 1 && panel <= 64, `${rows} rows, ${threads} threads: ${panel}`).toBe(true);
        if (threads === 1) continue;
        const panels = Math.ceil(blocks / panel);
        // No thread has more blocks than an even share, up to the rounding of panels and of the share.
        const rounds = Math.ceil(panels / threads);
        expect(rounds * panel, `${rows} rows, ${threads} threads`).toBeLessThan(Math.ceil(blocks / threads) + rounds);
      }
    }
  });
});
