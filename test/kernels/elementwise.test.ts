import { describe, expect, it } from 'vitest';
import { createScalarKernels, type Kernels } from 'matmulfree';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectSameBits, maxDifference } from '../support/compare.js';

const BACKENDS: [string, () => Kernels][] = [['scalar', createScalarKernels]];
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);

/** hgrn-bit.md in float64. */
function exactRmsNorm(x: readonly number[], weight: readonly number[], eps: number): number[] {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return x.map((v, j) => (v / Math.sqrt(mean + eps)) * weight[j]!);
}

describe.each(BACKENDS)('elementwise kernels, %s', (_name, create) => {
  const kernels = create();
  const seed = freshSeed();
  const random = randomFrom(seed);
  const floats = (n: number, scale = 1): Float32Array => Float32Array.from({ length: n }, () => random.normal() * scale);

  it(`RMSNorm is near float64 for every width modulo the lanes (seed ${seed})`, () => {
    for (const width of [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 100, 257, 1024, 2563]) {
      const x = floats(2 * width, 3);
      const weight = floats(width);
      const out = new Float32Array(2 * width);
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
    const out = new Float32Array(40);
    kernels.rmsNorm(x, weight, 1e-6, 2, out);
    kernels.rmsNorm(x, weight, 1e-6, 2, x);
    expectSameBits(x, out);
  });

  it('quantises to the nearest of 255 steps, halves away from zero', () => {
    // A weight of 1 and a vector whose largest element is 127 steps: y / step is x / step exactly.
    const steps = [127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49999997, -0.49999997, 126.5, -126.5, -127];
    const x = Float32Array.from(steps);
    const rms = Math.sqrt(steps.reduce((sum, v) => sum + v * v, 0) / steps.length);
    const q = new Int8Array(steps.length);
    const qScales = new Float32Array(1);
    // eps so small that the norm divides by the rms alone; the product with it brings back the steps up to rounding.
    kernels.rmsNormQuantize(x, new Float32Array(steps.length).fill(1), 1e-30, 1, q, qScales);
    expect(q[0]).toBe(127);
    expect(q[11]).toBe(-127);
    expect(Math.abs(qScales[0]! * 127 - 127 / rms)).toBeLessThan(1e-5);
    for (const [i, step] of steps.entries()) expect(Math.abs(q[i]! - step)).toBeLessThan(0.5001);
  });

  it('rounds exact halves away from zero', () => {
    // The rms is 128, so that y is the weight with x's sign, exactly, and max|y| = 127 makes a step of 1.
    const x = Float32Array.of(128, 128, -128, 128);
    const weight = Float32Array.of(127, 2.5, 2.5, 0.5);
    const q = new Int8Array(4);
    kernels.rmsNormQuantize(x, weight, 1e-30, 1, q, new Float32Array(1));
    expect([...q]).toEqual([127, 3, -3, 1]);
  });

  it('quantises all-zero and tiny vectors without dividing by zero', () => {
    const q = new Int8Array(8).fill(9);
    const qScales = new Float32Array(1);
    kernels.rmsNormQuantize(new Float32Array(8), new Float32Array(8).fill(1), 1e-6, 1, q, qScales);
    expect([...q]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(qScales[0]).toBeCloseTo(1e-5 / 127, 12);
  });

  it(`quantised vectors are within half a step of float64 (seed ${seed})`, () => {
    for (const width of [3, 8, 29, 256, 1000]) {
      const x = floats(3 * width);
      const weight = floats(width);
      const q = new Int8Array(3 * width);
      const qScales = new Float32Array(3);
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
    const out = new Float32Array(xs.length);
    kernels.swiglu(Float32Array.from([...xs, ...xs.map(() => 1)]), xs.length, 1, out);
    let worst = 0;
    xs.forEach((x, i) => {
      if (x !== 0) worst = Math.max(worst, Math.abs(out[i]! / silu(x) - 1));
    });
    expect(worst).toBeLessThan(3.6e-7); // sigmoid, and the rounding of the product
    const far = new Float32Array(4);
    kernels.swiglu(Float32Array.of(1e4, -1e4, 200, -200, 1, 1, 1, 1), 4, 1, far);
    expect(far[0]).toBe(1e4);
    expect(Math.abs(far[1]!)).toBeLessThan(1e-30);
    expect(far[2]).toBe(200);
  });

  it(`the MLGRU recurrence follows its formula (seed ${seed})`, () => {
    const width = 13;
    const tokens = 9;
    for (const lowerBound of [undefined, Float32Array.from({ length: width }, () => random.unit())]) {
      const i = floats(tokens * width);
      const f = floats(tokens * width);
      const state = floats(width);
      const h = new Float32Array(tokens * width);
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

  it(`the output gate norms g and swishes h, not the other way round (seed ${seed})`, () => {
    const width = 21;
    const g = floats(2 * width);
    const h = floats(2 * width);
    const weight = floats(width);
    const out = new Float32Array(2 * width);
    kernels.gatedRmsNorm(g, weight, 1e-6, h, 2, out);
    const expected = [0, 1].flatMap((t) =>
      exactRmsNorm([...g.slice(t * width, (t + 1) * width)], [...weight], 1e-6).map((v, j) => v * silu(h[t * width + j]!)),
    );
    expect(maxDifference(out, expected)).toBeLessThan(5e-6);
  });

  it('SwiGLU puts the first half through the sigmoid', () => {
    const out = new Float32Array(2);
    kernels.swiglu(Float32Array.of(1, -2, 10, 20), 2, 1, out);
    expect(maxDifference(out, [silu(1) * 10, silu(-2) * 20])).toBeLessThan(1e-5);
  });

  it('add adds the first elements only', () => {
    const r = Float32Array.of(1, 2, 3);
    kernels.add(r, Float32Array.of(10, 20, 30), 2);
    expect([...r]).toEqual([11, 22, 3]);
  });
});
