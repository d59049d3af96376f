import { placeOfRow, COLUMN_BLOCK, paddedColumns, QUAD_BYTES } from './layout.js';

/** Undoes `packRow` (layout.ts): row `row` to `trits[0, columns)`. */
export function unpackRow(packed: Uint8Array, rows: number, columns: number, panel: number, row: number, trits: Int8Array): void {
  const padded = paddedColumns(columns);
  for (let start = 0; start < columns; start += COLUMN_BLOCK) {
    const end = Math.min(start + COLUMN_BLOCK, padded);
    let at = placeOfRow(rows, padded, panel, row, start, end);
    for (let c = start; c < end && c < columns; c += 4, at += QUAD_BYTES) {
      for (const pair of [0, 2]) {
        const code = (packed[at]! >> (2 * pair)) & 15;
        const high = Math.floor(code / 3);
        if (c + pair < columns) trits[c + pair] = high - 1;
        if (c + pair + 1 < columns) trits[c + pair + 1] = code - 3 * high - 1;
      }
    }
  }
}
