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
  const row = new Int8Array(columns);
  for (let r = 0; r < rows; r++) {
    matrix.scales[r] = scale(r);
    for (let c = 0; c < columns; c++) row[c] = trits(r, c);
    kernels.packRow(matrix, r, row);
  }
  return matrix;
}

function bytesIn(arena: Arena, length: number, value: (i: number) => number): Int8Array {
  const array = arena.i8(length);
  for (let i = 0; i < length; i++) array[i] = value(i);
  return array;
}

/** A product and its result by the definition: computed once, for all backends. */
interface Product {
  readonly rows: number;
  readonly columns: number;
  readonly tokens: number;
  readonly weights: Int8Array;
  readonly q: Int8Array;
  readonly expected: Float32Array;
}

const scaleOf = (row: number): number => 0.25 + row / 1000;
const qScaleOf = (token: number): number => 0.01 * (token + 1);

/** The definition, spelt out: exact sums, one rounding for the scale and one for the product. */
function product(rows: number, columns: number, tokens: number, trits: Trits, activations: Activations): Product {
  const weights = new Int8Array(rows * columns);
  const q = new Int8Array(tokens * columns);
  for (let i = 0; i < weights.length; i++) weights[i] = trits(Math.floor(i / columns), i % columns);
  for (let i = 0; i < q.length; i++) q[i] = activations(Math.floor(i / columns), i % columns);
  const expected = new Float32Array(tokens * rows);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += weights[r * columns + c]! * q[t * columns + c]!;
      expected[t * rows + r] = Math.fround(sum * Math.fround(Math.fround(scaleOf(r)) * Math.fround(qScaleOf(t))));
    }
  }
  return { rows, columns, tokens, weights, q, expected };
}

function check(work: Work, { rows, columns, tokens, weights, q, expected }: Product): void {
  const { kernels, arena } = work;
  const matrix = pack(work, rows, columns, (r, c) => weights[r * columns + c]!, scaleOf);
  const activations = bytesIn(arena, q.length, (i) => q[i]!);
  const qScales = floatsIn(arena, Array.from({ length: tokens }, (_, t) => qScaleOf(t)));
  const out = arena.f32(tokens * rows);
  kernels.ternaryMatmul(matrix, activations, qScales, tokens, out);
  expectSameBits(out, expected);
}

const seed = freshSeed();
const randomProduct = (random: ReturnType<typeof randomFrom>, rows: number, columns: number, tokens: number): Product =>
  product(rows, columns, tokens, () => random.integer(-1, 1), () => random.integer(-127, 127));

const random = randomFrom(seed);
const RANDOM = Array.from({ length: 60 }, (_, run) =>
  randomProduct(random, random.integer(1, run % 10 ? 70 : 700), random.integer(1, run % 10 ? 400 : 2000), random.integer(1, run % 10 ? 5 : 70)));

/** Rows and activations with everything at its extreme. */
const EXTREME = new Map([1, 2, 4, 5, 6, 15, 16, 17, 19, 20, 21, 79, 80, 81, 99, 100, 101, 159, 160, 161, 255, 256, 257, 271, 273, 512, 2560, 6912, 7000].map((columns) => {
  const rows: Trits[] = [() => 1, () => -1, () => 0, (_, c) => (c % 2 ? 1 : -1), (_, c) => (c % 3) - 1];
  const activations: Activations[] = [() => 127, () => -127, (t, c) => ((c + t) % 2 ? 127 : -127), () => 0];
  return [columns, [1, 2, 3, 8, 17].flatMap((tokens) => activations.map((q) => product(rows.length, columns, tokens, (r, c) => rows[r]!(r, c), q)))];
}));

const LARGE = ([[2100, 700, 1], [5632, 300, 1], [1030, 520, 40]] as const).map(([rows, columns, tokens]) => randomProduct(randomFrom(11), rows, columns, tokens));

describe.each(BACKENDS)('ternary products, $name', (backend) => {
  let work: Work;
  beforeAll(async () => {
    work = await kernelsWithArena(backend);
  });
  afterAll(() => work.kernels.dispose());

  it(`equal the definition on random shapes (seed ${seed})`, () => {
    for (const one of RANDOM) check(work, one);
  });

  it.each([...EXTREME.keys()])('take %i columns with everything at its extreme', (columns) => {
    for (const one of EXTREME.get(columns)!) check(work, one);
  });

  it('share large matrices out and miss nothing', () => {
    for (const one of LARGE) check(work, one);
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
