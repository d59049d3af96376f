import type { TransformerKernels } from '../kernels.js';
import { createAttention, rotate } from './attention.js';
import type { Gates } from './exp.js';
import { createFloatMatmul } from './float-matmul.js';
import { glu, quantize } from './feed-forward.js';

/** The definition of what Transformers compute beside `createScalarKernels`. */
export function createScalarTransformer(gates: Gates): TransformerKernels {
  return {
    quantize,
    glu: (a, b, activation, count, out) => glu(gates, a, b, activation, count, out),
    rotate,
    ...createAttention(gates),
    floatMatmul: createFloatMatmul(),
  };
}
