import { TAPS, type DeltaHeads } from '../delta-net.js';
import type { Gates } from './exp.js';

const { fround } = Math;

export function convolve(
  gates: Gates, x: Float32Array, weights: Float32Array, channels: number, first: number, count: number, state: Float32Array, tokens: number, out: Float32Array,
  lengths?: Uint32Array,
): void {
  const sequences = lengths ? lengths.length : 1;
  const stateSize = state.length / sequences;
  for (let s = 0, t = 0; s < sequences; s++) {
    const own = s * stateSize;
    for (const end = lengths ? t + lengths[s]! : tokens; t < end; t++) {
      for (let j = 0; j < count; j++) {
        const c = first + j;
        const [w, oldest] = [c * TAPS, own + c];
        const [before3, before2, before1, now] = [state[oldest]!, state[oldest + channels]!, state[oldest + 2 * channels]!, x[t * channels + c]!];
        let sum = fround(fround(weights[w]! * before3) + fround(weights[w + 1]! * before2));
        sum = fround(sum + fround(weights[w + 2]! * before1));
        sum = fround(sum + fround(weights[w + 3]! * now));
        out[t * count + j] = fround(sum * gates.sigmoid(sum));
        state[oldest] = before2;
        state[oldest + channels] = before1;
        state[oldest + 2 * channels] = now;
      }
    }
  }
}

export function deltaRule(
  q: Float32Array, k: Float32Array, v: Float32Array, gates: Float32Array, { keyHeads, valueHeads, keyDim, valueDim }: DeltaHeads, state: Float32Array, at: number,
  tokens: number, out: Float32Array, lengths?: Uint32Array,
): void {
  const sequences = lengths ? lengths.length : 1;
  const stateSize = state.length / sequences;
  for (let s = 0, t = 0; s < sequences; s++) {
    for (const end = lengths ? t + lengths[s]! : tokens; t < end; t++) {
      for (let h = 0; h < valueHeads; h++) {
        const key = (t * keyHeads + Math.floor((h * keyHeads) / valueHeads)) * keyDim;
        const value = (t * valueHeads + h) * valueDim;
        const [decay, rate] = [gates[2 * t * valueHeads + h]!, gates[(2 * t + 1) * valueHeads + h]!];
        const own = s * stateSize + at + h * keyDim * valueDim;
        for (let j = 0; j < valueDim; j++) {
          let known = 0;
          for (let i = 0, p = own + j; i < keyDim; i++, p += valueDim) known = fround(known + fround(fround(state[p]! * decay) * k[key + i]!));
          const news = fround(rate * fround(v[value + j]! - known));
          let sum = 0;
          for (let i = 0, p = own + j; i < keyDim; i++, p += valueDim) {
            const next = fround(fround(state[p]! * decay) + fround(k[key + i]! * news));
            state[p] = next;
            sum = fround(sum + fround(next * q[key + i]!));
          }
          out[value + j] = sum;
        }
      }
    }
  }
}

export function split(x: Float32Array, width: number, rows: number, a: Float32Array, b: Float32Array): void {
  for (let row = 0; row < rows; row++) {
    for (let j = 0, from = 2 * row * width, to = row * width; j < width; j++) {
      a[to + j] = x[from + j]!;
      b[to + j] = x[from + width + j]!;
    }
  }
}

export function gate({ sigmoid }: Gates, x: Float32Array, gates: Float32Array, count: number): void {
  for (let j = 0; j < count; j++) x[j] = fround(x[j]! * sigmoid(gates[j]!));
}
