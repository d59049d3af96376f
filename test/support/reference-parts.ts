import type { GoldenTensor } from './files.js';

/* What the float64 references of all families are made of: slow and plain, straight from the formulas. */

export type Tensors = Record<string, GoldenTensor>;

export function rmsNorm(x: readonly number[], weight: ArrayLike<number>, eps: number): number[] {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return x.map((v, j) => (v / Math.sqrt(mean + eps)) * weight[j]!);
}

/** Told the residual of a token before a layer, after its token mixer, and after its channel mixer. */
export type Watch = (layer: number, at: 'before' | 'between' | 'after', residual: readonly number[]) => void;

export interface Ternary {
  readonly trits: readonly (readonly number[])[];
  readonly scale: number; // weight ≈ trit · scale
}

/** trit = clamp(round(W / m)), half to even; m = max(mean|W|, 1e-5). */
export function absmean({ shape: [, columns = 0], values }: GoldenTensor): Ternary {
  const scale = Math.max(Array.from(values).reduce((sum, w) => sum + Math.abs(w), 0) / values.length, 1e-5);
  const trits = Array.from(values, (w) => clamp(roundHalfToEven(w * (1 / scale)), -1, 1));
  return { scale, trits: Array.from({ length: values.length / columns }, (_, r) => trits.slice(r * columns, (r + 1) * columns)) };
}

/** Ternary weights times activations in int8, one scale a token; `round` undefined: times the activations as they are. */
export function ternaryProduct({ trits, scale }: Ternary, x: readonly number[], round: ((v: number) => number) | undefined): number[] {
  const s = round ? 127 / Math.max(...x.map(Math.abs), 1e-5) : 1;
  const q = round ? x.map((v) => clamp(round(v * s), -128, 127)) : x;
  return trits.map((row) => (row.reduce((sum, t, j) => sum + t * q[j]!, 0) / s) * scale);
}

/** RoPE of all heads of a token, rotate-half: channel j turns with j + half of its head. */
export function turned(x: readonly number[], headDim: number, position: number, frequencies: readonly number[], magnitude = 1): number[] {
  const half = headDim / 2;
  return x.map((v, n) => {
    const j = n % headDim;
    const angle = position * frequencies[j % half]!;
    const other = j < half ? -x[n + half]! : x[n - half]!;
    return magnitude * (v * Math.cos(angle) + other * Math.sin(angle));
  });
}

export function plainFrequencies(headDim: number, theta: number): number[] {
  return Array.from({ length: headDim / 2 }, (_, j) => theta ** (-2 * j / headDim));
}

/**
 * softmax(q · kᵀ / √headDim) · v for the last of `keys`, which sees `window` tokens, itself included; query heads share key heads in
 * order: h of H has ⌊h / (H / kvHeads)⌋.
 */
export function attend(query: readonly number[], keys: readonly number[][], values: readonly number[][], headDim: number, kvHeads: number, window: number): number[] {
  const heads = query.length / headDim;
  const first = Math.max(0, keys.length - window);
  return Array.from({ length: heads }, (_, head) => {
    const at = Math.floor(head / (heads / kvHeads)) * headDim;
    const scores = keys.slice(first).map((key) => {
      let sum = 0;
      for (let j = 0; j < headDim; j++) sum += query[head * headDim + j]! * key[at + j]!;
      return sum / Math.sqrt(headDim);
    });
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Array.from({ length: headDim }, (_, j) => weights.reduce((sum, weight, n) => sum + (weight / total) * values[first + n]![at + j]!, 0));
  }).flat();
}

export function matrix({ shape, values }: GoldenTensor): number[][] {
  const [rows = 0, columns = 0] = shape;
  return Array.from({ length: rows }, (_, r) => Array.from(values.slice(r * columns, (r + 1) * columns)));
}

/** Makes each thing once. */
export function once<Made>(make: (name: string) => Made): (name: string) => Made {
  const made = new Map<string, Made>();
  return (name) => {
    if (!made.has(name)) made.set(name, make(name));
    return made.get(name)!;
  };
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const add = (a: readonly number[], b: readonly number[]): number[] => a.map((v, j) => v + b[j]!);
export const clamp = (v: number, min: number, max: number): number => Math.min(max, Math.max(min, v));
export const roundHalfAway = (v: number): number => Math.sign(v) * Math.round(Math.abs(v));

export function roundHalfToEven(v: number): number {
  const below = Math.floor(v);
  const rest = v - below;
  if (rest !== 0.5) return Math.round(v);
  return below % 2 === 0 ? below : below + 1;
}
