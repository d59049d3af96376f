import type { Model } from './model.js';

/** What a loaded model is made of. Sizes in bytes, operations for one token. */
export interface ModelInfo {
  readonly parameters: number;
  readonly ternaryWeights: number;
  /** Share of zeros among the ternary weights, 0 to 1. */
  readonly zeroShare: number;
  /** One row for each layer, and a last one for the head. */
  readonly layers: readonly LayerInfo[];
  /** Packed weights and work space. */
  readonly memoryBytes: number;
  readonly embeddingBytes: number;
  readonly stateBytes: number;
  readonly fingerprint: string;
  /** Why a faster backend was left out, in plain words: it computes wrongly here, or gets no memory. Undefined where none was. */
  readonly backendNote: string | undefined;
  readonly operations: Operations;
}

export interface LayerInfo {
  readonly name: string;
  readonly ternaryWeights: number;
  readonly zeroShare: number;
}

/** Operations for one token. */
export interface Operations {
  /** Integer additions and subtractions of the ternary products: one for each weight that is not zero. */
  readonly ternaryAdditions: number;
  /** Float multiplications and divisions of all else: norms, quantisation, scales, gates. */
  readonly multiplications: number;
  /** Multiplications that the same matrices would take if they were dense floats. */
  readonly denseMultiplications: number;
}

/** Float multiplications and divisions of one sigmoid (`kernels/scalar/exp.ts`): 11 of the exponential, 1 division. */
const SIGMOID = 12;

export function describeModel(model: Model): ModelInfo {
  const { config, counts, embeddings, kernels, memoryBytes, stateShape } = model.parts;
  const { hiddenSize: D, recurrentSize: I, intermediateSize: F, layers: L, vocabSize: V } = config;
  const rows = new Map<string, { weights: number; zeros: number }>();
  for (const { name, weights, zeros } of counts) {
    const key = /layers\.\d+/.exec(name)?.[0] ?? name;
    const row = rows.get(key) ?? { weights: 0, zeros: 0 };
    rows.set(key, { weights: row.weights + weights, zeros: row.zeros + zeros });
  }
  const ternaryWeights = sum([...rows.values()].map((row) => row.weights));
  const zeros = sum([...rows.values()].map((row) => row.zeros));
  // Vectors: the two pre-norms and g_norm, a norm for each BitLinear, the final norm, the bounds.
  const vectors = L * (2 * D + I + 3 * D + I + D + F) + 2 * D + (config.useLowerBound ? L * D : 0);

  // A norm takes 3 a channel (square, 1/rms, weight), quantising 1 more, a product 2 a row (its scale).
  const bitLinear = (out: number, input: number): number => 4 * input + 2 * out;
  const layer =
    2 * 3 * D + 3 * bitLinear(I, D) + bitLinear(D, I) + bitLinear(2 * F, D) + bitLinear(D, F) +
    I * (2 * SIGMOID + 4) + I * (3 + SIGMOID + 2) + F * (SIGMOID + 2);
  return {
    parameters: ternaryWeights + V * D + vectors,
    ternaryWeights,
    zeroShare: zeros / ternaryWeights,
    layers: [...rows].map(([name, row]) => ({ name, ternaryWeights: row.weights, zeroShare: row.zeros / row.weights })),
    memoryBytes,
    embeddingBytes: embeddings.byteLength,
    stateBytes: model.createState().byteLength,
    fingerprint: stateShape.fingerprint,
    backendNote: kernels.backendNote,
    operations: {
      ternaryAdditions: ternaryWeights - zeros,
      multiplications: L * layer + 3 * D + bitLinear(V, D),
      denseMultiplications: ternaryWeights,
    },
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
