import { blockParts, isBitLinear, parameters, type AnyPartSpec, type BlockSpec, type Blueprint, type Switch, type TensorSpec } from '../architectures/blueprint.js';
import type { Model } from './model.js';
import type { KeyValueInfo } from './pages.js';

/** What a loaded model is made of. Sizes in bytes, operations for one token. */
export interface ModelInfo extends KeyValueInfo {
  readonly parameters: number;
  readonly ternaryWeights: number;
  /** Share of zeros among the ternary weights, 0 to 1. */
  readonly zeroShare: number;
  /** One row for each layer, and a last one for the head. */
  readonly layers: readonly LayerInfo[];
  /** Packed weights and work space. */
  readonly memoryBytes: number;
  readonly embeddingBytes: number;
  /** What a text takes, whatever its length: the vectors of recurrent blocks. */
  readonly stateBytes: number;
  /** The longest text that the model takes; Infinity for a MatMul-free LM. */
  readonly maxPositions: number;
  /** As GGUF files name the architecture. */
  readonly family: string;
  /** What was decided in reading the configuration, and by what. */
  readonly switches: readonly Switch[];
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
  const { blueprint, counts, embeddings, kernels, memoryBytes, pages, stateShape, stored } = model.parts;
  const rows = new Map<string, { weights: number; zeros: number }>();
  for (const { name, weights, zeros } of counts) {
    const key = /layers\.\d+/.exec(name)?.[0] ?? name;
    const row = rows.get(key) ?? { weights: 0, zeros: 0 };
    rows.set(key, { weights: row.weights + weights, zeros: row.zeros + zeros });
  }
  const ternaryWeights = sum([...rows.values()].map((row) => row.weights));
  const zeros = sum([...rows.values()].map((row) => row.zeros));
  return {
    parameters: sum(parameters(blueprint).map(({ tensor }) => elements(tensor))),
    ternaryWeights,
    zeroShare: zeros / ternaryWeights,
    layers: [...rows].map(([name, row]) => ({ name, ternaryWeights: row.weights, zeroShare: row.zeros / row.weights })),
    memoryBytes,
    embeddingBytes: embeddings.byteLength,
    stateBytes: 4 * sum(stateShape.blocks.map((memory) => ('width' in memory ? memory.width : 0))),
    ...(pages?.info ?? { stateBytesPerToken: 0, windowedBytesPerToken: 0, contextTokens: Infinity }),
    maxPositions: blueprint.maxPositions,
    family: blueprint.architecture,
    switches: [{ name: 'weights', ...stored }, ...blueprint.switches],
    fingerprint: stateShape.fingerprint,
    backendNote: kernels.backendNote,
    operations: {
      ternaryAdditions: ternaryWeights - zeros,
      multiplications: sum(blueprint.blocks.map(blockMultiplications)) + partMultiplications(blueprint.norm) + headMultiplications(blueprint.head),
      denseMultiplications: ternaryWeights,
    },
  };
}

function blockMultiplications(block: BlockSpec): number {
  const { tokenMixer, channelMixer } = block;
  const [, intermediate = 0] = channelMixer?.parts.downProjection.weight.shape ?? [];
  // Of the gates: the recurrence has two sigmoids, the gated norm and the GLU one each.
  // The delta rule takes five for each element of its state.
  const { kind, stateSize = 0 }: { kind?: string; stateSize?: number } = tokenMixer ?? {};
  const recurrent = stateSize * (kind === 'mlgru' ? 3 * SIGMOID + 6 : 5);
  return sum(blockParts(block).map(partMultiplications)) + recurrent + intermediate * (channelMixer?.activation === 'silu' ? SIGMOID + 2 : 2);
}

/** A norm takes 3 a channel (square, 1/rms, weight), quantising 1 more, a product 2 a row (its scale). */
function partMultiplications(part: AnyPartSpec): number {
  if (!isBitLinear(part)) return (part.eps === undefined ? 1 : 3) * elements(part.weight);
  const [rows = 0, columns = 0] = part.weight.shape;
  return (part.norm ? 4 : 1) * columns + 2 * rows;
}

function headMultiplications(head: Blueprint['head']): number {
  return isBitLinear(head) ? partMultiplications(head) : elements(head.table);
}

function elements({ shape }: TensorSpec): number {
  return shape.reduce((product, n) => product * n, 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
