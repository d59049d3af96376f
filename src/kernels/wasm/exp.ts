import { f32x4, i32x4, v128, type V128 } from '../../wasm/instructions.js';
import type { Body, Local } from '../../wasm/module.js';
import { INTEGER_IN_LOW_BITS, splatF32 } from './vectors.js';

/**
 * Returns exp(x) of four lanes each, -87 ≤ x ≤ 87, by the steps of `scalar/exp.ts`: change both or none. Called at the start of a function: its
 * constants are locals, because the engine would make each anew for every use in a loop (twice as slow). The vectors go step by step together:
 * each is a long chain, and a processor looks ahead over no more than some four chains that stand one behind the other.
 */
export function createExpsInRange(b: Body): (xs: readonly V128[]) => V128[] {
  const constant = (value: number): V128 => b.local('v128', splatF32(value));
  const [log2e, half, one] = [constant(1.44269504), constant(0.5), constant(1)];
  const [ln2High, ln2Low] = [constant(0.693359375), constant(-2.12194440e-4)];
  const highest = constant(1.9875691500e-4);
  const others = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(constant);
  const toExponent = constant(INTEGER_IN_LOW_BITS + 127);
  const places: { readonly r: Local<'v128'>; readonly n: Local<'v128'>; readonly p: Local<'v128'> }[] = [];
  const { add, sub, mul } = f32x4;
  return (xs) => {
    while (places.length < xs.length) places.push({ r: b.local('v128'), n: b.local('v128'), p: b.local('v128') });
    const all = places.slice(0, xs.length);
    all.forEach(({ r }, k) => b.set(r, xs[k]!));
    for (const { r, n } of all) b.set(n, f32x4.floor(add(mul(r, log2e), half)));
    for (const { r, n } of all) b.set(r, sub(r, mul(n, ln2High)));
    for (const { r, n } of all) b.set(r, sub(r, mul(n, ln2Low)));
    // 2ⁿ by its exponent bits; |n| ≤ 126. The shift leaves only the low bits, which hold n + 127.
    for (const { n } of all) b.set(n, i32x4.shl(add(n, toExponent), 23));
    for (const { p } of all) b.set(p, highest);
    for (const c of others) for (const { r, p } of all) b.set(p, add(mul(p, r), c));
    for (const { r, p } of all) b.set(p, add(add(mul(p, mul(r, r)), r), one));
    return all.map(({ n, p }) => mul(p, n));
  };
}

/** Returns exp(x) of four lanes each, x ≤ 0, as `exp` in `scalar/exp.ts`: 0 below -87. Called at the start of a function. */
export function createExps(b: Body): (xs: readonly V128[]) => V128[] {
  const lowest = b.local('v128', splatF32(-87));
  const exps = createExpsInRange(b);
  const values: Local<'v128'>[] = [];
  return (xs) => {
    while (values.length < xs.length) values.push(b.local('v128'));
    xs.forEach((x, k) => b.set(values[k]!, x));
    return exps(xs.map((_, k) => f32x4.pmax(lowest, values[k]!))).map((value, k) => v128.and(value, f32x4.ge(values[k]!, lowest)));
  };
}
