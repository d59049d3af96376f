import type { Arena } from '../arena.js';
import type { TernaryMatrix } from '../kernels.js';

const { fround } = Math;

/*
 * Ternary products by tables of partial sums. Five columns have 3⁵ possible rows of weights; for given activations all
 * 243 sums are made once, with additions only, and every row of the matrix then looks its sum up by a one-byte code.
 *
 * Packing: a 32-bit word holds 4 codes = 20 columns. Columns are cut into blocks of 4 words (80 columns) and, for the
 * rest, blocks of 1 word; block by block, all rows follow one another: [block][row][words of the block]. Columns beyond
 * the last have weight 0.
 *
 * Measured on AMD EPYC, Node 20, streaming 5632×1024 (GMAC/s): this 11.0, JS float32 dense 2.1; tables passed as arguments
 * instead of closed over 9.8; blocks of 2 words 7.3, of 8 words 9.5; byte loads instead of words 9.1; one table array per group
 * 5.6; six columns a code (729 sums, 10 bits) 10.4, and 11.2 on 13824×2560, but 4.0 against 5.1 on 256×256, where making the
 * tables weighs more.
 */

const CODE_COLUMNS = 5;
export const WORD_COLUMNS = 20;
const BLOCK_WORDS = 4;
/** Table entries per group of five columns: 252 used, padded to 256. */
const TABLE_SIZE = 256;
const BLOCK_TABLES = 16;
/** code = Σ (trit + 1) · place. 27 and 84 are made even (28, 84), so that tables are built two entries at a time. */
export const PLACES = [1, 3, 9, 28, 84] as const;
/** Five zeros. */
const ZERO_CODE = 1 + 3 + 9 + 28 + 84;
/** Added to each table entry: keeps it ≥ 0, so that two 16-bit entries can be added as one integer without a borrow. */
const BIAS = CODE_COLUMNS * 127;

export function createTernary(arena: Arena, rows: number, columns: number): TernaryMatrix {
  return { rows, columns, packed: arena.u32(rows * wordsPerRow(columns)), scales: arena.f32(rows) };
}

function words({ packed }: TernaryMatrix): Uint32Array {
  return packed as Uint32Array; // createTernary made it
}

export function wordsPerRow(columns: number): number {
  return Math.ceil(columns / WORD_COLUMNS);
}

export function packRow(matrix: TernaryMatrix, row: number, trits: Int8Array): void {
  const { rows, columns } = matrix;
  const packed = words(matrix);
  const rowWords = wordsPerRow(columns);
  for (let w = 0; w < rowWords; w++) packed[placeOfWord(w, rows, columns, row)] = packWord(trits, w * WORD_COLUMNS, columns);
}

/** Where word `w` of a row is. */
export function placeOfWord(w: number, rows: number, columns: number, row: number): number {
  const rowWords = wordsPerRow(columns);
  const inBlock = w % BLOCK_WORDS;
  return w < rowWords - (rowWords % BLOCK_WORDS) ? (w - inBlock) * rows + row * BLOCK_WORDS + inBlock : w * rows + row;
}

function packWord(trits: Int8Array, first: number, columns: number): number {
  let word = 0;
  for (let group = 0; group < 4; group++) {
    let code = ZERO_CODE;
    for (let k = 0; k < CODE_COLUMNS; k++) {
      const column = first + group * CODE_COLUMNS + k;
      if (column < columns) code += trits[column] * PLACES[k];
    }
    word |= code << (8 * group);
  }
  return word >>> 0;
}

/** The products and their work space. */
export interface TernaryProduct {
  /** Makes room for matrices of `rows` rows, so that products allocate nothing. */
  reserve(rows: number): void;
  /** See `Kernels.ternaryMatmul`. Tokens go in pairs, which share the look-ups. */
  multiply(matrix: TernaryMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array): void;
  /** Σ_c trit[r, c] · q[start + c] of each row, in an array that is used again. */
  sum(matrix: TernaryMatrix, q: Int8Array, start: number): Int32Array;
  /** The same for two tokens, which share the look-ups. */
  sumTwo(matrix: TernaryMatrix, q: Int8Array, start: number, start2: number): readonly [Int32Array, Int32Array];
}

/**
 * The tables are closed over rather than passed: V8 then knows their address and length when it compiles the loops, and leaves
 * out a bounds check for each look-up (10 to 20 % faster than passed tables; where a process makes several instances, V8 specialises
 * none but the first, and the others are 5 % slower than passed tables).
 */
export function createTernaryProduct(): TernaryProduct {
  const tables = new Int16Array(BLOCK_TABLES * TABLE_SIZE);
  /** The same memory, two entries to an element. */
  const pairs = new Int32Array(tables.buffer);
  /** For two tokens at once: sums of the first in the low half of an entry, of the second in the high half. */
  const twoTokenTables = new Int32Array(BLOCK_TABLES * TABLE_SIZE);
  const edge = new Int8Array(BLOCK_WORDS * WORD_COLUMNS);
  const edge2 = new Int8Array(BLOCK_WORDS * WORD_COLUMNS);
  let sums = new Int32Array(0);
  let sums2 = new Int32Array(0);

  function reserve(rows: number): void {
    if (rows <= sums.length) return;
    sums = new Int32Array(rows);
    sums2 = new Int32Array(rows);
  }

  function multiply(matrix: TernaryMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array): void {
    const { rows, columns, scales } = matrix;
    let t = 0;
    for (; t + 1 < tokens; t += 2) {
      sumTwo(matrix, q, t * columns, (t + 1) * columns);
      writeRow(sums, scales, qScales[t], out, t * rows, rows);
      writeRow(sums2, scales, qScales[t + 1], out, (t + 1) * rows, rows);
    }
    if (t < tokens) writeRow(sum(matrix, q, t * columns), scales, qScales[t], out, t * rows, rows);
  }

  function sum(matrix: TernaryMatrix, q: Int8Array, start: number): Int32Array {
    const { rows, columns } = matrix;
    reserve(rows);
    const packed = words(matrix);
    const rowWords = wordsPerRow(columns);
    sums.fill(-BIAS * 4 * rowWords, 0, rows);
    for (let w = 0; w < rowWords; ) {
      const blockWords = rowWords - w >= BLOCK_WORDS ? BLOCK_WORDS : 1;
      const first = w * WORD_COLUMNS;
      const activations = withinColumns(q, start, columns, first, blockWords, edge);
      const j = activations === q ? start + first : 0;
      for (let g = 0; g < blockWords * 4; g++) buildTable(g * TABLE_SIZE, activations, j + g * CODE_COLUMNS);
      if (blockWords === BLOCK_WORDS) lookUpBlock(packed, w * rows, sums, rows);
      else lookUpWord(packed, w * rows, sums, rows);
      w += blockWords;
    }
    return sums;
  }

  function sumTwo(matrix: TernaryMatrix, q: Int8Array, start: number, start2: number): readonly [Int32Array, Int32Array] {
    const { rows, columns } = matrix;
    reserve(rows);
    const packed = words(matrix);
    const rowWords = wordsPerRow(columns);
    sums.fill(-BIAS * 4 * rowWords, 0, rows);
    sums2.fill(-BIAS * 4 * rowWords, 0, rows);
    for (let w = 0; w < rowWords; ) {
      const blockWords = rowWords - w >= BLOCK_WORDS ? BLOCK_WORDS : 1;
      const first = w * WORD_COLUMNS;
      const a = withinColumns(q, start, columns, first, blockWords, edge);
      const b = withinColumns(q, start2, columns, first, blockWords, edge2);
      const i = a === q ? start + first : 0;
      const j = b === q ? start2 + first : 0;
      for (let g = 0; g < blockWords * 4; g++) {
        buildTwoTokenTable(g * TABLE_SIZE, a, i + g * CODE_COLUMNS, b, j + g * CODE_COLUMNS);
      }
      if (blockWords === BLOCK_WORDS) lookUpBlockTwo(packed, w * rows, sums, sums2, rows);
      else lookUpWordTwo(packed, w * rows, sums, sums2, rows);
      w += blockWords;
    }
    return [sums, sums2];
  }

  /** All sums of ±q[j .. j + 4], biased, at `tables[at + code]`. */
  function buildTable(at: number, q: Int8Array, j: number): void {
    const q0 = q[j], q1 = q[j + 1], q2 = q[j + 2], q3 = q[j + 3], q4 = q[j + 4];
    let p = at;
    for (let n = 0, plane = BIAS - q0 - q1 - q2; n < 3; n++, plane += q2) {
      for (let m = 0, line = plane; m < 3; m++, line += q1, p += 3) {
        tables[p] = line;
        tables[p + 1] = line + q0;
        tables[p + 2] = line + q0 + q0;
      }
    }
    triplePairs(at >> 1, 14, q3);
    triplePairs(at >> 1, 42, q4);
  }

  /** Two copies of the first `count` elements behind them, and all three shifted by -q, 0 and q: one more column. */
  function triplePairs(first: number, count: number, q: number): void {
    const both = ((q << 16) + q) | 0;
    for (let e = first; e < first + count; e++) {
      const v = pairs[e];
      pairs[e] = (v - both) | 0;
      pairs[e + count] = v;
      pairs[e + 2 * count] = (v + both) | 0;
    }
  }

  function buildTwoTokenTable(at: number, a: Int8Array, i: number, b: Int8Array, j: number): void {
    const q0 = (a[i] + (b[j] << 16)) | 0;
    const q1 = (a[i + 1] + (b[j + 1] << 16)) | 0;
    const q2 = (a[i + 2] + (b[j + 2] << 16)) | 0;
    const q3 = (a[i + 3] + (b[j + 3] << 16)) | 0;
    const q4 = (a[i + 4] + (b[j + 4] << 16)) | 0;
    let p = at;
    for (let n = 0, plane = (BIAS * 65537 - q0 - q1 - q2) | 0; n < 3; n++, plane = (plane + q2) | 0) {
      for (let m = 0, line = plane; m < 3; m++, line = (line + q1) | 0, p += 3) {
        twoTokenTables[p] = line;
        twoTokenTables[p + 1] = (line + q0) | 0;
        twoTokenTables[p + 2] = (line + q0 + q0) | 0;
      }
    }
    tripleTwoToken(at, 28, q3);
    tripleTwoToken(at, 84, q4);
  }

  function tripleTwoToken(first: number, count: number, q: number): void {
    for (let e = first; e < first + count; e++) {
      const v = twoTokenTables[e];
      twoTokenTables[e] = (v - q) | 0;
      twoTokenTables[e + count] = v;
      twoTokenTables[e + 2 * count] = (v + q) | 0;
    }
  }

  function lookUpBlock(packed: Uint32Array, start: number, sums: Int32Array, rows: number): void {
    for (let r = 0, p = start; r < rows; r++, p += 4) {
      const u = packed[p], v = packed[p + 1], w = packed[p + 2], x = packed[p + 3];
      sums[r] +=
        tables[u & 255] + tables[((u >>> 8) & 255) | 256] + tables[((u >>> 16) & 255) | 512] + tables[(u >>> 24) | 768] +
        tables[(v & 255) | 1024] + tables[((v >>> 8) & 255) | 1280] + tables[((v >>> 16) & 255) | 1536] +
        tables[(v >>> 24) | 1792] +
        tables[(w & 255) | 2048] + tables[((w >>> 8) & 255) | 2304] + tables[((w >>> 16) & 255) | 2560] +
        tables[(w >>> 24) | 2816] +
        tables[(x & 255) | 3072] + tables[((x >>> 8) & 255) | 3328] + tables[((x >>> 16) & 255) | 3584] +
        tables[(x >>> 24) | 3840];
    }
  }

  function lookUpWord(packed: Uint32Array, start: number, sums: Int32Array, rows: number): void {
    for (let r = 0; r < rows; r++) {
      const u = packed[start + r];
      sums[r] +=
        tables[u & 255] + tables[((u >>> 8) & 255) | 256] + tables[((u >>> 16) & 255) | 512] + tables[(u >>> 24) | 768];
    }
  }

  /** A block adds 16 entries of at most 2 · BIAS = 1270: below 2¹⁶, so the halves do not run into each other. */
  function lookUpBlockTwo(packed: Uint32Array, start: number, sums: Int32Array, sums2: Int32Array, rows: number): void {
    const t = twoTokenTables;
    for (let r = 0, p = start; r < rows; r++, p += 4) {
      const u = packed[p], v = packed[p + 1], w = packed[p + 2], x = packed[p + 3];
      const both =
        (t[u & 255] + t[((u >>> 8) & 255) | 256] + t[((u >>> 16) & 255) | 512] + t[(u >>> 24) | 768] +
        t[(v & 255) | 1024] + t[((v >>> 8) & 255) | 1280] + t[((v >>> 16) & 255) | 1536] + t[(v >>> 24) | 1792] +
        t[(w & 255) | 2048] + t[((w >>> 8) & 255) | 2304] + t[((w >>> 16) & 255) | 2560] + t[(w >>> 24) | 2816] +
        t[(x & 255) | 3072] + t[((x >>> 8) & 255) | 3328] + t[((x >>> 16) & 255) | 3584] + t[(x >>> 24) | 3840]) | 0;
      sums[r] += both & 0xffff;
      sums2[r] += both >>> 16;
    }
  }

  function lookUpWordTwo(packed: Uint32Array, start: number, sums: Int32Array, sums2: Int32Array, rows: number): void {
    const t = twoTokenTables;
    for (let r = 0; r < rows; r++) {
      const u = packed[start + r];
      const both = (t[u & 255] + t[((u >>> 8) & 255) | 256] + t[((u >>> 16) & 255) | 512] + t[(u >>> 24) | 768]) | 0;
      sums[r] += both & 0xffff;
      sums2[r] += both >>> 16;
    }
  }

  return { reserve, multiply, sum, sumTwo };
}

/** `q` itself, or a zero-filled copy of its end where the block from column `first` on reaches beyond the last column. */
function withinColumns(
  q: Int8Array, start: number, columns: number, first: number, blockWords: number, edge: Int8Array,
): Int8Array {
  if (first + blockWords * WORD_COLUMNS <= columns) return q;
  edge.fill(0);
  for (let c = first; c < columns; c++) edge[c - first] = q[start + c];
  return edge;
}

function writeRow(
  sums: Int32Array, scales: Float32Array, qScale: number, out: Float32Array, start: number, rows: number,
): void {
  for (let r = 0; r < rows; r++) out[start + r] = fround(sums[r] * fround(scales[r] * qScale));
}
