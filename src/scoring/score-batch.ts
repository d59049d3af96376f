import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import { exp } from '../platform/numeric.js';
import { givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import { Lanes } from './lanes.js';
import { logProbability } from '../sampling/logprobs.js';
import { requireTwo, type Score, type ScoreOptions } from './score.js';

const OPTIONS: readonly (keyof ScoreOptions)[] = ['onProgress', 'signal'];

/**
 * Scores several texts side by side, which is quicker for short ones. Each gets the score that it gets alone, bit for bit.
 * @param idsOf of a text, for messages that begin so.
 * @throws ArgumentError for fewer than two ids in one of them, or one out of range; the signal's reason.
 */
export async function scoreTexts(
  model: Model, texts: readonly (string | ArrayLike<number>)[], options: ScoreOptions, idsOf: (what: string, text: string | ArrayLike<number>) => ArrayLike<number>,
): Promise<Score[]> {
  if (!Array.isArray(texts)) throw new ArgumentError(`scoreBatch: the texts are ${show(texts)}, not a list`);
  const all = texts.map((text: string | ArrayLike<number>, n) => idsOf(`scoreBatch: text ${n}`, text));
  const given = givenOptions('scoreBatch', options, OPTIONS);
  const unused = model.createState();
  all.forEach((ids, n) => {
    model.check(ids, unused, `scoreBatch: text ${n}`, ids.length - 1);
    if (ids.length < 2) throw new ArgumentError(`scoreBatch: text ${n} has fewer than two token ids, the second is the first to be predicted`);
  });
  return scoreAll('scoreBatch', model, all, given);
}

/** As `scoreIds`, in steps between which other tasks run. @throws also the signal's reason. */
export async function scoreIdsAsync(model: Model, ids: ArrayLike<number>, options: ScoreOptions): Promise<Score> {
  const given = givenOptions('score', options, OPTIONS);
  requireTwo(model, ids, model.createState());
  const [score] = await scoreAll('score', model, [ids], given);
  return score!;
}

/** @param what the caller's function. */
async function scoreAll(what: string, model: Model, texts: readonly ArrayLike<number>[], { onProgress, signal }: ScoreOptions): Promise<Score[]> {
  const nll = new Float64Array(texts.length);
  const inputs = texts.map((ids) => ({ ids, from: 1 }));
  const logprobs: Float64Array[] = [];
  const lanes = new Lanes(model, inputs, (logits, id, position, n) => {
    const logprob = logProbability(logits, id);
    logprobs[n]![position - 1] = logprob;
    nll[n]! -= logprob;
  }, what);
  for (const ids of texts) logprobs.push(new Float64Array(ids.length - 1)); // now that they are known to be ids
  await lanes.run(new Pace(signal), onProgress);
  return logprobs.map((list, n) => ({ tokens: list.length, nll: nll[n]!, perplexity: exp(nll[n]! / list.length), logprobs: list }));
}
