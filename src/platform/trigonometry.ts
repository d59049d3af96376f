/*
 * Sine and cosine in float64 from exactly rounded operations only, for rotary positions: as `numeric.ts` has exp and log.
 */

/** π/2 in three parts: n times each of the first two is exact for |n| < 2²⁰ (Cody, Waite 1980). */
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_MIDDLE = 6.077100506303966e-11;
const HALF_PI_LOW = 2.0222662487959506e-21;

/** Coefficients of Taylor's series, highest power first; |r| ≤ π/4, so the next terms are below 1e-17. */
const SINE = [-1 / 1307674368000, 1 / 6227020800, -1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1];
const COSINE = [1 / 20922789888000, -1 / 87178291200, 1 / 479001600, -1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1];

/** [cos x, sin x]; absolute error below 1e-15 for |x| < 10⁶. */
export function cosineAndSine(x: number): readonly [cosine: number, sine: number] {
  const n = Math.round(x * (2 / Math.PI));
  const r = x - n * HALF_PI_HIGH - n * HALF_PI_MIDDLE - n * HALF_PI_LOW;
  const r2 = r * r;
  const cosine = polynomial(COSINE, r2);
  const sine = r * polynomial(SINE, r2);
  switch (((n % 4) + 4) % 4) {
    case 0: return [cosine, sine];
    case 1: return [-sine, cosine];
    case 2: return [-cosine, -sine];
    default: return [sine, -cosine];
  }
}

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (const c of coefficients) sum = sum * x + c;
  return sum;
}
