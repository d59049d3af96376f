import type { TransformerKernels } from '../kernels.js';
import { convolve, deltaRule, gate, split } from './delta-net.js';
import type { Gates } from './exp.js';
import { hadamard } from './hadamard.js';
import type { TernaryProduct } from './ternary.js';
import { createScalarTransformer } from './transformer.js';

/** As `createScalarTransformer`, with the definition of what gated delta nets compute. */
export function createScalarDeltaNet(gates: Gates, ternary: () => TernaryProduct): TransformerKernels {
  return {
    ...createScalarTransformer(gates, ternary),
    deltaNet: {
      hadamard,
      convolve: (x, weights, channels, first, count, state, tokens, out, lengths) => convolve(gates, x, weights, channels, first, count, state, tokens, out, lengths),
      deltaRule,
      split,
      gate: (x, values, count) => gate(gates, x, values, count),
    },
  };
}
