import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import { exp } from '../platform/numeric.js';
import { givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
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

export const SCORE_OPTIONS: readonly (keyof ScoreOptions)[] = ['onProgress', 'signal'];

/**
 * Predicts each id from those before it, starting from an empty state.
 * @throws ArgumentError for fewer than two ids, or one out of range.
 */
export function scoreIds(model: Model, ids: ArrayLike<number>): Score {
  const scoring = new Scoring(model, ids);
  try {
    while (!scoring.done) scoring.step();
    return scoring.result();
  } finally {
    scoring.close();
  }
}

/** As `scoreIds`, in steps between which other tasks run. @throws also the signal's reason. */
export async function scoreIdsAsync(model: Model, ids: ArrayLike<number>, options: ScoreOptions): Promise<Score> {
  const { onProgress, signal } = givenOptions('score', options, SCORE_OPTIONS);
  const pace = new Pace(signal);
  const scoring = new Scoring(model, ids);
  try {
    while (!scoring.done) {
      await pace.giveWay();
      scoring.step();
      onProgress?.(scoring.predicted);
    }
    return scoring.result();
  } finally {
    scoring.close();
  }
}

/** One text on its way through the model, a chunk at a time. */
class Scoring {
  predicted = 0;
  private readonly model: Model;
  private readonly ids: ArrayLike<number>;
  private readonly state: ModelState;
  private readonly chunk: number;
  private readonly logprobs: Float64Array; // [ids.length - 1]
  private nll = 0;

  constructor(model: Model, ids: ArrayLike<number>) {
    this.model = model;
    this.ids = ids;
    this.state = model.createState();
    model.check(ids, this.state, 'score', ids.length - 1);
    if (ids.length < 2) throw new ArgumentError('score: one token id is too few, the second is the first to be predicted');
    this.chunk = Math.min(model.parts.workspace.maxTokens, ids.length - 1);
    this.logprobs = new Float64Array(ids.length - 1);
  }

  get done(): boolean {
    return this.predicted === this.logprobs.length;
  }

  step(): void {
    const { model, ids, logprobs } = this;
    const end = Math.min(this.predicted + this.chunk, logprobs.length);
    const input = Array.prototype.slice.call(ids, this.predicted, end) as number[];
    model.forwardSequences([{ ids: input, state: this.state, want: 'all', what: 'score' }], (logits) => {
      const logprob = logProbability(logits, ids[this.predicted + 1]!);
      logprobs[this.predicted++] = logprob;
      this.nll -= logprob;
    });
  }

  close(): void {
    this.state.release();
  }

  result(): Score {
    const { logprobs, nll } = this;
    return { tokens: logprobs.length, nll, perplexity: exp(nll / logprobs.length), logprobs };
  }
}
