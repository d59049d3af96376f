import { HEAD_SIZES, SHAPES, type ShapeName } from '../random-model.js';
import type { WeightSource } from './build-model.js';
import type { TransformerConfig } from './transformer.js';

const VOCAB = 32_000;
/** A transformer with as many weights as the MatMul-free LM of that name has, matrix by matrix. */
export function transformerOf(shape: ShapeName, layers: number = SHAPES[shape][2]): TransformerConfig {
  const [hiddenSize, intermediateSize] = SHAPES[shape];
  const headSize = HEAD_SIZES[shape];
  return {
    name: `random Transformer++ ${shape}`, hiddenSize, intermediateSize, layers, headSize, heads: hiddenSize / headSize,
    vocabSize: VOCAB, rmsNormEps: 1e-6, ropeTheta: 10_000,
  };
}

/** Rows are cut from this many random numbers, at shifting places. */
const POOL = 1 << 20;

/** Weights of any shape, in the range that trained ones are in, so that no sum overflows and none is denormal. */
export function randomWeights(seed: number): WeightSource {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const pools = new Map<number, Float32Array>();
  const poolFor = (columns: number): Float32Array => {
    let pool = pools.get(columns);
    if (!pool) pools.set(columns, pool = Float32Array.from({ length: POOL + columns }, () => (2 * random() - 1) * Math.sqrt(3 / columns)));
    return pool;
  };
  return {
    async readRows(_name, rows, columns, onRow) {
      const pool = poolFor(columns);
      for (let row = 0; row < rows; row++) {
        const first = Math.floor(random() * POOL);
        onRow(row, pool.subarray(first, first + columns));
      }
    },
    readVector: async (_name, width) => Float32Array.from({ length: width }, () => 0.5 + random()),
  };
}
