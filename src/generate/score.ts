import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import { exp, log } from '../numeric.js';

/** How well a model predicts a text. Logarithms are natural. */
export interface Score {
  /** Tokens that were predicted: all but the first. */
  readonly tokens: number;
  /** Negative log-likelihood, summed over `tokens`. */
  readonly nll: number;
  /** exp(nll / tokens) */
  readonly perplexity: number;
  /** [tokens] log-probability of each id after the first. */
  readonly logprobs: Float64Array;
}

/**
 * Predicts each id from those before it, starting from an empty state.
 * @param onProgress is called with the number of ids done.
 * @throws ArgumentError for fewer than two ids, or one out of range.
 */
export function scoreIds(model: Model, ids: ArrayLike<number>, onProgress?: (done: number) => void): Score {
  if (!(ids.length >= 2)) throw new ArgumentError(`score: ${ids.length} token ids are too few, the second is the first to be predicted`);
  const { config, workspace } = model.parts;
  const vocab = config.vocabSize;
  const tokens = ids.length - 1;
  const logprobs = new Float64Array(tokens);
  const buffer = new Float32Array(Math.min(workspace.maxTokens, ids.length) * vocab);
  let position = 0;
  let nll = 0;
  model.forwardAll(ids, model.createState(), buffer, (logits, count) => {
    for (let t = 0; t < count && position < tokens; t++, position++) {
      const logprob = logProbability(logits, t * vocab, vocab, ids[position + 1]!);
      logprobs[position] = logprob;
      nll -= logprob;
    }
    onProgress?.(position);
  });
  return { tokens, nll, perplexity: exp(nll / tokens), logprobs };
}

/** log softmax(logits[start, start + vocab))[id], in float64, added in the order of the ids. */
function logProbability(logits: Float32Array, start: number, vocab: number, id: number): number {
  let maximum = -Infinity;
  for (let v = start; v < start + vocab; v++) if (logits[v]! > maximum) maximum = logits[v]!;
  let sum = 0;
  for (let v = start; v < start + vocab; v++) sum += exp(logits[v]! - maximum);
  return logits[start + id]! - maximum - log(sum);
}
