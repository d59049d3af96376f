import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import { exp } from '../platform/numeric.js';
import { logProbability } from '../sampling/logprobs.js';

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

export interface ScoreOptions {
  /** Called with the number of ids predicted so far. */
  readonly onProgress?: ((tokens: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Predicts each id from those before it, starting from an empty state.
 * @throws ArgumentError for fewer than two ids, or one out of range.
 */
export function scoreIds(model: Model, ids: ArrayLike<number>): Score {
  const state = model.createState();
  requireTwo(model, ids, state);
  const logprobs = new Float64Array(ids.length - 1);
  let nll = 0;
  try {
    model.forwardSequences([{ ids: Array.prototype.slice.call(ids, 0, -1) as number[], state, want: 'all', what: 'score' }], (logits, position) => {
      const logprob = logProbability(logits, ids[position + 1]!);
      logprobs[position] = logprob;
      nll -= logprob;
    });
  } finally {
    state.release();
  }
  return { tokens: logprobs.length, nll, perplexity: exp(nll / logprobs.length), logprobs };
}

/** @throws ArgumentError for what cannot be scored. */
export function requireTwo(model: Model, ids: ArrayLike<number>, state: ModelState): void {
  model.check(ids, state, 'score', ids.length - 1);
  if (ids.length < 2) throw new ArgumentError('score: one token id is too few, the second is the first to be predicted');
}
