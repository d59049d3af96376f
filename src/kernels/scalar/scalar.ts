import { ArgumentError, BackendError } from '../../errors.js';
import { arenaOn } from '../arena.js';
import { MAX_COLUMNS, type Kernels, type TransformerKernels } from '../kernels.js';
import { add, gatedRmsNorm, mlgruRecurrence, rmsNorm, rmsNormQuantize, swiglu } from './elementwise.js';
import { createGates, type Gates } from './exp.js';
import { createTernary, createTernaryProduct, packRow, type TernaryProduct } from './ternary.js';

export interface ScalarOptions {
  /** See Kernels.backendNote. */
  readonly backendNote?: string | undefined;
  /** `createScalarTransformer`, where layers of Transformers are wanted. */
  readonly transformer?: ((gates: Gates, ternary: () => TernaryProduct) => TransformerKernels) | undefined;
}

/**
 * The backend in plain typed arrays: the definition of every result, to the bit, and the one that runs where WebAssembly
 * is not allowed.
 */
export function createScalarKernels({ backendNote, transformer }: ScalarOptions = {}): Kernels {
  const gates = createGates();
  let product: TernaryProduct | undefined;
  /** Made when it is used: the first one in a process is the fastest, and the self-test of other backends uses none. */
  const ternary = (): TernaryProduct => (product ??= createTernaryProduct());
  return {
    backend: 'scalar',
    backendNote,
    threads: 1,
    createArena(bytes) {
      try {
        return arenaOn(new ArrayBuffer(bytes));
      } catch {
        throw new BackendError(`scalar: cannot allocate ${(bytes / 2 ** 20).toFixed(0)} MiB for the model`);
      }
    },
    createTernary(arena, rows, columns) {
      if (columns > MAX_COLUMNS) throw new ArgumentError(`a ternary matrix of ${columns} columns: at most ${MAX_COLUMNS} are exact`);
      ternary().reserve(rows);
      return createTernary(arena, rows, columns);
    },
    packRow,
    ternaryMatmul: (matrix, q, qScales, tokens, out) => ternary().multiply(matrix, q, qScales, tokens, out),
    rmsNorm,
    rmsNormQuantize,
    mlgruRecurrence: (i, f, lowerBound, state, tokens, h, lengths) => mlgruRecurrence(gates, i, f, lowerBound, state, tokens, h, lengths),
    gatedRmsNorm: (g, weight, eps, h, tokens, out) => gatedRmsNorm(gates, g, weight, eps, h, tokens, out),
    swiglu: (ab, width, tokens, out) => swiglu(gates, ab, width, tokens, out),
    add,
    transformer: transformer?.(gates, ternary),
    dispose() {},
  };
}
