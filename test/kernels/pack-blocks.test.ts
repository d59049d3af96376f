import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeTernaryRow, type Arena, type Kernels, type TernaryMatrix } from 'matmulfree';
import { BACKENDS, kernelsWithArena } from '../support/backends.js';
import { freshSeed, randomFrom } from '../support/random.js';

const TYPES = ['TQ1_0', 'TQ2_0'] as const;
type Type = (typeof TYPES)[number];
const BLOCK_BYTES = { TQ1_0: 54, TQ2_0: 66 } as const;

function countZeros(trits: Int8Array): number {
  let zeros = 0;
  for (let i = 0; i < trits.length; i++) if (trits[i] === 0) zeros++;
  return zeros;
}

function expectSamePacking(a: TernaryMatrix, b: TernaryMatrix, what: string): void {
  expect(Buffer.compare(a.packed as Uint8Array, b.packed as Uint8Array), what).toBe(0);
}

describe.each(BACKENDS.filter(({ backend }) => backend !== 'scalar'))('packing whole blocks, $name', (backend) => {
  const seed = freshSeed();
  let kernels: Kernels;
  let arena: Arena;
  beforeAll(async () => {
    ({ kernels, arena } = await kernelsWithArena(backend));
  });
  afterAll(() => kernels.dispose());

  /** Rows as blocks, with that scale as the bits of a float16. */
  const blocksOf = (type: Type, trits: Int8Array, columns: number, scale = 0x3c00): Uint8Array => {
    const rows = trits.length / columns;
    const width = Math.ceil(columns / 256) * 256;
    const rowBytes = (width / 256) * BLOCK_BYTES[type];
    const bytes = new Uint8Array(rows * rowBytes);
    for (let r = 0; r < rows; r++) {
      const row = new Int8Array(width);
      row.set(trits.subarray(r * columns, (r + 1) * columns));
      encodeTernaryRow(type, row, bytes, r * rowBytes);
    }
    for (let at = BLOCK_BYTES[type]; at <= bytes.length; at += BLOCK_BYTES[type]) new DataView(bytes.buffer).setUint16(at - 2, scale, true);
    return bytes;
  };

  /** Cut from pools, of which each has another share of zeros. */
  const pools = [0.05, 0.4, 0.95].map((chance) => {
    const random = randomFrom(seed);
    return Int8Array.from({ length: 20_011 }, () => (random.unit() < chance ? 0 : 2 * random.integer(0, 1) - 1));
  });
  const randomTrits = (count: number, random: ReturnType<typeof randomFrom>): Int8Array => {
    const pool = pools[random.integer(0, 2)]!;
    const first = random.integer(0, pool.length);
    const trits = new Int8Array(count);
    for (let at = -first; at < count; at += pool.length) trits.set(pool.subarray(Math.max(0, -at), count - at), Math.max(0, at));
    return trits;
  };

  /** The matrix as `packRow` makes it, and one whose memory holds something else. */
  const pair = (rows: number, columns: number, trits: Int8Array): [TernaryMatrix, TernaryMatrix] => {
    const byRow = kernels.createTernary(arena, rows, columns);
    for (let r = 0; r < rows; r++) kernels.packRow(byRow, r, trits.subarray(r * columns, (r + 1) * columns));
    const byBlock = kernels.createTernary(arena, rows, columns);
    byBlock.packed.fill(0x11); // also the padding
    return [byRow, byBlock];
  };

  const check = (type: Type, rows: number, columns: number, trits: Int8Array, pieces: readonly number[]): void => {
    const [byRow, byBlock] = pair(rows, columns, trits);
    const bytes = blocksOf(type, trits, columns);
    let zeros = 0;
    for (let row = 0, n = 0; row < rows; n++) {
      const count = Math.min(pieces[n % pieces.length]!, rows - row);
      const rowBytes = bytes.length / rows;
      zeros += kernels.packBlocks!(byBlock, row, count, type, bytes.subarray(row * rowBytes, (row + count) * rowBytes));
      row += count;
    }
    expectSamePacking(byBlock, byRow, `${type} ${rows}×${columns}`);
    expect(zeros, `${type} ${rows}×${columns}`).toBe(countZeros(trits));
  };

  it.each(TYPES)(`makes of %s what packRow makes of its trits (seed ${seed})`, (type) => {
    const random = randomFrom(seed);
    for (let run = 0; run < 30; run++) {
      const rows = random.integer(1, run % 8 ? 200 : 5000);
      const columns = random.integer(1, run % 8 ? 900 : 300);
      check(type, rows, columns, randomTrits(rows * columns, random), [32 * random.integer(1, 8), 32 * random.integer(1, 100)]);
    }
  });

  it.each(TYPES)('%s: all rows at once, at the widths and heights where something ends', (type) => {
    const random = randomFrom(5);
    for (const columns of [1, 3, 4, 15, 16, 17, 127, 129, 240, 241, 255, 256, 257, 272, 512, 2560]) {
      for (const rows of [1, 17, 32, 33, 100]) check(type, rows, columns, randomTrits(rows * columns, random), [rows]);
    }
    // One row block is more than half of what is staged at a time.
    check(type, 40, 65536, randomTrits(40 * 65536, random), [40]);
    // Several panels.
    check(type, 2048 * 3 + 7, 20, randomTrits((2048 * 3 + 7) * 20, random), [7000]);
  });

  it('decodes every byte of TQ1_0 as the row decoder does, also those that no encoder writes', () => {
    const columns = 256;
    const trits = new Int8Array(256 * columns);
    const bytes = new Uint8Array(256 * 54);
    for (let r = 0; r < 256; r++) {
      bytes.fill(r, r * 54, r * 54 + 52);
      bytes.set([0, 0x3c], r * 54 + 52);
      for (let c = 0; c < columns; c++) {
        // formats.md: trit n of byte b is (((b · 3ⁿ) mod 256) · 3) >> 8, minus 1.
        const n = c < 160 ? c >> 5 : c < 240 ? (c - 160) >> 4 : (c - 240) >> 2;
        trits[r * columns + c] = ((((r * 3 ** n) % 256) * 3) >> 8) - 1;
      }
    }
    const [byRow, byBlock] = pair(256, columns, trits);
    expect(kernels.packBlocks!(byBlock, 0, 256, 'TQ1_0', bytes)).toBe(countZeros(trits));
    expectSamePacking(byBlock, byRow, 'TQ1_0');
  });

  describe('does not take', () => {
    const rows = 70;
    const columns = 600;
    const trits = randomTrits(rows * columns, randomFrom(9));
    const take = (type: Type, edit: (bytes: Uint8Array, blockBytes: number) => void): number => {
      const bytes = blocksOf(type, trits, columns);
      edit(bytes, BLOCK_BYTES[type]);
      return kernels.packBlocks!(kernels.createTernary(arena, rows, columns), 0, rows, type, bytes);
    };

    it.each(TYPES)('%s with unequal, zero or infinite scales, in any block', (type) => {
      expect(take(type, () => {})).toBeGreaterThan(0);
      for (const block of [0, 1, 2, 3 * 33, 3 * 33 + 1, 3 * rows - 1]) {
        expect(take(type, (bytes, size) => { bytes[(block + 1) * size - 2]! ^= 1; }), `block ${block}`).toBe(-1);
      }
      for (const bits of [0, 0x8000, 0x7c00, 0xfc00, 0x7e00]) {
        const last = blocksOf(type, trits, columns, bits);
        expect(kernels.packBlocks!(kernels.createTernary(arena, rows, columns), 0, rows, type, last), `scale ${bits}`).toBe(-1);
        expect(take(type, (bytes, size) => {
          for (let block = 3 * 40; block < 3 * 41; block++) new DataView(bytes.buffer).setUint16((block + 1) * size - 2, bits, true);
        })).toBe(-1);
      }
      for (const bits of [0x0001, 0xbc00, 0x7bff]) {
        expect(kernels.packBlocks!(kernels.createTernary(arena, rows, columns), 0, rows, type, blocksOf(type, trits, columns, bits))).toBeGreaterThan(0);
      }
    });

    it('a code of TQ2_0 that no weight has, wherever it is', () => {
      for (let c = 0; c < 768; c += 5) {
        const row = (c * 7) % rows;
        const at = 3 * 66 * row + 66 * (c >> 8) + 32 * ((c >> 7) & 1) + (c & 31);
        expect(take('TQ2_0', (bytes) => { bytes[at]! |= 3 << (2 * ((c >> 5) & 3)); }), `row ${row}, column ${c}`).toBe(-1);
      }
    });

    it('weights beyond the last column', () => {
      for (let c = 600; c < 768; c++) {
        const row = (c * 11) % rows;
        for (const type of TYPES) {
          const changed = take(type, (bytes, size) => {
            const wide = new Int8Array(768);
            wide.set(trits.subarray(row * columns, (row + 1) * columns));
            wide[c] = c % 2 ? 1 : -1;
            encodeTernaryRow(type, wide, bytes, row * 3 * size);
          });
          expect(changed, `${type}, row ${row}, column ${c}`).toBe(-1);
        }
      }
    });

    it('rows that do not begin or end where they should, or are not as long as the matrix asks', () => {
      const bytes = blocksOf('TQ2_0', trits, columns);
      const matrix = kernels.createTernary(arena, rows, columns);
      expect(kernels.packBlocks!(matrix, 16, 32, 'TQ2_0', bytes.subarray(0, 32 * 198))).toBe(-1);
      expect(kernels.packBlocks!(matrix, 0, 33, 'TQ2_0', bytes.subarray(0, 33 * 198))).toBe(-1);
      expect(kernels.packBlocks!(matrix, 0, 32, 'TQ2_0', bytes.subarray(0, 32 * 264))).toBe(-1);
    });
  });
});
