import { f32, f32x4, i32, i32x4, i8x16, v128, type F32, type I32, type Statement, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { createSigmoid } from './sigmoid.js';
import { bytes, INTEGER_IN_LOW_BITS, splatF32 } from './vectors.js';

/*
 * The kernels of `scalar/elementwise.ts` in vectors of four, in the same order of operations: change both or none. Each works on the
 * units first … last - 1, so that threads can share them: tokens; for the recurrence groups of four channels.
 */

const { add, sub, mul } = f32x4;

/**
 * Vectors that long chains of steps go through together, step by step: a processor does not look far enough ahead to see more than some four chains that
 * stand one behind the other. Of 4, 5, 6, 8 and 12 the fastest: with 8, V8 has no registers left.
 */
export const TOGETHER = 6;

/** The first byte of each 32-bit lane, put first. */
const LOWEST_BYTES = [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12];

/** How the body of a loop reads and writes memory: four elements at a time, or one in lane 0. */
export interface Access {
  load(address: I32): V128;
  store(address: I32, value: V128): Statement;
  /** Lowest bytes of the 32-bit lanes, put into the first lanes. */
  storeBytes(address: I32, value: V128): Statement;
}

/** The `n`-th four elements from the pointers on. */
const four = (n: number): Access => ({
  load: (address) => v128.load(address, n * 16),
  store: (address, value) => v128.store(address, value, n * 16),
  storeBytes: (address, value) => v128.store32Lane(address, value, 0, n * 4),
});
const ONE: Access = {
  load: (address) => v128.load32Zero(address),
  store: (address, value) => v128.store32Lane(address, value, 0),
  storeBytes: (address, value) => v128.store8Lane(address, value, 0),
};

/** A pointer that the loop moves on, and the bytes of what it points to. */
type Pointer = readonly [pointer: Local<'i32'>, elementBytes: number];

/**
 * Runs `body` over `count` elements: `unrolled` times four at a time, then four, the rest one by one. Unused lanes of a single
 * element are 0.
 */
export function forElements(
  b: Body, count: I32, unrolled: number, pointers: readonly Pointer[], body: (access: Access) => void,
): void {
  forVectors(b, count, unrolled, pointers, (accesses) => accesses.forEach(body));
}

/** The same with a body that takes several vectors at once. */
export function forVectors(b: Body, count: I32, most: number, pointers: readonly Pointer[], body: (accesses: readonly Access[]) => void): void {
  const left = b.local('i32', count);
  const loop = (step: number, round: () => void): void => {
    b.while(i32.geU(left, step), () => {
      round();
      for (const [pointer, size] of pointers) b.increase(pointer, step * size);
      b.increase(left, -step);
    });
  };
  if (most > 1) loop(4 * most, () => body(Array.from({ length: most }, (_, n) => four(n))));
  loop(4, () => body([four(0)]));
  loop(1, () => body([ONE]));
}

/** inverseRms(x, count, eps) = 1 / sqrt(mean(x²) + eps): two vectors of sums, then a fixed tree (scalar: `sumOfSquares`). */
function emitInverseRms(module: ModuleBuilder): Func & { value(...args: readonly (I32 | F32)[]): F32 } {
  return module.funcWithResult('inverseRms', { x: 'i32', count: 'i32', eps: 'f32' }, 'f32', (b, { x, count, eps }) => {
    const [low, high, values] = b.locals('v128', 3);
    const left = b.local('i32', count);
    const square = (value: V128): V128 => {
      b.set(values, value);
      return mul(values, values);
    };
    b.while(i32.geU(left, 8), () => {
      b.set(low, add(low, square(v128.load(x))));
      b.set(high, add(high, square(v128.load(x, 16))));
      b.increase(x, 32);
      b.increase(left, -8);
    });
    // The last elements go to the lanes they come to; what lies behind them is masked to 0.
    const masked = (offset: number): V128 => {
      const lanes = bytes((byte) => (byte % 4 === 0 ? byte / 4 + offset / 4 : 0));
      return v128.and(v128.load(x, offset), i32x4.ltS(lanes, i32x4.splat(left)));
    };
    b.if(left, () => {
      b.set(low, add(low, square(masked(0))));
      b.set(high, add(high, square(masked(16))));
    });
    b.set(low, add(low, high)); // l0+l4, l1+l5, l2+l6, l3+l7
    const lane = (n: number): F32 => f32x4.extractLane(low, n);
    const sum = f32.add(f32.add(lane(0), lane(2)), f32.add(lane(1), lane(3)));
    return f32.div(f32.const(1), f32.sqrt(f32.add(f32.div(sum, f32.convertI32S(count)), eps)));
  });
}

/** Kernels that threads share the units of, by name. */
export interface ElementwiseFunctions {
  readonly rmsNorm: Func;
  readonly rmsNormQuantize: Func;
  readonly mlgruRecurrence: Func;
  readonly gatedRmsNorm: Func;
  readonly swiglu: Func;
  readonly add: Func;
}

export const ELEMENTWISE_PARAMETERS = {
  rmsNorm: { x: 'i32', weight: 'i32', eps: 'f32', width: 'i32', out: 'i32', first: 'i32', last: 'i32', work: 'i32' },
  rmsNormQuantize: {
    x: 'i32', weight: 'i32', eps: 'f32', width: 'i32', q: 'i32', qScales: 'i32', first: 'i32', last: 'i32', work: 'i32',
  },
  mlgruRecurrence: {
    i: 'i32', f: 'i32', lowerBound: 'i32', state: 'i32', width: 'i32', tokens: 'i32', h: 'i32', sequences: 'i32', lengths: 'i32',
    first: 'i32', last: 'i32', work: 'i32',
  },
  gatedRmsNorm: {
    g: 'i32', weight: 'i32', eps: 'f32', width: 'i32', h: 'i32', out: 'i32', first: 'i32', last: 'i32', work: 'i32',
  },
  swiglu: { ab: 'i32', width: 'i32', out: 'i32', first: 'i32', last: 'i32', work: 'i32' },
  /** Units are elements. */
  add: { r: 'i32', x: 'i32', count: 'i32', first: 'i32', last: 'i32', work: 'i32' },
} as const;

export function emitElementwise(module: ModuleBuilder): ElementwiseFunctions {
  const inverseRms = emitInverseRms(module);
  const P = ELEMENTWISE_PARAMETERS;

  /** Moves `pointers` to the first unit's row, then runs `body` for each unit with copies of them and a copy of `weight`. */
  const forTokens = (
    b: Body, p: { first: Local<'i32'>; last: Local<'i32'>; width: Local<'i32'> }, body: (start: (base: I32, bytes?: number) => I32) => void,
  ): void => {
    const t = b.local('i32');
    b.for(t, p.first, p.last, 1, () => body((base, bytes = 4) => i32.add(base, i32.mul(i32.mul(t, p.width), bytes))));
  };

  const rmsNorm = module.func('rmsNorm', P.rmsNorm, (b, p) => {
    const [x, w, out, scale] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('v128')] as const;
    forTokens(b, p, (start) => {
      b.set(x, start(p.x));
      b.set(w, p.weight);
      b.set(out, start(p.out));
      b.set(scale, f32x4.splat(inverseRms.value(x, p.width, p.eps)));
      forElements(b, p.width, 4, [[x, 4], [w, 4], [out, 4]], ({ load, store }) => {
        b.run(store(out, mul(mul(load(x), scale), load(w))));
      });
    });
  });

  const rmsNormQuantize = module.func('rmsNormQuantize', P.rmsNormQuantize, (b, p) => {
    const [x, w, q] = b.locals('i32', 3);
    const [norm, maximum, toInt8] = b.locals('v128', 3);
    const [values, whole] = [b.locals('v128', TOGETHER), b.locals('v128', TOGETHER)] as const;
    const largest = b.local('f32');
    const toInteger = b.local('v128', splatF32(INTEGER_IN_LOW_BITS));
    const t = b.local('i32');
    b.for(t, p.first, p.last, 1, () => {
      const row = i32.mul(t, p.width);
      const restart = (): void => {
        b.set(x, i32.add(p.x, i32.shl(row, 2)));
        b.set(w, p.weight);
      };
      restart();
      b.set(norm, f32x4.splat(inverseRms.value(x, p.width, p.eps)));
      b.set(maximum, splatF32(1e-5));
      forVectors(b, p.width, TOGETHER, [[x, 4], [w, 4]], (all) => {
        all.forEach(({ load }, k) => b.set(values[k]!, f32x4.abs(mul(mul(load(x), norm), load(w)))));
        for (let step = 1; step < all.length; step *= 2) {
          for (let k = 0; k + step < all.length; k += 2 * step) b.set(values[k]!, f32x4.pmax(values[k]!, values[k + step]!));
        }
        b.set(maximum, f32x4.pmax(maximum, values[0]!));
      });
      const lane = (n: number): F32 => f32x4.extractLane(maximum, n);
      b.set(largest, f32.max(f32.max(lane(0), lane(1)), f32.max(lane(2), lane(3))));
      b.set(toInt8, f32x4.splat(f32.div(f32.const(127), largest)));
      b.run(f32.store(i32.add(p.qScales, i32.shl(t, 2)), f32.div(largest, f32.const(127))));
      restart();
      b.set(q, i32.add(p.q, row));
      forVectors(b, p.width, TOGETHER, [[x, 4], [w, 4], [q, 1]], (all) => {
        all.forEach(({ load }, k) => b.set(values[k]!, mul(mul(mul(load(x), norm), load(w)), toInt8)));
        all.forEach((_, k) => b.set(whole[k]!, f32x4.trunc(values[k]!)));
        // trunc(2 · rest) is ±1 where |rest| ≥ ½, else 0: half away from zero.
        all.forEach((_, k) => b.set(values[k]!, sub(values[k]!, whole[k]!)));
        all.forEach((_, k) => b.set(values[k]!, add(add(whole[k]!, f32x4.trunc(add(values[k]!, values[k]!))), toInteger)));
        all.forEach(({ storeBytes }, k) => b.run(storeBytes(q, i8x16.shuffle(values[k]!, values[k]!, LOWEST_BYTES))));
      });
    });
  });

  const mlgruRecurrence = module.func('mlgruRecurrence', P.mlgruRecurrence, (b, p) => {
    const sigmoid = createSigmoid(b);
    const one = b.local('v128', splatF32(1));
    const [s, t, end, offset, from, count] = b.locals('i32', 6);
    const [i, f, bound, state, h] = b.locals('i32', 5);
    const [input, bounds] = b.locals('v128', 2);
    const forget = b.locals('v128', TOGETHER);
    b.set(from, i32.shl(p.first, 2));
    b.set(count, i32.shl(p.last, 2));
    b.set(count, i32.sub(i32.select(count, p.width, i32.ltU(count, p.width)), from));
    const step = (): void => {
      b.set(offset, i32.shl(i32.add(i32.mul(t, p.width), from), 2));
      b.set(i, i32.add(p.i, offset));
      b.set(f, i32.add(p.f, offset));
      b.set(h, i32.add(p.h, offset));
      b.set(bound, i32.add(p.lowerBound, i32.shl(from, 2)));
      b.set(state, i32.add(p.state, i32.shl(i32.add(i32.mul(s, p.width), from), 2)));
      forVectors(b, count, TOGETHER, [[i, 4], [f, 4], [bound, 4], [state, 4], [h, 4]], (all) => {
        sigmoid(all.map(({ load }) => load(f))).forEach((value, k) => b.set(forget[k]!, value));
        b.if(p.lowerBound, () => all.forEach(({ load }, k) => {
          b.set(bounds, load(bound));
          b.set(forget[k]!, add(bounds, mul(sub(one, bounds), forget[k]!)));
        }));
        sigmoid(all.map(({ load }) => load(i))).forEach((value, k) => {
          const { load, store } = all[k]!;
          b.set(input, mul(mul(load(i), value), sub(one, forget[k]!)));
          b.set(input, add(mul(forget[k]!, load(state)), input));
          b.run(store(state, input));
          b.run(store(h, input));
        });
      });
    };
    b.for(s, 0, p.sequences, 1, () => {
      b.set(end, p.tokens);
      b.if(p.lengths, () => b.set(end, i32.add(t, i32.load(i32.add(p.lengths, i32.shl(s, 2))))));
      b.while(i32.ltU(t, end), () => {
        step();
        b.increase(t, 1);
      });
    });
  });

  const gatedRmsNorm = module.func('gatedRmsNorm', P.gatedRmsNorm, (b, p) => {
    const sigmoid = createSigmoid(b);
    const [g, w, h, out] = b.locals('i32', 4);
    const scale = b.local('v128');
    forTokens(b, p, (start) => {
      b.set(g, start(p.g));
      b.set(w, p.weight);
      b.set(h, start(p.h));
      b.set(out, start(p.out));
      b.set(scale, f32x4.splat(inverseRms.value(g, p.width, p.eps)));
      forVectors(b, p.width, TOGETHER, [[g, 4], [w, 4], [h, 4], [out, 4]], (all) => {
        sigmoid(all.map(({ load }) => load(h))).forEach((value, k) => {
          const { load, store } = all[k]!;
          b.run(store(out, mul(mul(mul(mul(load(g), scale), load(w)), load(h)), value)));
        });
      });
    });
  });

  const swiglu = module.func('swiglu', P.swiglu, (b, p) => {
    const sigmoid = createSigmoid(b);
    const [a, up, out] = b.locals('i32', 3);
    forTokens(b, p, (start) => {
      b.set(a, start(p.ab, 8));
      b.set(up, i32.add(a, i32.shl(p.width, 2)));
      b.set(out, start(p.out));
      forVectors(b, p.width, TOGETHER, [[a, 4], [up, 4], [out, 4]], (all) => {
        sigmoid(all.map(({ load }) => load(a))).forEach((value, k) => {
          const { load, store } = all[k]!;
          b.run(store(out, mul(mul(load(a), value), load(up))));
        });
      });
    });
  });

  const addRows = module.func('add', P.add, (b, p) => {
    b.increase(p.r, i32.shl(p.first, 2));
    b.increase(p.x, i32.shl(p.first, 2));
    forElements(b, i32.sub(p.last, p.first), 4, [[p.r, 4], [p.x, 4]], ({ load, store }) => {
      b.run(store(p.r, add(load(p.r), load(p.x))));
    });
  });

  return { rmsNorm, rmsNormQuantize, mlgruRecurrence, gatedRmsNorm, swiglu, add: addRows };
}
