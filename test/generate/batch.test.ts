import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type BatchPrompt } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { collect } from './support.js';

const seed = freshSeed();

describe.each(SOME_BACKENDS)('a batch, $name', ({ backend, threads }) => {
  it(`gives each text what it gets alone (seed ${seed})`, async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const random = randomFrom(seed);
    const long = Array.from({ length: 300 }, () => random.integer(3, 4000));
    const prompts: BatchPrompt[] = [
      'Once upon a time', 'The dragon', long, [1], { prompt: 'A cat', temperature: 0, maxNewTokens: 7 },
      { prompt: 'The sun', stop: ['.', ','] }, { prompt: 'Lily', seed: 99, repetitionPenalty: 1.2 }, { prompt: 'Tom', maxNewTokens: 0 },
      'One day', { prompt: long.slice(0, 64), eosTokenIds: [] },
    ];
    const options = { maxNewTokens: 25, temperature: 0.9, topP: 0.95, seed: 5 };
    const pieces = prompts.map(() => '');
    for (const batchSize of [3, 16]) {
      pieces.fill('');
      const results = await lm.generateBatch(prompts, { ...options, batchSize, onPiece: (text, index) => void (pieces[index] += text) });
      expect(results.length).toBe(prompts.length);
      for (const [n, result] of results.entries()) {
        const each = prompts[n]!;
        const { prompt, ...own } = typeof each === 'object' && 'prompt' in each ? each : { prompt: each };
        const alone = await collect(lm.generate(prompt, { ...options, seed: 5 + n, ...own }));
        expect(result.text).toBe(alone.all.join(''));
        expect(pieces[n]).toBe(result.text);
        const { finishReason, newTokens, promptTokens, stopString, seed: used } = alone.result;
        expect(result).toMatchObject({ finishReason, newTokens, promptTokens, seed: used, ...(stopString === undefined ? {} : { stopString }) });
        expect(result.ids.length).toBe(newTokens);
      }
    }
    lm.dispose();
  });
});

describe('a batch', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
  });

  it('reads what prompts share once, with a prefix cache', async () => {
    const shared = Array.from({ length: 200 }, (_, n) => 3 + n);
    const prefixCache = lm.createPrefixCache();
    const prompts = [1, 2, 3, 4].map((n) => [...shared, 300 + n]);
    const options = { maxNewTokens: 6, batchSize: 2 };
    const results = await lm.generateBatch(prompts, { ...options, prefixCache });
    expect(results.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0, 192, 192]);
    expect(results.map(({ ids }) => ids)).toEqual((await lm.generateBatch(prompts, options)).map(({ ids }) => ids));
  });

  it('names the prompt or the option that is wrong before it runs, and stops at an abort', async () => {
    let pieces = 0;
    const onPiece = (): void => void pieces++;
    await expect(lm.generateBatch(['a', ''], { onPiece })).rejects.toThrow(/empty/);
    await expect(lm.generateBatch(['a', [4096]], { onPiece })).rejects.toThrow(/token id 4096/);
    await expect(lm.generateBatch(['a', 7 as never], { onPiece })).rejects.toThrow(/prompt 1 is 7/);
    await expect(lm.generateBatch(['a', { prompt: 'b', topP: 2 }], { onPiece })).rejects.toThrow(/topP/);
    await expect(lm.generateBatch(['a'], { state: lm.createState() } as never)).rejects.toThrow(/unknown option "state"/);
    await expect(lm.generateBatch(['a', { prompt: 'b', oops: 1 } as never], { onPiece })).rejects.toThrow(/unknown option "oops"/);
    await expect(lm.generateBatch('a' as never)).rejects.toThrow(ArgumentError);
    expect(pieces).toBe(0);
    const controller = new AbortController();
    const work = lm.generateBatch(['a', 'b'], { maxNewTokens: 10_000, eosTokenIds: [], signal: controller.signal, onPiece: () => controller.abort() });
    await expect(work).rejects.toThrow(/abort/i);
    expect(await lm.generateBatch([])).toEqual([]);
  });

  it('takes ids where there is no tokenizer', async () => {
    const bare = await MatMulFreeLM.load(tinyCheckpoint(TINY));
    const [found] = await bare.generateBatch([[1, 2]], { maxNewTokens: 3, eosTokenIds: [] });
    expect(found).toMatchObject({ text: '', newTokens: 3 });
  });
});

describe('beam search', () => {
  /** Every text of `depth` tokens, or fewer and then EOS, with its log-probability, by brute force. */
  function allTexts(model: MatMulFreeLM, prompt: number[], eos: number, depth: number): { ids: number[]; logprob: number; length: number }[] {
    const grow = (ids: number[], logprob: number): { ids: number[]; logprob: number; length: number }[] => {
      if (ids.length === depth) return [{ ids, logprob, length: depth }];
      const logits = model.forward([...prompt, ...ids], model.createState());
      const sum = Math.log(logits.reduce((total, value) => total + Math.exp(value), 0));
      return [...logits].flatMap((value, id) =>
        id === eos ? [{ ids, logprob: logprob + value - sum, length: ids.length + 1 }] : grow([...ids, id], logprob + value - sum));
    };
    return grow([], 0);
  }

  it.each([0, 1, 2.5, -1])('with enough beams finds the best texts there are (length penalty %f)', async (lengthPenalty) => {
    const model = await MatMulFreeLM.load(tinyCheckpoint({ ...TINY, vocab: 14 }, 3), { backend: 'scalar' });
    const found = await model.beamSearch([1, 5], { numBeams: 64, nBest: 64, lengthPenalty, maxNewTokens: 2, eosTokenIds: [2] });
    const all = allTexts(model, [1, 5], 2, 2).map((text) => ({ ...text, score: text.logprob / text.length ** lengthPenalty }));
    // The 64 most probable of the last step are kept, and all that ended: of those 64 the best scores are exact.
    const kept = [...all.filter(({ length, ids }) => length > ids.length), ...all.filter(({ length, ids }) => length === ids.length).sort((a, b) => b.logprob - a.logprob).slice(0, 64)];
    const best = kept.sort((a, b) => b.score - a.score).slice(0, 30);
    best.forEach(({ ids, logprob, score }, n) => {
      expect(found[n]!.ids).toEqual(ids);
      expect(found[n]!.logprob).toBeCloseTo(logprob, 5);
      expect(found[n]!.score).toBeCloseTo(score, 5);
    });
  });

  it('with one beam is greedy; with more finds texts at least as probable, sorted, which score agrees with', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED);
    const greedy = await collect(lm.generate('The dragon', { maxNewTokens: 12 }));
    const [one] = await lm.beamSearch('The dragon', { numBeams: 1, maxNewTokens: 12 });
    expect(one!.text).toBe(greedy.all.join(''));
    const found = await lm.beamSearch('The dragon', { numBeams: 5, nBest: 5, maxNewTokens: 12, eosTokenIds: [] });
    expect(found.length).toBe(5);
    expect(found[0]!.logprob).toBeGreaterThanOrEqual(one!.logprob);
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
    const prompt = lm.tokenizer.encode('The dragon');
    for (const { ids, logprob } of found) {
      const { logprobs } = lm.score([...prompt, ...ids]);
      expect(logprob).toBeCloseTo(logprobs.slice(-ids.length).reduce((sum, value) => sum + value, 0), 8);
    }
    expect(new Set(found.map(({ text }) => text)).size).toBe(5);
  });

  it('early stopping ends with the first texts that end; options are checked; an abort stops it', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
    const [found] = await lm.beamSearch('The end.', { numBeams: 2, earlyStopping: true, maxNewTokens: 200 });
    expect(found!.finishReason).toBe('eos');
    await expect(lm.beamSearch('x', { numBeams: 0 })).rejects.toThrow(/numBeams/);
    await expect(lm.beamSearch('x', { nBest: 9 })).rejects.toThrow(/nBest/);
    await expect(lm.beamSearch('')).rejects.toThrow(/empty/);
    await expect(lm.beamSearch('x', { temperature: 1 } as never)).rejects.toThrow(/unknown option "temperature"/);
    await expect(lm.beamSearch('x', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});
