import { measureArena, type Arena, type Kernels } from 'matmulfree';
import type { FloatKernels } from './baselines/float-kernels.js';
import { DENSE } from './dense.js';
import { SHAPES } from './random-model.js';
import { createWasmDense } from './wasm-dense.js';

/*
 * Products of one layer's matrix by all that can compute them, on copies of the weights that together exceed the caches, so that
 * the weights stream from memory as they do in a model.
 */

/** Copies of float weights, and of packed ones, take at least so much: beyond a last-level cache. */
const FLOAT_BYTES = 200e6;
const PACKED_BYTES = 96e6;
/** Tokens of a call. */
const TOKENS = [1, 8, 32] as const;
const MAX_TOKENS = 32;

export interface Shape {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

export interface Candidate {
  readonly label: string;
  readonly kind: 'js' | 'wasm' | 'ternary';
  readonly tokens: number;
  /** Weights read by a call. */
  readonly bytes: number;
  /** A call; each on the next copy of the weights. */
  readonly run: () => void;
  /** Its results, the first token's first. */
  readonly out: Float32Array;
}

export interface Problem extends Shape {
  readonly trits: Int8Array; // [rows, columns]
  readonly q: Int8Array; //     [MAX_TOKENS, columns]
}

let seed = 12345;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

export function randomProblem(shape: Shape): Problem {
  const trits = new Int8Array(shape.rows * shape.columns);
  for (let i = 0; i < trits.length; i++) trits[i] = Math.floor(random() * 3) - 1;
  const q = Int8Array.from({ length: MAX_TOKENS * shape.columns }, () => Math.floor(random() * 255) - 127);
  return { ...shape, trits, q };
}

export function shapes(): Shape[] {
  return Object.entries(SHAPES).flatMap(([model, [hidden, intermediate]]) => [
    shape(`${model} i/f/g/o_proj`, hidden, hidden),
    shape(`${model} gate_proj`, 2 * intermediate, hidden),
    shape(`${model} down_proj`, hidden, intermediate),
  ]);
}

function shape(layer: string, rows: number, columns: number): Shape {
  return { name: `${layer} ${rows}×${columns}`, rows, columns };
}

/** Calls `run` with 0, 1, … copies - 1, 0, …. */
function inTurn(copies: number, run: (copy: number) => void): () => void {
  let next = 0;
  return () => {
    run(next);
    next = (next + 1) % copies;
  };
}

export function denseCandidates({ rows, columns, trits, q }: Problem): Candidate[] {
  const bytes = rows * columns * 4;
  const copies = Math.max(2, Math.ceil(FLOAT_BYTES / bytes));
  const weights = Array.from({ length: copies }, () => Float32Array.from(trits));
  const x = Float32Array.from(q.subarray(0, columns));
  const x64 = Float64Array.from(x);

  const wasm = createWasmDense(copies * trits.length + columns + rows);
  const wasmWeights = weights.map((values) => {
    const copy = wasm.f32(trits.length);
    copy.set(values);
    return copy;
  });
  const wasmX = wasm.f32(columns);
  const wasmOut = wasm.f32(rows);
  wasmX.set(x);

  const js = DENSE.map(([label, dense]): Candidate => {
    const out = new Float32Array(rows);
    return { label, kind: 'js', tokens: 1, bytes, out, run: inTurn(copies, (n) => dense(weights[n], x, x64, out, rows, columns)) };
  });
  return [...js, ...wasm.kernels.map(([label, dense]): Candidate => (
    { label, kind: 'wasm', tokens: 1, bytes, out: wasmOut, run: inTurn(copies, (n) => dense(wasmWeights[n], wasmX, wasmOut)) }
  ))];
}

/** The products that the float baselines are made of (baselines/float-kernels.ts). */
export function floatCandidates(kernels: FloatKernels, { rows, columns, trits, q }: Problem): Candidate[] {
  const bytes = rows * columns * 4;
  const copies = Math.max(2, Math.ceil(FLOAT_BYTES / bytes));
  const allocate = (arena: Arena) => ({
    matrices: Array.from({ length: copies }, () => kernels.createMatrix(arena, rows, columns)),
    x: arena.f32(q.length),
    out: arena.f32(MAX_TOKENS * rows),
  });
  const { matrices, x, out } = allocate(kernels.createArena(measureArena(allocate)));
  const [first] = matrices;
  for (let r = 0; r < rows; r++) kernels.setRow(first, r, Float32Array.from(trits.subarray(r * columns, (r + 1) * columns)));
  for (const { values } of matrices) values.set(first.values);
  x.set(q);
  return TOKENS.map((tokens): Candidate => ({
    label: `float32 ${kernels.backend}${tokens === 1 ? '' : `, ${tokens} tokens`}`,
    kind: kernels.backend === 'js' ? 'js' : 'wasm', tokens, bytes, out,
    run: inTurn(copies, (n) => kernels.matmul(matrices[n], x, tokens, out)),
  }));
}

export function ternaryCandidates(kernels: Kernels, { rows, columns, trits, q }: Problem): Candidate[] {
  const matrixBytes = measureArena((arena) => kernels.createTernary(arena, rows, columns));
  const copies = Math.ceil(PACKED_BYTES / matrixBytes);
  const allocate = (arena: Arena) => ({
    matrices: Array.from({ length: copies }, () => kernels.createTernary(arena, rows, columns)),
    activations: arena.i8(q.length),
    qScales: arena.f32(MAX_TOKENS),
    out: arena.f32(MAX_TOKENS * rows),
  });
  const { matrices, activations, qScales, out } = allocate(kernels.createArena(measureArena(allocate)));
  const [first] = matrices;
  for (let r = 0; r < rows; r++) kernels.packRow(first, r, trits.subarray(r * columns, (r + 1) * columns));
  for (const matrix of matrices) {
    matrix.packed.set(first.packed);
    matrix.scales.fill(1);
  }
  activations.set(q);
  qScales.fill(1);
  return TOKENS.map((tokens): Candidate => ({
    label: `ternary ${kernels.backend}${tokens === 1 ? '' : `, ${tokens} tokens`}`,
    kind: 'ternary', tokens, bytes: first.packed.byteLength, out,
    run: inTurn(copies, (n) => kernels.ternaryMatmul(matrices[n], activations, qScales, tokens, out)),
  }));
}

/** All sums are whole numbers below 2²⁴: exact in float32, in whatever order they are added up. Of several tokens, the first and the last. */
export function checkResults(candidates: readonly Candidate[], problem: Problem): void {
  const { rows } = problem;
  const expected = new Map<number, Float32Array>();
  for (const { label, run, out, tokens } of candidates) {
    out.fill(NaN);
    run();
    for (const token of new Set([0, tokens - 1])) {
      const sums = expected.get(token) ?? plainProduct(problem, token);
      expected.set(token, sums);
      const wrong = sums.findIndex((sum, r) => out[token * rows + r] !== sum);
      if (wrong >= 0) throw new Error(`${label}: row ${wrong} of token ${token} is ${out[token * rows + wrong]}, not ${sums[wrong]}`);
    }
  }
}

function plainProduct({ rows, columns, trits, q }: Problem, token: number): Float32Array {
  const sums = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) sums[r] += trits[r * columns + c] * q[token * columns + c];
  }
  return sums;
}
