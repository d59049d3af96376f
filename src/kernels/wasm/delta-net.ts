import type { Func, ModuleBuilder } from '../../wasm/module.js';
import type { TransformerKernels } from '../kernels.js';
import { DELTA_NET_PARAMETERS, emitDeltaNet, VALUE_COLUMNS } from './delta-net-emit.js';
import * as base from './transformer.js';
import { hadamardFactor } from '../scalar/hadamard.js';

/* As transformer.ts, with the kernels of gated delta nets. */

export const TRANSFORMER_PARAMETERS = { ...base.TRANSFORMER_PARAMETERS, ...DELTA_NET_PARAMETERS };

export function emitTransformer(module: ModuleBuilder): readonly Func[] {
  return [...base.emitTransformer(module), ...emitDeltaNet(module)];
}

export function createWasmTransformer(...args: Parameters<typeof base.createWasmTransformer>): TransformerKernels {
  const [{ at, call, elements }] = args;
  return {
    ...base.createWasmTransformer(...args),
    deltaNet: {
      hadamard(x, signs, block, width, tokens, out) {
        elements('hadamard', [at(x), signs ? at(signs) : 0, block, width, { f32: hadamardFactor(block) }, at(out)], (tokens * width) / block, tokens * width * Math.log2(block));
      },
      convolve(x, weights, channels, first, count, state, tokens, out, lengths) {
        const sequences = lengths ? lengths.length : 1;
        elements('convolve', [at(x), at(weights), channels, first, count, at(state), state.length / sequences, tokens, at(out), sequences, lengths ? at(lengths) : 0],
          count / 4, tokens * count * 4);
      },
      deltaRule(q, k, v, gates, { keyHeads, valueHeads, keyDim, valueDim }, state, offset, tokens, out, lengths) {
        const sequences = lengths ? lengths.length : 1;
        const args = [
          at(q), at(k), at(v), at(gates), keyHeads, valueHeads, keyDim, valueDim, at(state) + 4 * offset, state.length / sequences, tokens, at(out), sequences, lengths ? at(lengths) : 0,
        ];
        call('deltaRule', args, valueHeads * Math.ceil(valueDim / VALUE_COLUMNS), 0, 8 * tokens * valueHeads * keyDim * valueDim);
      },
      split(x, width, rows, a, b) {
        elements('split', [at(x), width, at(a), at(b)], rows, rows * width);
      },
      gate(x, gate, count) {
        elements('gate', [at(x), at(gate)], count, count);
      },
    },
  };
}
