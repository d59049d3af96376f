import type { Embedding } from '../layers/embedding.js';
import type { ModelConfig } from '../checkpoint/config.js';
import { Hash } from './hash.js';
import type { LayerWeights, ModelWeights, TernaryCount } from './weights.js';

const SAMPLED_EMBEDDINGS = 64;

/**
 * 64 bits that tell models apart: from the configuration, all norms and scales, the number of zeros in each weight, and samples of
 * the weights and the embedding table. The same for every format and backend. It guards against mistakes, not against forgery.
 * @returns 16 hexadecimal digits.
 */
export function fingerprint(
  config: ModelConfig, weights: ModelWeights, embeddings: Embedding, counts: readonly TernaryCount[],
): string {
  const floats = weights.layers.flatMap(layerFloats);
  floats.push(weights.norm, weights.head.norm, weights.head.matrix.scales);
  const row = new Float32Array(config.hiddenSize);
  return [new Hash(), new Hash(0x1b873593)].map((hash) => {
    const { vocabSize, hiddenSize, recurrentSize, intermediateSize, layers, rmsNormEps } = config;
    for (const n of [vocabSize, hiddenSize, recurrentSize, intermediateSize, layers]) hash.add(n);
    hash.floats(Float32Array.of(rmsNormEps));
    floats.forEach((values) => hash.floats(values));
    for (const { zeros, sample } of counts) {
      hash.add(zeros);
      hash.add(sample);
    }
    for (let id = 0; id < vocabSize; id += Math.ceil(vocabSize / SAMPLED_EMBEDDINGS)) {
      embeddings.lookUp(id, row, 0);
      hash.floats(row);
    }
    return hash.value.toString(16).padStart(8, '0');
  }).join('');
}

function layerFloats(layer: LayerWeights): Float32Array[] {
  const { inputProjection, forgetProjection, gateProjection, outputProjection, mlpGate, mlpDown } = layer;
  const linears = [inputProjection, forgetProjection, gateProjection, outputProjection, mlpGate, mlpDown];
  const floats = linears.flatMap(({ norm, matrix }) => [norm, matrix.scales]);
  floats.push(layer.tokenNorm, layer.gateNorm, layer.channelNorm);
  if (layer.lowerBound) floats.push(layer.lowerBound);
  return floats;
}
