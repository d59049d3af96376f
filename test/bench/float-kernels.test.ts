import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Arena } from 'matmulfree';
import { createFloatKernels } from '../../bench/baselines/create.js';
import type { FloatKernels, FloatMatrix } from '../../bench/baselines/float-kernels.js';
import { floatsIn } from '../support/backends.js';
import { maxDifference } from '../support/compare.js';
import { FLOAT_BACKENDS } from '../support/float-backends.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();

/** Sums of some hundred float32 products of numbers around 1. */
const TOLERANCE = 1e-4;

function naiveMatmul(w: Float32Array, x: Float32Array, rows: number, columns: number, tokens: number): Float64Array {
  const out = new Float64Array(tokens * rows);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      for (let j = 0; j < columns; j++) out[t * rows + r] += w[r * columns + j]! * x[t * columns + j]!;
    }
  }
  return out;
}

interface Heads {
  readonly heads: number;
  readonly headSize: number;
}

/** The formula, with whole rows of scores, in float64. All of q, k, v: [positions, heads · headSize]. */
function naiveAttention({ heads, headSize }: Heads, q: Float32Array, k: Float32Array, v: Float32Array): Float64Array {
  const width = heads * headSize;
  const out = new Float64Array(q.length);
  for (let p = 0; p < q.length / width; p++) {
    for (let head = 0; head < heads; head++) {
      const at = (position: number): number => position * width + head * headSize;
      const scores = Array.from({ length: p + 1 }, (_, other) => {
        let dot = 0;
        for (let j = 0; j < headSize; j++) dot += q[at(p) + j]! * k[at(other) + j]!;
        return dot / Math.sqrt(headSize);
      });
      const maximum = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - maximum));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      weights.forEach((weight, other) => {
        for (let j = 0; j < headSize; j++) out[at(p) + j] += (weight / total) * v[at(other) + j]!;
      });
    }
  }
  return out;
}

describe.each(FLOAT_BACKENDS)(`the float baselines' kernels, $name, seed ${seed}`, (options) => {
  const random = randomFrom(seed);
  const floats = (count: number, scale = 1): Float32Array => Float32Array.from({ length: count }, () => scale * random.normal());
  let kernels: FloatKernels;
  let arena: Arena;
  beforeAll(async () => {
    kernels = await createFloatKernels(options);
    arena = kernels.createArena(64 * 2 ** 20);
  });
  afterAll(() => kernels.dispose());

  function matrixOf(values: Float32Array, rows: number, columns: number): FloatMatrix {
    const matrix = kernels.createMatrix(arena, rows, columns);
    for (let r = 0; r < rows; r++) kernels.setRow(matrix, r, values.subarray(r * columns, (r + 1) * columns));
    return matrix;
  }

  it.each([
    [16, 4], [32, 20], [48, 256], [64, 260], [160, 516], [1040, 128],
  ])('multiply a matrix of %i × %i with any number of tokens', (rows, columns) => {
    const values = floats(rows * columns, 1 / Math.sqrt(columns));
    const matrix = matrixOf(values, rows, columns);
    for (const tokens of [1, 2, 3, 4, 5, 7, 8, 9, 23]) {
      const x = floats(tokens * columns);
      const out = floatsIn(arena, new Float32Array(tokens * rows + 1).fill(NaN));
      kernels.matmul(matrix, floatsIn(arena, x), tokens, out.subarray(0, tokens * rows));
      expect(maxDifference(out.subarray(0, tokens * rows), naiveMatmul(values, x, rows, columns, tokens)), `${tokens} tokens`).toBeLessThan(TOLERANCE);
      expect(out.at(-1)).toBeNaN(); // nothing is written behind the end
    }
  });

  it('refuse shapes that they are not written for', () => {
    expect(() => kernels.createMatrix(arena, 24, 16)).toThrow('rows is 24; the float baselines take multiples of 16');
    expect(() => kernels.createMatrix(arena, 16, 18)).toThrow('columns is 18');
    expect(() => kernels.createCache(arena, 2, 24, 10)).toThrow('head is 24');
  });

  it('turn pairs of channels by their angles', () => {
    const [heads, headSize, tokens] = [3, 16, 5];
    const x = floats(tokens * heads * headSize);
    const turns = Array.from({ length: tokens * 8 }, () => random.unit() * 6);
    const angles = new Float32Array(tokens * headSize);
    turns.forEach((turn, n) => {
      const at = Math.floor(n / 8) * headSize + (n % 8);
      angles[at] = Math.cos(turn);
      angles[at + 8] = Math.sin(turn);
    });
    const turned = floatsIn(arena, x);
    kernels.rotate(turned, heads, headSize, floatsIn(arena, angles), tokens);
    const expected = new Float64Array(x.length);
    for (let t = 0; t < tokens; t++) {
      for (let head = 0; head < heads; head++) {
        for (let pair = 0; pair < 8; pair++) {
          const at = (t * heads + head) * headSize + pair;
          const turn = turns[t * 8 + pair]!;
          expected[at] = x[at]! * Math.cos(turn) - x[at + 8]! * Math.sin(turn);
          expected[at + 8] = x[at + 8]! * Math.cos(turn) + x[at]! * Math.sin(turn);
        }
      }
    }
    expect(maxDifference(turned, expected)).toBeLessThan(1e-5);
  });

  it.each([
    { heads: 1, headSize: 16, pieces: [1, 1, 1, 1, 1] },
    { heads: 3, headSize: 32, pieces: [37, 1, 1] },
    { heads: 2, headSize: 64, pieces: [5, 16, 100, 1, 7, 1] },
    { heads: 2, headSize: 16, pieces: [300] },
    { heads: 5, headSize: 48, pieces: [126, 1, 1, 1, 130, 3] },
  ])('attend over $pieces positions, $heads heads of $headSize', ({ heads, headSize, pieces }) => {
    const width = heads * headSize;
    const positions = pieces.reduce((sum, n) => sum + n, 0);
    // Some scores are far from the others, so that maxima move from tile to tile.
    const q = floats(positions * width, 2);
    const k = floats(positions * width, 2);
    const v = floats(positions * width);
    const expected = naiveAttention({ heads, headSize }, q, k, v);
    const cache = kernels.createCache(arena, heads, headSize, positions);
    let position = 0;
    for (const tokens of pieces) {
      const part = (values: Float32Array): Float32Array => floatsIn(arena, values.subarray(position * width, (position + tokens) * width));
      kernels.store(cache, part(k), part(v), position, tokens);
      const out = floatsIn(arena, new Float32Array(tokens * width));
      kernels.attention(cache, part(q), position, tokens, out);
      expect(maxDifference(out, expected.subarray(position * width, (position + tokens) * width)), `at ${position}`).toBeLessThan(TOLERANCE);
      position += tokens;
    }
  });

  it('attend when one score is far above all others, first or last', () => {
    const [heads, headSize, positions] = [1, 16, 200];
    for (const loud of [0, 199]) {
      const q = new Float32Array(positions * headSize).fill(3);
      const k = floats(positions * headSize, 0.01);
      k.fill(20, loud * headSize, (loud + 1) * headSize);
      const v = floats(positions * headSize);
      const cache = kernels.createCache(arena, heads, headSize, positions);
      kernels.store(cache, floatsIn(arena, k), floatsIn(arena, v), 0, positions);
      const out = floatsIn(arena, new Float32Array(positions * headSize));
      kernels.attention(cache, floatsIn(arena, q), 0, positions, out);
      expect(maxDifference(out, naiveAttention({ heads, headSize }, q, k, v))).toBeLessThan(TOLERANCE);
    }
  });
});
