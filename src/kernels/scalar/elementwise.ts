import type { Gates } from './exp.js';

const { fround, abs } = Math;

/** A lower limit for max|y|, so that a vector of zeros has a scale (hgrn-bit.md, BitLinear step 2). */
export const MIN_MAXIMUM = fround(1e-5);

/**
 * Σ x[i]² over `x[start, start + n)` in float32. Lane j adds the elements j, j + 8, …; then
 * ((l0+l4) + (l2+l6)) + ((l1+l5) + (l3+l7)): the order in which two vectors of four lanes do it.
 */
function sumOfSquares(x: Float32Array, start: number, n: number): number {
  let l0 = 0, l1 = 0, l2 = 0, l3 = 0, l4 = 0, l5 = 0, l6 = 0, l7 = 0;
  const end = start + n;
  const whole = start + (n & ~7);
  let i = start;
  for (; i < whole; i += 8) {
    const x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
    const x4 = x[i + 4], x5 = x[i + 5], x6 = x[i + 6], x7 = x[i + 7];
    l0 = fround(l0 + fround(x0 * x0));
    l1 = fround(l1 + fround(x1 * x1));
    l2 = fround(l2 + fround(x2 * x2));
    l3 = fround(l3 + fround(x3 * x3));
    l4 = fround(l4 + fround(x4 * x4));
    l5 = fround(l5 + fround(x5 * x5));
    l6 = fround(l6 + fround(x6 * x6));
    l7 = fround(l7 + fround(x7 * x7));
  }
  if (i < end) l0 = fround(l0 + fround(x[i] * x[i]));
  if (i + 1 < end) l1 = fround(l1 + fround(x[i + 1] * x[i + 1]));
  if (i + 2 < end) l2 = fround(l2 + fround(x[i + 2] * x[i + 2]));
  if (i + 3 < end) l3 = fround(l3 + fround(x[i + 3] * x[i + 3]));
  if (i + 4 < end) l4 = fround(l4 + fround(x[i + 4] * x[i + 4]));
  if (i + 5 < end) l5 = fround(l5 + fround(x[i + 5] * x[i + 5]));
  if (i + 6 < end) l6 = fround(l6 + fround(x[i + 6] * x[i + 6]));
  const even = fround(fround(l0 + l4) + fround(l2 + l6));
  const odd = fround(fround(l1 + l5) + fround(l3 + l7));
  return fround(even + odd);
}

/** 1 / sqrt(mean(x²) + eps) over `x[start, start + n)`. */
function inverseRms(x: Float32Array, start: number, n: number, eps: number): number {
  const mean = fround(sumOfSquares(x, start, n) / n);
  return fround(1 / fround(Math.sqrt(fround(mean + fround(eps)))));
}

export function rmsNorm(x: Float32Array, weight: Float32Array, eps: number, tokens: number, out: Float32Array): void {
  const width = weight.length;
  for (let t = 0, start = 0; t < tokens; t++, start += width) {
    const scale = inverseRms(x, start, width, eps);
    for (let j = 0; j < width; j++) out[start + j] = fround(fround(x[start + j] * scale) * weight[j]);
  }
}

/** Half away from zero; v + 0.5 would round 0.49999997 up. |v| ≤ 127.00001, so the result is in [-127, 127]. */
function halfAway(v: number): number {
  const whole = Math.trunc(v);
  const rest = fround(v - whole);
  return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

export function rmsNormQuantize(
  x: Float32Array, weight: Float32Array, eps: number, tokens: number, q: Int8Array, qScales: Float32Array,
): void {
  const width = weight.length;
  for (let t = 0, start = 0; t < tokens; t++, start += width) {
    const norm = inverseRms(x, start, width, eps);
    let maximum = MIN_MAXIMUM;
    for (let j = 0; j < width; j++) {
      const y = abs(fround(fround(x[start + j] * norm) * weight[j]));
      if (y > maximum) maximum = y;
    }
    const toInt8 = fround(127 / maximum);
    for (let j = 0; j < width; j++) {
      q[start + j] = halfAway(fround(fround(fround(x[start + j] * norm) * weight[j]) * toInt8));
    }
    qScales[t] = fround(maximum / 127);
  }
}

export function mlgruRecurrence(
  gates: Gates, i: Float32Array, f: Float32Array, lowerBound: Float32Array | undefined, state: Float32Array,
  tokens: number, h: Float32Array, lengths?: Uint32Array,
): void {
  const sequences = lengths ? lengths.length : 1;
  const width = state.length / sequences;
  const { sigmoid } = gates;
  for (let s = 0, t = 0, p = 0; s < sequences; s++) {
    const own = s * width;
    for (const end = lengths ? t + lengths[s] : tokens; t < end; t++) {
      for (let j = 0; j < width; j++, p++) {
        let forget = sigmoid(f[p]);
        if (lowerBound) forget = fround(lowerBound[j] + fround(fround(1 - lowerBound[j]) * forget));
        const input = fround(fround(i[p] * sigmoid(i[p])) * fround(1 - forget));
        const next = fround(fround(forget * state[own + j]) + input);
        state[own + j] = next;
        h[p] = next;
      }
    }
  }
}

export function gatedRmsNorm(
  gates: Gates, g: Float32Array, weight: Float32Array, eps: number, h: Float32Array, tokens: number, out: Float32Array,
): void {
  const width = weight.length;
  const { sigmoid } = gates;
  for (let t = 0, start = 0; t < tokens; t++, start += width) {
    const scale = inverseRms(g, start, width, eps);
    for (let j = 0; j < width; j++) {
      const p = start + j;
      const normed = fround(fround(g[p] * scale) * weight[j]);
      out[p] = fround(fround(normed * h[p]) * sigmoid(h[p]));
    }
  }
}

export function swiglu(gates: Gates, ab: Float32Array, width: number, tokens: number, out: Float32Array): void {
  const { sigmoid } = gates;
  for (let t = 0; t < tokens; t++) {
    const a = t * 2 * width;
    for (let j = 0; j < width; j++) {
      const x = ab[a + j];
      out[t * width + j] = fround(fround(x * sigmoid(x)) * ab[a + width + j]);
    }
  }
}

export function add(r: Float32Array, x: Float32Array, count: number): void {
  for (let i = 0; i < count; i++) r[i] = fround(r[i] + x[i]);
}
