import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import { checkBoolean, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { PairEncoder, scoreContinuations, type Continuation, type ContinuationScore } from './continuations.js';

/** How texts are put together for scoring. As EleutherAI's lm-evaluation-harness does it. */
export interface PairOptions {
  /** What stands between a prompt and a choice, and counts as part of the choice; default one space. */
  readonly delimiter?: string | undefined;
  /**
   * Whether the prompt begins with the special tokens that the tokenizer puts before a text (BOS); default true. Older versions of the
   * harness leave them out, unless told `add_bos_token=True`.
   */
  readonly addSpecialTokens?: boolean | undefined;
}

export interface ChooseOptions extends PairOptions {
  /** Called with the number of choices that are done, and of all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ChoiceScore extends ContinuationScore {
  readonly choice: string;
  /** `logprob` divided by the number of characters (Unicode code points) of the choice, the delimiter not counted. */
  readonly normalized: number;
}

/** Of equal scores the first one is the best. */
export interface Choice {
  /** Index of the choice with the greatest `logprob`: what the harness calls `acc` is how often this is the right one, */
  readonly best: number;
  /** and of the one with the greatest `normalized`: `acc_norm`. */
  readonly bestNormalized: number;
  readonly scores: readonly ChoiceScore[];
}

/**
 * How probable each of several texts is after a prompt. The prompt is read once, the choices side by side.
 * @throws ArgumentError for no choices, an empty one, an option; the signal's reason.
 */
export async function choose(
  model: Model, tokenizer: Tokenizer, prompt: string, choices: readonly string[], options: ChooseOptions = {},
): Promise<Choice> {
  const given = givenOptions('choose', options, ['delimiter', 'addSpecialTokens', 'onProgress', 'signal']);
  const { onProgress, signal } = given;
  if (typeof prompt !== 'string') throw new ArgumentError(`choose: the prompt is ${show(prompt)}, not a string`);
  if (!Array.isArray(choices) || choices.length === 0) throw new ArgumentError(`choose: the choices are ${show(choices)}, not a list of strings`);
  choices.forEach((choice: unknown, n) => {
    if (typeof choice !== 'string' || choice === '') throw new ArgumentError(`choose: choice ${n} is ${show(choice)}, not a string of at least one character`);
  });
  return scoreChoices(model, pairing(model, tokenizer, given), prompt, choices, new Pace(signal), { onProgress });
}

/** So many choices are encoded at a time: each holds the ids of the prompt as well. */
const SIDE_BY_SIDE = 256;

/** As `choose`, of what has been checked; messages begin with `what`. */
export async function scoreChoices(
  model: Model, { delimiter, encoder }: Pairing, prompt: string, choices: readonly string[], pace: Pace,
  { what = '', onProgress }: { what?: string; onProgress?: ChooseOptions['onProgress'] } = {},
): Promise<Choice> {
  const scores: ChoiceScore[] = [];
  while (scores.length < choices.length) {
    const some = choices.slice(scores.length, scores.length + SIDE_BY_SIDE);
    const pairs: Continuation[] = [];
    for (const choice of some) {
      await pace.giveWay();
      pairs.push(encoder.encode(`${what}choice ${scores.length + pairs.length}`, prompt, delimiter + choice));
    }
    for (const [n, score] of (await scoreContinuations(model, pairs, pace, what === '' ? 'choose' : 'evaluate')).entries()) {
      scores.push({ choice: some[n]!, ...score, normalized: score.logprob / codePoints(some[n]!) });
    }
    onProgress?.(scores.length, choices.length);
  }
  return {
    best: indexOfGreatest(scores.map(({ logprob }) => logprob)),
    bestNormalized: indexOfGreatest(scores.map(({ normalized }) => normalized)),
    scores,
  };
}

export interface Pairing {
  readonly delimiter: string;
  readonly encoder: PairEncoder;
}

/** @throws ArgumentError for an option of the wrong kind. */
export function pairing(model: Model, tokenizer: Tokenizer, options: PairOptions): Pairing {
  const { delimiter = ' ', addSpecialTokens = true } = options;
  if (typeof delimiter !== 'string') throw new ArgumentError(`option delimiter is ${show(delimiter)}, not a string`);
  return { delimiter, encoder: new PairEncoder(model, tokenizer, checkBoolean('addSpecialTokens', addSpecialTokens)) };
}

/** Of equal ones the first, as numpy's argmax. */
export function indexOfGreatest(values: readonly number[]): number {
  let best = 0;
  for (let n = 1; n < values.length; n++) if (values[n]! > values[best]!) best = n;
  return best;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
