import type { Arena } from '../arena.js';
import { checkGroup } from '../group.js';
import { ACTIVATION_GROUP, type GroupedMatrix, type TernaryMatrix } from '../kernels.js';
import { placeOfWord, packRow, PLACES, WORD_COLUMNS, wordsPerRow, type TernaryProduct } from './ternary.js';

const { fround } = Math;

/* Ternary matrices whose scales are for groups of columns: each group is a matrix of its own. */

interface Groups extends GroupedMatrix {
  readonly parts: readonly TernaryMatrix[];
}

export function createGrouped(arena: Arena, rows: number, columns: number, group: number): Groups {
  checkGroup(columns, group);
  const widths = Array.from({ length: Math.ceil(columns / group) }, (_, g) => Math.min(group, columns - g * group));
  const packed = arena.u32(rows * widths.reduce((sum, width) => sum + wordsPerRow(width), 0));
  const scales = arena.f32(widths.length * rows);
  let at = 0;
  const parts = widths.map((width, g): TernaryMatrix => {
    const start = at;
    at += rows * wordsPerRow(width);
    return { rows, columns: width, packed: packed.subarray(start, at), scales: scales.subarray(g * rows, (g + 1) * rows) };
  });
  return { rows, columns, group, packed, scales, parts };
}

/** The part of a row that each group has. */
function eachGroup(matrix: GroupedMatrix, trits: Int8Array, run: (part: TernaryMatrix, trits: Int8Array) => void): void {
  const { group, parts } = matrix as Groups; // createGrouped made it
  parts.forEach((part, g) => run(part, trits.subarray(g * group, g * group + part.columns)));
}

export function packGroupedRow(matrix: GroupedMatrix, row: number, trits: Int8Array): void {
  eachGroup(matrix, trits, (part, some) => packRow(part, row, some));
}

export function unpackGroupedRow(matrix: GroupedMatrix, row: number, trits: Int8Array): void {
  eachGroup(matrix, trits, (part, some) => unpackPart(part, row, some));
}

/** Undoes `packRow`: the digits of each code, the last place first. */
function unpackPart({ rows, columns, packed }: TernaryMatrix, row: number, trits: Int8Array): void {
  for (let w = 0; w * WORD_COLUMNS < columns; w++) {
    const word = packed[placeOfWord(w, rows, columns, row)];
    for (let group = 0; group < 4; group++) {
      let code = (word >>> (8 * group)) & 255;
      for (let k = PLACES.length - 1; k >= 0; k--) {
        const digit = Math.floor(code / PLACES[k]!);
        code -= digit * PLACES[k]!;
        const column = w * WORD_COLUMNS + group * PLACES.length + k;
        if (column < columns) trits[column] = digit - 1;
      }
    }
  }
}

/** See `TransformerKernels.groupedMatmul`. Tokens go in pairs, as those of `TernaryProduct.multiply`. */
export function groupedMatmul(product: TernaryProduct, matrix: GroupedMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array): void {
  const { rows, columns, group, parts } = matrix as Groups;
  const activationGroups = Math.ceil(columns / ACTIVATION_GROUP);
  out.fill(0, 0, tokens * rows);
  for (let t = 0; t < tokens; t += 2) {
    parts.forEach((part, g) => {
      const first = g * group;
      const start = t * columns + first;
      const sums = t + 1 < tokens ? product.sumTwo(part, q, start, start + columns) : [product.sum(part, q, start)];
      sums.forEach((sum, n) => {
        const scale = qScales[(t + n) * activationGroups + Math.floor(first / ACTIVATION_GROUP)];
        addScaled(sum, part.scales, scale, out, (t + n) * rows, rows);
      });
    });
  }
}

function addScaled(sums: Int32Array, scales: Float32Array, qScale: number, out: Float32Array, start: number, rows: number): void {
  for (let r = 0; r < rows; r++) out[start + r] = fround(out[start + r] + fround(sums[r] * fround(scales[r] * qScale)));
}
