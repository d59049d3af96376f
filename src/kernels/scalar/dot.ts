const { fround } = Math;

/** Σ x[i + k]·y[j + k] for k < n, in the lanes and the tree of `sumOfSquares`. */
export function dot(x: Float32Array, i: number, y: Float32Array, j: number, n: number): number {
  let l0 = 0, l1 = 0, l2 = 0, l3 = 0, l4 = 0, l5 = 0, l6 = 0, l7 = 0;
  const whole = n & ~7;
  let k = 0;
  for (; k < whole; k += 8) {
    const a = i + k, b = j + k;
    l0 = fround(l0 + fround(x[a] * y[b]));
    l1 = fround(l1 + fround(x[a + 1] * y[b + 1]));
    l2 = fround(l2 + fround(x[a + 2] * y[b + 2]));
    l3 = fround(l3 + fround(x[a + 3] * y[b + 3]));
    l4 = fround(l4 + fround(x[a + 4] * y[b + 4]));
    l5 = fround(l5 + fround(x[a + 5] * y[b + 5]));
    l6 = fround(l6 + fround(x[a + 6] * y[b + 6]));
    l7 = fround(l7 + fround(x[a + 7] * y[b + 7]));
  }
  if (k < n) l0 = fround(l0 + fround(x[i + k] * y[j + k]));
  if (k + 1 < n) l1 = fround(l1 + fround(x[i + k + 1] * y[j + k + 1]));
  if (k + 2 < n) l2 = fround(l2 + fround(x[i + k + 2] * y[j + k + 2]));
  if (k + 3 < n) l3 = fround(l3 + fround(x[i + k + 3] * y[j + k + 3]));
  if (k + 4 < n) l4 = fround(l4 + fround(x[i + k + 4] * y[j + k + 4]));
  if (k + 5 < n) l5 = fround(l5 + fround(x[i + k + 5] * y[j + k + 5]));
  if (k + 6 < n) l6 = fround(l6 + fround(x[i + k + 6] * y[j + k + 6]));
  const even = fround(fround(l0 + l4) + fround(l2 + l6));
  const odd = fround(fround(l1 + l5) + fround(l3 + l7));
  return fround(even + odd);
}
