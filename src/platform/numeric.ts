/*
 * exp and log in float64 from exactly rounded operations only, so that what depends on them (lower bounds, sampling,
 * scores) is the same to the last bit in every engine: `Math.exp` and `Math.log` are not.
 */

const LN2_HIGH = 0.6931471803691238; // the upper 33 bits of ln 2: n · LN2_HIGH is exact for |n| < 2²⁰
const LN2_LOW = 1.9082149292705877e-10;

/** eˣ; relative error below 1e-15. 0 below -745, Infinity above 709.78. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < -745.2) return 0;
  if (x > 709.782712893384) return Infinity;
  const n = Math.floor(x * Math.LOG2E + 0.5);
  const r = x - n * LN2_HIGH - n * LN2_LOW;
  // Taylor's series to r¹³ / 13!; |r| ≤ 0.347, so the next term is below 4e-18.
  let sum = 1 / 6227020800;
  sum = sum * r + 1 / 479001600;
  sum = sum * r + 1 / 39916800;
  sum = sum * r + 1 / 3628800;
  sum = sum * r + 1 / 362880;
  sum = sum * r + 1 / 40320;
  sum = sum * r + 1 / 5040;
  sum = sum * r + 1 / 720;
  sum = sum * r + 1 / 120;
  sum = sum * r + 1 / 24;
  sum = sum * r + 1 / 6;
  sum = sum * r + 1 / 2;
  sum = sum * r + 1;
  sum = sum * r + 1;
  if (n <= 0 && n > -31) return sum / (1 << -n); // the common case, quicker and as exact
  // In two steps, because 2ⁿ alone may leave the range of normal numbers where the result does not.
  const half = n >> 1;
  return sum * powerOfTwo(half) * powerOfTwo(n - half);
}

/** 2ⁿ for a whole |n| ≤ 1022, exactly: the language leaves the precision of `**` to the engine. */
export function powerOfTwo(n: number): number {
  let result = 1;
  let factor = n < 0 ? 0.5 : 2;
  for (let bits = Math.abs(n); bits > 0; bits >>= 1) {
    if (bits & 1) result *= factor;
    factor *= factor;
  }
  return result;
}

/** ln x; relative error below 1e-15 away from 1, absolute below 1e-16 near it. -Infinity at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0) || x === Infinity) return x === 0 ? -Infinity : x === Infinity ? x : NaN;
  let n = 0;
  let m = x;
  if (m < 2 ** -1022) {
    m *= 2 ** 54;
    n = -54;
  }
  while (m >= 2 ** 32) {
    m *= 2 ** -32;
    n += 32;
  }
  while (m < 2 ** -32) {
    m *= 2 ** 32;
    n -= 32;
  }
  while (m > Math.SQRT2) {
    m /= 2;
    n++;
  }
  while (m < Math.SQRT1_2) {
    m *= 2;
    n--;
  }
  // ln m = 2 (s + s³/3 + s⁵/5 + …) with s = (m - 1) / (m + 1), |s| ≤ 0.1716; the term s²³ is below 1e-18.
  const s = (m - 1) / (m + 1);
  const s2 = s * s;
  let sum = 0;
  for (let k = 21; k >= 3; k -= 2) sum = (sum + 1 / k) * s2;
  return n * LN2_HIGH + (2 * s + (2 * s * sum + n * LN2_LOW));
}
