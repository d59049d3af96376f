import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKernels, type Arena, type Kernels } from 'matmulfree';
import type { DeltaHeads, DeltaNetKernels } from '../../src/kernels/delta-net.js';
import * as parts from '../../src/kernels/wasm/delta-net.js';
import { DELTA_NET_PARAMETERS } from '../../src/kernels/wasm/delta-net-emit.js';
import { MORE_CHECKS } from '../../src/kernels/wasm/delta-net-self-test.js';
import { emitKernels } from '../../src/kernels/wasm/emit.js';
import * as grouped from '../../src/kernels/wasm/grouped.js';
import { lookUpProducts } from '../../src/kernels/wasm/lookup-products.js';
import { findFault } from '../../src/kernels/wasm/self-test.js';
import { BACKENDS, floatsIn } from '../support/backends.js';
import { expectSameBits, maxDifference } from '../support/compare.js';
import { FULL } from '../support/effort.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { idleFunctions, wrongStores } from '../support/wasm-faults.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const popcount = (n: number): number => n.toString(2).replaceAll('0', '').length;

describe.each(BACKENDS)('kernels of gated delta nets, $name', ({ backend, threads }) => {
  const seed = freshSeed();
  const random = randomFrom(seed);
  let kernels: Kernels;
  let arena: Arena;
  let tried: DeltaNetKernels;
  let scalar: DeltaNetKernels;
  beforeAll(async () => {
    kernels = await createKernels({ backend, threads, transformer: 'delta-net' });
    arena = kernels.createArena(64 * 2 ** 20);
    tried = kernels.transformer!.deltaNet!;
    scalar = (await createKernels({ backend: 'scalar', transformer: 'delta-net' })).transformer!.deltaNet!;
  });
  afterAll(() => kernels.dispose());
  const floats = (n: number, scale = 1): Float32Array => floatsIn(arena, Array.from({ length: n }, () => random.normal() * scale));
  const signsOf = (n: number): Float32Array => floatsIn(arena, Array.from({ length: n }, () => (random.unit() < 0.5 ? 1 : -1)));

  it.each([[4, 4, 3], [8, 24, 2], [64, 192, 5], [128, 128, 1], [512, 2560, 2], [2048, 6144, 3], [4096, 4096, 1]])(`hadamard of blocks of %i in %i columns: the matrix of its definition (seed ${seed})`, (block, width, tokens) => {
    const [x, signs, out] = [floats(tokens * width), signsOf(width), arena.f32(tokens * width)];
    tried.hadamard(x, signs, block, width, tokens, out);
    const expected = new Float32Array(tokens * width);
    scalar.hadamard(x, signs, block, width, tokens, expected);
    expectSameBits(out, expected);
    // Some rows of it.
    for (let n = 0; n < 8; n++) {
      const at = random.integer(0, tokens * width - 1);
      const start = at - (at % block);
      let sum = 0;
      for (let j = 0; j < block; j++) sum += (popcount((at - start) & j) % 2 === 0 ? 1 : -1) * x[start + j]! * signs[(start + j) % width]!;
      expect(Math.abs(out[at]! - sum / Math.sqrt(block))).toBeLessThan(1e-5);
    }
    tried.hadamard(x, undefined, block, width, tokens, x);
    scalar.hadamard(Float32Array.from(x), undefined, block, width, tokens, expected);
    tried.hadamard(x, undefined, block, width, tokens, x); // its own inverse, in place
    expect(x.every(Number.isFinite)).toBe(true);
  });

  it(`convolve, in one go and in pieces, of one sequence and of several (seed ${seed})`, () => {
    const [channels, first, count, tokens, stateSize] = [40, 8, 20, 9, 150];
    const [x, weights] = [floats(tokens * channels), floats(channels * 4)];
    const begin = Array.from({ length: stateSize }, () => random.normal());
    const [state, out] = [floatsIn(arena, begin), arena.f32(tokens * count)];
    tried.convolve(x, weights, channels, first, count, state, tokens, out);
    const [states, expected] = [Float32Array.from(begin), new Float32Array(tokens * count)];
    scalar.convolve(x, weights, channels, first, count, states, tokens, expected);
    expectSameBits(out, expected);
    expectSameBits(state, states);
    const input = (t: number, c: number): number => (t < 0 ? begin[(t + 3) * channels + c]! : x[t * channels + c]!);
    for (let t = 0; t < tokens; t++) {
      for (let j = 0; j < count; j++) {
        const sum = [0, 1, 2, 3].reduce((total, n) => total + weights[(first + j) * 4 + n]! * input(t - 3 + n, first + j), 0);
        expect(Math.abs(out[t * count + j]! - sum * sigmoid(sum))).toBeLessThan(1e-5);
      }
    }
    // The same tokens as two pieces of a sequence between those of another one.
    const [both, pieces] = [floatsIn(arena, [...begin, ...begin]), arena.f32(tokens * count)];
    const lengths = arena.u32(2);
    lengths.set([4, 5]);
    tried.convolve(x, weights, channels, first, count, both, tokens, pieces, lengths);
    const alone = [new Float32Array(4 * count), new Float32Array(5 * count)] as const;
    const own = [Float32Array.from(begin), Float32Array.from(begin)] as const;
    scalar.convolve(x, weights, channels, first, count, own[0], 4, alone[0]);
    scalar.convolve(x.slice(4 * channels), weights, channels, first, count, own[1], 5, alone[1]);
    expectSameBits(pieces, Float32Array.from([...alone[0], ...alone[1]]));
    expectSameBits(both, Float32Array.from([...own[0], ...own[1]]));
  });

  it.each<DeltaHeads>([
    { keyHeads: 2, valueHeads: 6, keyDim: 12, valueDim: 20 }, { keyHeads: 1, valueHeads: 1, keyDim: 4, valueDim: 4 }, { keyHeads: 4, valueHeads: 4, keyDim: 128, valueDim: 128 },
    { keyHeads: 2, valueHeads: 4, keyDim: 64, valueDim: 48 },
  ])(`the delta rule, $keyHeads key heads of $keyDim, $valueHeads value heads of $valueDim (seed ${seed})`, (heads) => {
    const { keyHeads, valueHeads, keyDim, valueDim } = heads;
    const [tokens, at] = [5, 8];
    const [q, k] = [floats(tokens * keyHeads * keyDim, keyDim ** -0.5), floats(tokens * keyHeads * keyDim, keyDim ** -0.5)];
    const [v, gates] = [floats(tokens * valueHeads * valueDim), floatsIn(arena, Array.from({ length: 2 * tokens * valueHeads }, () => random.unit()))];
    const size = at + valueHeads * keyDim * valueDim;
    const begin = Array.from({ length: size }, () => random.normal() * 0.3);
    const [state, out] = [floatsIn(arena, begin), arena.f32(tokens * valueHeads * valueDim)];
    tried.deltaRule(q, k, v, gates, heads, state, at, tokens, out);
    const [own, expected] = [Float32Array.from(begin), new Float32Array(out.length)];
    scalar.deltaRule(q, k, v, gates, heads, own, at, tokens, expected);
    expectSameBits(out, expected);
    expectSameBits(state, own);
    // In float64, by whole matrices.
    const exact = new Float64Array(out.length);
    for (let h = 0; h < valueHeads; h++) {
      const S = Array.from({ length: keyDim }, (_, i) => begin.slice(at + (h * keyDim + i) * valueDim, at + (h * keyDim + i + 1) * valueDim));
      for (let t = 0; t < tokens; t++) {
        const key = (t * keyHeads + Math.floor(h / (valueHeads / keyHeads))) * keyDim;
        const [decay, rate] = [gates[2 * t * valueHeads + h]!, gates[(2 * t + 1) * valueHeads + h]!];
        for (const row of S) row.forEach((value, j) => { row[j] = decay * value; });
        const news = Array.from({ length: valueDim }, (_, j) => rate * (v[(t * valueHeads + h) * valueDim + j]! - S.reduce((sum, row, i) => sum + row[j]! * k[key + i]!, 0)));
        S.forEach((row, i) => news.forEach((u, j) => { row[j]! += k[key + i]! * u; }));
        for (let j = 0; j < valueDim; j++) exact[(t * valueHeads + h) * valueDim + j] = S.reduce((sum, row, i) => sum + row[j]! * q[key + i]!, 0);
      }
    }
    expect(maxDifference(out, exact)).toBeLessThan(1e-5);
  });

  it(`split and gate (seed ${seed})`, () => {
    const [x, a, b] = [floats(7 * 24), arena.f32(7 * 12), arena.f32(7 * 12)];
    tried.split(x, 12, 7, a, b);
    expect(Array.from(a)).toEqual(Array.from(x).filter((_, n) => n % 24 < 12));
    expect(Array.from(b)).toEqual(Array.from(x).filter((_, n) => n % 24 >= 12));
    const before = Float32Array.from(a);
    tried.gate(a, b, 83);
    const expected = Float32Array.from(before);
    scalar.gate(expected, b, 83);
    expectSameBits(a, expected);
    expect(maxDifference(a.subarray(0, 83), before.subarray(0, 83).map((value, n) => value * sigmoid(b[n]!)))).toBeLessThan(1e-6);
  });
});

describe('the self-test of the module', () => {
  const products = lookUpProducts(false, grouped);
  const bytes = emitKernels({ products, threads: false, transformer: parts });
  const own = new Set<string>(Object.keys(DELTA_NET_PARAMETERS));
  const checks = Object.fromEntries(Object.entries(MORE_CHECKS.checks).filter(([name]) => own.has(name)));
  const test = (module: Uint8Array<ArrayBuffer>): string | undefined =>
    findFault({ backend: 'simd', module: new WebAssembly.Module(module), products, shared: false, transformer: parts }, { ...MORE_CHECKS, checks });

  it('passes, and notices each function that does nothing, or stores something else', () => {
    expect(test(bytes)).toBeUndefined();
    const idle = [...idleFunctions(bytes)].filter(({ name }) => own.has(name));
    expect(idle).toHaveLength(own.size);
    for (const fault of idle) expect(test(fault.module()), fault.name).toMatch(new RegExp(`: ${fault.name}\\)$`));
    const stores = [...wrongStores(bytes, 5)].filter(({ where }) => own.has(where));
    // Of each function the first one and the last one; the full run tries all.
    const some = stores.filter(({ where }, n) => FULL || stores[n - 1]?.where !== where || stores[n + 1]?.where !== where);
    expect(some.filter((fault) => test(fault.module()) === undefined).map(({ name }) => name)).toEqual([]);
  });
});
