import { ACTIVATION_GROUP } from '../kernels/kernels.js';

const { abs, fround } = Math;

/** Int8 numbers that a float activation is written as. */
export const DIGITS = 3;
/** Each digit's step is this much finer than the one before: what is left of it is at most half a step. */
const FINER = 254;
const MIN_MAXIMUM = fround(1e-30);

/**
 * Writes activations as sums of three int8 numbers with scales for 128 columns: x = d0 · s + d1 · s/254 + d2 · s/254², s = max|x| / 127.
 * What is left over is below float32's own precision of the largest of them.
 * @param x [tokens, width], of which `count` from token `first` on are taken.
 * @param q [count · DIGITS, width], and qScales [count · DIGITS, ⌈width / 128⌉]: the digits of a token one after another.
 */
export function splitDigits(x: Float32Array, first: number, width: number, count: number, q: Int8Array, qScales: Float32Array): void {
  const groups = Math.ceil(width / ACTIVATION_GROUP);
  for (let t = 0; t < count; t++) {
    for (let g = 0; g < groups; g++) {
      const from = g * ACTIVATION_GROUP;
      const to = Math.min(from + ACTIVATION_GROUP, width);
      const start = (first + t) * width;
      let maximum = MIN_MAXIMUM;
      for (let j = from; j < to; j++) maximum = Math.max(maximum, abs(x[start + j]!));
      for (let digit = 0, scale = fround(maximum / 127); digit < DIGITS; digit++, scale = fround(scale / FINER)) {
        qScales[(t * DIGITS + digit) * groups + g] = scale;
      }
      for (let j = from; j < to; j++) {
        // In float64, where digit · scale is exact.
        let rest = x[start + j]!;
        for (let digit = 0; digit < DIGITS; digit++) {
          const row = t * DIGITS + digit;
          const scale = qScales[row * groups + g]!;
          const value = Math.max(-127, Math.min(127, Math.round(rest / scale)));
          q[row * width + j] = value;
          rest -= value * scale;
        }
      }
    }
  }
}
