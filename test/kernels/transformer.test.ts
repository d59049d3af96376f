import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKernels, type Arena, type Kernels, type TransformerKernels } from 'matmulfree';
import type { FloatType } from '../../src/formats/floats.js';
import { PAGE_POSITIONS, type KeyValuePages, type PageTable } from '../../src/kernels/kernels.js';
import { BACKENDS, floatsIn } from '../support/backends.js';
import { expectSameBits, maxDifference } from '../support/compare.js';
import { freshSeed, randomFrom } from '../support/random.js';

const ARENA_BYTES = 64 * 2 ** 20;

/** What attention computes, in float64, from all keys and values of one kv head. */
function exactAttention(q: readonly number[], keys: readonly number[][], values: readonly number[][]): number[] {
  const scores = keys.map((key) => key.reduce((sum, k, j) => sum + k * q[j]!, 0) / Math.sqrt(q.length));
  const most = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return q.map((_, j) => weights.reduce((sum, weight, n) => sum + weight * values[n]![j]!, 0) / total);
}

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly position: number;
  readonly tokens: number;
  readonly window: number;
  readonly isHalf: boolean;
}

const SHAPES: readonly Shape[] = [
  { heads: 4, kvHeads: 2, headDim: 64, position: 0, tokens: 70, window: Infinity, isHalf: false },
  { heads: 6, kvHeads: 2, headDim: 12, position: 61, tokens: 9, window: Infinity, isHalf: true },
  { heads: 5, kvHeads: 5, headDim: 4, position: 127, tokens: 1, window: 5, isHalf: false },
  { heads: 4, kvHeads: 1, headDim: 100, position: 190, tokens: 17, window: 64, isHalf: true },
  { heads: 2, kvHeads: 1, headDim: 20, position: 130, tokens: 3, window: 129, isHalf: false },
  // Four queries of a token go through the keys together: as they are stored, where there is one token.
  { heads: 8, kvHeads: 2, headDim: 36, position: 200, tokens: 1, window: Infinity, isHalf: true },
  { heads: 8, kvHeads: 1, headDim: 28, position: 70, tokens: 1, window: 33, isHalf: true },
  { heads: 10, kvHeads: 2, headDim: 24, position: 60, tokens: 10, window: 40, isHalf: true },
  { heads: 14, kvHeads: 2, headDim: 20, position: 130, tokens: 1, window: Infinity, isHalf: true },
  { heads: 3, kvHeads: 1, headDim: 12, position: 75, tokens: 1, window: 12, isHalf: true },
  { heads: 7, kvHeads: 1, headDim: 44, position: 65, tokens: 1, window: 66, isHalf: false },
  // So many queries of sixteen tokens have no room together.
  { heads: 14, kvHeads: 1, headDim: 500, position: 2, tokens: 16, window: Infinity, isHalf: true },
  { heads: 14, kvHeads: 2, headDim: 16, position: 5, tokens: 66, window: Infinity, isHalf: false },
];

/** One sequence's keys and values in pages that lie apart, and in the wrong order. */
function store(kernels: TransformerKernels, arena: Arena, shape: Shape, keys: Float32Array, values: Float32Array): { pages: KeyValuePages; table: PageTable } {
  const { kvHeads, headDim, position, tokens, window, isHalf } = shape;
  const firstPage = Math.max(0, Math.floor((position + 1 - window) / PAGE_POSITIONS));
  const count = Math.ceil((position + tokens) / PAGE_POSITIONS) - firstPage;
  const pageElements = 2 * kvHeads * headDim * PAGE_POSITIONS + 32;
  const length = (2 * count + 1) * pageElements;
  const pages = { elements: isHalf ? arena.u16(length) : arena.f32(length), pageElements, kvHeads, headDim };
  // What nobody wrote must not be looked at.
  pages.elements.fill(isHalf ? 0x7e00 : NaN);
  const numbers = arena.u32(count);
  for (let n = 0; n < count; n++) numbers[n] = 2 * (count - n) - 1;
  const width = kvHeads * headDim;
  for (let at = firstPage * PAGE_POSITIONS; at < position + tokens; ) {
    const some = Math.min((at < position ? position : position + tokens) - at, 23); // as a text would come
    kernels.storeKeysValues(keys.subarray(at * width, (at + some) * width), values.subarray(at * width, (at + some) * width), pages,
      { row: 0, tokens: some, position: at, pages: numbers, firstPage });
    at += some;
  }
  return { pages, table: { row: 0, tokens, position, pages: numbers, firstPage } };
}

describe.each(BACKENDS)('kernels of Transformers, $name', ({ backend, threads }) => {
  const seed = freshSeed();
  const random = randomFrom(seed);
  let kernels: Kernels;
  let transformer: TransformerKernels;
  let arena: Arena;
  let scalar: TransformerKernels;
  beforeAll(async () => {
    kernels = await createKernels({ backend, threads, transformer: true });
    arena = kernels.createArena(ARENA_BYTES);
    transformer = kernels.transformer!;
    scalar = (await createKernels({ backend: 'scalar', transformer: true })).transformer!;
  });
  afterAll(() => kernels.dispose());
  const floats = (n: number, scale = 1): Float32Array => floatsIn(arena, Array.from({ length: n }, () => random.normal() * scale));

  it.each(SHAPES)(`attention is near float64, and has the scalar backend's bits: $heads heads on $kvHeads of $headDim, $tokens tokens at $position, window $window, float16 $isHalf (seed ${seed})`, (shape) => {
    const { heads, kvHeads, headDim, position, tokens, window, isHalf } = shape;
    const width = kvHeads * headDim;
    const [keys, values] = [floats((position + tokens) * width, 2), floats((position + tokens) * width)];
    const q = floats(tokens * heads * headDim);
    const out = arena.f32(q.length);
    const { pages, table } = store(transformer, arena, shape, keys, values);
    transformer.attention(q, heads, pages, table, window, out);

    const expected = new Float32Array(q.length);
    const plain = store(scalar, { f32: (n) => new Float32Array(n), u16: (n) => new Uint16Array(n), u32: (n) => new Uint32Array(n), u8: (n) => new Uint8Array(n), i8: (n) => new Int8Array(n) }, shape, keys, values);
    expectSameBits(Float32Array.from(pages.elements), Float32Array.from(plain.pages.elements));
    scalar.attention(q, heads, plain.pages, plain.table, window, expected);
    expectSameBits(out, expected);

    const row = (all: Float32Array, p: number, head: number): number[] => [...all.slice(p * width + head * headDim, p * width + (head + 1) * headDim)];
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const at = (t * heads + h) * headDim;
        const kvHead = Math.floor((h * kvHeads) / heads);
        const seen = Array.from({ length: position + t + 1 }, (_, p) => p).slice(-Math.min(window, position + t + 1));
        const exact = exactAttention([...q.slice(at, at + headDim)], seen.map((p) => row(keys, p, kvHead)), seen.map((p) => row(values, p, kvHead)));
        expect(maxDifference(out.slice(at, at + headDim), exact)).toBeLessThan(isHalf ? 0.02 : 1e-5);
      }
    }
  });

  it(`reads float16 of any size, subnormal too, with queries of any size (seed ${seed})`, () => {
    const [heads, headDim, position] = [7, 20, 70];
    for (const [size, querySize] of [[1e-6, 1], [3e-5, 1000], [2e4, 1e-30], [2e4, 3e5], [1e-6, 1e30]] as const) {
      const shape = { heads, kvHeads: 1, headDim, position, tokens: 1, window: Infinity, isHalf: true };
      const [keys, values, q] = [floats((position + 1) * headDim, size), floats((position + 1) * headDim, size), floats(heads * headDim, querySize)];
      const [out, expected] = [arena.f32(q.length), new Float32Array(q.length)];
      const { pages, table } = store(transformer, arena, shape, keys, values);
      transformer.attention(q, heads, pages, table, Infinity, out);
      scalar.attention(q, heads, { ...pages, elements: pages.elements.slice() }, table, Infinity, expected);
      expectSameBits(out, expected);
      expect(out.some((value) => value !== 0)).toBe(true);
    }
  });

  it('keys and values become the nearest float16, half to even, at most ±65504', () => {
    const given = [0, -0, 1, -1, 65504, 65519, 65520, 1e9, -1e9, 2 ** -14, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -26, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 0.1, -3.14159, 6.1e-5, 1e-7];
    const wanted = [0, 0x8000, 0x3c00, 0xbc00, 0x7bff, 0x7bff, 0x7bff, 0x7bff, 0xfbff, 0x0400, 1, 0, 2, 0, 0x3c00, 0x3c02, 0x2e66, 0xc248, 0x03ff, 2];
    const pages = { elements: arena.u16(2 * given.length * PAGE_POSITIONS), pageElements: 2 * given.length * PAGE_POSITIONS, kvHeads: 1, headDim: given.length };
    const table = { row: 0, tokens: 1, position: 0, pages: arena.u32(1), firstPage: 0 };
    transformer.storeKeysValues(floatsIn(arena, given), floatsIn(arena, given), pages, table);
    expect([...pages.elements.slice(0, given.length)]).toEqual(wanted);
    expect([...pages.elements.slice(PAGE_POSITIONS * given.length, (PAGE_POSITIONS + 1) * given.length)]).toEqual(wanted);
  });

  it(`turns pairs of channels as the formula says (seed ${seed})`, () => {
    for (const [heads, headDim, pairs] of [[3, 16, 8], [1, 12, 6], [2, 20, 5], [4, 64, 16]] as const) {
      const [tokens, x] = [5, floats(5 * heads * headDim)];
      const before = x.slice();
      const angles = floatsIn(arena, Array.from({ length: tokens }, (_, t) => [...Array.from({ length: pairs }, (_, j) => Math.cos(t * j + 1)), ...Array.from({ length: pairs }, (_, j) => Math.sin(t * j + 1))]).flat());
      transformer.rotate(x, heads, headDim, pairs, angles, tokens);
      const same = before.slice();
      scalar.rotate(same, heads, headDim, pairs, angles, tokens);
      expectSameBits(x, same);
      for (let t = 0; t < tokens; t++) {
        for (let h = 0; h < heads; h++) {
          const at = (t * heads + h) * headDim;
          for (let j = 0; j < headDim; j++) {
            const partner = j < pairs ? -before[at + j + pairs]! : before[at + j - pairs]!;
            const pair = j % pairs;
            const exact = j < 2 * pairs ? before[at + j]! * Math.cos(t * pair + 1) + partner * Math.sin(t * pair + 1) : before[at + j]!;
            expect(Math.abs(x[at + j]! - exact)).toBeLessThan(1e-6);
          }
        }
      }
    }
  });

  it('quantises to the nearest of 255 steps, halves to even; zeros have a scale', () => {
    const steps = [127, 0.5, -0.5, 1.5, -1.5, 2.5, 0.49999997, 126.5, -126.5, 3.2, -127, 0];
    const x = floatsIn(arena, [...steps.map((v) => v / 4), ...steps.map(() => 0)]);
    const [q, qScales] = [arena.i8(x.length), arena.f32(2)];
    transformer.quantize(x, steps.length, 2, q, qScales);
    expect([...q]).toEqual([127, 0, 0, 2, -2, 2, 0, 126, -126, 3, -127, 0, ...steps.map(() => 0)]);
    expect(qScales[0]).toBe(0.25);
    expect(qScales[1]).toBe(Math.fround(Math.fround(1e-5) / 127));
  });

  it(`quantises, and gates, with the scalar backend's bits for every width (seed ${seed})`, () => {
    for (const width of [1, 2, 3, 5, 8, 13, 31, 260]) {
      const x = floats(3 * width, 4);
      const [q, qScales] = [arena.i8(x.length), arena.f32(3)];
      const [q2, qScales2] = [new Int8Array(x.length), new Float32Array(3)];
      transformer.quantize(x, width, 3, q, qScales);
      scalar.quantize(x, width, 3, q2, qScales2);
      expect([...q]).toEqual([...q2]);
      expectSameBits(qScales, qScales2);
      for (const activation of ['silu', 'relu2'] as const) {
        const b = floats(x.length);
        const [out, out2] = [arena.f32(x.length), new Float32Array(x.length)];
        transformer.glu(x, b, activation, x.length, out);
        scalar.glu(x, b, activation, x.length, out2);
        expectSameBits(out, out2);
        out.forEach((value, j) => {
          const a = x[j]!;
          const exact = (activation === 'silu' ? a / (1 + Math.exp(-a)) : Math.max(a, 0) ** 2) * b[j]!;
          expect(Math.abs(value - exact)).toBeLessThan(1e-5 * (1 + Math.abs(exact)));
        });
      }
    }
  });

  it.each<FloatType>(['F32', 'F16', 'BF16'])(`a float product of a %s table is near float64, and has the scalar backend's bits (seed ${seed})`, (type) => {
    for (const [rows, columns, tokens] of [[1, 4, 1], [7, 12, 3], [130, 96, 2], [9, 64, 17], ...Array.from({ length: 15 }, (_, n) => [1 + (n % 6), n + 1, 1 + (n % 3)] as const)] as const) {
      const words = Array.from({ length: rows * columns }, () => random.normal());
      const table = type === 'F32' ? arena.u8(rows * columns * 4) : arena.u8(rows * columns * 2);
      const stored = type === 'F32' ? Float32Array.from(words) : Uint16Array.from(words, (v) => new Uint32Array(Float32Array.of(v).buffer)[0]! >>> (type === 'BF16' ? 16 : 17));
      table.set(new Uint8Array(stored.buffer));
      const x = floats(tokens * columns);
      const [out, out2] = [arena.f32(tokens * rows), new Float32Array(tokens * rows)];
      transformer.floatMatmul(table, type, rows, x, columns, tokens, out);
      scalar.floatMatmul(table, type, rows, x, columns, tokens, out2);
      expectSameBits(out, out2);
      if (type === 'F16') continue; // those bits are other numbers
      for (let t = 0; t < tokens; t++) {
        for (let r = 0; r < rows; r++) {
          const exact = Array.from({ length: columns }, (_, c) => c).reduce((sum, c) => {
            const weight = type === 'F32' ? (stored as Float32Array)[r * columns + c]! : new Float32Array(Uint32Array.of((stored as Uint16Array)[r * columns + c]! << 16).buffer)[0]!;
            return sum + weight * x[t * columns + c]!;
          }, 0);
          expect(Math.abs(out[t * rows + r]! - exact)).toBeLessThan(1e-4);
        }
      }
    }
  });
});
