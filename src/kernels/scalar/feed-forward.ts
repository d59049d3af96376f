import { ACTIVATION_GROUP, type Activation } from '../kernels.js';
import { MIN_MAXIMUM } from './elementwise.js';
import type { Gates } from './exp.js';

const { abs, fround } = Math;

/** Adding and subtracting it rounds |v| < 2²² half to even: there is no room for a fraction beside it. */
const ROUNDER = 12582912; // 1.5 · 2²³

export function quantize(x: Float32Array, width: number, tokens: number, q: Int8Array, qScales: Float32Array): void {
  for (let t = 0, start = 0; t < tokens; t++, start += width) {
    let maximum = MIN_MAXIMUM;
    for (let j = 0; j < width; j++) maximum = Math.max(maximum, abs(x[start + j]));
    const toInt8 = fround(127 / maximum);
    for (let j = 0; j < width; j++) q[start + j] = fround(fround(fround(x[start + j] * toInt8) + ROUNDER) - ROUNDER);
    qScales[t] = fround(maximum / 127);
  }
}

export function quantizeGroups(x: Float32Array, width: number, tokens: number, q: Int8Array, qScales: Float32Array): void {
  for (let t = 0, n = 0; t < tokens; t++) {
    for (let first = 0; first < width; first += ACTIVATION_GROUP, n++) {
      const start = t * width + first;
      const end = start + Math.min(ACTIVATION_GROUP, width - first);
      let maximum = MIN_MAXIMUM;
      for (let j = start; j < end; j++) maximum = Math.max(maximum, abs(x[j]));
      for (let j = start; j < end; j++) q[j] = fround(fround(fround(fround(x[j] / maximum) * 127) + ROUNDER) - ROUNDER);
      qScales[n] = fround(maximum / 127);
    }
  }
}

export function glu(gates: Gates, a: Float32Array, b: Float32Array, activation: Activation, count: number, out: Float32Array): void {
  const { sigmoid } = gates;
  for (let j = 0; j < count; j++) {
    const x = a[j];
    const positive = x > 0 ? x : 0;
    out[j] = fround((activation === 'silu' ? fround(x * sigmoid(x)) : fround(positive * positive)) * b[j]);
  }
}
