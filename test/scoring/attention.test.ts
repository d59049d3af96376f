import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate, MatMulFreeLM } from 'matmulfree';
import { expectSameBits } from '../support/compare.js';
import { ATTENTION_NAMES, tinyModelWithText, VOCAB } from '../support/naive-generation.js';
import { naiveLogprobs, naivePair } from '../support/naive-scores.js';
import { freshSeed, randomFrom } from '../support/random.js';

/* Scores of models with attention are those of a token-by-token evaluation, and let go of all memory for keys and values. */
const seed = freshSeed();

describe.each(ATTENTION_NAMES)('%s', (family) => {
  let lm: MatMulFreeLM;
  /** Memory for one text at a time, and little more. */
  let small: MatMulFreeLM;
  const random = randomFrom(seed);
  const idsOf = (length: number): number[] => Array.from({ length }, () => random.integer(0, VOCAB - 1));
  const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((total, value) => total + value, 0);
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(tinyModelWithText(2, family), { threads: 1, contextTokens: 2048 });
    small = await MatMulFreeLM.load(tinyModelWithText(2, family), { threads: 1, contextTokens: 256 });
  });
  afterAll(() => {
    for (const each of [lm, small]) {
      const { available, total } = each.model.parts.pages!;
      expect(available).toBe(total);
      each.dispose();
    }
  });

  it(`score, scoreAsync, scoreBatch (SEED=${seed})`, async () => {
    const texts = [2, 3, 64, 65, 66, 129, 200, 2, 70, 90, 31, 5].map(idsOf);
    const batch = await lm.scoreBatch(texts);
    for (const [n, ids] of texts.entries()) {
      const right = naiveLogprobs(lm, ids);
      const score = lm.score(ids);
      expect(score.tokens).toBe(right.length);
      score.logprobs.forEach((logprob, t) => expect(logprob).toBeCloseTo(right[t]!.logprob, 6));
      expect(await lm.scoreAsync(ids)).toEqual(score);
      expect(batch[n]).toEqual(score);
    }
    // As many side by side as there is memory for.
    expect(await small.scoreBatch(texts)).toEqual(batch);
    expect(await small.scoreBatch([...texts].reverse())).toEqual([...batch].reverse());
  });

  it(`perplexity, of a text that runs on and in windows (SEED=${seed})`, async () => {
    const ids = idsOf(230);
    const { nll, tokens } = await lm.perplexity(ids);
    expect([nll, tokens]).toEqual([lm.score(ids).nll, 229]);
    for (const [context, stride] of [[100, 50], [65, 65], [64, 10]] as const) {
      let [right, count, previousEnd] = [0, 0, 0];
      for (let begin = 0; previousEnd < ids.length; begin += stride) {
        const end = Math.min(begin + context, ids.length);
        const found = naiveLogprobs(lm, ids.slice(begin, end)).slice(-(end - previousEnd));
        right -= sum(found.map(({ logprob }) => logprob));
        count += found.length;
        previousEnd = end;
      }
      const windows = await small.perplexity(ids, { context, stride });
      expect(windows.tokens).toBe(count);
      expect(windows.nll).toBeCloseTo(right, 5);
    }
  });

  it(`choose and evaluate, with a long prompt and many choices (SEED=${seed})`, async () => {
    const letters = (length: number): string => Array.from({ length }, () => 'abc'[random.integer(0, 2)]).join('');
    for (const [length, count] of [[3, 3], [150, 4], [120, 30]] as const) {
      const prompt = letters(length);
      const choices = Array.from({ length: count }, () => letters(random.integer(1, 70)));
      const found = await lm.choose(prompt, choices);
      expect(await small.choose(prompt, choices)).toEqual(found);
      for (const { choice, logprob, tokens, isGreedy } of found.scores) {
        const right = naivePair(lm, prompt, ` ${choice}`);
        expect([tokens, isGreedy]).toEqual([right.tokens, right.isGreedy]);
        expect(logprob).toBeCloseTo(right.logprob, 5);
      }
      const { acc } = (await evaluate(small, [{ context: prompt, choices, label: found.best }])) as { acc: { value: number } };
      expect(acc.value).toBe(1);
    }
  });

  it(`embed (SEED=${seed})`, async () => {
    for (const length of [1, 64, 65, 150]) {
      const ids = idsOf(length);
      const state = lm.createState();
      const rows = ids.map((id) => {
        let row = new Float32Array(0);
        lm.model.hiddenSequences([{ ids: [id], state, want: 'last' }], (hidden) => { row = hidden.slice(); });
        return row;
      });
      state.dispose();
      expectSameBits(await lm.embed(ids), rows[0]!.map((_, j) => sum(rows.map((row) => row[j]!)) / rows.length));
      expectSameBits(await lm.embed(ids, { pooling: 'last' }), rows.at(-1)!);
    }
  });
});
