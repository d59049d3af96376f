import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, TokenizerError } from 'matmulfree';
import { scoreContinuations } from '../../src/scoring/continuations.js';
import { Pace } from '../../src/platform/pace.js';
import { FASTEST, SOME_BACKENDS } from '../support/backends.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { effort, FULL } from '../support/effort.js';
import { EMBEDDED } from '../support/files.js';
import { naiveLogprobs, naivePair } from '../support/naive-scores.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();
const WORDS = 'dog,cat,a big red ball,the garden,house,refrigerator,Lily and Tom,happy,she,🙂,naïve café,"Hi!" he said'.split(',');

const PROMPTS: readonly (readonly [string, { readonly delimiter?: string; readonly addSpecialTokens?: boolean }])[] = [
  ['Once upon a time, there was a', {}], ['Lily went to the park to play with the other', { delimiter: ' ' }], ['The', {}],
  ['Tom said: "I want to eat the ', { delimiter: '' }], ['The end.\n\n', { delimiter: '' }], ['', {}], ['  ', { addSpecialTokens: false }],
  ['She saw a'.repeat(12), { addSpecialTokens: false }],
];

/** For each prompt and word a token-by-token evaluation of the whole text, and the sum that `score` gives; every backend has the same bits. */
let expected: (ReturnType<typeof naivePair> & { readonly sum: number })[][];
beforeAll(async () => {
  const { backend, threads } = FASTEST;
  const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
  expected = PROMPTS.map(([prompt, { delimiter = ' ', addSpecialTokens = true }]) => WORDS.map((word) => {
    const naive = naivePair(lm, prompt, delimiter + word, addSpecialTokens);
    return { ...naive, sum: lm.score(naive.ids).logprobs.slice(naive.from - 1).reduce((sum, one) => sum + one, 0) };
  }));
  lm.dispose();
});

describe.each(SOME_BACKENDS)('choose, $name', ({ backend, threads }) => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads }); });
  afterAll(() => lm.dispose());

  it('agrees with a token-by-token evaluation of each whole text, and has the bits that score gives each alone', async () => {
    for (const [p, [prompt, options]] of PROMPTS.entries()) {
      const { best, bestNormalized, scores } = await lm.choose(prompt, WORDS, options);
      expect(scores.map(({ choice }) => choice)).toEqual(WORDS);
      for (const [n, { choice, logprob, normalized, tokens, isGreedy }] of scores.entries()) {
        const right = expected[p]![n]!;
        expect({ tokens, isGreedy }).toEqual({ tokens: right.tokens, isGreedy: right.isGreedy });
        expect(logprob).toBeCloseTo(right.logprob, 8);
        expect(normalized).toBe(logprob / Array.from(choice).length);
        expect(logprob, `choice ${n}`).toBe(right.sum);
        // Each by itself: all of them by the fastest backend, one in four by the others.
        if (n % 4 !== 0 && !FULL && backend !== FASTEST.backend) continue;
        const alone = await lm.choose(prompt, [choice], options);
        expect(alone).toEqual({ best: 0, bestNormalized: 0, scores: [scores[n]] });
      }
      expect(scores[best]!.logprob).toBe(Math.max(...scores.map(({ logprob }) => logprob)));
      expect(scores[bestNormalized]!.normalized).toBe(Math.max(...scores.map(({ normalized }) => normalized)));
    }
  });

  it(`many choices of all lengths, after a long prompt (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const text = (words: number): string => Array.from({ length: words }, () => WORDS[random.integer(0, 8)]).join(' ');
    const prompt = text(effort(20, 60));
    const choices = Array.from({ length: 300 }, () => text(random.integer(1, random.unit() < 0.05 ? effort(20, 60) : effort(1, 3))));
    const seen: number[][] = [];
    const { scores } = await lm.choose(prompt, choices, { onProgress: (done, total) => seen.push([done, total]) });
    expect(seen).toEqual([[256, 300], [300, 300]]);
    for (const n of [0, 1, 77, 299, random.integer(0, 299)]) expect((await lm.choose(prompt, [choices[n]!])).scores[0]).toEqual(scores[n]);
  });
});

describe('choose', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await MatMulFreeLM.load(EMBEDDED); });

  it('greedy decoding writes what isGreedy says it writes, and of equal choices the first is best', async () => {
    let text = '';
    for await (const piece of lm.generate('Once upon a time', { maxNewTokens: 5 })) text += piece;
    const { scores, best, bestNormalized } = await lm.choose('Once upon a time', ['zebra', text, text, ' the'], { delimiter: '' });
    expect(scores.map(({ isGreedy }) => isGreedy)).toEqual([false, true, true, false]);
    expect(scores[1]).toEqual(scores[2]);
    expect([best, bestNormalized]).toEqual([1, 1]);
  });

  it('does not change with what else goes on at the same time', async () => {
    const run = (): Promise<unknown> => lm.choose('The dragon was so', ['big', 'sad and alone', 'red']);
    const alone = await run();
    expect(await Promise.all([run(), run(), lm.scoreBatch(['A cat sat.']), run()])).toEqual([alone, alone, expect.anything(), alone]);
  });

  it('sums of probabilities of all next tokens are 1', async () => {
    const tiny = await MatMulFreeLM.load(tinyCheckpoint());
    const ids = Array.from({ length: tiny.config.vocabSize }, (_, id) => [1, 4, 5, id]);
    const scores = await tiny.scoreBatch(ids);
    expect(scores.reduce((sum, { logprobs }) => sum + Math.exp(logprobs[2]!), 0)).toBeCloseTo(1, 9);
  });

  it('stops at an abort, with its reason', async () => {
    const reason = new Error('enough');
    await expect(lm.choose('Once', ['a', 'b'], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const many = Array.from({ length: 20_000 }, (_, n) => `${n} big dogs went to the park`);
    await expect(lm.choose('Once', many, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it.each([
    ['Once', [], {}, /choices are \[\]/], ['Once', 'abc', {}, /choices are "abc"/], ['Once', ['a', ''], {}, /choice 1 is ""/], ['Once', [1], {}, /choice 0 is 1/],
    [['Once'], ['a'], {}, /prompt is \["Once"\]/], ['Once', ['a'], { delimiter: 1 }, /delimiter is 1/], ['Once', ['a'], { addSpecialTokens: 'no' }, /addSpecialTokens/],
    ['Once', ['a'], { delimeter: '' }, /unknown option "delimeter"/],
  ])('refuses %j, %j, %j', async (prompt, choices, options, message) => {
    const run = lm.choose(prompt as string, choices as string[], options as never);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toBeInstanceOf(ArgumentError);
  });

  it('needs a tokenizer, and a model that has not been disposed of', async () => {
    const bare = await MatMulFreeLM.load(tinyCheckpoint());
    await expect(bare.choose('a', ['b'])).rejects.toBeInstanceOf(TokenizerError);
    bare.dispose();
    await expect(bare.choose('a', ['b'])).rejects.toThrow(/disposed/);
  });
});

describe('scoreContinuations', () => {
  it(`reads once what they begin with, however much of it is predicted (seed ${seed})`, async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint(undefined, seed));
    const random = randomFrom(seed);
    const { maxTokens } = lm.model.parts.workspace;
    for (let round = 0; round < 30; round++) {
      const common = Array.from({ length: random.integer(0, 3 * maxTokens) }, () => random.integer(0, 10));
      const continuations = Array.from({ length: random.integer(1, 12) }, () => {
        const ids = [...common.slice(0, random.unit() < 0.2 ? random.integer(0, common.length) : common.length), ...Array.from({ length: random.integer(2, 9) }, () => random.integer(0, 1))];
        return { ids, from: random.unit() < 0.5 ? ids.length - 1 : random.integer(1, ids.length - 1) };
      });
      const scores = await scoreContinuations(lm.model, continuations, new Pace());
      continuations.forEach(({ ids, from }, n) => {
        let sum = 0;
        for (const logprob of lm.score(ids).logprobs.slice(from - 1)) sum += logprob;
        expect(scores[n], JSON.stringify({ ids, from })).toEqual({ logprob: sum, tokens: ids.length - from, isGreedy: naiveLogprobs(lm, ids, from).every(({ isBest }) => isBest) });
      });
    }
  });

  it('checks all ids before it begins', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const long = new Array<number>(200).fill(1);
    await expect(scoreContinuations(lm.model, [{ ids: [...long, 2], from: 200 }, { ids: [...long, 99], from: 200 }], new Pace())).rejects.toThrow(/token id 99/);
    await expect(scoreContinuations(lm.model, [{ ids: [1, 99], from: 1 }], new Pace())).rejects.toThrow(/token id 99/);
    expect(await scoreContinuations(lm.model, [], new Pace())).toEqual([]);
  });
});

describe('scoreBatch', () => {
  it.each(SOME_BACKENDS)(`gives each text what score gives it, $name (seed ${seed})`, async ({ backend, threads }) => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint(undefined, seed), { backend, threads });
    const random = randomFrom(seed);
    const texts = Array.from({ length: 90 }, () => Array.from({ length: random.integer(2, random.unit() < 0.2 ? 150 : 9) }, () => random.integer(0, 10)));
    const seen: number[] = [];
    const scores = await lm.scoreBatch(texts, { onProgress: (tokens) => seen.push(tokens) });
    texts.forEach((ids, n) => expect(scores[n]).toEqual(lm.score(ids)));
    expect(seen.at(-1)).toBe(texts.reduce((sum, ids) => sum + ids.length - 1, 0));
    expect(await lm.scoreBatch([])).toEqual([]);
    lm.dispose();
  });

  it('refuses what is no list of texts', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    for (const texts of [[[1, 2], [3]], [[1, 2], [1, 99]], [[1, 2], 7], [[1, 2], null], 'abc', [['x', 'y']]]) {
      await expect(lm.scoreBatch(texts as number[][]), JSON.stringify(texts)).rejects.toBeInstanceOf(ArgumentError);
    }
    await expect(lm.scoreBatch([[1, 2], [3]])).rejects.toThrow(/text 1 has fewer than two/);
    await expect(lm.scoreBatch([[1, 2]], { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
  });
});
