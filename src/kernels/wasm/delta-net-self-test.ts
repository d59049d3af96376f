import { createScalarDeltaNet } from '../scalar/delta-net-kernels.js';
import type { DeltaNetKernelName } from './delta-net-emit.js';
import { likeScalar, type Check } from './self-test.js';
import { MORE_CHECKS as OTHERS } from './transformer-self-test.js';

/* Checks of the kernels that only modules for gated delta nets have: see self-test.ts. */

const TOKENS = 5;
/** Four chunks of two threads, each with some for every loop. */
const GATES = 4 * 31;
/** Columns by sixteen and by four, and value heads that share a key head. */
const HEADS = { keyHeads: 2, valueHeads: 4, keyDim: 12, valueDim: 24 };

const checks: Readonly<Record<DeltaNetKernelName, Check>> = {
  hadamard: likeScalar(({ transformer }, { f32 }, floats) => {
    // Steps of two at a time, with one left over and without.
    return [4, 32, 64].map((block) => {
      const width = 2 * block;
      const [signs, out] = [f32(width), f32(TOKENS * width)];
      floats(width).forEach((value, n) => { signs[n] = value < 0 ? -1 : 1; });
      transformer!.deltaNet!.hadamard(floats(TOKENS * width), block === 4 ? undefined : signs, block, width, TOKENS, out);
      return out;
    });
  }),
  convolve: likeScalar(({ transformer }, { f32, u32 }, floats) => {
    const [channels, first, count] = [24, 4, 12];
    const [lengths, state, out, out2] = [u32(2), floats(2 * 80), f32(TOKENS * count), f32(TOKENS * count)];
    lengths.set([TOKENS - 1, 1]);
    const weights = floats(4 * channels);
    transformer!.deltaNet!.convolve(floats(TOKENS * channels), weights, channels, first, count, state.subarray(0, 80), TOKENS, out);
    transformer!.deltaNet!.convolve(floats(TOKENS * channels), weights, channels, first, count, state, TOKENS, out2, lengths);
    return [out, out2, state];
  }),
  deltaRule: likeScalar(({ transformer }, { f32, u32 }, floats) => {
    const { keyHeads, valueHeads, keyDim, valueDim } = HEADS;
    const at = 8;
    const size = at + valueHeads * keyDim * valueDim;
    const [lengths, state] = [u32(2), floats(2 * size)];
    lengths.set([TOKENS - 1, 1]);
    const run = (own: Float32Array, each?: Uint32Array): Float32Array => {
      const out = f32(TOKENS * valueHeads * valueDim);
      const [q, k, v, gates] = [keyHeads * keyDim, keyHeads * keyDim, valueHeads * valueDim, 2 * valueHeads].map((width) => floats(TOKENS * width)) as [Float32Array, Float32Array, Float32Array, Float32Array];
      transformer!.deltaNet!.deltaRule(q, k, v, gates, HEADS, own, at, TOKENS, out, each);
      return out;
    };
    return [run(state.subarray(0, size)), run(state, lengths), state];
  }),
  split: likeScalar(({ transformer }, { f32 }, floats) => {
    const [a, b] = [f32(TOKENS * 12), f32(TOKENS * 12)];
    transformer!.deltaNet!.split(floats(TOKENS * 24), 12, TOKENS, a, b);
    return [a, b];
  }),
  gate: likeScalar(({ transformer }, _arena, floats) => {
    const x = floats(GATES);
    transformer!.deltaNet!.gate(x, floats(GATES, 8), GATES);
    return [x];
  }),
};

export const MORE_CHECKS = { checks: { ...OTHERS.checks, ...checks }, createScalarTransformer: createScalarDeltaNet };
