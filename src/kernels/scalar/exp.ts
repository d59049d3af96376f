import { powerOfTwo } from '../../platform/numeric.js';

const { fround } = Math;

/** The functions that every gate needs, on a table they share. */
export interface Gates {
  /** 1 / (1 + exp(-x)), |relative error| < 3e-7 for |x| ≤ 87; saturates outside. */
  sigmoid(x: number): number;
  /** exp(x) for x ≤ 0, by the same steps; 0 below -87. */
  exp(x: number): number;
}

const LOG2_E = fround(1.44269504);
/** ln 2 in two parts: n · LN2_HIGH is exact in float32 for |n| < 2¹⁵, so the reduced argument keeps its bits (Cody, Waite 1980). */
const LN2_HIGH = 0.693359375;
const LN2_LOW = fround(-2.12194440e-4);
/** Minimax polynomial of (exp(r) - 1 - r) / r² on |r| ≤ ln 2 / 2, highest power first (coefficients of Cephes' expf). */
const P0 = fround(1.9875691500e-4);
const P1 = fround(1.3981999507e-3);
const P2 = fround(8.3334519073e-3);
const P3 = fround(4.1665795894e-2);
const P4 = fround(1.6666665459e-1);
const P5 = fround(5.0000001201e-1);
/** Keeps exp(-x) and 1 / exp(-x) normal float32 numbers. */
const LIMIT = 87;

/**
 * sigmoid in float32 with a fixed order of operations, because the engines' `Math.exp` differ in the last bit. Each step is
 * one exactly rounded float32 operation, so that a SIMD backend can do the same steps.
 */
export function createGates(): Gates {
  const powersOfTwo = new Float32Array(256); // [n + 127] = 2ⁿ
  for (let n = -126; n <= 127; n++) powersOfTwo[n + 127] = powerOfTwo(n);

  /** exp(y), |y| ≤ 87. */
  const exponential = (y: number): number => {
    const n = Math.floor(fround(fround(y * LOG2_E) + 0.5));
    const r = fround(fround(y - fround(n * LN2_HIGH)) - fround(n * LN2_LOW));
    let p = fround(fround(P0 * r) + P1);
    p = fround(fround(p * r) + P2);
    p = fround(fround(p * r) + P3);
    p = fround(fround(p * r) + P4);
    p = fround(fround(p * r) + P5);
    p = fround(fround(fround(p * fround(r * r)) + r) + 1);
    return fround(p * powersOfTwo[n + 127]);
  };
  return {
    sigmoid: (x) => fround(1 / fround(1 + exponential(x < -LIMIT ? LIMIT : x > LIMIT ? -LIMIT : -x))),
    exp: (x) => (x < -LIMIT ? 0 : exponential(x)),
  };
}
