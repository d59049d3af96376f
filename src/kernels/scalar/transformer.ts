import type { TransformerKernels } from '../kernels.js';
import { createAttention, rotate } from './attention.js';
import type { Gates } from './exp.js';
import { createFloatMatmul } from './float-matmul.js';
import { glu, quantize, quantizeGroups } from './feed-forward.js';
import { createGrouped, groupedMatmul, packGroupedRow, unpackGroupedRow } from './grouped.js';
import type { TernaryProduct } from './ternary.js';

/** The definition of what Transformers compute beside `createScalarKernels`. */
export function createScalarTransformer(gates: Gates, ternary: () => TernaryProduct): TransformerKernels {
  return {
    quantize,
    quantizeGroups,
    glu: (a, b, activation, count, out) => glu(gates, a, b, activation, count, out),
    rotate,
    ...createAttention(gates),
    createGrouped,
    packGroupedRow,
    unpackRow: unpackGroupedRow,
    groupedMatmul: (matrix, q, qScales, tokens, out) => groupedMatmul(ternary(), matrix, q, qScales, tokens, out),
    floatMatmul: createFloatMatmul(),
  };
}
