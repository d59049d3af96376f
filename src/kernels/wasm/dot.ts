import { f32x4, i32, i32x4, i8x16, v128, type F32, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { createReader, type STORED } from './half.js';
import { bytes, words } from './vectors.js';

const { add, mul } = f32x4;

const LANE_NUMBERS = bytes((n) => (n % 4 === 0 ? n / 4 : 0)); // 32-bit lanes
/** Rows that a dot product goes through together. */
export const ROWS = 4;

const pairs = (a: V128, c: V128): V128 => add(i8x16.shuffle(a, c, words([0, 1, 4, 5])), i8x16.shuffle(a, c, words([2, 3, 6, 7])));

/** Σ of the four lanes of each: the first and the third, the second and the fourth, then both. In the first three of them on the way. */
export function sumWords(b: Body, four: readonly Local<'v128'>[]): V128 {
  const [x, y, z] = [four[0]!, four[1]!, four[2]!];
  b.set(x, pairs(x, y));
  b.set(z, pairs(z, four[3]!));
  return add(i8x16.shuffle(x, z, words([0, 2, 4, 6])), i8x16.shuffle(x, z, words([1, 3, 5, 7])));
}

/** Four sums, each of eight lanes (`low`, `high`), by the tree of `dot` in scalar/dot.ts; in `low` on the way. */
export function sumLanes(b: Body, low: readonly Local<'v128'>[], high: readonly V128[]): V128 {
  low.forEach((some, n) => b.set(some, add(some, high[n]!))); // l0+l4, l1+l5, l2+l6, l3+l7
  return sumWords(b, low); // even, odd of each; then both
}

/**
 * dot4(x, rows, stride, n, last): x · row for rows 0 … last, at most 3, which are `stride` bytes apart, and the last one's again in the lanes
 * behind it: two vectors of lanes, then a fixed tree (scalar: `dot`). Up to three numbers behind x and each row are read, and not used.
 */
export function emitDot4(module: ModuleBuilder, stored: keyof typeof STORED): Func & { value(...args: readonly (I32 | F32 | number)[]): V128 } {
  return module.funcWithResult(`dot4${stored}`, { x: 'i32', rows: 'i32', stride: 'i32', n: 'i32', last: 'i32' }, 'v128', (b, p) => {
    const { shift, eight, four } = createReader(b, stored);
    const row = Array.from({ length: ROWS }, (_, r) => b.local('i32', i32.add(p.rows, i32.mul(p.stride, i32.minU(p.last, r)))));
    const low = row.map(() => b.local('v128'));
    const high = row.map(() => b.local('v128'));
    const [x0, x1] = b.locals('v128', 2);
    // Float32 rows that several tokens share come from the caches: there sixteen at a time are 8 % faster.
    for (const eights of stored === 'F32' ? [2, 1] : [1]) {
      b.while(i32.geU(p.n, 8 * eights), () => {
        for (let n = 0; n < eights; n++) {
          b.set(x0, v128.load(p.x, 32 * n));
          b.set(x1, v128.load(p.x, 32 * n + 16));
          row.forEach((at, r) => {
            const [first, second] = eight(at, 8 * n << shift);
            b.set(low[r]!, add(low[r]!, mul(first, x0)));
            b.set(high[r]!, add(high[r]!, mul(second, x1)));
          });
        }
        b.increase(p.x, 32 * eights);
        for (const pointer of row) b.increase(pointer, 8 * eights << shift);
        b.increase(p.n, -8 * eights);
      });
    }
    /** The first of the next four, of which there may be fewer: what is behind them may be anything, also no number. */
    const addRest = (lanes: typeof low): void => {
      b.set(x0, v128.load(p.x));
      b.set(x1, i32x4.ltS(LANE_NUMBERS, i32x4.splat(p.n)));
      row.forEach((at, r) => b.set(lanes[r]!, add(lanes[r]!, v128.and(mul(four(at), x0), x1))));
    };
    b.if(p.n, () => {
      addRest(low);
      b.if(i32.gtS(p.n, 4), () => {
        b.increase(p.x, 16);
        for (const pointer of row) b.increase(pointer, 4 << shift);
        b.increase(p.n, -4);
        addRest(high);
      });
    });
    return sumLanes(b, low, high);
  });
}
