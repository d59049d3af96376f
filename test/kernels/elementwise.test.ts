import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScalarKernels, type Arena, type Kernels } from 'matmulfree';
import { BACKENDS, floatsIn, kernelsWithArena } from '../support/backends.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectSameBits, maxDifference } from '../support/compare.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);

/** hgrn-bit.md in float64. */
function exactRmsNorm(x: readonly number[], weight: readonly number[], eps: number): number[] {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return x.map((v, j) => (v / Math.sqrt(mean + eps)) * weight[j]!);
}

describe.each(BACKENDS)('elementwise kernels, $name', (backend) => {
  const seed = freshSeed();
  const random = randomFrom(seed);
  let kernels: Kernels;
  let arena: Arena;
  beforeAll(async () => {
    ({ kernels, arena } = await kernelsWithArena(backend));
  });
  afterAll(() => kernels.dispose());
  const put = (...values: number[]): Float32Array => floatsIn(arena, values);
  const ones = (n: number): Float32Array => arena.f32(n).fill(1);
  const floats = (n: number, scale = 1): Float32Array => floatsIn(arena, Array.from({ length: n }, () => random.normal() * scale));

  it(`RMSNorm is near float64 for every width modulo the lanes (seed ${seed})`, () => {
    for (const width of [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 100, 257, 1024, 2563]) {
      const x = floats(2 * width, 3);
      const weight = floats(width);
      const out = arena.f32(2 * width);
      kernels.rmsNorm(x, weight, 1e-6, 2, out);
      for (const t of [0, 1]) {
        const exact = exactRmsNorm([...x.slice(t * width, (t + 1) * width)], [...weight], 1e-6);
        const scale = Math.max(...exact.map(Math.abs));
        expect(maxDifference(out.slice(t * width), exact) / scale, `width ${width}`).toBeLessThan(5e-7);
      }
    }
  });

  it('RMSNorm may write over its input', () => {
    const x = floats(40);
    const weight = floats(20);
    const out = arena.f32(40);
    kernels.rmsNorm(x, weight, 1e-6, 2, out);
    kernels.rmsNorm(x, weight, 1e-6, 2, x);
    expectSameBits(x, out);
  });

  it('quantises to the nearest of 255 steps, halves away from zero', () => {
    // A weight of 1 and a vector whose largest element is 127 steps: y / step is x / step exactly.
    const steps = [127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999997, -0.49999997, 126.5, -126.5, -127];
    const x = put(...steps);
    const rms = Math.sqrt(steps.reduce((sum, v) => sum + v * v, 0) / steps.length);
    const q = arena.i8(steps.length);
    const qScales = arena.f32(1);
    // eps so small that the norm divides by the rms alone; the product with it brings back the steps up to rounding.
    kernels.rmsNormQuantize(x, ones(steps.length), 1e-30, 1, q, qScales);
    expect(q[0]).toBe(127);
    expect(q[11]).toBe(-127);
    expect(Math.abs(qScales[0]! * 127 - 127 / rms)).toBeLessThan(1e-5);
    for (const [i, step] of steps.entries()) expect(Math.abs(q[i]! - step)).toBeLessThan(0.5001);
  });

  it('rounds exact halves away from zero', () => {
    // The rms is 128, so that y is the weight with x's sign, exactly, and max|y| = 127 makes a step of 1.
    const x = put(128, 128, -128, 128);
    const weight = put(127, 2.5, 2.5, 0.5);
    const q = arena.i8(4);
    kernels.rmsNormQuantize(x, weight, 1e-30, 1, q, arena.f32(1));
    expect([...q]).toEqual([127, 3, -3, 1]);
  });

  it('quantises all-zero and tiny vectors without dividing by zero', () => {
    const q = arena.i8(8).fill(9);
    const qScales = arena.f32(1);
    kernels.rmsNormQuantize(arena.f32(8), ones(8), 1e-6, 1, q, qScales);
    expect([...q]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(qScales[0]).toBeCloseTo(1e-5 / 127, 12);
  });

  it(`quantised vectors are within half a step of float64 (seed ${seed})`, () => {
    for (const width of [3, 8, 29, 256, 1000]) {
      const x = floats(3 * width);
      const weight = floats(width);
      const q = arena.i8(3 * width);
      const qScales = arena.f32(3);
      kernels.rmsNormQuantize(x, weight, 1e-6, 3, q, qScales);
      for (let t = 0; t < 3; t++) {
        const exact = exactRmsNorm([...x.slice(t * width, (t + 1) * width)], [...weight], 1e-6);
        const step = Math.max(...exact.map(Math.abs)) / 127;
        expect(qScales[t]! / step).toBeCloseTo(1, 5);
        for (let j = 0; j < width; j++) expect(Math.abs(q[t * width + j]! - exact[j]! / step)).toBeLessThan(0.5001);
      }
    }
  });

  it('sigmoid is within 3e-7 of float64 between -87 and 87, and saturates outside', () => {
    // swiglu(a, 1) / a is sigmoid(a).
    const xs: number[] = [];
    for (let x = -87; x <= 87; x += 0.0137) xs.push(Math.fround(x));
    const out = arena.f32(xs.length);
    kernels.swiglu(put(...xs, ...xs.map(() => 1)), xs.length, 1, out);
    let worst = 0;
    xs.forEach((x, i) => {
      if (x !== 0) worst = Math.max(worst, Math.abs(out[i]! / silu(x) - 1));
    });
    expect(worst).toBeLessThan(3.6e-7); // sigmoid, and the rounding of the product
    const far = arena.f32(4);
    kernels.swiglu(put(1e4, -1e4, 200, -200, 1, 1, 1, 1), 4, 1, far);
    expect(far[0]).toBe(1e4);
    expect(Math.abs(far[1]!)).toBeLessThan(1e-30);
    expect(far[2]).toBe(200);
  });

  it(`the MLGRU recurrence follows its formula (seed ${seed})`, () => {
    const width = 13;
    const tokens = 9;
    for (const lowerBound of [undefined, floatsIn(arena, Array.from({ length: width }, () => random.unit()))]) {
      const i = floats(tokens * width);
      const f = floats(tokens * width);
      const state = floats(width);
      const h = arena.f32(tokens * width);
      const exact = [...state];
      const expected: number[] = [];
      for (let t = 0; t < tokens; t++) {
        for (let j = 0; j < width; j++) {
          const bound = lowerBound?.[j] ?? 0;
          const forget = bound + (1 - bound) * sigmoid(f[t * width + j]!);
          exact[j] = forget * exact[j]! + silu(i[t * width + j]!) * (1 - forget);
          expected.push(exact[j]!);
        }
      }
      kernels.mlgruRecurrence(i, f, lowerBound, state, tokens, h);
      expect(maxDifference(h, expected)).toBeLessThan(2e-6);
      expectSameBits(state, h.slice((tokens - 1) * width));
    }
  });

  it(`the recurrence over several sequences is that over each (seed ${seed})`, () => {
    for (const [width, counts] of [[13, [2, 1, 5]], [8, [1, 1, 1, 1]], [1030, [3, 20, 1]], [4, [0, 2]]] as const) {
      const tokens = counts.reduce<number>((sum, count) => sum + count, 0);
      const [i, f, bound] = [floats(tokens * width), floats(tokens * width), floatsIn(arena, Array.from({ length: width }, () => random.unit()))];
      const states = floats(counts.length * width);
      const lengths = arena.u32(counts.length);
      lengths.set(counts);
      const expectedStates = floatsIn(arena, states);
      const expected = arena.f32(tokens * width);
      let row = 0;
      counts.forEach((count, s) => {
        const of = (array: Float32Array, from: number, rows: number): Float32Array => array.subarray(from * width, (from + rows) * width);
        kernels.mlgruRecurrence(of(i, row, count), of(f, row, count), bound, of(expectedStates, s, 1), count, of(expected, row, count));
        row += count;
      });
      kernels.mlgruRecurrence(i, f, bound, states, tokens, i, lengths);
      expectSameBits(i, expected);
      expectSameBits(states, expectedStates);
    }
  });

  it(`the output gate norms g and swishes h, not the other way round (seed ${seed})`, () => {
    const width = 21;
    const g = floats(2 * width);
    const h = floats(2 * width);
    const weight = floats(width);
    const out = arena.f32(2 * width);
    kernels.gatedRmsNorm(g, weight, 1e-6, h, 2, out);
    const expected = [0, 1].flatMap((t) =>
      exactRmsNorm([...g.slice(t * width, (t + 1) * width)], [...weight], 1e-6).map((v, j) => v * silu(h[t * width + j]!)),
    );
    expect(maxDifference(out, expected)).toBeLessThan(5e-6);
  });

  it('SwiGLU puts the first half through the sigmoid', () => {
    const out = arena.f32(2);
    kernels.swiglu(put(1, -2, 10, 20), 2, 1, out);
    expect(maxDifference(out, [silu(1) * 10, silu(-2) * 20])).toBeLessThan(1e-5);
  });

  it('add adds the first elements only', () => {
    const r = put(1, 2, 3);
    kernels.add(r, put(10, 20, 30), 2);
    expect([...r]).toEqual([11, 22, 3]);
  });

  it(`gives the bits of the scalar backend (seed ${seed})`, () => {
    const scalar = createScalarKernels();
    const special = [0, -0, 1e-30, -1e-30, 1e30, 88, -88, 1e-45, 0.5, -0.5];
    for (const [width, tokens] of [[1, 3], [3, 1], [7, 2], [8, 5], [29, 4], [64, 1], [257, 3], [1024, 2], [2563, 40]] as const) {
      const n = width * tokens;
      const value = (i: number): number => (i % 11 === 5 ? special[i % special.length]! : random.normal() * 4);
      const x = floatsIn(arena, Array.from({ length: 2 * n }, (_, i) => value(i)));
      const y = floatsIn(arena, Array.from({ length: n }, (_, i) => value(i)));
      const weight = floats(width);
      const bound = floatsIn(arena, Array.from({ length: width }, () => random.unit()));
      const run = (k: Kernels): Float32Array[] => {
        const [norm, gated, swiglu, q, qScales] = [arena.f32(n), arena.f32(n), arena.f32(n), arena.i8(n), arena.f32(tokens)];
        const [bounded, free, sum] = [arena.f32(n), arena.f32(n), floatsIn(arena, y)];
        const state = floatsIn(arena, weight);
        k.rmsNorm(x, weight, 1e-6, tokens, norm);
        k.rmsNormQuantize(x, weight, 1e-6, tokens, q, qScales);
        k.gatedRmsNorm(x, weight, 1e-6, y, tokens, gated);
        k.swiglu(x, width, tokens, swiglu);
        k.mlgruRecurrence(x, y, bound, state, tokens, bounded);
        k.mlgruRecurrence(x, y, undefined, state, tokens, free);
        k.add(sum, x, n);
        return [norm, Float32Array.from(q), qScales, gated, swiglu, bounded, free, state, sum];
      };
      const expected = run(scalar);
      run(kernels).forEach((found, i) => expectSameBits(found, expected[i]!));
    }
  });
});
