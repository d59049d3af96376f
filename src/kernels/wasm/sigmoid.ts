import { f32x4, i32x4, type V128 } from '../../wasm/instructions.js';
import type { Body } from '../../wasm/module.js';
import { splatF32 } from './vectors.js';

/** Returns 1 / (1 + exp(-x)) of four lanes, by the same steps as `scalar/exp.ts`: change both or none. */
export function createSigmoid(b: Body): (x: V128) => V128 {
  const [y, n, r, p] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128')] as const;
  const { add, sub, mul, div } = f32x4;
  return (x) => {
    b.set(y, f32x4.pmax(f32x4.pmin(f32x4.neg(x), splatF32(87)), splatF32(-87)));
    b.set(n, f32x4.floor(add(mul(y, splatF32(1.44269504)), splatF32(0.5))));
    b.set(r, sub(sub(y, mul(n, splatF32(0.693359375))), mul(n, splatF32(-2.12194440e-4))));
    b.set(p, splatF32(1.9875691500e-4));
    for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]) {
      b.set(p, add(mul(p, r), splatF32(c)));
    }
    b.set(p, add(add(mul(p, mul(r, r)), r), splatF32(1)));
    // 2ⁿ by its exponent bits; |n| ≤ 126.
    const power = i32x4.shl(i32x4.add(i32x4.truncSatF32x4S(n), i32x4.splat(127)), 23);
    return div(splatF32(1), add(splatF32(1), mul(p, power)));
  };
}
