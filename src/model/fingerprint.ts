import { blockParts, isBitLinear, type BitLinearSpec, type Blueprint, type FloatsSpec, type NormSpec } from '../architectures/blueprint.js';
import type { Lookup } from '../layers/embedding.js';
import { Hash } from './hash.js';
import { lowerBoundOf } from './lower-bounds.js';
import type { ModelWeights, TernaryCount } from './weights.js';

const SAMPLED_EMBEDDINGS = 64;

/**
 * 64 bits that tell models apart: from the sizes, all norms and scales, the number of zeros in each weight, and samples of
 * the weights and the embedding table. The same for every format and backend. It guards against mistakes, not against forgery.
 * @returns 16 hexadecimal digits.
 */
export function fingerprint(
  blueprint: Blueprint, weights: ModelWeights, embeddings: Lookup, counts: readonly TernaryCount[],
): string {
  const { config: { vocabSize, hiddenSize, rmsNormEps }, identity } = blueprint;
  const hash = new Hash();
  hash.words(Int32Array.from(identity));
  hash.floats(Float32Array.of(rmsNormEps));
  for (const values of floatsOf(blueprint, weights)) hash.floats(values);
  for (const { zeros, sample } of counts) hash.words(Int32Array.of(zeros, sample));
  const row = new Float32Array(hiddenSize);
  for (let id = 0; id < vocabSize; id += Math.ceil(vocabSize / SAMPLED_EMBEDDINGS)) {
    embeddings.lookUp(id, row, 0);
    hash.floats(row);
  }
  return hash.digits;
}

/** Norms, scales and bounds, in an order that saved states depend on: of each block BitLinears first, of the model the head last. */
function floatsOf({ blocks, norm, head, lowerBounds }: Blueprint, { vectors, matrices }: ModelWeights): Float32Array[] {
  const ofNorm = ({ weight }: NormSpec | FloatsSpec): Float32Array => vectors.get(weight)!;
  const ofLinear = ({ norm: own, weight }: BitLinearSpec): Float32Array[] => [...(own ? [ofNorm(own)] : []), matrices.get(weight)!.scales];
  const floats = blocks.flatMap((block) => {
    const parts = blockParts(block);
    const inBlock = parts.filter(isBitLinear).flatMap(ofLinear);
    for (const part of parts) if (!isBitLinear(part)) inBlock.push(ofNorm(part));
    const boundsRow = block.tokenMixer?.kind === 'mlgru' ? block.tokenMixer.boundsRow : undefined;
    if (lowerBounds && boundsRow !== undefined) inBlock.push(lowerBoundOf(vectors.get(lowerBounds)!, lowerBounds.shape, boundsRow));
    return inBlock;
  });
  return [...floats, ofNorm(norm), ...(isBitLinear(head) ? ofLinear(head) : [])];
}
