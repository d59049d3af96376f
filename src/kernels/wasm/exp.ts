import { f32x4, i32x4, v128, type V128 } from '../../wasm/instructions.js';
import type { Body } from '../../wasm/module.js';
import { INTEGER_IN_LOW_BITS, splatF32 } from './vectors.js';

/**
 * Returns exp(x) of four lanes, -87 ≤ x ≤ 87, by the steps of `scalar/exp.ts`: change both or none. Called at the start of a function: its
 * constants are locals, because the engine would make each anew for every use in a loop (twice as slow).
 */
export function createExpInRange(b: Body): (x: V128) => V128 {
  const constant = (value: number): V128 => b.local('v128', splatF32(value));
  const [log2e, half, one] = [constant(1.44269504), constant(0.5), constant(1)];
  const [ln2High, ln2Low] = [constant(0.693359375), constant(-2.12194440e-4)];
  const highest = constant(1.9875691500e-4);
  const others = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(constant);
  const toExponent = constant(INTEGER_IN_LOW_BITS + 127);
  const [y, n, r, p] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128')] as const;
  const { add, sub, mul } = f32x4;
  return (x) => {
    b.set(y, x);
    b.set(n, f32x4.floor(add(mul(y, log2e), half)));
    b.set(r, sub(sub(y, mul(n, ln2High)), mul(n, ln2Low)));
    b.set(p, highest);
    for (const c of others) b.set(p, add(mul(p, r), c));
    b.set(p, add(add(mul(p, mul(r, r)), r), one));
    // 2ⁿ by its exponent bits; |n| ≤ 126. The shift leaves only the low bits, which hold n + 127.
    return mul(p, i32x4.shl(add(n, toExponent), 23));
  };
}

/** Returns exp(x) of four lanes, x ≤ 0, as `exp` in `scalar/exp.ts`: 0 below -87. Called at the start of a function. */
export function createExp(b: Body): (x: V128) => V128 {
  const lowest = b.local('v128', splatF32(-87));
  const exp = createExpInRange(b);
  const [value, inRange] = [b.local('v128'), b.local('v128')] as const;
  return (x) => {
    b.set(value, x);
    b.set(inRange, f32x4.ge(value, lowest));
    return v128.and(exp(f32x4.pmax(lowest, value)), inRange);
  };
}
