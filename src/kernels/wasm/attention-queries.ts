import { f32, f32x4, i32, i32x4, i8x16, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { PAGE_POSITIONS } from '../kernels.js';
import { sumLanes, sumWords } from './dot.js';
import { createExps } from './exp.js';
import { HALF_UNIT, splatBits } from './half.js';
import { splatF32, words, ZERO } from './vectors.js';

/*
 * What a few queries of a token do with a tile of keys and values. They go through it together, so that what is loaded, and made of float16,
 * serves all of them. Loops are short: engines that hoist loads (Node 20) spill those of long ones.
 *
 * Float16 is read with its exponent as it stands: its bits where float32 has them are a number 2¹¹² times smaller, subnormal or not. The other
 * factor of each product is made 2¹¹² times larger instead, which changes no bit of the product. Nor are halves sorted: of eight channels the
 * even ones are a vector, and the odd ones another. In float32 these vectors, `first` and `second`, are channels 0 … 3 and 4 … 7.
 */

const { add, sub, mul, div } = f32x4;

/** Queries that go through keys and values together, as many as there are. */
export const BUNDLES = [4, 2, 1] as const;
export type Bundle = (typeof BUNDLES)[number];

/**
 * The state of a bundle: maximum, total, correction [queries, repeated to four lanes]; weights [64, queries]; then, channels made up to a multiple of
 * eight, what is mixed so far [channels / 8, queries, first and second]; the queries [first and second, channels / 8, queries].
 */
const STATE = { maximum: 0, total: 16, correction: 32, weights: 48 } as const;
const mixedOf = (bundle: number): number => STATE.weights + 4 * PAGE_POSITIONS * bundle;
/** Bytes of state for each query. */
export const stateBytes = (paddedBytes: number): number => STATE.weights + 4 * PAGE_POSITIONS + 2 * paddedBytes;
/** Exponentials side by side. */
const TOGETHER = 4;
/** Below every score. */
const LOWEST = -3e38;

export interface BundleFunctions {
  /** score(state, rows, …): scaled q · k for the positions from … to - 1 of a tile, multiples of eight; touches what is `touch` bytes behind their rows, if that is not 0. */
  readonly score: Func;
  /** mix(state, values, headDim, padded, first, last): adds the values of positions first … last - 1, weighted, one after another. */
  readonly mix: Func;
}

interface Rows {
  /** log₂ of an element's bytes. */
  readonly shift: 1 | 2;
  /** The first and the second vector of the eight channels at a pointer. */
  first(at: I32): V128;
  second(at: I32): V128;
  /** Both of those that are `offset` bytes on; the first one is to be used first. */
  both(at: I32, offset: number): readonly [first: V128, second: V128];
}

function createRows(b: Body, isHalf: boolean): Rows {
  if (!isHalf) return { shift: 2, first: (at) => v128.load(at), second: (at) => v128.load(at, 16), both: (at, offset) => [v128.load(at, offset), v128.load(at, offset + 16)] };
  const signAndMagnitude = b.local('v128', splatBits(0x8fffe000));
  const up13 = b.local('v128', splatBits(1 << 13)); // for the lower half; the upper one times 0
  const eight = b.local('v128');
  const first = (halves: V128): V128 => v128.and(i32x4.dotI16x8S(halves, up13), signAndMagnitude);
  const second = (halves: V128): V128 => v128.and(i32x4.shrS(halves, 3), signAndMagnitude);
  return {
    shift: 1,
    first: (at) => first(v128.load(at)),
    second: (at) => second(v128.load(at)),
    both(at, offset) {
      b.set(eight, v128.load(at, offset));
      return [first(eight), second(eight)];
    },
  };
}

export function emitBundle(module: ModuleBuilder, bundle: Bundle, isHalf: boolean): BundleFunctions {
  const name = `${bundle}${isHalf ? 'Half' : 'Float'}`;
  const queries = Array.from({ length: bundle }, (_, g) => g);
  /** Two streams go through the rows, from the first and from half way on: memory gives two more than one. As many rows of each as make a vector of sums. */
  const streams = bundle === 1 ? 1 : 2;
  const each = 4 / bundle;
  const shift = 2 + Math.log2(bundle); // bytes of a position's weights
  const score = module.func(`attentionScore${name}`, {
    state: 'i32', rows: 'i32', headDim: 'i32', padded: 'i32', from: 'i32', to: 'i32', scale: 'f32', spare: 'i32', touch: 'i32',
  }, (b, p) => {
    const read = createRows(b, isHalf);
    const rows = b.locals('i32', streams * each);
    const [n, q, left] = b.locals('i32', 3) as [Local<'i32'>, Local<'i32'>, Local<'i32'>];
    // `mix` goes through the values in columns: here they are touched in rows, as memory likes to be read.
    const [touched, line, lineEnd] = b.locals('i32', 3) as [Local<'i32'>, Local<'i32'>, Local<'i32'>];
    const sums = b.locals('v128', 4 * streams);
    const evens = b.locals('v128', streams);
    const key = b.locals('v128', rows.length);
    const x = b.local('v128');
    const scale = b.local('v128', f32x4.splat(p.scale));
    const rowBytes = b.local('i32', i32.shl(p.headDim, read.shift));
    const allQueries = b.local('i32', i32.add(i32.add(p.state, mixedOf(bundle)), i32.shl(p.padded, shift)));
    const span = b.local('i32', i32.shrU(i32.sub(p.to, p.from), streams - 1));
    const spanBytes = b.local('i32', i32.mul(span, rowBytes));
    const weights = b.locals('i32', streams);
    weights.forEach((some, s) => b.set(some, s === 0 ? i32.add(p.state, i32.shl(p.from, shift)) : i32.add(weights[0]!, i32.shl(span, shift))));
    b.for(n, p.from, i32.add(p.from, span), each, () => {
      b.if(p.touch, () => {
        b.set(line, i32.add(i32.add(p.rows, p.touch), i32.mul(n, rowBytes)));
        b.set(lineEnd, i32.add(line, i32.mul(rowBytes, each)));
        b.for(line, line, lineEnd, 64, () => {
          b.set(touched, i32.or(touched, i32.load(line)));
          if (streams > 1) b.set(touched, i32.or(touched, i32.load(i32.add(line, spanBytes))));
        });
      });
      b.set(q, allQueries);
      for (const isSecond of [false, true]) {
        rows.forEach((row, r) => {
          const before = r % each > 0 ? i32.add(rows[r - 1]!, rowBytes) : undefined;
          b.set(row, before ?? (r > 0 ? i32.add(rows[r - each]!, spanBytes) : i32.add(p.rows, i32.mul(n, rowBytes))));
        });
        for (const sum of sums) b.set(sum, ZERO);
        // Channels that are not there are zeros in the queries; but in float32 what is behind the row may be no number.
        b.set(left, i32.shrU(isHalf || !isSecond ? p.padded : p.headDim, 3));
        b.while(left, () => {
          rows.forEach((row, r) => b.set(key[r]!, isSecond ? read.second(row) : read.first(row)));
          for (const g of queries) {
            b.set(x, v128.load(q, 16 * g));
            key.forEach((some, r) => {
              const sum = sums[r * bundle + g]!;
              b.set(sum, add(sum, mul(some, x)));
            });
          }
          for (const row of rows) b.increase(row, 8 << read.shift);
          b.increase(q, 16 * bundle);
          b.increase(left, -1);
        });
        if (isHalf) {
          evens.forEach((even, k) => {
            const odd = sumWords(b, sums.slice(4 * k, 4 * k + 4));
            if (isSecond) b.run(v128.store(weights[k]!, mul(add(even, odd), scale), STATE.weights));
            else b.set(even, odd);
          });
        } else if (isSecond) {
          evens.forEach((_, k) => {
            const lows = [0, 1, 2, 3].map((m) => v128.load(p.spare, 64 * k + 16 * m));
            b.run(v128.store(weights[k]!, mul(sumLanes(b, sums.slice(4 * k, 4 * k + 4), lows), scale), STATE.weights));
          });
        } else sums.forEach((sum, k) => b.run(v128.store(p.spare, sum, 16 * k)));
      }
      for (const some of weights) b.increase(some, 16);
    });
    b.run(i32.store(p.spare, touched)); // so that nobody leaves the loads out
  });

  const mix = module.func(`attentionMix${name}`, { state: 'i32', values: 'i32', headDim: 'i32', padded: 'i32', first: 'i32', last: 'i32' }, (b, p) => {
    const read = createRows(b, isHalf);
    const [n, value, weight, left] = b.locals('i32', 4) as [Local<'i32'>, Local<'i32'>, Local<'i32'>, Local<'i32'>];
    const [factor, low, high] = b.locals('v128', 3) as [Local<'v128'>, Local<'v128'>, Local<'v128'>];
    const rowBytes = b.local('i32', i32.shl(p.headDim, read.shift));
    const mixed = b.local('i32', i32.add(p.state, mixedOf(bundle)));
    const weights = b.local('i32', i32.add(p.state, i32.shl(p.first, shift)));
    const sums = b.locals('v128', 8);
    b.set(left, p.padded);
    b.increase(p.values, i32.mul(p.first, rowBytes));
    /** Eight channels, `eights` times. */
    const block = (eights: number): void => b.while(i32.geU(left, 8 * eights), () => {
      const used = sums.slice(0, 2 * bundle * eights);
      const queryOf = (k: number): number => (k >> 1) % bundle;
      used.forEach((sum, k) => b.set(sum, mul(v128.load(mixed, 16 * k), v128.load32Splat(p.state, STATE.correction + 4 * queryOf(k)))));
      b.set(value, p.values);
      b.set(weight, weights);
      b.set(n, i32.sub(p.last, p.first));
      // The loop stands alone: an `if` around it makes Node 20 spill.
      b.doWhile(() => {
        for (let eight = 0; eight < eights; eight++) {
          const [first, second] = read.both(value, 8 * eight << read.shift);
          b.set(low, first);
          b.set(high, second);
          for (const g of queries) {
            const k = 2 * (eight * bundle + g);
            b.set(factor, v128.load32Splat(weight, STATE.weights + 4 * g));
            b.set(used[k]!, add(used[k]!, mul(factor, low)));
            b.set(used[k + 1]!, add(used[k + 1]!, mul(factor, high)));
          }
        }
        b.increase(value, rowBytes);
        b.increase(weight, 4 * bundle);
        b.increase(n, -1);
      }, () => n);
      used.forEach((sum, k) => b.run(v128.store(mixed, sum, 16 * k)));
      b.increase(mixed, 16 * used.length);
      b.increase(p.values, 8 * eights << read.shift);
      b.increase(left, -8 * eights);
    });
    if (bundle < 4) block(4 / bundle);
    block(1);
  });
  return { score, mix };
}

/** softmax(state, first, last, unit): makes the weights of positions first … last - 1 of what `score` left, times `unit`, 0 for all others; and the correction of what was mixed before. */
export function emitSoftmax(module: ModuleBuilder, bundle: Bundle): Func {
  return module.func(`attentionSoftmax${bundle}`, { state: 'i32', first: 'i32', last: 'i32', unit: 'f32' }, (b, p) => {
    const exps = createExps(b);
    const n = b.local('i32');
    const [before, maximum, correction] = b.locals('v128', 3) as [Local<'v128'>, Local<'v128'>, Local<'v128'>];
    const shift = 2 + Math.log2(bundle);
    const weights = b.local('i32', i32.add(p.state, STATE.weights));
    const end = b.local('i32', i32.add(weights, 4 * PAGE_POSITIONS * bundle));
    const lowest = (from: I32, to: I32): void => b.for(n, from, to, 4, () => b.run(f32.store(n, f32.const(LOWEST))));
    lowest(weights, i32.add(weights, i32.shl(p.first, shift)));
    lowest(i32.add(weights, i32.shl(p.last, shift)), end);
    b.set(before, v128.load(p.state, STATE.maximum));
    b.set(maximum, before);
    b.for(n, weights, end, 16, () => b.set(maximum, f32x4.pmax(maximum, v128.load(n))));
    /** A query has several lanes: each other half of them is brought together. */
    const halves = bundle === 1 ? [[2, 3, 0, 1], [1, 0, 3, 2]] : bundle === 2 ? [[2, 3, 0, 1]] : [];
    for (const other of halves) b.set(maximum, f32x4.pmax(maximum, i8x16.shuffle(maximum, maximum, words(other))));
    b.run(v128.store(p.state, maximum, STATE.maximum));
    b.set(correction, exps([sub(before, maximum)])[0]!);
    b.run(v128.store(p.state, correction, STATE.correction));
    b.for(n, weights, end, 16 * TOGETHER, () => {
      const loaded = Array.from({ length: TOGETHER }, (_, k) => sub(v128.load(n, 16 * k), maximum));
      exps(loaded).forEach((weight, k) => b.run(v128.store(n, weight, 16 * k)));
    });
    // In the eight lanes of `sum` in scalar/attention.ts, and by its tree.
    const sums = b.locals('v128', 2 * bundle);
    const unit = b.local('v128', f32x4.splat(p.unit));
    const weight = b.local('v128');
    for (const sum of sums) b.set(sum, ZERO);
    b.for(n, weights, end, 16 * sums.length, () => sums.forEach((sum, k) => {
      b.set(weight, v128.load(n, 16 * k));
      b.set(sum, add(sum, weight));
      b.run(v128.store(n, mul(weight, unit), 16 * k));
    }));
    for (let half = bundle; half >= 1; half /= 2) {
      for (let k = 0; k < half; k++) b.set(sums[k]!, add(sums[k]!, sums[k + half]!));
    }
    const total = sums[0]!;
    for (const other of halves) b.set(total, add(total, i8x16.shuffle(total, total, words(other))));
    b.run(v128.store(p.state, add(mul(v128.load(p.state, STATE.total), correction), total), STATE.total));
  });
}

/** begin(q, state, bundle, headDim, padded, isHalf, unit): the state of the queries from q on, times `unit`, before the first tile. */
export function emitBegin(module: ModuleBuilder): Func {
  const parameters = { q: 'i32', state: 'i32', bundle: 'i32', headDim: 'i32', padded: 'i32', isHalf: 'i32', unit: 'f32' } as const;
  return module.func('attentionBegin', parameters, (b, p) => {
    const [n, g, to] = b.locals('i32', 3) as [Local<'i32'>, Local<'i32'>, Local<'i32'>];
    const [low, high] = b.locals('v128', 2) as [Local<'v128'>, Local<'v128'>];
    const unit = b.local('v128', f32x4.splat(p.unit));
    const mixed = b.local('i32', i32.add(i32.add(p.state, STATE.weights), i32.mul(p.bundle, 4 * PAGE_POSITIONS)));
    const bytes = b.local('i32', i32.shl(i32.mul(p.padded, p.bundle), 2));
    b.run(v128.store(p.state, splatF32(LOWEST), STATE.maximum));
    b.run(v128.store(p.state, ZERO, STATE.total));
    b.for(n, mixed, i32.add(mixed, bytes), 16, () => b.run(v128.store(n, ZERO)));
    const toSecond = b.local('i32', i32.shrU(bytes, 1));
    b.for(g, 0, p.bundle, 1, () => {
      b.set(to, i32.add(i32.add(mixed, bytes), i32.shl(g, 4)));
      b.for(n, 0, p.headDim, 8, () => {
        b.set(low, mul(v128.load(p.q), unit));
        b.set(high, ZERO);
        b.if(i32.ltU(i32.add(n, 4), p.headDim), () => b.set(high, mul(v128.load(p.q, 16), unit)), () => b.increase(p.q, -16));
        const store = (first: V128, second: V128): void => {
          b.run(v128.store(to, first));
          b.run(v128.store(i32.add(to, toSecond), second));
        };
        b.if(p.isHalf, () => store(i8x16.shuffle(low, high, words([0, 2, 4, 6])), i8x16.shuffle(low, high, words([1, 3, 5, 7]))), () => store(low, high));
        b.increase(to, i32.shl(p.bundle, 4));
        b.increase(p.q, 32);
      });
    });
  });
}

/** end(state, out, bundle, headDim, isHalf): what the queries have mixed, divided by their totals. */
export function emitEnd(module: ModuleBuilder): Func {
  return module.func('attentionEnd', { state: 'i32', out: 'i32', bundle: 'i32', headDim: 'i32', isHalf: 'i32' }, (b, p) => {
    const [n, g, from] = b.locals('i32', 3) as [Local<'i32'>, Local<'i32'>, Local<'i32'>];
    const [low, high, total] = b.locals('v128', 3) as [Local<'v128'>, Local<'v128'>, Local<'v128'>];
    const mixed = b.local('i32', i32.add(i32.add(p.state, STATE.weights), i32.mul(p.bundle, 4 * PAGE_POSITIONS)));
    b.for(g, 0, p.bundle, 1, () => {
      b.set(total, v128.load32Splat(i32.add(p.state, i32.shl(g, 2)), STATE.total));
      b.set(from, i32.add(mixed, i32.shl(g, 5)));
      b.for(n, 0, p.headDim, 8, () => {
        b.set(low, div(v128.load(from), total));
        b.set(high, div(v128.load(from, 16), total));
        const store = (first: V128, second: V128): void => {
          b.run(v128.store(p.out, first));
          b.if(i32.ltU(i32.add(n, 4), p.headDim), () => b.run(v128.store(p.out, second, 16)), () => b.increase(p.out, -16));
        };
        b.if(p.isHalf, () => store(i8x16.shuffle(low, high, words([0, 4, 1, 5])), i8x16.shuffle(low, high, words([2, 6, 3, 7]))), () => store(low, high));
        b.increase(from, i32.shl(p.bundle, 5));
        b.increase(p.out, 32);
      });
    });
  });
}

/** 1 where float32 is read, 2¹¹² where float16 is: what stored numbers are too small by. */
export const UNIT = { float: 1, half: HALF_UNIT } as const;
