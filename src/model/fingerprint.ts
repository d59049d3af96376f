import type { ModelConfig } from './config.js';
import type { LayerWeights, ModelWeights } from './weights.js';

/**
 * 64 bits that tell models apart, from the configuration, all norms and all scales: the same for every format and backend.
 * It guards against mistakes, not against forgery. @returns 16 hexadecimal digits.
 */
export function fingerprint(config: ModelConfig, weights: ModelWeights): string {
  const hash = new Hash();
  const { vocabSize, hiddenSize, recurrentSize, intermediateSize, layers, rmsNormEps } = config;
  hash.floats(new Float32Array([vocabSize, hiddenSize, recurrentSize, intermediateSize, layers, rmsNormEps]));
  for (const layer of weights.layers) for (const values of layerFloats(layer)) hash.floats(values);
  hash.floats(weights.norm);
  hash.floats(weights.head.norm);
  hash.floats(weights.head.matrix.scales);
  return hash.digest();
}

function layerFloats(layer: LayerWeights): Float32Array[] {
  const { inputProjection, forgetProjection, gateProjection, outputProjection, mlpGate, mlpDown } = layer;
  const linears = [inputProjection, forgetProjection, gateProjection, outputProjection, mlpGate, mlpDown];
  const floats = linears.flatMap(({ norm, matrix }) => [norm, matrix.scales]);
  floats.push(layer.tokenNorm, layer.gateNorm, layer.channelNorm);
  if (layer.lowerBound) floats.push(layer.lowerBound);
  return floats;
}

/** Two FNV-1a hashes over 32-bit words, with different offsets and a final mix. */
class Hash {
  private a = 0x811c9dc5;
  private b = 0x1b873593;

  floats(values: Float32Array): void {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (const word of words) {
      this.a = Math.imul(this.a ^ word, 0x01000193);
      this.a ^= this.a >>> 15;
      this.b = Math.imul(this.b ^ word, 0x85ebca6b);
      this.b ^= this.b >>> 13;
    }
  }

  digest(): string {
    return [this.a, this.b].map((n) => (n >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
