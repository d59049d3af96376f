import { f32x4, type V128 } from '../../wasm/instructions.js';
import type { Body } from '../../wasm/module.js';
import { createExpsInRange } from './exp.js';
import { splatF32 } from './vectors.js';

/** Returns 1 / (1 + exp(-x)) of four lanes each, by the steps of `scalar/exp.ts`. Called at the start of a function. */
export function createSigmoid(b: Body): (xs: readonly V128[]) => V128[] {
  const [limit, lowerLimit, one] = [b.local('v128', splatF32(87)), b.local('v128', splatF32(-87)), b.local('v128', splatF32(1))];
  const exps = createExpsInRange(b);
  const { add, div, neg, pmax, pmin } = f32x4;
  return (xs) => exps(xs.map((x) => pmax(pmin(neg(x), limit), lowerLimit))).map((value) => div(one, add(one, value)));
}
