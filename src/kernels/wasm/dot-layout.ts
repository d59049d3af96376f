import { i32 } from '../../wasm/instructions.js';
import { paddedColumns, rowBlocks, ROW_BLOCK, type Places } from './layout.js';

/*
 * The packing of a ternary matrix that products by dot products read, 2 bits a weight, padded as that of layout.ts.
 *
 *     [group of 16 rows][quad of 4 columns][lane 0–3][byte 0–3]     rows 16g + lane, + 4, + 8, + 12; column 4·quad + byte
 *     byte = e | c1 << 2 | c2 << 4 | c3 << 6 of these rows, c = weight + 1, e = 0, 1, 3 for c0 = 0, 1, 2
 *
 * e is such that the average with 12, rounded up, is 6 + c0 + 2·c1 + 8·c2 + 32·c3 (dot-rows.ts). A row group lies in one piece, so that
 * nothing depends on the number of threads.
 */

export const ROW_GROUP = 16;
/** Bytes of one quad of a row group. */
export const DOT_QUAD_BYTES = 16;
/** A byte whose four weights are 0. */
const ZERO_BYTE = 0x55;

export const DOT_PLACES: Places = { quadBytes: DOT_QUAD_BYTES, half: (columns) => i32.shl(columns, 2) };

/** Where the bytes of a row begin: four for each quad; and which two bits of them are its own. */
function placeOf(padded: number, row: number): [at: number, shift: number] {
  return [(row >> 4) * 4 * padded + 4 * (row & 3), 2 * ((row >> 2) & 3)];
}

/** Packs `trits[0, columns)` as row `row`: into its own bits of bytes that it shares with three others. */
export function packDotRow(packed: Uint8Array, columns: number, row: number, trits: Int8Array): void {
  const padded = paddedColumns(columns);
  const [start, shift] = placeOf(padded, row);
  const words = new Int32Array(packed.buffer, packed.byteOffset + start, padded - 3); // one for each quad, four words apart
  const others = ~(0x03030303 << shift);
  const put = (quad: number, codes: number): void => {
    const e = shift === 0 ? codes | ((codes >> 1) & 0x01010101) : codes;
    words[4 * quad] = (words[4 * quad]! & others) | (e << shift);
  };
  const whole = columns >> 2;
  for (let quad = 0, c = 0; quad < whole; quad++, c += 4) {
    // The bytes of -1 and 1 added up as one number have no carries once 1 has been added to each.
    put(quad, trits[c]! + (trits[c + 1]! << 8) + (trits[c + 2]! << 16) + (trits[c + 3]! << 24) + 0x01010101);
  }
  for (let quad = whole; quad < padded >> 2; quad++) {
    let codes = 0x01010101;
    for (let c = 4 * quad; c < columns; c++) codes += trits[c]! << (8 * (c & 3));
    put(quad, codes);
  }
}

/** Undoes `packDotRow`. */
export function unpackDotRow(packed: Uint8Array, columns: number, row: number, trits: Int8Array): void {
  const [start, shift] = placeOf(paddedColumns(columns), row);
  for (let c = 0; c < columns; c++) {
    const code = (packed[start + 4 * (c & ~3) + (c & 3)]! >> shift) & 3;
    trits[c] = Math.min(code, 2) - 1;
  }
}

/** See `ProductCalls.clearPadding`. */
export function clearDotPadding(packed: Uint8Array, rows: number, columns: number): void {
  const groupBytes = 4 * paddedColumns(columns);
  packed.fill(ZERO_BYTE, Math.floor(rows / ROW_GROUP) * groupBytes, (rowBlocks(rows) * ROW_BLOCK * groupBytes) / ROW_GROUP);
}
