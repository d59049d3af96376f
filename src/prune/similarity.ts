import { ArgumentError, show } from '../errors.js';
import type { BlockSpec } from '../architectures/blueprint.js';
import { Block } from '../layers/block.js';
import { Model, type ModelParts } from '../model/model.js';
import { checkNumber, checkTextOrIds, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** What is measured: a `MatMulFreeLM` is one. */
export interface MeasuredModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/** A text, ids, or several of either: each is read by itself, from an empty state. */
export type CalibrationText = string | ArrayLike<number> | readonly (string | ArrayLike<number>)[];

export interface MeasureLayersOptions {
  /** Longer texts are cut into windows of so many tokens, each read from an empty state. Default: what the model was trained with, and has memory for, at most 2,048. */
  readonly context?: number | undefined;
  /** Called with the number of tokens read so far, and of all. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How similar what goes into a part of a layer and what comes out are: the mean cosine, 1 for a part that changes no direction. Undefined for what is not there. */
export interface LayerSimilarity {
  /** From 0. */
  readonly layer: number;
  readonly kind: NonNullable<BlockSpec['tokenMixer']>['kind'] | undefined;
  readonly tokenMixer: number | undefined;
  readonly channelMixer: number | undefined;
  /** Of both, one after the other. */
  readonly block: number | undefined;
}

export interface LayerSimilarities {
  /** Tokens that the means are over. */
  readonly tokens: number;
  /** Tokens of a window. */
  readonly context: number;
  readonly layers: readonly LayerSimilarity[];
}

/** The longest sample of He et al. */
const LONGEST_DEFAULT = 2048;
/** Of torch's cosine_similarity: lengths below it count as this. */
const LEAST_LENGTH = 1e-8;

/** See `measureLayers` (prune.ts). */
export async function measure(lm: MeasuredModel, text: CalibrationText, options: MeasureLayersOptions): Promise<LayerSimilarities> {
  const { context: wanted, onProgress, signal } = givenOptions('measureLayers', options, ['context', 'onProgress', 'signal']);
  if (!(lm?.model instanceof Model)) throw new ArgumentError(`measureLayers: got ${show(lm)} in place of a model that MatMulFreeLM.load gave`);
  const { parts } = lm.model;
  const longest = Math.min(parts.config.trainedContext, parts.pages?.info.contextTokens ?? Infinity, LONGEST_DEFAULT);
  const context = wanted === undefined ? longest : checkNumber('context', wanted, 1, 2 ** 24, 'whole');
  const texts = idsOf(lm, text);
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  const sums = parts.blocks.map(() => ({ tokenMixer: 0, channelMixer: 0, block: 0 }));
  const model = new Model({ ...parts, blocks: parts.blocks.map((block, n) => observed(parts, block, sums[n]!)) });
  const pace = new Pace(signal);
  const state = model.createState();
  let tokens = 0;
  try {
    for (const ids of texts) {
      for (let at = 0, end = 0; at < ids.length; at = end) {
        await pace.giveWay();
        lm.model.check([0], state, 'measureLayers', 0); // it may be gone by now
        if (at % context === 0) state.reset();
        end = Math.min(at + parts.workspace.maxTokens, at - (at % context) + context, ids.length);
        model.advance(Array.prototype.slice.call(ids, at, end) as number[], state, 'measureLayers');
        tokens += end - at;
        onProgress?.(tokens, total);
      }
    }
  } finally {
    state.release();
  }
  const layers = parts.blueprint.blocks.map(({ tokenMixer, channelMixer }, layer): LayerSimilarity => {
    const mean = (part: keyof Sums, isThere: boolean): number | undefined => (isThere ? sums[layer]![part] / tokens : undefined);
    const [hasToken, hasChannel] = [tokenMixer !== undefined, channelMixer !== undefined];
    return { layer, kind: tokenMixer?.kind, tokenMixer: mean('tokenMixer', hasToken), channelMixer: mean('channelMixer', hasChannel), block: mean('block', hasToken || hasChannel) };
  });
  return { tokens, context, layers };
}

function idsOf(lm: MeasuredModel, text: CalibrationText): ArrayLike<number>[] {
  const isList = Array.isArray(text) && typeof text[0] !== 'number';
  const texts = (isList ? text : [text]) as readonly (string | ArrayLike<number>)[];
  if (texts.length === 0) throw new ArgumentError('measureLayers: there is no text');
  const unused = lm.model.createState();
  return texts.map((one, n) => {
    const what = isList ? `measureLayers: text ${n}` : 'measureLayers: the text';
    checkTextOrIds(what, one);
    const ids = typeof one === 'string' ? lm.tokenizer.encode(one) : one;
    lm.model.check(ids, unused, what, 0); // windows are of any text
    return ids;
  });
}

/** Cosines, added up. */
interface Sums {
  tokenMixer: number;
  channelMixer: number;
  block: number;
}

/**
 * A block that adds up how much its halves change (He et al., 2024; ternary-transformers.md §7): X is the residual before the norm, Y what it
 * is after the mixer's output has been added.
 */
function observed({ kernels, workspace }: ModelParts, { parts }: Pick<Block, 'parts'>, sums: Sums): ModelParts['blocks'][number] {
  const { tokenNorm, tokenMixer, channelNorm, channelMixer } = parts;
  const first = new Block(kernels, workspace, { tokenNorm, tokenMixer });
  const second = new Block(kernels, workspace, { channelNorm, channelMixer });
  const hidden = (tokenNorm ?? channelNorm)?.weight.length ?? 0;
  return {
    parts,
    forward(residual, tokens, memory, lengths) {
      const before = residual.slice(0, tokens * hidden);
      first.forward(residual, tokens, memory, lengths);
      const between = residual.slice(0, tokens * hidden);
      second.forward(residual, tokens, memory);
      for (let at = 0; at < tokens * hidden; at += hidden) {
        sums.tokenMixer += cosine(before, between, at, hidden);
        sums.channelMixer += cosine(between, residual, at, hidden);
        sums.block += cosine(before, residual, at, hidden);
      }
    },
  };
}

/** Of two vectors of `width` elements from `at` on. */
function cosine(a: Float32Array, b: Float32Array, at: number, width: number): number {
  let [product, squareA, squareB] = [0, 0, 0];
  for (let j = at; j < at + width; j++) {
    product += a[j]! * b[j]!;
    squareA += a[j]! * a[j]!;
    squareB += b[j]! * b[j]!;
  }
  return product / (Math.max(Math.sqrt(squareA), LEAST_LENGTH) * Math.max(Math.sqrt(squareB), LEAST_LENGTH));
}
