import type { Model } from 'matmulfree';
import { describeModel } from '../src/model/describe.js';
import { pagesFor } from '../src/model/keys-and-values.js';
import { PAGE_POSITIONS } from '../src/kernels/kernels.js';
import { EXPONENTIAL, type TokenCost } from './operations.js';
import { packedBytes, streamedBytes } from './ternary-parts.js';

/** What a model of the library's takes, of whatever kind. */
export interface LibraryCosts {
  /** Of weights in memory: matrices with their scales, embeddings, head. */
  readonly weightBytes: number;
  /** Of a token after `position` others. */
  costAt(position: number): TokenCost;
  /** Bytes that are kept of a text of so many tokens, read one by one: vectors, and pages of keys and values. */
  memoryAt(tokens: number): number;
}

/** Attention of a block: of heads that share keys and values in groups. */
export interface AttentionSizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Tokens that one sees, itself included. */
  readonly window: number;
}

export function costsOf(model: Model): LibraryCosts {
  const { blueprint: { blocks }, pages, embeddings, config: { vocabSize } } = model.parts;
  const { operations: { ternaryAdditions, multiplications }, stateBytes } = describeModel(model);
  const attention = blocks.flatMap(({ tokenMixer }): AttentionSizes[] => {
    if (tokenMixer?.kind !== 'attention') return [];
    const { kvHeads, headDim, window, parts: { queryProjection } } = tokenMixer;
    return [{ heads: queryProjection.weight.shape[0] / headDim, kvHeads, headDim, window }];
  });
  const elementBytes = pages?.memory.elements.BYTES_PER_ELEMENT ?? 0;
  const streamed = streamedBytes(model) + embeddings.byteLength / vocabSize;
  return {
    weightBytes: packedBytes(model),
    memoryAt: (tokens) => stateBytes + attention.reduce((sum, { window }) => sum + heldPages(tokens, window) * pages!.pageBytes, 0),
    costAt(position) {
      const floats = multiplications + attention.reduce((sum, one) => sum + attentionOperations(one, position), 0);
      const keysAndValues = attention.reduce((sum, one) => sum + visible(one, position) * 2 * one.kvHeads * one.headDim * elementBytes, 0);
      return { integerAdditions: ternaryAdditions, floatAdditions: floats, floatMultiplications: floats, bytes: streamed + stateBytes + keysAndValues };
    },
  };
}

/** Tokens that the one after `position` others sees, itself included. */
const visible = ({ window }: AttentionSizes, position: number): number => Math.min(position + 1, window);

/** Multiplications of a token's attention: q · k, the scale of a score, softmax, and p · v. */
export function attentionOperations(sizes: AttentionSizes, position: number): number {
  return sizes.heads * visible(sizes, position) * (2 * sizes.headDim + EXPONENTIAL + 1);
}

/** Pages that a block of attention holds of a text whose tokens were read one by one: a window lets go of those that it has left a page behind. */
export function heldPages(tokens: number, window: number): number {
  const first = Number.isFinite(window) ? Math.max(0, Math.floor((tokens - PAGE_POSITIONS - window) / PAGE_POSITIONS)) : 0;
  return pagesFor(tokens) - first;
}
