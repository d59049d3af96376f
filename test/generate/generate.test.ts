import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type GenerateOptions, type GenerateResult } from 'matmulfree';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED } from '../support/files.js';
import { tinyModelWithText } from '../support/naive-generation.js';
import { collect } from './support.js';

async function run(lm: MatMulFreeLM, prompt: string | number[], options: GenerateOptions = {}): Promise<{ pieces: string[]; text: string; result: GenerateResult }> {
  const generator = lm.generate(prompt, options);
  const pieces: string[] = [];
  for (;;) {
    const step = await generator.next();
    if (step.done) return { pieces, text: pieces.join(''), result: step.value };
    pieces.push(step.value);
  }
}

async function runIds(lm: MatMulFreeLM, prompt: number[], options: GenerateOptions = {}): Promise<{ ids: number[]; result: GenerateResult }> {
  const generator = lm.generateIds(prompt, options);
  const ids: number[] = [];
  for (;;) {
    const step = await generator.next();
    if (step.done) return { ids, result: step.value };
    ids.push(step.value);
  }
}

describe('generate', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(EMBEDDED);
  });

  it('streams pieces whose sum continues the prompt', async () => {
    const { pieces, text, result } = await run(lm, 'Once upon a time', { maxNewTokens: 20 });
    expect(pieces.length).toBe(20);
    expect(text.startsWith(' ') || text.startsWith(',')).toBe(true);
    expect(result).toMatchObject({ finishReason: 'length', newTokens: 20, promptTokens: 5 });
    const { ids } = await runIds(lm, lm.tokenizer.encode('Once upon a time'), { maxNewTokens: 20 });
    expect(`Once upon a time${text}`).toBe(lm.tokenizer.decode([...lm.tokenizer.encode('Once upon a time'), ...ids]));
  });

  it('gives the same text for the same seed, another for another, and names a seed it chose', async () => {
    const options = { maxNewTokens: 40, temperature: 0.9, topP: 0.95, topK: 40 };
    const first = await run(lm, 'The dragon', { ...options, seed: 7 });
    expect((await run(lm, 'The dragon', { ...options, seed: 7 })).text).toBe(first.text);
    expect((await run(lm, 'The dragon', { ...options, seed: 8 })).text).not.toBe(first.text);
    const chosen = await run(lm, 'The dragon', options);
    expect((await run(lm, 'The dragon', { ...options, seed: chosen.result.seed })).text).toBe(chosen.text);
  });

  it('stops at EOS, which is not shown', async () => {
    const { text, result } = await run(lm, 'Once upon a time', { maxNewTokens: 1000 });
    expect(result.finishReason).toBe('eos');
    expect(result.newTokens).toBeLessThan(1000);
    expect(text).not.toContain('</s>');
  });

  it('takes ids for a prompt, and starts from BOS alone', async () => {
    const { text } = await run(lm, [lm.config.bosTokenId!], { maxNewTokens: 5 });
    expect(text.length).toBeGreaterThan(0);
    expect(text.startsWith(' ')).toBe(false);
  });

  it('maxNewTokens 0 only reads the prompt', async () => {
    const state = lm.createState();
    const { text, result } = await run(lm, 'Once', { maxNewTokens: 0, state });
    expect(text).toBe('');
    expect(result).toMatchObject({ newTokens: 0, finishReason: 'length' });
    expect(state.tokens).toBe(lm.tokenizer.encode('Once').length);
  });

  it('stops before a stop string, also one split over tokens', async () => {
    const whole = (await run(lm, 'Once upon a time', { maxNewTokens: 60 })).text;
    for (const stop of ['.', whole.slice(20, 29), whole.slice(33, 36)]) {
      const { text, pieces, result } = await run(lm, 'Once upon a time', { maxNewTokens: 60, stop });
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(pieces.every((piece) => piece !== '')).toBe(true);
      expect(result.finishReason).toBe('stop');
    }
    const never = await run(lm, 'Once upon a time', { maxNewTokens: 60, stop: ['no such text', whole.slice(-3) + '#'] });
    expect(never.text).toBe(whole);
  });

  it('leaves in a given state all that was shown, and goes on from it', async () => {
    const options = { temperature: 0 };
    const whole = (await runIds(lm, [1, 496], { ...options, maxNewTokens: 24 })).ids;
    const state = lm.createState();
    const first = (await runIds(lm, [1, 496], { ...options, maxNewTokens: 10, state })).ids;
    expect(state.tokens).toBe(12);
    const again = lm.createState();
    lm.forward([1, 496, ...first], again);
    expect(state.serialize()).toEqual(again.serialize());
    // The next token follows from the last one shown: rewind by one to have its logits again.
    const rewound = lm.createState();
    lm.forward([1, 496, ...first.slice(0, -1)], rewound);
    const rest = (await runIds(lm, first.slice(-1), { ...options, maxNewTokens: 14, state: rewound })).ids;
    expect([...first, ...rest]).toEqual(whole);
  });

  it('text goes on from a state as in a session: without a second BOS, and without a space of its own', async () => {
    const [state, expected] = [lm.createState(), lm.createState()];
    for (const each of [state, expected]) lm.forward(lm.tokenizer.encode('Once upon a ti'), each);
    await run(lm, 'me there was', { state, maxNewTokens: 0 });
    lm.forward(lm.tokenizer.encode('me there was', { addSpecialTokens: false, continues: true }), expected);
    expect(state.serialize()).toEqual(expected.serialize());
  });

  it('a state is as before when it was over before it began', async () => {
    for (const prompt of [[5], Array<number>(200).fill(5)]) {
      const state = lm.createState();
      await expect(run(lm, prompt, { state, signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
      expect(state.tokens).toBe(0);
    }
  });

  it('no token comes after maxTimeMs, not even one that was guessed', async () => {
    const whole = (await runIds(lm, [1], { maxNewTokens: 20, eosTokenIds: [] })).ids;
    let at = 0;
    const oracle = { read() {}, observe() {}, accept: () => void at++, draft: (most: number) => whole.slice(at, at + Math.min(most, 9)) };
    const state = lm.createState();
    const { ids, result } = await runIds(lm, [1], { maxNewTokens: 20, eosTokenIds: [], maxTimeMs: 0, state, speculate: () => oracle });
    expect(ids).toEqual(whole.slice(0, 1));
    expect(result).toMatchObject({ finishReason: 'time', newTokens: 1 });
    const expected = lm.createState();
    lm.forward([1, ...ids], expected);
    expect(state.serialize()).toEqual(expected.serialize());
  });

  it('an error in a pass over guesses leaves none of them in a state', async () => {
    const state = lm.createState();
    const wrong = { read() {}, observe() {}, accept() {}, draft: () => [9, 9, 9] };
    const logitsProcessor = (_logits: Float32Array, { newTokens }: { newTokens: number }): void => { if (newTokens === 4) throw new Error('mine'); };
    const shown: number[] = [];
    const use = async (): Promise<void> => { for await (const id of lm.generateIds([1, 5], { state, logitsProcessor, speculate: () => wrong })) shown.push(id); };
    await expect(use()).rejects.toThrow('mine');
    const expected = lm.createState();
    lm.forward([1, 5, ...shown], expected);
    expect(shown.length).toBe(4);
    expect(state.serialize()).toEqual(expected.serialize());
  });

  it('what is left of a character at the end is U+FFFD, with tokens too, and nothing where no token was written', async () => {
    const small = await MatMulFreeLM.load(tinyModelWithText(2), { backend: 'scalar' });
    for (const forcedTokens of [[3, 8], [3, 8, 0], [8, 8, 9], [3, 8, 13], [8]]) {
      const options = { forcedTokens, maxNewTokens: forcedTokens.length };
      const { text } = await run(small, [0, 4], options);
      expect(text.endsWith('\ufffd')).toBe(true);
      const tokens = (await collect(small.generateTokens([0, 4], options))).all;
      expect(tokens.map((token) => token.text).join('')).toBe(text);
      expect(tokens.map(({ id }) => id)).toEqual(forcedTokens);
    }
    for (const options of [{ maxNewTokens: 0 }, { forcedTokens: [1] }]) expect((await run(small, [0, 4, 8], options)).text).toBe('');
    expect((await small.generateBatch([[0, 4, 8]], { forcedTokens: [1] }))[0]!.text).toBe('');
  });

  it('leaves the state right when the consumer walks away', async () => {
    const state = lm.createState();
    const shown: number[] = [];
    for await (const id of lm.generateIds([1, 496], { state, maxNewTokens: 50 })) {
      shown.push(id);
      if (shown.length === 5) break;
    }
    const expected = lm.createState();
    lm.forward([1, 496, ...shown], expected);
    expect(state.serialize()).toEqual(expected.serialize());
  });

  it('two generators take turns without disturbing each other', async () => {
    const alone = [await run(lm, 'A cat', { maxNewTokens: 15 }), await run(lm, 'The sun', { maxNewTokens: 15 })];
    const together = await Promise.all([run(lm, 'A cat', { maxNewTokens: 15 }), run(lm, 'The sun', { maxNewTokens: 15 })]);
    expect(together.map(({ text }) => text)).toEqual(alone.map(({ text }) => text));
  });

  it('AbortSignal: before, in the middle, from a timer; with the signal\'s reason', async () => {
    const reason = new Error('that will do');
    await expect(run(lm, 'Once', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    let count = 0;
    const consume = async (): Promise<void> => {
      for await (const _ of lm.generate('Once', { signal: controller.signal, maxNewTokens: 1000 })) {
        if (++count === 3) controller.abort();
      }
    };
    await expect(consume()).rejects.toMatchObject({ name: 'AbortError' });
    expect(count).toBe(3);
    // A timer can only fire if the loop lets it. Without an EOS the text would go on for a long while.
    const endless = await MatMulFreeLM.load(tinyCheckpoint(undefined, 1, { eos_token_id: null }));
    await expect(runIds(endless, [1], { maxNewTokens: 1e9, signal: AbortSignal.timeout(60) })).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(run(lm, new Array<number>(100_000).fill(5), { signal: AbortSignal.timeout(60) })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it.each([
    [{ maxNewTokens: -1 }, /maxNewTokens is -1/], [{ maxNewTokens: 2.5 }, /maxNewTokens/], [{ temperature: -1 }, /temperature/],
    [{ topk: 5 }, /unknown option "topk"/], [{ stop: '' }, /option stop/], [{ stop: [1] }, /option stop/], [{ seed: 'x' }, /seed/],
  ])('refuses %j', async (options, message) => {
    await expect(run(lm, 'Once', options as GenerateOptions)).rejects.toThrow(message);
    await expect(run(lm, 'Once', options as GenerateOptions)).rejects.toBeInstanceOf(ArgumentError);
  });

  it('refuses an empty prompt, and one with an id out of range', async () => {
    await expect(run(lm, '')).rejects.toThrow(/prompt is empty/);
    await expect(run(lm, [])).rejects.toThrow(/prompt is empty/);
    await expect(run(lm, undefined as never)).rejects.toBeInstanceOf(ArgumentError);
    await expect(run(lm, 7 as never)).rejects.toBeInstanceOf(ArgumentError);
    await expect(run(lm, [4096])).rejects.toThrow(/token id 4096 at position 0/);
  });
});

describe('score', () => {
  it('is the sum of the log-probabilities that forward gives', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED);
    const ids = lm.tokenizer.encode('Once upon a time there was a little girl. She liked to play with her dog in the big park near her home, every day.');
    const score = lm.score(ids);
    const vocab = lm.config.vocabSize;
    const logits = lm.forward(ids, lm.createState(), { all: true });
    let nll = 0;
    for (let t = 0; t + 1 < ids.length; t++) {
      const row = Array.from(logits.slice(t * vocab, (t + 1) * vocab));
      const maximum = Math.max(...row);
      const logprob = row[ids[t + 1]!]! - maximum - Math.log(row.reduce((sum, v) => sum + Math.exp(v - maximum), 0));
      expect(score.logprobs[t]).toBeCloseTo(logprob, 9);
      nll -= logprob;
    }
    expect(score.tokens).toBe(ids.length - 1);
    expect(score.nll).toBeCloseTo(nll, 8);
    expect(score.perplexity).toBeCloseTo(Math.exp(nll / score.tokens), 8);
    expect(lm.score(lm.tokenizer.decode(ids)).nll).toBe(score.nll);
  });

  it('does not depend on how the text falls into chunks', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const ids = Array.from({ length: 100 }, (_, n) => (n * n) % 11);
    const long = lm.score(ids).logprobs;
    for (const length of [2, 32, 33, 64, 65, 99]) {
      const short = lm.score(ids.slice(0, length)).logprobs;
      expect([...short]).toEqual([...long.slice(0, length - 1)]);
    }
  });

  it('async: the same, with progress, other tasks running meanwhile, and an abort', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED);
    const ids = Array.from({ length: 1000 }, (_, n) => 3 + ((n * 31) % 4000));
    const seen: number[] = [];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const score = await lm.scoreAsync(ids, { onProgress: (tokens) => seen.push(tokens) });
    clearInterval(timer);
    expect(score).toEqual(lm.score(ids));
    expect(seen.at(-1)).toBe(999);
    expect(ticks).toBeGreaterThan(3);
    await expect(lm.scoreAsync(new Array<number>(100_000).fill(5), { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(lm.scoreAsync(ids, { sginal: 1 } as never)).rejects.toThrow(/unknown option "sginal"/);
  });
});
