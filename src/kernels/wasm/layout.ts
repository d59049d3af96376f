import { i32, type I32 } from '../../wasm/instructions.js';

/*
 * The packing of a ternary matrix that the WebAssembly kernels read, 2 bits a weight.
 *
 * Two columns are a pair: its two weights are one of nine codes, 3·(w0 + 1) + (w1 + 1). A byte holds the codes of two pairs, that
 * is a quad of four columns of one row, the first pair in the low nibble. Sixteen rows of a quad make a vector; 32 rows make
 * a row block; 256 columns make a column block, so that the look-up tables of one (4 KiB) stay where the processor's caches and
 * prefetchers like them: with tables beyond 4 KiB, streaming the weights takes twice as long on AMD Zen 5.
 *
 *     [column block][row block][quad][row >> 4][byte]     byte = 2·(row & 7) + (row >> 3 & 1)
 *
 * Even bytes hold rows 0–7 and odd bytes rows 8–15, because sums are widened by separating even from odd bytes. Rows are padded to
 * whole row blocks and columns to multiples of 16; the padding has weight 0.
 */

export const ROW_BLOCK = 32;
export const COLUMN_BLOCK = 256;
/** Columns are padded to this: the bytes of q that tables are made from at a time. */
export const COLUMN_GROUP = 16;
/** Bytes of one quad of a row block. */
export const QUAD_BYTES = 32;
/** Where kernels that pack put a quad's two vectors of sixteen rows. */
export interface Places {
  /** From one quad to the next. */
  readonly quadBytes: 16 | 32;
  /** From one half of a row block to the other, in a matrix of `columns` columns. */
  half(columns: I32): I32;
}

export const LOOK_UP_PLACES: Places = { quadBytes: QUAD_BYTES, half: () => i32.const(QUAD_BYTES / 2) };

/** A byte whose four weights are 0. */
const ZERO_QUAD = 0x44;

export function rowBlocks(rows: number): number {
  return Math.ceil(rows / ROW_BLOCK);
}

export function paddedColumns(columns: number): number {
  return Math.ceil(columns / COLUMN_GROUP) * COLUMN_GROUP;
}

export function packedBytes(rows: number, columns: number): number {
  return rowBlocks(rows) * ROW_BLOCK * (paddedColumns(columns) / 4);
}

/** Row blocks of a panel, at most: their int32 sums are 8 KiB. */
const MAX_PANEL = 64;

/** Row blocks of each panel but the last one of a matrix of `rows` rows: for `threads` threads, a whole number of panels for each. */
export function panelBlocks(rows: number, threads: number): number {
  if (threads === 1) return MAX_PANEL;
  const perThread = Math.ceil(rowBlocks(rows) / threads);
  return Math.ceil(perThread / Math.ceil(perThread / MAX_PANEL));
}

/** Packs `trits[0, columns)` as row `row`. */
export function packRow(
  packed: Uint8Array, rows: number, columns: number, panel: number, row: number, trits: Int8Array,
): void {
  const padded = paddedColumns(columns);
  const values = new Int8Array(padded);
  values.set(trits.subarray(0, columns));
  for (let start = 0; start < padded; start += COLUMN_BLOCK) {
    const end = Math.min(start + COLUMN_BLOCK, padded);
    let at = placeOfRow(rows, padded, panel, row, start, end);
    // 3·(w0 + 1) + (w1 + 1) = 3·w0 + w1 + 4, and the same 16 times.
    for (let c = start; c < end; c += 4, at += QUAD_BYTES) packed[at] = 3 * values[c]! + values[c + 1]! + 16 * (3 * values[c + 2]! + values[c + 3]!) + ZERO_QUAD;
  }
}

/** Where the bytes of a row begin, of the column block `start` … `end` - 1; they are `QUAD_BYTES` apart. */
export function placeOfRow(rows: number, padded: number, panel: number, row: number, start: number, end: number): number {
  const block = Math.floor(row / ROW_BLOCK);
  const inPanel = block % panel;
  const count = Math.min(panel, rowBlocks(rows) - block + inPanel);
  const panelStart = ((block - inPanel) * ROW_BLOCK * padded) / 4;
  const lane = (row & 16) + 2 * (row & 7) + ((row >> 3) & 1);
  return panelStart + (count * ROW_BLOCK * start) / 4 + inPanel * ((end - start) / 4) * QUAD_BYTES + lane;
}

/**
 * Sets the rows that fill the last row block up to 0: bytes of value 0 would be weights of -1. The others are there to be packed, and
 * filling some hundred MB twice would take a quarter of a second.
 */
export function clearPadding(packed: Uint8Array, rows: number, columns: number, panel: number): void {
  if (rows % ROW_BLOCK === 0) return;
  const padded = paddedColumns(columns);
  const blocks = rowBlocks(rows);
  const count = (blocks - 1) % panel + 1; // of the last panel
  const panelStart = ((blocks - count) * ROW_BLOCK * padded) / 4;
  for (let start = 0; start < padded; start += COLUMN_BLOCK) {
    const bytes = ((Math.min(start + COLUMN_BLOCK, padded) - start) / 4) * QUAD_BYTES;
    const at = panelStart + (count * ROW_BLOCK * start) / 4 + (count - 1) * bytes;
    packed.fill(ZERO_QUAD, at, at + bytes);
  }
}
