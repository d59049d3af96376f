/*
 * What a token costs in operations and bytes, counted from a model's sizes, and an estimate of the energy.
 */

/** Of one decoded token. A product with a float weight is one multiplication and one addition. */
export interface TokenCost {
  /** Of ternary products: one for each weight that is not zero, as the architecture has it. The library looks up sums of several instead. */
  readonly integerAdditions: number;
  readonly floatAdditions: number;
  readonly floatMultiplications: number;
  /** Read from memory, or from a cache that holds it: all weights once, the state or the keys and values of the text so far, one row of embeddings. */
  readonly bytes: number;
}

/**
 * Picojoules of an operation, from M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014 (45 nm, 0.9 V): the
 * figures usually cited. Newer processes take less of each; the proportions are what matters. An access to DRAM is
 * given as 1.3 to 2.6 nJ for 64 bits.
 */
export const PICOJOULES = {
  integerAddition: 0.1, // 32 bits
  floatAddition: 0.9, //   32 bits
  floatMultiplication: 3.7,
  dramByte: [1300 / 8, 2600 / 8],
} as const;

/** Estimated energy of a token in millijoules: of arithmetic, and of memory as a range. Instructions and caches are left out. */
export function estimateEnergy(cost: TokenCost): { readonly arithmetic: number; readonly memory: readonly [number, number] } {
  const { integerAddition, floatAddition, floatMultiplication, dramByte: [least, most] } = PICOJOULES;
  const arithmetic = cost.integerAdditions * integerAddition + cost.floatAdditions * floatAddition + cost.floatMultiplications * floatMultiplication;
  return { arithmetic: arithmetic / 1e9, memory: [(cost.bytes * least) / 1e9, (cost.bytes * most) / 1e9] };
}

/** Sizes of a model of one of the three kinds. */
export interface Sizes {
  readonly hidden: number;
  /** Of the recurrent state, or of all heads together. */
  readonly mixer: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly vocab: number;
  /** Of attention, where there is any. */
  readonly heads: number;
}

/** Weights of all matrices that are multiplied with: the same number for both architectures. */
export function matrixWeights({ hidden, mixer, intermediate, layers, vocab }: Sizes): number {
  return layers * (4 * hidden * mixer + 3 * hidden * intermediate) + vocab * hidden;
}

/** Of all matrices in float32, the embeddings among them. */
export function floatWeightBytes(sizes: Sizes): number {
  return FLOAT * (matrixWeights(sizes) + sizes.vocab * sizes.hidden);
}

/** Of a transformer's cache after `position` tokens, in float32. */
export function keyValueBytes({ layers, mixer }: Sizes, position: number): number {
  return position * layers * 2 * mixer * FLOAT;
}

/** Multiplications of an exponential (src/kernels/scalar/exp.ts). */
export const EXPONENTIAL = 11;
/** That, and a division. */
const SIGMOID = EXPONENTIAL + 1;
const FLOAT = 4;

/** The MatMul-free LM with float products: norms, gates and recurrence as in the library, nothing quantised. */
export function floatMatMulFreeCost(sizes: Sizes, weightBytes: number): TokenCost {
  const { hidden, mixer, intermediate, layers } = sizes;
  const products = matrixWeights(sizes);
  const norm = (width: number): number => 3 * width; // square, 1 / rms, weight
  const others = layers * (6 * norm(hidden) + 2 * norm(mixer) + norm(intermediate) + mixer * (3 * SIGMOID + 6) + intermediate * (SIGMOID + 2)) + 2 * norm(hidden);
  return {
    integerAdditions: 0, floatAdditions: products + others, floatMultiplications: products + others,
    bytes: weightBytes + layers * mixer * FLOAT,
  };
}

/** The transformer, after `position` tokens. */
export function transformerCost(sizes: Sizes, weightBytes: number, position: number): TokenCost {
  const { hidden, mixer, intermediate, layers, heads } = sizes;
  const visible = position + 1;
  const products = matrixWeights(sizes) + layers * 2 * mixer * visible;
  const softmax = heads * visible * (EXPONENTIAL + 1); // and the scale of a score
  const others = layers * (6 * hidden + 4 * mixer + softmax + intermediate * (SIGMOID + 2)) + 3 * hidden;
  return {
    integerAdditions: 0, floatAdditions: products + others, floatMultiplications: products + others,
    bytes: weightBytes + layers * 2 * mixer * visible * FLOAT,
  };
}
