import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type BatchPrompt } from 'matmulfree';
import { FASTEST, SOME_BACKENDS } from '../support/backends.js';
import { effort } from '../support/effort.js';
import { TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { collect } from './support.js';

const seed = freshSeed();

const random = randomFrom(seed);
const long = Array.from({ length: effort(150, 300) }, () => random.integer(3, 4000));
const prompts: BatchPrompt[] = [
  'Once upon a time', 'The dragon', long, [1], { prompt: 'A cat', temperature: 0, maxNewTokens: 7 },
  { prompt: 'The sun', stop: ['.', ','] }, { prompt: 'Lily', seed: 99, repetitionPenalty: 1.2 }, { prompt: 'Tom', maxNewTokens: 0 },
  'One day', { prompt: long.slice(0, 64), eosTokenIds: [] },
];
const options = { maxNewTokens: 25, temperature: 0.9, topP: 0.95, seed: 5 };

/** What each gets alone, of every backend. */
let alone: Awaited<ReturnType<typeof collect<string>>>[];
beforeAll(async () => {
  const lm = await MatMulFreeLM.load(EMBEDDED, { backend: FASTEST.backend, threads: FASTEST.threads });
  alone = [];
  for (const [n, each] of prompts.entries()) {
    const { prompt, ...own } = typeof each === 'object' && 'prompt' in each ? each : { prompt: each };
    alone.push(await collect(lm.generate(prompt, { ...options, seed: 5 + n, ...own })));
  }
  lm.dispose();
});

describe.each(SOME_BACKENDS)('a batch, $name', ({ backend, threads }) => {
  it(`gives each text what it gets alone (seed ${seed})`, async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const pieces = prompts.map(() => '');
    for (const batchSize of [3, 16]) {
      pieces.fill('');
      const results = await lm.generateBatch(prompts, { ...options, batchSize, onPiece: (text, index) => void (pieces[index] += text) });
      expect(results.length).toBe(prompts.length);
      for (const [n, result] of results.entries()) {
        expect(result.text).toBe(alone[n]!.all.join(''));
        expect(pieces[n]).toBe(result.text);
        const { finishReason, newTokens, promptTokens, stopString, seed: used } = alone[n]!.result;
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
    lm = await MatMulFreeLM.load(EMBEDDED, { backend: FASTEST.backend, threads: 1 });
  });

  it('reads what prompts share once, with a prefix cache', async () => {
    const shared = Array.from({ length: 200 }, (_, n) => 3 + n);
    const prefixCache = await lm.createPrefixCache();
    const prompts = [1, 2, 3, 4].map((n) => [...shared, 300 + n]);
    const options = { maxNewTokens: 6, batchSize: 2 };
    const results = await lm.generateBatch(prompts, { ...options, prefixCache });
    expect(results.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 192, 192, 192]);
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

  it('takes what a text leaves undefined from the options for all, and refuses options that are not for one text', async () => {
    const options = { maxNewTokens: 5, temperature: 1, seed: 4 };
    const prompts = [{ prompt: 'Tom', temperature: undefined, seed: undefined, maxNewTokens: undefined }] as never;
    expect(await lm.generateBatch(prompts, options)).toEqual(await lm.generateBatch(['Tom'], options));
    for (const wrong of [{ batchSize: 2 }, { onPiece() {} }, { signal: new AbortController().signal }, { prefixCache: await lm.createPrefixCache() }, { state: lm.createState() }]) {
      await expect(lm.generateBatch(['x', { prompt: 'y', ...wrong } as never])).rejects.toThrow(/prompt 1: unknown option/);
    }
    await expect(lm.generateBatch(['x'], { prompt: 'y' } as never)).rejects.toThrow(/unknown option "prompt"/);
    await expect(lm.generateBatch(['x', ''])).rejects.toThrow(/prompt 1.*empty/);
  });

  it('reads long prompts a piece at a time, so that nothing has to wait long', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint({ ...TINY, vocab: 300 }), { backend: 'scalar' });
    const { model } = lm;
    const passes: number[] = [];
    const forward = model.forwardSequences.bind(model);
    model.forwardSequences = (inputs, sink) => {
      passes.push(inputs.reduce((sum, { ids }) => sum + ids.length, 0));
      forward(inputs, sink);
    };
    const prompts = Array.from({ length: 60 }, (_, n) => Array.from({ length: 1 + ((n * 37) % 200) }, (_, k) => 3 + k));
    for (const prefixCache of [undefined, await lm.createPrefixCache()]) {
      await lm.generateBatch(prompts, { batchSize: 60, maxNewTokens: 3, eosTokenIds: [], ...(prefixCache ? { prefixCache } : {}) });
    }
    expect(Math.max(...passes)).toBeLessThanOrEqual(128);
  });

  it('may be shown by what uses the model itself', async () => {
    const options = { maxNewTokens: 12, temperature: 1, seed: 2 };
    const prompts = ['Tom', 'Lily', 'The dragon'];
    const logitsProcessor = (): void => void lm.forward([7], lm.createState());
    expect(await lm.generateBatch(prompts, { ...options, logitsProcessor, onPiece: () => void lm.score([1, 2, 3]) })).toEqual(await lm.generateBatch(prompts, options));
  });

  it('compiles a constraint again for other EOS ids', async () => {
    const constraint = { regex: '[a-z ]{1,40}' };
    const a = lm.tokenizer.encode('a', { addSpecialTokens: false, continues: true });
    expect(a.length).toBe(1);
    const results = await lm.generateBatch(['x', { prompt: 'x', eosTokenIds: a }], { constraint, maxNewTokens: 40, temperature: 1, seed: 3 });
    const alone = await collect(lm.generate('x', { constraint, eosTokenIds: a, maxNewTokens: 40, temperature: 1, seed: 4 }));
    expect(results[1]!.text).toBe(alone.all.join(''));
  });

  it('takes ids where there is no tokenizer', async () => {
    const bare = await MatMulFreeLM.load(tinyCheckpoint(TINY));
    const [found] = await bare.generateBatch([[1, 2]], { maxNewTokens: 3, eosTokenIds: [] });
    expect(found).toMatchObject({ text: '', newTokens: 3 });
    await expect(bare.generateBatch([[1, 2]], { stop: 'x' })).rejects.toThrow(/no tokenizer/);
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

  it('ends when all texts have ended, and goes on with numBeams of them whatever number of ids ends a text', async () => {
    const model = await MatMulFreeLM.load(tinyCheckpoint({ ...TINY, vocab: 14 }, 3), { backend: 'scalar' });
    const all = Array.from({ length: 14 }, (_, id) => id);
    for (const lengthPenalty of [1, 3, -2]) {
      const found = await model.beamSearch([1, 5], { numBeams: 4, nBest: 4, lengthPenalty, eosTokenIds: all });
      expect(found.map(({ ids, finishReason }) => [ids, finishReason])).toEqual(Array(4).fill([[], 'eos']));
    }
    // Of the most probable third ids nine end the text; five others are the beams.
    const logits = model.forward([1, 5], model.createState());
    const order = all.sort((a, b) => logits[b]! - logits[a]!);
    const found = await model.beamSearch([1, 5], { numBeams: 5, nBest: 5, maxNewTokens: 1, lengthPenalty: -100, eosTokenIds: order.slice(0, 9) });
    expect(found.length).toBe(5);
  });

  it('early stopping ends with the first texts that end; options are checked; an abort stops it', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED);
    const [found] = await lm.beamSearch('The end.', { numBeams: 2, earlyStopping: true, maxNewTokens: 200 });
    expect(found!.finishReason).toBe('eos');
    await expect(lm.beamSearch('x', { numBeams: 0 })).rejects.toThrow(/numBeams/);
    await expect(lm.beamSearch('x', { nBest: 9 })).rejects.toThrow(/nBest/);
    await expect(lm.beamSearch('')).rejects.toThrow(/empty/);
    await expect(lm.beamSearch('x', { temperature: 1 } as never)).rejects.toThrow(/unknown option "temperature"/);
    await expect(lm.beamSearch('x', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});
