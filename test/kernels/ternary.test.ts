import { describe, expect, it } from 'vitest';
import { createScalarKernels, type Kernels, type TernaryMatrix } from 'matmulfree';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectSameBits } from '../support/compare.js';

/** Every backend must pass this suite. */
const BACKENDS: [string, () => Kernels][] = [['scalar', createScalarKernels]];

type Trits = (row: number, column: number) => number;
type Activations = (token: number, column: number) => number;

function pack(kernels: Kernels, rows: number, columns: number, trits: Trits, scale: (row: number) => number): TernaryMatrix {
  const matrix = kernels.createTernary(kernels.createArena((rows + 16) * (columns + 400) + 4096), rows, columns);
  for (let r = 0; r < rows; r++) {
    matrix.scales[r] = scale(r);
    kernels.packRow(matrix, r, Int8Array.from({ length: columns }, (_, c) => trits(r, c)));
  }
  return matrix;
}

/** The definition, spelt out: exact sums, one rounding for the scale and one for the product. */
function reference(
  rows: number, columns: number, tokens: number, trits: Trits, q: Activations, scales: Float32Array, qScales: Float32Array,
): Float32Array {
  const out = new Float32Array(tokens * rows);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += trits(r, c) * q(t, c);
      out[t * rows + r] = Math.fround(sum * Math.fround(scales[r]! * qScales[t]!));
    }
  }
  return out;
}

function check(kernels: Kernels, rows: number, columns: number, tokens: number, trits: Trits, q: Activations): void {
  const matrix = pack(kernels, rows, columns, trits, (r) => 0.25 + r / 1000);
  const activations = Int8Array.from({ length: tokens * columns }, (_, i) => q(Math.floor(i / columns), i % columns));
  const qScales = Float32Array.from({ length: tokens }, (_, t) => 0.01 * (t + 1));
  const out = new Float32Array(tokens * rows);
  kernels.ternaryMatmul(matrix, activations, qScales, tokens, out);
  expectSameBits(out, reference(rows, columns, tokens, trits, q, matrix.scales, qScales));
}

describe.each(BACKENDS)('ternary products, %s', (_name, create) => {
  const seed = freshSeed();

  it(`equal the definition on random shapes (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const kernels = create();
    for (let run = 0; run < 60; run++) {
      const rows = random.integer(1, 70);
      const columns = random.integer(1, 400);
      const weights = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
      const q = Int8Array.from({ length: 5 * columns }, () => random.integer(-127, 127));
      const tokens = random.integer(1, 5);
      check(kernels, rows, columns, tokens, (r, c) => weights[r * columns + c]!, (t, c) => q[t * columns + c]!);
    }
  });

  it.each([1, 2, 4, 5, 6, 19, 20, 21, 79, 80, 81, 99, 100, 101, 159, 160, 161, 2560, 6912, 7000])(
    'take %i columns with everything at its extreme',
    (columns) => {
      const kernels = create();
      const rows: Trits[] = [() => 1, () => -1, () => 0, (_, c) => (c % 2 ? 1 : -1), (_, c) => (c % 3) - 1];
      const trits: Trits = (r, c) => rows[r]!(r, c);
      for (const tokens of [1, 2, 3]) {
        check(kernels, rows.length, columns, tokens, trits, () => 127);
        check(kernels, rows.length, columns, tokens, trits, () => -127);
        check(kernels, rows.length, columns, tokens, trits, (t, c) => ((c + t) % 2 ? 127 : -127));
        check(kernels, rows.length, columns, tokens, trits, () => 0);
      }
    },
  );

  it('do not depend on how tokens are grouped', () => {
    const random = randomFrom(7);
    const kernels = create();
    const rows = 37;
    const columns = 333;
    const weights = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
    const matrix = pack(kernels, rows, columns, (r, c) => weights[r * columns + c]!, () => 0.3);
    const q = Int8Array.from({ length: 7 * columns }, () => random.integer(-127, 127));
    const qScales = Float32Array.from({ length: 7 }, () => random.unit());
    const together = new Float32Array(7 * rows);
    kernels.ternaryMatmul(matrix, q, qScales, 7, together);
    for (let t = 0; t < 7; t++) {
      const alone = new Float32Array(rows);
      kernels.ternaryMatmul(matrix, q.slice(t * columns), qScales.slice(t), 1, alone);
      expectSameBits(together.slice(t * rows, (t + 1) * rows), alone);
    }
  });

  it('read only the rows and columns of the matrix', () => {
    const kernels = create();
    const matrix = pack(kernels, 3, 7, () => 1, () => 1);
    const out = new Float32Array(5).fill(-5);
    kernels.ternaryMatmul(matrix, new Int8Array(64).fill(1), new Float32Array([1, 1]), 1, out);
    expect([...out]).toEqual([7, 7, 7, -5, -5]);
  });
});
