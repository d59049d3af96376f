import { exp } from '../platform/numeric.js';
import type { Pace } from '../platform/pace.js';
import { FLOAT_BYTES, type FloatType } from '../formats/floats.js';
import { BLOCK_WEIGHTS, decodeTernaryRow, type TernaryBlockType } from '../formats/ternary-blocks.js';
import type { Arena } from '../kernels/arena.js';
import type { Kernels, TernaryMatrix } from '../kernels/kernels.js';
import type { Checkpoint, Reading } from '../checkpoint/checkpoint.js';
import { Hash } from './hash.js';
import type { BitLinearSpec, ModelSpec, TensorSpec } from '../checkpoint/tensor-names.js';

export interface BitLinearWeights {
  readonly spec: BitLinearSpec;
  readonly matrix: TernaryMatrix; // [out, in]
  readonly norm: Float32Array; //    [in]
}

export interface LayerWeights {
  readonly tokenNorm: Float32Array;
  readonly inputProjection: BitLinearWeights;
  readonly forgetProjection: BitLinearWeights;
  readonly gateProjection: BitLinearWeights;
  readonly gateNorm: Float32Array;
  readonly lowerBound: Float32Array | undefined;
  readonly outputProjection: BitLinearWeights;
  readonly channelNorm: Float32Array;
  readonly mlpGate: BitLinearWeights;
  readonly mlpDown: BitLinearWeights;
}

/** All weights of a model, packed, in one arena. */
export interface ModelWeights {
  readonly embeddings: Uint8Array; // [vocab, hidden] of the checkpoint's type
  readonly layers: readonly LayerWeights[];
  readonly norm: Float32Array;
  readonly head: BitLinearWeights;
}

/** Reserves the memory of all weights, without reading any. */
export function allocateWeights(arena: Arena, kernels: Kernels, spec: ModelSpec, embeddingType: FloatType): ModelWeights {
  const vector = ({ shape: [width = 0] }: TensorSpec): Float32Array => arena.f32(width);
  const linear = (linearSpec: BitLinearSpec): BitLinearWeights => {
    const [rows = 0, columns = 0] = linearSpec.weight.shape;
    return { spec: linearSpec, matrix: kernels.createTernary(arena, rows, columns), norm: vector(linearSpec.norm) };
  };
  const [vocab = 0, hidden = 0] = spec.embeddings.shape;
  return {
    embeddings: arena.u8(vocab * hidden * FLOAT_BYTES[embeddingType]),
    layers: spec.layers.map((layer, n) => ({
      tokenNorm: vector(layer.tokenNorm),
      inputProjection: linear(layer.inputProjection),
      forgetProjection: linear(layer.forgetProjection),
      gateProjection: linear(layer.gateProjection),
      gateNorm: vector(layer.gateNorm),
      // Layer 0 has the bound 0, which is none.
      lowerBound: spec.lowerBounds && n > 0 ? arena.f32(hidden) : undefined,
      outputProjection: linear(layer.outputProjection),
      channelNorm: vector(layer.channelNorm),
      mlpGate: linear(layer.mlpGate),
      mlpDown: linear(layer.mlpDown),
    })),
    norm: vector(spec.norm),
    head: linear(spec.head),
  };
}

/** Counts of one ternary weight, known once it has been read. */
export interface TernaryCount {
  readonly name: string;
  readonly weights: number;
  readonly zeros: number;
  /** A hash of some of its rows, for the model's fingerprint. */
  readonly sample: number;
}

/** Rows of each weight that go into its hash: hashing all would take as long as loading. */
const SAMPLED_ROWS = 16;

/**
 * Reads all tensors of `checkpoint` into `weights`, one at a time.
 * @param onBytes is told how much more of what is stored is in place.
 * @throws FormatError at a NaN or infinity, a truncated file; the signal's reason.
 */
export async function readWeights(
  checkpoint: Checkpoint, kernels: Kernels, weights: ModelWeights, onBytes: (bytes: number) => void, pace: Pace,
): Promise<TernaryCount[]> {
  const { spec } = checkpoint;
  const counts: TernaryCount[] = [];
  let told = 0;
  const reading: Reading = {
    pace,
    onBytes: (bytes) => {
      told += bytes;
      onBytes(bytes);
    },
  };
  const done = async (tensor: TensorSpec): Promise<void> => {
    onBytes(checkpoint.storedBytes(tensor) - told);
    told = 0;
    await pace.giveWay();
  };

  const readVector = async (tensor: TensorSpec, into: Float32Array): Promise<void> => {
    into.set(await checkpoint.readFloats(tensor));
    await done(tensor);
  };
  const readLinear = async ({ spec: linear, matrix, norm }: BitLinearWeights): Promise<void> => {
    const { rows, columns } = matrix;
    const hash = new Hash();
    const step = Math.ceil(rows / SAMPLED_ROWS);
    let zeros = 0;
    const sample = (trits: Int8Array): void => {
      for (let j = 0; j < columns; j++) hash.add(trits[j]!);
    };
    const onRow = (row: number, trits: Int8Array): void => {
      for (let j = 0; j < columns; j++) zeros += 1 - (trits[j]! & 1);
      if (row % step === 0) sample(trits);
      kernels.packRow(matrix, row, trits);
    };
    const onBlocks = (first: number, count: number, type: TernaryBlockType, bytes: Uint8Array): boolean => {
      const found = kernels.packBlocks!(matrix, first, count, type, bytes);
      if (found < 0) return false;
      zeros += found;
      const trits = new Int8Array(Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
      for (let row = Math.ceil(first / step) * step; row < first + count; row += step) {
        decodeTernaryRow(type, bytes, ((row - first) * bytes.length) / count, trits);
        sample(trits);
      }
      return true;
    };
    await checkpoint.readTernary(linear.weight, matrix.scales, onRow, { ...reading, onBlocks: kernels.packBlocks && onBlocks });
    counts.push({ name: linear.weight.hf.replace(/\.weight$/, ''), weights: rows * columns, zeros, sample: hash.value });
    await done(linear.weight);
    await readVector(linear.norm, norm);
  };

  const table = await checkpoint.readEmbeddings(weights.embeddings, reading);
  if (table !== weights.embeddings) weights.embeddings.set(table);
  await done(spec.embeddings);
  for (const [n, layer] of weights.layers.entries()) {
    const names = spec.layers[n]!;
    await readVector(names.tokenNorm, layer.tokenNorm);
    await readLinear(layer.inputProjection);
    await readLinear(layer.forgetProjection);
    await readLinear(layer.gateProjection);
    await readVector(names.gateNorm, layer.gateNorm);
    await readLinear(layer.outputProjection);
    await readVector(names.channelNorm, layer.channelNorm);
    await readLinear(layer.mlpGate);
    await readLinear(layer.mlpDown);
  }
  await readVector(spec.norm, weights.norm);
  await readLinear(weights.head);
  if (spec.lowerBounds) {
    const [layers = 0, width = 0] = spec.lowerBounds.shape;
    const bounds = cumulativeLowerBounds(await checkpoint.readFloats(spec.lowerBounds), layers, width);
    weights.layers.forEach(({ lowerBound }, n) => lowerBound?.set(bounds.subarray(n * width, (n + 1) * width)));
    await done(spec.lowerBounds);
  }
  return counts;
}

/**
 * The forget gates' lower bounds: p = softmax over the layers, lb[l] = p[1] + … + p[l] (hgrn-bit.md, "Lower bounds": the
 * cumulative sum minus p[0]). raw, result: [layers, width]. Computed in float64 with the library's own exp.
 */
export function cumulativeLowerBounds(raw: Float32Array, layers: number, width: number): Float32Array {
  const bounds = new Float32Array(layers * width);
  const weights = new Float64Array(layers);
  for (let j = 0; j < width; j++) {
    let maximum = -Infinity;
    for (let l = 0; l < layers; l++) maximum = Math.max(maximum, raw[l * width + j]!);
    let total = 0;
    for (let l = 0; l < layers; l++) {
      weights[l] = exp(raw[l * width + j]! - maximum);
      total += weights[l]!;
    }
    for (let l = 1, sum = 0; l < layers; l++) {
      sum += weights[l]! / total;
      bounds[l * width + j] = sum;
    }
  }
  return bounds;
}
