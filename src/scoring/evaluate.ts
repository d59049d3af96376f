import { ArgumentError, show } from '../errors.js';
import { indexOfGreatest, pairing, scoreChoices, type Pairing, type PairOptions } from './choose.js';
import { scoreContinuations, type ContinuationScore } from './continuations.js';
import { Model } from '../model/model.js';
import { exp } from '../platform/numeric.js';
import { givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { checkItem, type ChoicesItem, type ContextsItem, type LastWordItem, type TaskItem, type TaskKind } from './items.js';

/** What is evaluated: a `MatMulFreeLM` is one. */
export interface EvaluatedModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

export interface EvaluateOptions extends PairOptions {
  /** Called after each item, or a few of them, with what has been found so far. */
  readonly onProgress?: ((soFar: Evaluation) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Metric {
  readonly value: number;
  /**
   * Standard error: of a mean, the sample standard deviation (with n - 1) divided by √n, as the harness has it; of a perplexity, the
   * perplexity times that of the mean log-likelihood, where the harness draws samples. Undefined for one item.
   */
  readonly stderr: number | undefined;
}

interface Counts {
  /** Items evaluated, */
  readonly items: number;
  /** and how many there are. */
  readonly total: number;
}

/** Metrics as EleutherAI's lm-evaluation-harness defines them. */
export type Evaluation =
  | Counts & { readonly kind: 'choices'; /** Share of right `best`, */ readonly acc: Metric; /** and `bestNormalized`. */ readonly accNorm: Metric }
  | Counts & { readonly kind: 'contexts'; readonly acc: Metric }
  | Counts & {
    readonly kind: 'last-word';
    /** Share of targets all of whose tokens greedy decoding gives. */
    readonly acc: Metric;
    /** exp of the mean negative log-likelihood of a target (not of a token). */
    readonly perplexity: Metric;
  };

/** So many last-word items go side by side. */
const SIDE_BY_SIDE = 16;

/**
 * Evaluates a model on the items of a task, which must be of one kind.
 * @throws ArgumentError for an item (it says which) or an option, TokenizerError, the signal's reason.
 */
export async function evaluate(lm: EvaluatedModel, items: readonly TaskItem[], options: EvaluateOptions = {}): Promise<Evaluation> {
  const given = givenOptions('evaluate', options, ['delimiter', 'addSpecialTokens', 'onProgress', 'signal']);
  const { onProgress, signal } = given;
  const kind = kindOf(items);
  if (!(lm?.model instanceof Model)) throw new ArgumentError(`evaluate: got ${show(lm)} in place of a model that MatMulFreeLM.load gave`);
  const { model } = lm;
  const pair = pairing(model, lm.tokenizer, given);
  const pace = new Pace(signal);
  const acc = new Mean();
  const second = new Mean(); // of right `bestNormalized`, or of log-probabilities
  const sideBySide = kind === 'last-word' ? SIDE_BY_SIDE : 1;
  let soFar = { kind, items: 0, total: items.length } as Evaluation;
  for (let n = 0; n < items.length; n += sideBySide) {
    const some = items.slice(n, n + sideBySide);
    if (kind === 'choices') {
      const { context, choices, label } = some[0] as ChoicesItem;
      const { best, bestNormalized } = await scoreChoices(model, pair, context, choices, pace, { what: `item ${n}: ` });
      acc.add(Number(best === label));
      second.add(Number(bestNormalized === label));
    } else if (kind === 'contexts') {
      const { label } = some[0] as ContextsItem;
      acc.add(Number(await bestContext(model, pair, some[0] as ContextsItem, n, pace) === label));
    } else {
      for (const { logprob, isGreedy } of await scoreLastWords(model, pair, some as LastWordItem[], n, pace)) {
        acc.add(Number(isGreedy));
        second.add(logprob);
      }
    }
    soFar = result(kind, items.length, acc, second);
    onProgress?.(soFar);
  }
  return soFar;
}

function result(kind: TaskKind, total: number, acc: Mean, second: Mean): Evaluation {
  const counts = { items: acc.count, total };
  switch (kind) {
    case 'choices': return { kind, ...counts, acc: acc.metric(), accNorm: second.metric() };
    case 'contexts': return { kind, ...counts, acc: acc.metric() };
    case 'last-word': {
      const { value, stderr } = second.metric();
      const perplexity = exp(-value);
      return { kind, ...counts, acc: acc.metric(), perplexity: { value: perplexity, stderr: stderr === undefined ? undefined : perplexity * stderr } };
    }
  }
}

function kindOf(items: readonly TaskItem[]): TaskKind {
  if (!Array.isArray(items) || items.length === 0) throw new ArgumentError(`evaluate: the items are ${show(items)}, not a list of at least one`);
  const kinds = items.map((item: unknown, n) => checkItem(item, (problem) => new ArgumentError(`evaluate: item ${n} ${problem}`)));
  const other = kinds.findIndex((kind) => kind !== kinds[0]);
  if (other >= 0) throw new ArgumentError(`evaluate: item ${other} is of the kind ${kinds[other]}, item 0 of the kind ${kinds[0]}; evaluate them apart`);
  return kinds[0]!;
}

async function bestContext(
  model: Model, { delimiter, encoder }: Pairing, { contexts, continuation }: ContextsItem, item: number, pace: Pace,
): Promise<number> {
  const pairs = contexts.map((context) => encoder.encode(`item ${item}`, context, delimiter + continuation));
  return indexOfGreatest((await scoreContinuations(model, pairs, pace, 'evaluate')).map(({ logprob }) => logprob));
}

function scoreLastWords(
  model: Model, { delimiter, encoder }: Pairing, items: readonly LastWordItem[], first: number, pace: Pace,
): Promise<ContinuationScore[]> {
  const pairs = items.map((item, n) => {
    const what = `item ${first + n}`;
    if ('target' in item) return encoder.encode(what, item.context, delimiter + item.target);
    const cut = item.text.lastIndexOf(' ');
    return encoder.encode(what, item.text.slice(0, Math.max(0, cut)), ` ${item.text.slice(cut + 1)}`);
  });
  return scoreContinuations(model, pairs, pace, 'evaluate');
}

/** Mean and standard error of numbers as they come (the error by Welford's algorithm). */
class Mean {
  count = 0;
  private sum = 0;
  private mean = 0;
  private squares = 0;

  add(value: number): void {
    const distance = value - this.mean;
    this.sum += value;
    this.mean += distance / ++this.count;
    this.squares += distance * (value - this.mean);
  }

  metric(): Metric {
    const { count, sum, squares } = this;
    return { value: sum / count, stderr: count > 1 ? Math.sqrt(squares / (count - 1) / count) : undefined };
  }
}
