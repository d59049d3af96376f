import { missingPart } from '../errors.js';
import type { Family, Shape } from './published-list.js';

/** A published ternary model that this version knows. Sizes are computed from its shape; bytes. */
export interface PublishedModel {
  /** What `load` takes: `hf:owner/name`, or `hf:owner/name/file.gguf`. */
  readonly source: string;
  readonly family: string;
  readonly goodFor: string;
  /** As its card has it. */
  readonly licence: string;
  /** What to know before downloading it; may be ''. */
  readonly note: string;
  /** Weights, ternary and float; norms and scales are not counted. */
  readonly parameters: number;
  /** Of the weights to download. */
  readonly diskBytes: number;
  /** The weights once loaded. Work space of some ten MB, and the text, come on top. */
  readonly memoryBytes: number;
  /** What is kept of each 1,000 tokens of text; 0 for a MatMul-free LM. */
  readonly bytesPer1000Tokens: number;
  /** What is kept of a text, whatever its length. */
  readonly stateBytes: number;
  /** Tokens of text for which there is room beside the weights in the 4 GiB of WebAssembly, about; Infinity where a text takes no more as it grows. */
  readonly roomForTokens: number;
  /** What was run with this version: its files, or only files of the same form, which tests make. */
  readonly tried: 'its files' | 'files of the same form';
}

/** WebAssembly can address so much. */
const ADDRESSABLE = 2 ** 32;
/** Channels of a head of a gated delta net. */
const DELTA_HEAD = 128;
/** Logits and vectors of a chunk of tokens. */
const WORK_SPACE = 128e6;

/**
 * Published models that this version is made for, with what they take and what they are good for. The list is a part of the package:
 * nothing is asked of a server.
 */
export async function publishedModels(): Promise<PublishedModel[]> {
  const { families } = await import('./published-list.js').catch(missingPart);
  return families().flatMap((family) => family.models.map(([source, shape]) => describe(family, source, shape)));
}

/*
 * Ternary weights: in each layer the mixer (queries and what joins the heads, [hidden, heads] each; keys and values, [hidden, key-value
 * heads] each; or the four square matrices of a MatMul-free LM) and three matrices [hidden, feedForward]; and tables [vocab, hidden]
 * where they are ternary. A gated delta net has queries, keys, values, a gate and what joins the heads, and attention beside it a gate for
 * each query; the net keeps a matrix [128, 128] for each value head, and three tokens of its convolution. A ternary weight takes 2 bits in memory, a scale of a group 4 bytes; a float table what it takes in the
 * file. A token of text takes a key and a value of 16 bits for each channel of each key-value head of each layer with attention.
 */
function describe({ family, goodFor, licence, note, form, scaleGroup = Infinity }: Family, source: string, shape: Shape): PublishedModel {
  const { layers, hidden, feedForward, vocab, attention, delta, embeddings, head } = shape;
  const [heads, keyValueHeads, headSize] = attention ?? [0, 0, 0];
  const { layers: deltaLayers, keyHeads, valueHeads } = delta ?? { layers: 0, keyHeads: 0, valueHeads: 0 };
  const mixer = attention ? hidden * ((delta ? 3 : 2) * heads + 2 * keyValueHeads) * headSize : 4 * hidden * hidden;
  const deltaMixer = hidden * (2 * keyHeads + 3 * valueHeads) * DELTA_HEAD;
  const deltaState = 4 * DELTA_HEAD * (valueHeads * DELTA_HEAD + 3 * (2 * keyHeads + valueHeads));
  const tables = (kind: 'ternary' | 'float'): number => [embeddings, head].filter((table) => table === kind).length * vocab * hidden;
  const ternary = (layers - deltaLayers) * mixer + deltaLayers * deltaMixer + layers * 3 * hidden * feedForward + tables('ternary');
  const floats = tables('float');
  const memoryBytes = Math.round(ternary / 4 + (4 * ternary) / scaleGroup + floats * form.floatBytes);
  const bytesPerToken = 2 * (layers - deltaLayers) * keyValueHeads * headSize * 2;
  return {
    source, family, goodFor, licence, note,
    parameters: ternary + floats,
    diskBytes: Math.round((ternary * form.ternaryBits) / 8 + floats * form.floatBytes + form.tokenizerBytes),
    memoryBytes,
    bytesPer1000Tokens: 1000 * bytesPerToken,
    stateBytes: attention ? deltaLayers * deltaState : 4 * layers * hidden,
    roomForTokens: attention ? Math.max(0, Math.floor((ADDRESSABLE - WORK_SPACE - memoryBytes) / bytesPerToken)) : Infinity,
    tried: 'files of the same form',
  };
}
