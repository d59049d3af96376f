/*
 * Ternary weights as Hugging Face transformers packs those of BitNet models (integrations/bitnet.py, `pack_weights`): weight + 1 in
 * two bits, four weights of a column to a byte. A weight [rows, columns] becomes bytes [⌈rows / 4⌉, columns]: row p of them holds, in
 * bits 2n and 2n + 1, row p + n · ⌈rows / 4⌉. Where there is no such row the bits are 0.
 */

const WEIGHTS_PER_BYTE = 4;

/** Rows of bytes that so many rows of weights take. */
export function packedRows(rows: number): number {
  return Math.ceil(rows / WEIGHTS_PER_BYTE);
}

/** Adds a row to `bytes` [packedRows(rows), columns], which are zeros before the first. @param trits -1, 0 or 1, `columns` of them. */
export function packRow(trits: Int8Array, row: number, rows: number, columns: number, bytes: Uint8Array): void {
  const [at, shift] = place(row, rows, columns);
  for (let j = 0; j < columns; j++) bytes[at + j]! |= (trits[j]! + 1) << shift;
}

/** Decodes a row into `trits`. @returns false when a code is 3, which no weight has. */
export function unpackRow(bytes: Uint8Array, row: number, rows: number, columns: number, trits: Int8Array): boolean {
  const [at, shift] = place(row, rows, columns);
  let threes = 0;
  for (let j = 0; j < columns; j++) {
    const code = (bytes[at + j]! >> shift) & 3;
    threes |= code & (code >> 1);
    trits[j] = code - 1;
  }
  return threes === 0;
}

function place(row: number, rows: number, columns: number): [at: number, shift: number] {
  const group = packedRows(rows);
  return [(row % group) * columns, 2 * Math.floor(row / group)];
}
