import { f32x4, i32, i8x16, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { forVectors, TOGETHER } from './elementwise.js';
import { UNITS } from './jobs.js';
import { createSigmoid } from './sigmoid.js';
import { bytes, words, ZERO } from './vectors.js';

/* The kernels of `scalar/delta-net.ts` and `scalar/hadamard.ts` in vectors of four, in the same order of operations: change both or none. */

const { add, sub, mul } = f32x4;

/** Columns of a head's state that are one unit: all of its rows are in the first-level cache while the tokens go by. */
export const VALUE_COLUMNS = 16;

export const DELTA_NET_PARAMETERS = {
  /** Units are blocks. */
  hadamard: { x: 'i32', signs: 'i32', block: 'i32', width: 'i32', factor: 'f32', out: 'i32', ...UNITS },
  /** Units are groups of four channels. */
  convolve: {
    x: 'i32', weights: 'i32', channels: 'i32', from: 'i32', count: 'i32', state: 'i32', stateSize: 'i32', tokens: 'i32', out: 'i32', sequences: 'i32', lengths: 'i32', ...UNITS,
  },
  /** Units are `VALUE_COLUMNS` of a head. */
  deltaRule: {
    q: 'i32', k: 'i32', v: 'i32', gates: 'i32', keyHeads: 'i32', valueHeads: 'i32', keyDim: 'i32', valueDim: 'i32', state: 'i32', stateSize: 'i32', tokens: 'i32',
    out: 'i32', sequences: 'i32', lengths: 'i32', ...UNITS,
  },
  /** Units are rows. */
  split: { x: 'i32', width: 'i32', a: 'i32', b: 'i32', ...UNITS },
  /** Units are elements. */
  gate: { x: 'i32', gate: 'i32', ...UNITS },
} as const satisfies Record<string, Parameters>;

export type DeltaNetKernelName = keyof typeof DELTA_NET_PARAMETERS;

export function emitDeltaNet(module: ModuleBuilder): readonly Func[] {
  const functions: Readonly<Record<DeltaNetKernelName, Func>> = {
    hadamard: emitHadamard(module), convolve: emitConvolve(module), deltaRule: emitDeltaRule(module), split: emitSplit(module), gate: emitGate(module),
  };
  return Object.keys(DELTA_NET_PARAMETERS).map((name) => functions[name as DeltaNetKernelName]);
}

/** The sign bits of some lanes. */
const signBits = (...negative: readonly number[]): V128 => bytes((n) => (n % 4 === 3 && negative.includes((n - 3) / 4) ? 0x80 : 0));

function emitHadamard(module: ModuleBuilder): Func {
  return module.func('hadamard', DELTA_NET_PARAMETERS.hadamard, (b, p) => {
    const [unit, x, signs, out, end, half, pair, last, left] = b.locals('i32', 9);
    const [v0, v1, v2, v3, sum, odd, high, factor] =
      [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128', signBits(1, 3)), b.local('v128', signBits(2, 3)), b.local('v128', f32x4.splat(p.factor))] as const;
    const blockBytes = b.local('i32', i32.shl(p.block, 2));
    const perRow = b.local('i32', i32.divU(p.width, p.block));
    b.for(unit, p.first, p.last, 1, () => {
      b.set(x, i32.add(p.x, i32.mul(unit, blockBytes)));
      b.set(out, i32.add(p.out, i32.mul(unit, blockBytes)));
      b.set(signs, i32.add(p.signs, i32.mul(i32.sub(unit, i32.mul(i32.divU(unit, perRow), perRow)), blockBytes)));
      b.set(end, i32.add(out, blockBytes));
      // Pairs that are 1 and 2 apart lie in one vector: a + b, and b + -a, which is b - a.
      b.set(left, blockBytes);
      b.set(last, out);
      b.while(left, () => {
        b.set(v0, v128.load(x));
        b.if(p.signs, () => b.set(v0, mul(v0, v128.load(signs))));
        b.set(v0, add(i8x16.shuffle(v0, v0, words([1, 0, 3, 2])), v128.xor(v0, odd)));
        b.set(v0, add(i8x16.shuffle(v0, v0, words([2, 3, 0, 1])), v128.xor(v0, high)));
        b.run(v128.store(last, v0));
        for (const pointer of [x, signs, last]) b.increase(pointer, 16);
        b.increase(left, -16);
      });
      // Two steps at a time, then one if it is left: each number is rounded as if they came alone.
      b.set(half, i32.const(16));
      b.while(i32.leU(i32.shl(half, 2), blockBytes), () => {
        b.for(pair, out, end, i32.shl(half, 2), () => {
          b.set(last, i32.add(pair, half));
          b.for(x, pair, last, 16, () => {
            const at = (n: number): I32 => i32.add(x, n === 3 ? i32.mul(half, 3) : i32.shl(half, n - 1));
            b.set(v0, v128.load(x));
            b.set(v1, v128.load(at(1)));
            b.set(v2, v128.load(at(2)));
            b.set(v3, v128.load(at(3)));
            swap(b, v0, v1, sum);
            swap(b, v2, v3, sum);
            swap(b, v0, v2, sum);
            swap(b, v1, v3, sum);
            b.run(v128.store(x, v0));
            b.run(v128.store(at(1), v1));
            b.run(v128.store(at(2), v2));
            b.run(v128.store(at(3), v3));
          });
        });
        b.set(half, i32.shl(half, 2));
      });
      b.if(i32.ltU(half, blockBytes), () => {
        b.set(last, i32.add(out, half));
        b.for(x, out, last, 16, () => {
          b.set(v0, v128.load(x));
          b.set(v1, v128.load(i32.add(x, half)));
          swap(b, v0, v1, sum);
          b.run(v128.store(x, v0));
          b.run(v128.store(i32.add(x, half), v1));
        });
      });
      b.for(x, out, end, 16, () => b.run(v128.store(x, mul(v128.load(x), factor))));
    });
  });
}

/** (x, y) ← (x + y, x - y) */
function swap(b: Body, x: Local<'v128'>, y: Local<'v128'>, sum: Local<'v128'>): void {
  b.set(sum, add(x, y));
  b.set(y, sub(x, y));
  b.set(x, sum);
}

/** Runs `body` for each sequence and then `step` for each of its tokens, `t` counting those of all. */
function forSequences(
  b: Body, p: { readonly sequences: I32; readonly lengths: I32; readonly tokens: I32 }, s: Local<'i32'>, t: Local<'i32'>, begin: () => void, step: () => void, finish: () => void,
): void {
  const end = b.local('i32');
  b.set(t, i32.const(0));
  b.for(s, 0, p.sequences, 1, () => {
    b.set(end, p.tokens);
    b.if(p.lengths, () => b.set(end, i32.add(t, i32.load(i32.add(p.lengths, i32.shl(s, 2))))));
    begin();
    b.while(i32.ltU(t, end), () => {
      step();
      b.increase(t, 1);
    });
    finish();
  });
}

function emitConvolve(module: ModuleBuilder): Func {
  return module.func('convolve', DELTA_NET_PARAMETERS.convolve, (b, p) => {
    const sigmoid = createSigmoid(b);
    const [unit, c, s, t, state] = b.locals('i32', 5);
    const vector = (): Local<'v128'> => b.local('v128');
    const taps = [vector(), vector(), vector(), vector()] as const;
    const [low, low2, high, high2, now, sum] = [vector(), vector(), vector(), vector(), vector(), vector()] as const;
    const before = [vector(), vector(), vector()] as const; // the oldest first
    const rowBytes = b.local('i32', i32.shl(p.channels, 2));
    b.for(unit, p.first, p.last, 1, () => {
      b.set(c, i32.shl(i32.add(p.from, i32.shl(unit, 2)), 2)); // in bytes
      // Four channels of four taps, turned over.
      const weights = i32.add(p.weights, i32.shl(c, 2));
      const pairs = (n: number, order: readonly number[]): V128 => i8x16.shuffle(v128.load(weights, 16 * n), v128.load(weights, 16 * n + 16), order);
      b.set(low, pairs(0, words([0, 4, 1, 5])));
      b.set(low2, pairs(2, words([0, 4, 1, 5])));
      b.set(high, pairs(0, words([2, 6, 3, 7])));
      b.set(high2, pairs(2, words([2, 6, 3, 7])));
      b.set(taps[0], i8x16.shuffle(low, low2, words([0, 1, 4, 5])));
      b.set(taps[1], i8x16.shuffle(low, low2, words([2, 3, 6, 7])));
      b.set(taps[2], i8x16.shuffle(high, high2, words([0, 1, 4, 5])));
      b.set(taps[3], i8x16.shuffle(high, high2, words([2, 3, 6, 7])));
      const row = (n: number): I32 => i32.add(state, i32.mul(rowBytes, n));
      forSequences(b, p, s, t, () => {
        b.set(state, i32.add(i32.add(p.state, c), i32.shl(i32.mul(s, p.stateSize), 2)));
        before.forEach((each, n) => b.set(each, v128.load(row(n))));
      }, () => {
        b.set(now, v128.load(i32.add(i32.add(p.x, c), i32.mul(t, rowBytes))));
        b.set(sum, add(add(add(mul(taps[0], before[0]), mul(taps[1], before[1])), mul(taps[2], before[2])), mul(taps[3], now)));
        const out = i32.add(p.out, i32.shl(i32.add(i32.mul(t, p.count), i32.shl(unit, 2)), 2));
        b.run(v128.store(out, mul(sum, sigmoid([sum])[0]!)));
        b.set(before[0], before[1]);
        b.set(before[1], before[2]);
        b.set(before[2], now);
      }, () => before.forEach((each, n) => b.run(v128.store(row(n), each))));
    });
  });
}

function emitDeltaRule(module: ModuleBuilder): Func {
  return module.func('deltaRule', DELTA_NET_PARAMETERS.deltaRule, (b, p) => {
    const [unit, h, column, s, t, at, k, q, value, left, i, pointer] = b.locals('i32', 12);
    const vectors = VALUE_COLUMNS / 4;
    const known = b.locals('v128', vectors); // then what is new
    const sums = b.locals('v128', vectors);
    const [decay, rate, factor, weight, next] = b.locals('v128', 5);
    const blocks = b.local('i32', i32.divU(i32.add(p.valueDim, VALUE_COLUMNS - 1), VALUE_COLUMNS));
    const rowBytes = b.local('i32', i32.shl(p.valueDim, 2));
    const perKey = b.local('i32', i32.divU(p.valueHeads, p.keyHeads));
    /** The rule for `count` vectors of columns from `column` (bytes) on. */
    const columns = (count: number): void => {
      const range = Array.from({ length: count }, (_, n) => n);
      const restart = (): void => {
        b.set(pointer, i32.add(at, column));
        b.set(k, i32.add(p.k, i32.shl(i32.mul(i32.add(i32.mul(t, p.keyHeads), i32.divU(h, perKey)), p.keyDim), 2)));
      };
      restart();
      for (const n of range) b.set(known[n]!, ZERO);
      b.for(i, 0, p.keyDim, 1, () => {
        b.set(factor, v128.load32Splat(k));
        for (const n of range) b.set(known[n]!, add(known[n]!, mul(mul(v128.load(pointer, 16 * n), decay), factor)));
        b.increase(pointer, rowBytes);
        b.increase(k, 4);
      });
      b.set(value, i32.add(i32.mul(i32.add(i32.mul(t, p.valueHeads), h), rowBytes), column));
      for (const n of range) {
        b.set(known[n]!, mul(rate, sub(v128.load(i32.add(p.v, value), 16 * n), known[n]!)));
        b.set(sums[n]!, ZERO);
      }
      restart();
      b.set(q, i32.add(p.q, i32.sub(k, p.k)));
      b.for(i, 0, p.keyDim, 1, () => {
        b.set(factor, v128.load32Splat(k));
        b.set(weight, v128.load32Splat(q));
        for (const n of range) {
          b.set(next, add(mul(v128.load(pointer, 16 * n), decay), mul(factor, known[n]!)));
          b.run(v128.store(pointer, next, 16 * n));
          b.set(sums[n]!, add(sums[n]!, mul(next, weight)));
        }
        b.increase(pointer, rowBytes);
        b.increase(k, 4);
        b.increase(q, 4);
      });
      for (const n of range) b.run(v128.store(i32.add(p.out, value), sums[n]!, 16 * n));
    };
    b.for(unit, p.first, p.last, 1, () => {
      b.set(h, i32.divU(unit, blocks));
      forSequences(b, p, s, t, () => {
        b.set(at, i32.add(i32.add(p.state, i32.shl(i32.mul(s, p.stateSize), 2)), i32.mul(i32.mul(h, p.keyDim), rowBytes)));
      }, () => {
        const gates = i32.add(p.gates, i32.shl(i32.add(i32.mul(i32.shl(t, 1), p.valueHeads), h), 2));
        b.set(decay, v128.load32Splat(gates));
        b.set(rate, v128.load32Splat(i32.add(gates, i32.shl(p.valueHeads, 2))));
        b.set(column, i32.mul(i32.sub(unit, i32.mul(h, blocks)), 4 * VALUE_COLUMNS));
        b.set(left, i32.sub(rowBytes, column));
        b.if(i32.geU(left, 4 * VALUE_COLUMNS), () => columns(vectors), () => b.while(left, () => {
          columns(1);
          b.increase(column, 16);
          b.increase(left, -16);
        }));
      }, () => {});
    });
  });
}

function emitSplit(module: ModuleBuilder): Func {
  return module.func('split', DELTA_NET_PARAMETERS.split, (b, p) => {
    const [row, from, to, left, vector] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('v128')] as const;
    const rowBytes = b.local('i32', i32.shl(p.width, 2));
    b.for(row, p.first, p.last, 1, () => {
      b.set(from, i32.add(p.x, i32.mul(i32.shl(row, 1), rowBytes)));
      b.set(to, i32.mul(row, rowBytes));
      b.set(left, rowBytes);
      b.while(left, () => {
        b.set(vector, v128.load(from));
        b.run(v128.store(i32.add(p.a, to), vector));
        b.set(vector, v128.load(i32.add(from, rowBytes)));
        b.run(v128.store(i32.add(p.b, to), vector));
        b.increase(from, 16);
        b.increase(to, 16);
        b.increase(left, -16);
      });
    });
  });
}

function emitGate(module: ModuleBuilder): Func {
  return module.func('gate', DELTA_NET_PARAMETERS.gate, (b, p) => {
    const sigmoid = createSigmoid(b);
    b.increase(p.x, i32.shl(p.first, 2));
    b.increase(p.gate, i32.shl(p.first, 2));
    forVectors(b, i32.sub(p.last, p.first), TOGETHER, [[p.x, 4], [p.gate, 4]], (all) => {
      sigmoid(all.map(({ load }) => load(p.gate))).forEach((value, k) => b.run(all[k]!.store(p.x, mul(all[k]!.load(p.x), value))));
    });
  });
}
