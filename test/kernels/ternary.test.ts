import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, type Arena, type Kernels, type TernaryMatrix } from 'matmulfree';
import { BACKENDS, floatsIn, kernelsWithArena } from '../support/backends.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectSameBits } from '../support/compare.js';

type Trits = (row: number, column: number) => number;
type Activations = (token: number, column: number) => number;

interface Work {
  kernels: Kernels;
  arena: Arena;
}

function pack({ kernels, arena }: Work, rows: number, columns: number, trits: Trits, scale: (row: number) => number): TernaryMatrix {
  const matrix = kernels.createTernary(arena, rows, columns);
  for (let r = 0; r < rows; r++) {
    matrix.scales[r] = scale(r);
    kernels.packRow(matrix, r, Int8Array.from({ length: columns }, (_, c) => trits(r, c)));
  }
  return matrix;
}

function bytesIn(arena: Arena, length: number, value: (i: number) => number): Int8Array {
  const array = arena.i8(length);
  for (let i = 0; i < length; i++) array[i] = value(i);
  return array;
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

function check(work: Work, rows: number, columns: number, tokens: number, trits: Trits, q: Activations): void {
  const { kernels, arena } = work;
  const matrix = pack(work, rows, columns, trits, (r) => 0.25 + r / 1000);
  const activations = bytesIn(arena, tokens * columns, (i) => q(Math.floor(i / columns), i % columns));
  const qScales = floatsIn(arena, Array.from({ length: tokens }, (_, t) => 0.01 * (t + 1)));
  const out = arena.f32(tokens * rows);
  kernels.ternaryMatmul(matrix, activations, qScales, tokens, out);
  expectSameBits(out, reference(rows, columns, tokens, trits, q, matrix.scales, qScales));
}

describe.each(BACKENDS)('ternary products, $name', (backend) => {
  const seed = freshSeed();
  let work: Work;
  beforeAll(async () => {
    work = await kernelsWithArena(backend);
  });
  afterAll(() => work.kernels.dispose());

  it(`equal the definition on random shapes (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let run = 0; run < 60; run++) {
      const rows = random.integer(1, run % 10 ? 70 : 700);
      const columns = random.integer(1, run % 10 ? 400 : 2000);
      const weights = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
      const tokens = random.integer(1, run % 10 ? 5 : 70);
      const q = Int8Array.from({ length: tokens * columns }, () => random.integer(-127, 127));
      check(work, rows, columns, tokens, (r, c) => weights[r * columns + c]!, (t, c) => q[t * columns + c]!);
    }
  });

  it.each([1, 2, 4, 5, 6, 15, 16, 17, 19, 20, 21, 79, 80, 81, 99, 100, 101, 159, 160, 161, 255, 256, 257, 271, 273, 512, 2560, 6912, 7000])(
    'take %i columns with everything at its extreme',
    (columns) => {
      const rows: Trits[] = [() => 1, () => -1, () => 0, (_, c) => (c % 2 ? 1 : -1), (_, c) => (c % 3) - 1];
      const trits: Trits = (r, c) => rows[r]!(r, c);
      for (const tokens of [1, 2, 3, 8, 17]) {
        check(work, rows.length, columns, tokens, trits, () => 127);
        check(work, rows.length, columns, tokens, trits, () => -127);
        check(work, rows.length, columns, tokens, trits, (t, c) => ((c + t) % 2 ? 127 : -127));
        check(work, rows.length, columns, tokens, trits, () => 0);
      }
    },
  );

  it('share large matrices out and miss nothing', () => {
    const random = randomFrom(11);
    for (const [rows, columns, tokens] of [[2100, 700, 1], [5632, 300, 1], [1030, 520, 40]] as const) {
      const weights = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
      const q = Int8Array.from({ length: tokens * columns }, () => random.integer(-127, 127));
      check(work, rows, columns, tokens, (r, c) => weights[r * columns + c]!, (t, c) => q[t * columns + c]!);
    }
  });

  it('do not depend on how tokens are grouped', () => {
    const random = randomFrom(7);
    const { kernels, arena } = work;
    const rows = 37;
    const columns = 333;
    const most = 50;
    const weights = Int8Array.from({ length: rows * columns }, () => random.integer(-1, 1));
    const matrix = pack(work, rows, columns, (r, c) => weights[r * columns + c]!, () => 0.3);
    const q = bytesIn(arena, most * columns, () => random.integer(-127, 127));
    const qScales = floatsIn(arena, Array.from({ length: most }, () => random.unit()));
    const alone = arena.f32(most * rows);
    for (let t = 0; t < most; t++) {
      kernels.ternaryMatmul(matrix, q.subarray(t * columns), qScales.subarray(t), 1, alone.subarray(t * rows));
    }
    for (let tokens = 1; tokens <= most; tokens++) {
      const together = arena.f32(tokens * rows);
      kernels.ternaryMatmul(matrix, q, qScales, tokens, together);
      expectSameBits(together, alone.subarray(0, tokens * rows));
    }
  });

  it('read and write only the rows and columns of the matrix', () => {
    const { kernels, arena } = work;
    const matrix = pack(work, 3, 7, () => 1, () => 1);
    const q = bytesIn(arena, 8 * 64, () => 1);
    const qScales = floatsIn(arena, Array.from({ length: 8 }, () => 1));
    for (const tokens of [1, 8]) {
      const out = floatsIn(arena, Array.from({ length: tokens * 3 + 2 }, () => -5));
      kernels.ternaryMatmul(matrix, q, qScales, tokens, out);
      expect([...out]).toEqual([...Array.from({ length: tokens * 3 }, () => 7), -5, -5]);
    }
  });

  it.skipIf(backend.backend === 'scalar')('refuse arrays that are not in the arena', () => {
    const { kernels, arena } = work;
    const matrix = pack(work, 3, 7, () => 1, () => 1);
    const call = () => kernels.ternaryMatmul(matrix, new Int8Array(7), arena.f32(1), 1, arena.f32(3));
    expect(call).toThrow(ArgumentError);
    expect(call).toThrow(/createArena/);
  });
});
