import { cumulativeLowerBounds, Embedding, parameters, type BitLinearSpec, type Checkpoint } from 'matmulfree';
import { buildFloatModel, type FloatModelOptions, type WeightSource } from './build-model.js';
import { createMLGRU } from './float-mixers.js';
import type { FloatModel } from './float-model.js';

/**
 * Baseline (a): a MatMul-free LM with multiplications after all. Its layers, norms, gates and recurrence are the model's own; each BitLinear
 * is RMSNorm and then a plain float32 product, weights being trit · scale in 32 bits, activations not quantised. So it computes
 * what the ternary model approximates by rounding activations to 8 bits, with sixteen times the bytes of weights.
 */
export async function buildFloatMatMulFree(checkpoint: Checkpoint, options: FloatModelOptions): Promise<FloatModel> {
  const { blueprint } = checkpoint;
  const { head } = blueprint;
  if ('table' in head) throw new TypeError('no MatMul-free LM');
  const { layers, recurrentSize, hiddenSize, intermediateSize, vocabSize, rmsNormEps } = blueprint.config;
  return buildFloatModel({
    name: `${checkpoint.name}, float32`, vocabSize, layers,
    eps: rmsNormEps,
    contextLength: Infinity,
    widths: { hidden: hiddenSize, mixer: recurrentSize, intermediate: intermediateSize },
    memory: { fixed: layers * recurrentSize * Float32Array.BYTES_PER_ELEMENT, perToken: 0 },
    embeddings: blueprint.embeddings.hf, norm: blueprint.norm.weight.hf, head: { weight: head.weight.hf, norm: head.norm!.weight.hf },
    allocateStage: (bench, arena) => (weights, n) => {
      const { tokenNorm, tokenMixer, channelNorm, channelMixer } = blueprint.blocks[n];
      if (!tokenNorm || tokenMixer?.kind !== 'mlgru' || !channelNorm || !channelMixer) throw new TypeError('no MatMul-free LM');
      const { parts: mixer, boundsRow } = tokenMixer;
      const linear = ({ weight, norm }: BitLinearSpec) => weights.linear([weight.hf], weight.shape[0], weight.shape[1], norm!.weight.hf);
      return {
        tokenNorm: weights.vector(tokenNorm.weight.hf, hiddenSize),
        mixer: createMLGRU(bench, arena, {
          inputProjection: linear(mixer.inputProjection), forgetProjection: linear(mixer.forgetProjection),
          gateProjection: linear(mixer.gateProjection), outputProjection: linear(mixer.outputProjection),
          gateNorm: weights.vector(mixer.gateNorm.weight.hf, recurrentSize),
          lowerBound: boundsRow !== undefined ? weights.vector(lowerBoundName(boundsRow), recurrentSize) : undefined,
        }, recurrentSize, rmsNormEps),
        channelNorm: weights.vector(channelNorm.weight.hf, hiddenSize),
        gateUp: linear(channelMixer.parts.gateProjection),
        down: linear(channelMixer.parts.downProjection),
      };
    },
  }, await floatWeightsOf(checkpoint), options);
}

/** A layer's bounds are made from those of all layers: no tensor of a checkpoint. */
const lowerBoundName = (layer: number): string => `lower bound ${layer}`;

/** The weights of a checkpoint as floats. */
async function floatWeightsOf(checkpoint: Checkpoint): Promise<WeightSource> {
  const { blueprint } = checkpoint;
  const { embeddings, lowerBounds, config: { vocabSize, hiddenSize, recurrentSize, layers } } = blueprint;
  const tensors = new Map(parameters(blueprint).map(({ tensor }) => [tensor.hf, tensor]));
  const bounds = new Map<string, Float32Array>();
  if (lowerBounds) {
    const all = cumulativeLowerBounds(await checkpoint.readFloats(lowerBounds), layers, recurrentSize);
    for (let n = 0; n < layers; n++) bounds.set(lowerBoundName(n), all.subarray(n * recurrentSize, (n + 1) * recurrentSize));
  }
  return {
    async readRows(name, rows, columns, onRow) {
      if (name === embeddings.hf) {
        const table = new Embedding(checkpoint.tableType(embeddings), await checkpoint.readTable(embeddings), vocabSize, hiddenSize);
        const row = new Float32Array(hiddenSize);
        for (let id = 0; id < vocabSize; id++) {
          table.lookUp(id, row, 0);
          onRow(id, row);
        }
        return;
      }
      const trits = new Int8Array(rows * columns);
      const scales = new Float32Array(rows); // complete when all rows have been read
      await checkpoint.readTernary(found(tensors, name), scales, (row, ofRow) => trits.set(ofRow.subarray(0, columns), row * columns));
      const values = new Float32Array(columns);
      for (let row = 0; row < rows; row++) {
        for (let j = 0; j < columns; j++) values[j] = trits[row * columns + j] * scales[row];
        onRow(row, values);
      }
    },
    readVector: async (name) => bounds.get(name) ?? checkpoint.readFloats(found(tensors, name)),
  };
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new RangeError(`the checkpoint has no ${name}`);
  return value;
}
