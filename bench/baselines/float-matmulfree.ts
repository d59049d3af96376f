import { cumulativeLowerBounds, Embedding, type BitLinearSpec, type Checkpoint } from 'matmulfree';
import { buildFloatModel, type FloatModelOptions, type WeightSource } from './build-model.js';
import { createMLGRU } from './float-mixers.js';
import type { FloatModel } from './float-model.js';

/**
 * Baseline (a): a MatMul-free LM with multiplications after all. Its layers, norms, gates and recurrence are the model's own; each BitLinear
 * is RMSNorm and then a plain float32 product, weights being trit · scale in 32 bits, activations not quantised. So it computes
 * what the ternary model approximates by rounding activations to 8 bits, with sixteen times the bytes of weights.
 */
export async function buildFloatMatMulFree(checkpoint: Checkpoint, options: FloatModelOptions): Promise<FloatModel> {
  const { config: { layers, recurrentSize, hiddenSize, intermediateSize, vocabSize, rmsNormEps }, spec } = checkpoint;
  return buildFloatModel({
    name: `${checkpoint.name}, float32`, vocabSize, layers,
    eps: rmsNormEps,
    contextLength: Infinity,
    widths: { hidden: hiddenSize, mixer: recurrentSize, intermediate: intermediateSize },
    memory: { fixed: layers * recurrentSize * Float32Array.BYTES_PER_ELEMENT, perToken: 0 },
    embeddings: spec.embeddings.hf, norm: spec.norm.hf, head: { weight: spec.head.weight.hf, norm: spec.head.norm.hf },
    allocateStage: (bench, arena) => (weights, n) => {
      const names = spec.layers[n];
      const linear = ({ weight, norm }: BitLinearSpec) => weights.linear([weight.hf], weight.shape[0], weight.shape[1], norm.hf);
      return {
        tokenNorm: weights.vector(names.tokenNorm.hf, hiddenSize),
        mixer: createMLGRU(bench, arena, {
          inputProjection: linear(names.inputProjection), forgetProjection: linear(names.forgetProjection),
          gateProjection: linear(names.gateProjection), outputProjection: linear(names.outputProjection),
          gateNorm: weights.vector(names.gateNorm.hf, recurrentSize),
          lowerBound: spec.lowerBounds && n > 0 ? weights.vector(lowerBoundName(n), recurrentSize) : undefined,
        }, recurrentSize, rmsNormEps),
        channelNorm: weights.vector(names.channelNorm.hf, hiddenSize),
        gateUp: linear(names.mlpGate),
        down: linear(names.mlpDown),
      };
    },
  }, await floatWeightsOf(checkpoint), options);
}

/** A layer's bounds are made from those of all layers: no tensor of a checkpoint. */
const lowerBoundName = (layer: number): string => `lower bound ${layer}`;

/** The weights of a checkpoint as floats. */
async function floatWeightsOf(checkpoint: Checkpoint): Promise<WeightSource> {
  const { spec, config: { vocabSize, hiddenSize, recurrentSize, layers } } = checkpoint;
  const linears = spec.layers.flatMap((layer) => [
    layer.inputProjection, layer.forgetProjection, layer.gateProjection, layer.outputProjection, layer.mlpGate, layer.mlpDown,
  ]).concat(spec.head);
  const matrices = new Map(linears.map(({ weight }) => [weight.hf, weight]));
  const vectors = new Map([
    ...linears.map(({ norm }) => norm), ...spec.layers.flatMap(({ tokenNorm, gateNorm, channelNorm }) => [tokenNorm, gateNorm, channelNorm]), spec.norm,
  ].map((tensor) => [tensor.hf, tensor]));
  const bounds = new Map<string, Float32Array>();
  if (spec.lowerBounds) {
    const all = cumulativeLowerBounds(await checkpoint.readFloats(spec.lowerBounds), layers, recurrentSize);
    for (let n = 0; n < layers; n++) bounds.set(lowerBoundName(n), all.subarray(n * recurrentSize, (n + 1) * recurrentSize));
  }
  return {
    async readRows(name, rows, columns, onRow) {
      if (name === spec.embeddings.hf) {
        const table = new Embedding(checkpoint.embeddingType, await checkpoint.readEmbeddings(), vocabSize, hiddenSize);
        const row = new Float32Array(hiddenSize);
        for (let id = 0; id < vocabSize; id++) {
          table.lookUp(id, row, 0);
          onRow(id, row);
        }
        return;
      }
      const trits = new Int8Array(rows * columns);
      const scales = new Float32Array(rows); // complete when all rows have been read
      await checkpoint.readTernary(found(matrices, name), scales, (row, ofRow) => trits.set(ofRow.subarray(0, columns), row * columns));
      const values = new Float32Array(columns);
      for (let row = 0; row < rows; row++) {
        for (let j = 0; j < columns; j++) values[j] = trits[row * columns + j] * scales[row];
        onRow(row, values);
      }
    },
    readVector: async (name) => bounds.get(name) ?? checkpoint.readFloats(found(vectors, name)),
  };
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new RangeError(`the checkpoint has no ${name}`);
  return value;
}
