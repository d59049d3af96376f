/*
 * The float32 MatMul baseline in typed-array JavaScript: out = W · x, W [rows, columns] row-major. Several writings, because
 * which is fastest depends on engine and shape; the ternary kernels are compared with the best one.
 */
export type Dense = (w: Float32Array, x: Float32Array, x64: Float64Array, out: Float32Array, rows: number, columns: number) => void;

const { fround } = Math;

/** Four sums of one row. */
const fourSums: Dense = (w, x, _x64, out, rows, columns) => {
  for (let r = 0; r < rows; r++) {
    const p = r * columns;
    let a = 0, b = 0, c = 0, d = 0;
    for (let j = 0; j < columns; j += 4) {
      a += w[p + j]! * x[j]!;
      b += w[p + j + 1]! * x[j + 1]!;
      c += w[p + j + 2]! * x[j + 2]!;
      d += w[p + j + 3]! * x[j + 3]!;
    }
    out[r] = a + b + c + d;
  }
};

/** The same, rounded to float32 at each step: saves conversions, costs nothing in bandwidth. */
const fourSumsRounded: Dense = (w, x, _x64, out, rows, columns) => {
  for (let r = 0; r < rows; r++) {
    const p = r * columns;
    let a = 0, b = 0, c = 0, d = 0;
    for (let j = 0; j < columns; j += 4) {
      a = fround(a + fround(w[p + j]! * x[j]!));
      b = fround(b + fround(w[p + j + 1]! * x[j + 1]!));
      c = fround(c + fround(w[p + j + 2]! * x[j + 2]!));
      d = fround(d + fround(w[p + j + 3]! * x[j + 3]!));
    }
    out[r] = a + b + c + d;
  }
};

/** Two rows at a time, four sums each: every activation is loaded once for both. */
const twoRows: Dense = (w, x, _x64, out, rows, columns) => {
  for (let r = 0; r < rows; r += 2) {
    let p = r * columns;
    let q = p + columns;
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let j = 0; j < columns; j += 4, p += 4, q += 4) {
      const x0 = x[j]!, x1 = x[j + 1]!, x2 = x[j + 2]!, x3 = x[j + 3]!;
      a += w[p]! * x0;
      b += w[p + 1]! * x1;
      c += w[p + 2]! * x2;
      d += w[p + 3]! * x3;
      e += w[q]! * x0;
      f += w[q + 1]! * x1;
      g += w[q + 2]! * x2;
      h += w[q + 3]! * x3;
    }
    out[r] = a + b + c + d;
    out[r + 1] = e + f + g + h;
  }
};

/** Four rows at a time, two sums each, activations widened to float64 beforehand. */
const fourRowsWide: Dense = (w, _x, x, out, rows, columns) => {
  for (let r = 0; r < rows; r += 4) {
    const p = r * columns, q = p + columns, u = q + columns, v = u + columns;
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let j = 0; j < columns; j += 2) {
      const x0 = x[j]!, x1 = x[j + 1]!;
      a += w[p + j]! * x0;
      b += w[q + j]! * x0;
      c += w[u + j]! * x0;
      d += w[v + j]! * x0;
      e += w[p + j + 1]! * x1;
      f += w[q + j + 1]! * x1;
      g += w[u + j + 1]! * x1;
      h += w[v + j + 1]! * x1;
    }
    out[r] = a + e;
    out[r + 1] = b + f;
    out[r + 2] = c + g;
    out[r + 3] = d + h;
  }
};

export const DENSE: readonly (readonly [string, Dense])[] = [
  ['dense f32, 4 sums', fourSums],
  ['dense f32, 4 sums, fround', fourSumsRounded],
  ['dense f32, 2 rows', twoRows],
  ['dense f32, 4 rows, x as f64', fourRowsWide],
];
