import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { Pace } from '../platform/pace.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Lanes, type LaneInput } from './lanes.js';
import { argmax } from '../sampling/sampler.js';
import { logNormalizer, logProbability } from '../sampling/logprobs.js';

/** Ids of which those from `from` on are to be predicted, given those before. */
export interface Continuation {
  readonly ids: readonly number[];
  /** At least 1. */
  readonly from: number;
}

/** How probable a continuation is. Logarithms are natural. */
export interface ContinuationScore {
  /** Log-probability: the sum over its tokens. */
  readonly logprob: number;
  readonly tokens: number;
  /** Whether each of its tokens is the likeliest one where it stands (of equal ones the lowest id): greedy decoding would write it. */
  readonly isGreedy: boolean;
}

/**
 * Scores continuations, in one batch. What their ids begin with in common is read once, if that saves at least a pass. Each gets the
 * score that it gets alone, bit for bit.
 * @throws ArgumentError for an id out of range; the signal's reason.
 */
export async function scoreContinuations(model: Model, continuations: readonly Continuation[], pace: Pace, what = 'choose'): Promise<ContinuationScore[]> {
  const scores = continuations.map(({ ids, from }) => ({ logprob: 0, tokens: ids.length - from, isGreedy: true }));
  const { maxTokens } = model.parts.workspace;
  const shared = sharedTokens(continuations);
  let inputs: readonly LaneInput[] = continuations;
  const start = model.createState();
  try {
    if (shared * (continuations.length - 1) >= maxTokens) {
      for (const { ids } of continuations) model.check(ids, start, what, ids.length - 1);
      for (let first = 0; first < shared; first += maxTokens) {
        await pace.giveWay();
        const ids = continuations[0]!.ids.slice(first, Math.min(first + maxTokens, shared));
        model.forwardSequences([{ ids, state: start, what, want: first + maxTokens < shared ? 'nothing' : 'last' }], (logits) => {
          const normalizer = logNormalizer(logits);
          const best = argmax(logits);
          continuations.forEach(({ ids, from }, n) => {
            if (from !== shared) return;
            scores[n]!.logprob += logProbability(logits, ids[from]!, normalizer);
            scores[n]!.isGreedy &&= ids[from] === best;
          });
        });
      }
      inputs = continuations.map((continuation) => ({ ...continuation, start }));
    }
    const lanes = new Lanes(model, inputs, (logits, id, _position, n) => {
      scores[n]!.logprob += logProbability(logits, id);
      scores[n]!.isGreedy &&= argmax(logits) === id;
    }, what);
    await lanes.run(pace);
  } finally {
    start.release();
  }
  return scores;
}

/** How many ids all of them begin with, none of which is predicted. */
function sharedTokens(continuations: readonly Continuation[]): number {
  const [first] = continuations;
  let shared = first?.from ?? 0;
  for (const { ids, from } of continuations) {
    let n = 0;
    while (n < shared && n < from && ids[n] === first!.ids[n]) n++;
    shared = n;
  }
  return shared;
}

/**
 * Turns pairs of texts into ids as EleutherAI's lm-evaluation-harness does (`TemplateLM._encode_pair`, `loglikelihood`): white space at the
 * end of the context goes to the continuation; of the ids of both together, those after as many as the context alone has are the
 * continuation's; in place of an empty context stands the BOS token, or EOS where there is none.
 */
export class PairEncoder {
  private readonly model: Model;
  private readonly tokenizer: Tokenizer;
  private readonly special: readonly number[];
  private context: string | undefined;
  private contextIds: readonly number[] = [];

  constructor(model: Model, tokenizer: Tokenizer, addSpecialTokens: boolean) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.special = addSpecialTokens ? leadingSpecialTokens(tokenizer) : [];
  }

  /** @throws ArgumentError, beginning with `what`, when there is nothing to predict or nothing to predict it from. */
  encode(what: string, context: string, continuation: string): Continuation {
    const before = withoutTrailingSpace(context);
    const after = context.slice(before.length) + continuation;
    if (before !== this.context) {
      this.contextIds = this.encodeContext(what, before);
      this.context = before;
    }
    const { contextIds, special } = this;
    const ids = before === ''
      ? [...contextIds, ...this.tokenizer.encode(after, { addSpecialTokens: false })]
      : [...contextIds, ...this.tokenizer.encode(before + after, { addSpecialTokens: false }).slice(contextIds.length - special.length)];
    if (ids.length === contextIds.length) throw new ArgumentError(`${what}: it adds no token to what stands before it`);
    return { ids, from: contextIds.length };
  }

  private encodeContext(what: string, context: string): readonly number[] {
    if (context !== '') {
      const ids = [...this.special, ...this.tokenizer.encode(context, { addSpecialTokens: false })];
      if (ids.length > 0) return ids;
    }
    const { bosTokenId, eosTokenIds } = this.model.parts.config;
    const start = bosTokenId ?? this.tokenizer.bosTokenId ?? eosTokenIds[0] ?? this.tokenizer.eosTokenId;
    if (start === undefined) throw new ArgumentError(`${what}: the context is empty, and the model has no BOS or EOS token to stand for it`);
    return [start];
  }
}

/** White space as Python's `str.rstrip` and `\s` have it. */
export const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';

function withoutTrailingSpace(text: string): string {
  const space = new RegExp(SPACE);
  let end = text.length;
  while (end > 0 && space.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** What a tokenizer puts before every text, such as a BOS token. */
export function leadingSpecialTokens(tokenizer: Tokenizer): number[] {
  const plain = tokenizer.encode('a', { addSpecialTokens: false });
  const marked = tokenizer.encode('a');
  const begin = marked.findIndex((_, at) => plain.every((id, n) => marked[at + n] === id));
  return marked.slice(0, Math.max(0, begin));
}
