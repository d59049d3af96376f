import { expect, it } from 'vitest';
import { packedRows, packRow } from '../../src/formats/packed-rows.js';
import { BLOCK_WEIGHTS, decodeTernaryRow } from '../../src/formats/ternary-blocks.js';
import { tq2FromPacked, tq2FromPlain, tq2RowBytes } from '../../src/formats/tq2-rows.js';
import { encodeWeight } from '../support/group-blocks.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();
const WIDTHS = [128, 256, 384, 1280];

function randomRows(rows: number, columns: number): Int8Array[] {
  const random = randomFrom(seed + columns);
  return Array.from({ length: rows }, () => Int8Array.from({ length: columns }, () => random.integer(-1, 1)));
}

/** Rows of blocks, whose scale must be 1, and whose columns beyond `columns` must be 0. */
function decode(blocks: Uint8Array, columns: number): Int8Array[] {
  return Array.from({ length: blocks.length / tq2RowBytes(columns) }, (_, row) => {
    const trits = new Int8Array(Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
    expect(decodeTernaryRow('TQ2_0', blocks, row * tq2RowBytes(columns), trits)).toBe(1);
    expect(trits.subarray(columns).every((trit) => trit === 0)).toBe(true);
    return trits.subarray(0, columns);
  });
}

/** At an odd place, as bytes of a file may be. */
function moved(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(bytes.length + 1);
  all.set(bytes, 1);
  return all.subarray(1);
}

it.each(WIDTHS)(`rows of transformers' packing, %i columns (seed ${seed})`, (columns) => {
  const rows = randomRows(20, columns);
  const bytes = new Uint8Array(packedRows(rows.length) * columns);
  rows.forEach((trits, row) => packRow(trits, row, rows.length, columns, bytes));
  const blocks = [0, 1, 2, 3].map(() => new Uint8Array(5 * tq2RowBytes(columns)).fill(0xff)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  tq2FromPacked(moved(bytes), columns, blocks);
  expect(blocks.flatMap((each) => decode(each, columns))).toEqual(rows);
  // A code of 3 stays one.
  bytes[columns + 77]! |= 0b110000;
  tq2FromPacked(bytes, columns, blocks);
  const faulty = blocks.map((each) => Array.from({ length: 5 }, (_, row) => decodeTernaryRow('TQ2_0', each, row * tq2RowBytes(columns), new Int8Array(Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS))));
  expect(faulty).toEqual([0, 1, 2, 3].map((n) => [0, 1, 2, 3, 4].map((row) => (n === 2 && row === 1 ? NaN : 1))));
});

it.each(WIDTHS)(`rows of I2_S, %i columns (seed ${seed})`, (columns) => {
  const rows = randomRows(7, columns);
  const { bytes } = encodeWeight('I2_S', { shape: [rows.length, columns], values: Float32Array.from(rows.flatMap((trits) => [...trits])) });
  const blocks = new Uint8Array(rows.length * tq2RowBytes(columns)).fill(0xff);
  tq2FromPlain(moved(bytes.subarray(0, (rows.length * columns) / 4)), columns, blocks);
  expect(decode(blocks, columns)).toEqual(rows);
});
