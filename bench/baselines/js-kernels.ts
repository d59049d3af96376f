import { createScalarKernels } from 'matmulfree';
import { PANEL, requireMultiple, type FloatKernels } from './float-kernels.js';
import { cacheFloats, createAttention, rotate, store } from './js-attention.js';
import { multiply } from './js-matmul.js';

/** The baseline's kernels in typed-array JavaScript, one thread. Matrices are row-major. */
export function createJsKernels(): FloatKernels {
  const scalar = createScalarKernels();
  let widened = new Float64Array(0);
  return {
    backend: 'js',
    threads: 1,
    createArena: (bytes) => scalar.createArena(bytes),
    createMatrix(arena, rows, columns) {
      requireMultiple('the number of rows', rows, PANEL);
      requireMultiple('the number of columns', columns, 4);
      return { rows, columns, values: arena.f32(rows * columns) };
    },
    setRow: ({ values, columns }, row, from) => values.set(from, row * columns),
    matmul({ rows, columns, values }, x, tokens, out) {
      const count = tokens * columns;
      if (widened.length < count) widened = new Float64Array(count);
      for (let i = 0; i < count; i++) widened[i] = x[i];
      multiply(
        { array: values, at: 0, stride: columns }, { array: widened, at: 0, stride: columns }, { array: out, at: 0, stride: rows },
        rows, columns, tokens, false,
      );
    },
    rotate,
    createCache(arena, heads, headSize, capacity) {
      requireMultiple('the size of a head', headSize, PANEL);
      const floats = cacheFloats(heads, headSize, capacity);
      return { heads, headSize, capacity, keys: arena.f32(floats.keys), values: arena.f32(floats.values) };
    },
    store,
    attention: createAttention(),
    rmsNorm: scalar.rmsNorm,
    mlgruRecurrence: scalar.mlgruRecurrence,
    gatedRmsNorm: scalar.gatedRmsNorm,
    swiglu: scalar.swiglu,
    add: scalar.add,
    dispose: scalar.dispose,
  };
}
