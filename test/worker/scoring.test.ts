import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, TokenizerError, type ChatMessage, type PerplexityInput, type PerplexityProgress } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { CHAT_MODELS, QWEN_LIKE } from '../support/chat.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { tinyModelWithText, VOCAB, type Family } from '../support/naive-generation.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { WorkerInProcess } from '../support/worker-in-process.js';

/* Scores, choices, embeddings and perplexity in a worker: what the model says without one. */
const SEED = freshSeed();
const random = randomFrom(SEED);
const LETTERS = ['a', 'b', 'c', ' ', '€', '\n', 'ab', 'bc'];
const textOf = (length: number): string => Array.from({ length }, () => LETTERS[random.integer(0, LETTERS.length - 1)]!).join('');
const idsOf = (length: number): number[] => Array.from({ length }, () => random.integer(2, VOCAB - 1));
const load = (files: Parameters<typeof MatMulFreeLM.load>[0], chatTemplate?: string): Promise<[MatMulFreeWorker, MatMulFreeLM]> => Promise.all([
  MatMulFreeWorker.load(files, { worker: new WorkerInProcess() as unknown as Worker, threads: 1, chatTemplate }), MatMulFreeLM.load(files, { threads: 1, chatTemplate }),
]);

async function* pieces(text: string, size: number): AsyncGenerator<string, void> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

/** What both give, with all that they tell on the way. */
async function told<T>(call: (tell: (...progress: unknown[]) => void) => Promise<T>): Promise<{ result: T; progress: unknown[] }> {
  const progress: unknown[] = [];
  return { result: await call((...now) => progress.push(now)), progress };
}
const errorOf = (call: () => Promise<unknown>): Promise<unknown> => call().then(() => 'it is done', (reason: unknown) => reason);

type Either = MatMulFreeWorker | MatMulFreeLM;

describe.each<Family>(['recurrent', 'attention', 'hybrid', 'delta nets'])(`%s (seed ${SEED})`, (family) => {
  let lm: MatMulFreeWorker;
  let right: MatMulFreeLM;
  beforeAll(async () => {
    [lm, right] = await load(tinyModelWithText(SEED % 1000, family));
  });
  afterAll(() => {
    lm.dispose();
    right.dispose();
  });
  /** The same result and progress, or the same error. */
  const same = async <T>(call: (model: Either, tell: (...progress: unknown[]) => void) => Promise<T>): Promise<T> => {
    const [mine, theirs] = [await told((tell) => call(lm, tell)), await told((tell) => call(right, tell))];
    expect(mine).toEqual(theirs);
    expect(mine.progress.length).toBeGreaterThan(0);
    return mine.result;
  };

  it('embed', async () => {
    const text = textOf(300);
    for (const options of [{}, { pooling: 'last' }, { normalize: true }] as const) await same((model, onProgress) => model.embed(text, { ...options, onProgress }));
    const around = Int32Array.from([0, ...idsOf(150), 0]);
    expect(await same((model, onProgress) => model.embed(around.subarray(1, -1), { onProgress }))).toBeInstanceOf(Float32Array);
    expect(around.length).toBe(152);
  });

  it('choose', async () => {
    const choices = Array.from({ length: 300 }, () => `${textOf(3)}c`);
    const prompt = textOf(20);
    await same((model, onProgress) => model.choose(prompt, choices, { onProgress }));
    await same((model, onProgress) => model.choose(prompt, choices.slice(0, 3), { delimiter: '', addSpecialTokens: false, onProgress }));
  });

  it('scoreBatch', async () => {
    const texts = ['abc', textOf(200), idsOf(2), Uint16Array.from([0, ...idsOf(90)]).subarray(1)];
    const scores = await same((model, onProgress) => model.scoreBatch(texts, { onProgress }));
    expect(scores[1]).toEqual(right.score(texts[1]!));
    expect(await lm.scoreBatch([])).toEqual([]);
  });

  it('perplexity, of a text, of ids, and of a text in pieces', async () => {
    const text = textOf(5000);
    const ids = idsOf(300);
    for (const options of [{}, { context: 40 }, { context: 40, stride: 30 }]) {
      for (const input of [text.slice(0, 400), ids, Int32Array.from(ids)]) await same((model, onProgress) => model.perplexity(input, { ...options, onProgress }));
    }
    for (const size of [7, 700, 10_000]) await same((model, onProgress) => model.perplexity(pieces(text, size), { context: 400, onProgress }));
    await same((model, onProgress) => model.perplexity(new Blob([text.slice(0, 1500)]).stream().pipeThrough(new TextDecoderStream()), { onProgress }));
  });

  it('abort in the midst: the reason, and the model goes on', async () => {
    const long = idsOf(4000);
    const expected = await right.embed('abc');
    const works: ((model: Either, options: { signal: AbortSignal; onProgress: () => void }) => Promise<unknown>)[] = [
      (model, options) => model.embed(long, options),
      (model, options) => model.scoreBatch([long, 'abc', long], options),
      (model, options) => model.choose('ab', Array.from({ length: 600 }, () => 'c'), options),
      (model, options) => model.perplexity(long, options),
      (model, options) => model.perplexity(long, { ...options, context: 50, stride: 10 }),
      (model, options) => model.perplexity(pieces(textOf(20_000), 900), options),
    ];
    for (const work of works) {
      for (const model of [lm, right]) {
        const stop = new AbortController();
        let count = 0;
        const onProgress = (): void => {
          if (++count === 1) stop.abort(new Error('enough'));
        };
        expect(await errorOf(() => work(model, { signal: stop.signal, onProgress }))).toBe(stop.signal.reason);
        const gone = AbortSignal.abort(new Error('too late'));
        expect(await errorOf(() => work(model, { signal: gone, onProgress }))).toBe(gone.reason);
      }
    }
    expect(await lm.embed('abc')).toEqual(expected);
  });

  it('what a callback throws stops the call', async () => {
    const mine = new Error('of the page');
    const onProgress = (): never => {
      throw mine;
    };
    const calls = [
      () => lm.embed(idsOf(500), { onProgress }), () => lm.choose('a', ['b'], { onProgress }), () => lm.scoreBatch([idsOf(500)], { onProgress }),
      () => lm.perplexity(idsOf(500), { onProgress }), () => lm.perplexity(pieces('abc'.repeat(3000), 500), { onProgress }),
    ];
    for (const call of calls) expect(await errorOf(call), String(call)).toBe(mine);
  });

  it('errors: the same class and words', async () => {
    const calls: ((model: Either) => Promise<unknown>)[] = [
      (model) => model.embed([]), (model) => model.embed([VOCAB]), (model) => model.embed(['a'] as never), (model) => model.embed('a', { pooling: 'max' as never }),
      (model) => model.embed('a', { normalise: true } as object), (model) => model.embed('a', { onProgress: 5 as never }),
      (model) => model.choose('a', []), (model) => model.choose('a', ['b', '']), (model) => model.choose('a', 'b' as never), (model) => model.choose('a', ['b'], { delimiter: 5 as never }),
      (model) => model.scoreBatch('ab' as never), (model) => model.scoreBatch([[2, 3], [2]]), (model) => model.scoreBatch(['ab', 5 as never]), (model) => model.scoreBatch([[2, VOCAB]]),
      (model) => model.perplexity(undefined as never), (model) => model.perplexity([2]), (model) => model.perplexity([2, VOCAB, 2]), (model) => model.perplexity('abc', { stride: 3 }),
      (model) => model.perplexity('abc', { context: 1 }), (model) => model.perplexity(pieces('', 1)), (model) => model.perplexity(pieces('abc', 1), { context: 1 }),
      (model) => model.perplexity((async function* () { yield 'abc'; yield 5 as never; })()),
      (model) => model.perplexity('abc', { signal: 5 as never }), (model) => model.perplexity(pieces('abc', 1), { speed: 1 } as object),
    ];
    for (const call of calls) {
      const [found, expected] = [await errorOf(() => call(lm)), await errorOf(() => call(right))] as [Error, Error];
      expect(expected).toBeInstanceOf(ArgumentError);
      expect(found, String(call)).toBeInstanceOf(ArgumentError);
      expect(found.message).toBe(expected.message);
    }
  });
});

describe('a text in pieces', () => {
  let lm: MatMulFreeWorker;
  let right: MatMulFreeLM;
  beforeAll(async () => {
    [lm, right] = await load(tinyModelWithText(SEED % 1000));
  });
  afterAll(() => {
    lm.dispose();
    right.dispose();
  });

  /** One that tells how far it was read, and whether it was closed. */
  function watched(text: string, size: number): { input: PerplexityInput; seen: { read: number; closed: boolean } } {
    const seen = { read: 0, closed: false };
    const input = (async function* () {
      try {
        for await (const piece of pieces(text, size)) {
          seen.read++;
          yield piece;
        }
      } finally {
        seen.closed = true;
      }
    })();
    return { input, seen };
  }

  it('is read as it is asked for, and closed', async () => {
    const { input, seen } = watched('abc '.repeat(5000), 4000);
    const read: number[] = [];
    await lm.perplexity(input, { onProgress: ({ bytes }: PerplexityProgress) => read.push(seen.read * 4000 - bytes) });
    expect(Math.max(...read)).toBeLessThan(20_000 / 2); // not far ahead of what was predicted
    expect(seen).toEqual({ read: 5, closed: true });
    const left = watched('abc '.repeat(5000), 1000);
    const stop = new AbortController();
    await expect(lm.perplexity(left.input, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) })).rejects.toThrow('enough');
    await expect.poll(() => left.seen.closed).toBe(true);
    expect(left.seen.read).toBeLessThan(20);
  });

  it('is not touched where an option is wrong', async () => {
    const { input, seen } = watched('abcab', 1);
    await expect(lm.perplexity(input, { context: 1 })).rejects.toThrow(ArgumentError);
    expect(seen).toEqual({ read: 0, closed: false });
    expect(await lm.perplexity(input)).toEqual(await right.perplexity('abcab'));
  });

  it('that fails: what it throws', async () => {
    const mine = new Error('of the disk');
    const failing = (): AsyncIterable<string> => (async function* () {
      yield 'abc';
      throw mine;
    })();
    for (const model of [lm, right]) await expect(model.perplexity(failing())).rejects.toBe(mine);
    const broken = { [Symbol.asyncIterator]: () => { throw mine; } };
    for (const model of [lm, right]) await expect(model.perplexity(broken)).rejects.toBe(mine);
    const unsent = (async function* () { yield (() => 1) as never; })();
    await expect(lm.perplexity(unsent)).rejects.toThrow(/^perplexity: an argument cannot be sent to the worker/);
    await expect(lm.perplexity(pieces('abc', 1), { context: (() => 1) as never })).rejects.toThrow(/^perplexity: an argument cannot be sent to the worker/);
  });

  it('that gives nothing more can be aborted, and ends with the model', async () => {
    const silent = (): AsyncIterable<string> => (async function* () {
      yield 'abc';
      await new Promise(() => {});
    })();
    const stop = new AbortController();
    const work = lm.perplexity(silent(), { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(work).rejects.toThrow('enough');
    expect(await lm.perplexity(pieces('abcab', 2))).toEqual(await right.perplexity('abcab'));
    const [other] = await load(tinyModelWithText(1));
    const last = other.perplexity(silent());
    setTimeout(() => other.dispose(), 20);
    await expect(last).rejects.toThrow(/disposed of/);
  });

  it('several at a time', async () => {
    const texts = [textOf(3000), textOf(5000), textOf(4000)];
    expect(await Promise.all(texts.map((text) => lm.perplexity(pieces(text, 333))))).toEqual(await Promise.all(texts.map((text) => right.perplexity(pieces(text, 333)))));
  });
});

it('a model without a tokenizer takes ids, and says so of text', async () => {
  const [lm, right] = await load(tinyCheckpoint());
  expect(await lm.embed([1, 2])).toEqual(await right.embed([1, 2]));
  for (const call of [(model: Either) => model.embed('a'), (model: Either) => model.choose('a', ['b']), (model: Either) => model.scoreBatch(['ab']), (model: Either) => model.perplexity(pieces('ab', 1))]) {
    const [found, expected] = [await errorOf(() => call(lm)), await errorOf(async () => call(right))] as [Error, Error];
    expect(found).toBeInstanceOf(TokenizerError);
    expect(found.message).toBe(expected.message);
  }
  await expect(lm.tokenizer.applyChatTemplate([])).rejects.toThrow(TokenizerError);
  lm.dispose();
  right.dispose();
});

it('applyChatTemplate', async () => {
  const messages: readonly ChatMessage[] = [{ role: 'system', content: 'be brief' }, { role: 'user', content: 'what is it' }];
  const [lm, right] = await load(CHAT_MODELS[0]!.files(SEED), QWEN_LIKE);
  for (const options of [undefined, {}, { addGenerationPrompt: true }, { addGenerationPrompt: true, enableThinking: false }, { chatTemplate: '{{ x }}{{ messages[0].role }}', templateVariables: { x: 5 } }]) {
    expect(await lm.tokenizer.applyChatTemplate(messages, options)).toBe(await right.tokenizer.applyChatTemplate(messages, options));
  }
  for (const [given, options] of [[5, {}], [messages, { addGenerationPrompt: 1 }], [messages, { chatTemplate: '{% if %}' }], [messages, { chatTemplate: '{{ raise_exception("no") }}' }]] as const) {
    const [found, expected] = (await Promise.all([lm, right].map((model) => errorOf(() => model.tokenizer.applyChatTemplate(given as never, options as object))))) as [Error, Error];
    expect(found.constructor).toBe(expected.constructor);
    expect(found.message).toBe(expected.message);
  }
  lm.dispose();
  right.dispose();
});
