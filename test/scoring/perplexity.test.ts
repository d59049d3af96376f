import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, TokenizerError, type PerplexityProgress } from 'matmulfree';
import { measurePerplexity } from '../../src/scoring/perplexity.js';
import { encodeStream } from '../../src/scoring/text-stream.js';
import { SOME_BACKENDS } from '../support/backends.js';
import { TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { FULL } from '../support/effort.js';
import { EMBEDDED, fixture } from '../support/files.js';
import { naiveLogprobs } from '../support/naive-scores.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { fixture as tokenizerFile, tiny, type Vector } from '../tokenizer/helpers.js';
import { tokenizerOf } from '../support/tokenizer.js';

const seed = freshSeed();
const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];

async function* inPieces(text: string, sizes: () => number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; ) {
    const size = sizes();
    yield text.slice(at, at + size);
    at += size;
  }
}

/** The windows of "Perplexity of fixed-length models": begin, end, and how many at the end are predicted. */
function windowsOf(length: number, context: number, stride: number): { begin: number; end: number; targets: number }[] {
  const windows = [];
  let previousEnd = 0;
  for (let begin = 0; begin < length; begin += stride) {
    const end = Math.min(begin + context, length);
    windows.push({ begin, end, targets: end - previousEnd });
    previousEnd = end;
    if (end === length) break;
  }
  return windows;
}

describe.each(SOME_BACKENDS)('perplexity in windows, $name', ({ backend, threads }) => {
  it(`is that of each window read by itself, token by token (seed ${seed})`, async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint(undefined, seed), { backend, threads });
    const random = randomFrom(seed);
    for (const [length, context, stride] of [
      [100, 16, 16], [100, 16, 4], [97, 16, 15], [100, 100, 7], [100, 200, 50], [64, 32, 32], [65, 32, 32], [66, 32, 32], [120, 70, 33], [2, 2, 1], [20, 2, 1], [21, 2, 2],
      [random.integer(2, 150), random.integer(2, 100), 1],
    ] as const) {
      const ids = Array.from({ length }, () => random.integer(0, 10));
      let nll = 0;
      let tokens = 0;
      for (const { begin, end, targets } of windowsOf(length, context, stride)) {
        const found = naiveLogprobs(lm, ids.slice(begin, end)).slice(-targets); // the first of a window cannot be predicted
        if (end - begin < 2) continue;
        tokens += found.length;
        nll -= found.reduce((sum, { logprob }) => sum + logprob, 0);
      }
      const result = await lm.perplexity(ids, { context, stride });
      expect(result.tokens, `${length}, ${context}, ${stride}`).toBe(tokens);
      expect(result.nll).toBeCloseTo(nll, 8);
      expect(result.perplexity).toBeCloseTo(Math.exp(nll / tokens), 8);
      expect(result.text).toBeUndefined();
    }
    lm.dispose();
  });
});

describe('perplexity', () => {
  let lm: MatMulFreeLM;
  let text: string;
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(EMBEDDED);
    text = stories.slice(0, 8).map((ids) => lm.tokenizer.decode(ids)).join('\n');
  });

  it('of a text, whole or in pieces, is the sum that score gives, bit for bit; a window that holds all of it changes nothing', async () => {
    const score = lm.score(text);
    const random = randomFrom(seed);
    const whole = await lm.perplexity(text);
    expect(whole).toMatchObject({ tokens: score.tokens, nll: score.nll, perplexity: score.perplexity });
    expect(await lm.perplexity(inPieces(text, () => random.integer(1, 9000)))).toEqual(whole);
    expect(await lm.perplexity(text, { context: 100_000 })).toEqual(whole);
    expect(await lm.perplexity(lm.tokenizer.encode(text))).toEqual({ ...whole, text: undefined });
  });

  it('of the validation stories, each by itself, is what score says, bit for bit: trained.test.ts compares that with the float64 evaluation', async () => {
    for (const ids of stories.slice(0, FULL ? undefined : 8)) {
      const { tokens, nll, perplexity } = lm.score(ids);
      expect(await lm.perplexity(ids, { context: 1024 })).toMatchObject({ tokens, nll, perplexity });
    }
  });

  it('counts bytes and words as the harness does', async () => {
    const { model } = await MatMulFreeLM.load(tinyCheckpoint({ ...TINY, vocab: lm.config.vocabSize }));
    for (const sample of ['a b', ' a  b\n', 'naïve 🙂 café\t\n\n x', 'word', 'a\u00a0b\u2003c\u200bd\ufeffe\x1cf', `${'long line of words '.repeat(400)} \n \n end`, '\ud83d lone']) {
      const { nll, text: figures } = await measurePerplexity(model, () => lm.tokenizer, sample);
      const bytes = Buffer.from(sample).length;
      // Python: len(re.split(r"\s+", text))
      const words = sample.split(/(?:(?!\ufeff)[\s\x1c-\x1f\x85])+/).length;
      expect(figures, JSON.stringify(sample.slice(0, 30))).toEqual({
        bytes, words, bitsPerByte: expect.closeTo(nll / bytes / Math.log(2), 9) as number,
        bytePerplexity: expect.closeTo(Math.exp(nll / bytes), 6) as number, wordPerplexity: expect.any(Number) as number,
      });
      expect(Math.log(figures!.wordPerplexity)).toBeCloseTo(nll / words, 8);
      expect((await measurePerplexity(model, () => lm.tokenizer, inPieces(sample, () => 1))).text).toEqual(figures);
    }
  });

  it('counts a gap between two words once, however long it is', async () => {
    const { model } = await MatMulFreeLM.load(tinyCheckpoint(TINY));
    const spaces = Array.from({ length: 7 }, (_, n) => 'Ġ'.repeat(2 ** n));
    const merges = spaces.slice(1).map((_, n) => [spaces[n], spaces[n]]);
    const tokenizer = tiny(['a', 'b', ...spaces], merges, { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false }, decoder: { type: 'ByteLevel' } });
    const { text: figures } = await measurePerplexity(model, () => tokenizer, inPieces(`a${' '.repeat(90_000)}b`, () => 5000));
    expect(figures).toMatchObject({ words: 2, bytes: 90_002 });
  });

  it('says how far it is, lets other tasks run, and stops at an abort', async () => {
    const seen: PerplexityProgress[] = [];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const { tokens } = await lm.perplexity(inPieces(text, () => 500), { onProgress: (progress) => seen.push(progress) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    expect(seen.at(-1)).toEqual({ tokens, bytes: Buffer.from(text).length });
    expect(seen.every(({ bytes }, n) => n === 0 || bytes >= seen[n - 1]!.bytes)).toBe(true);
    const endless = (async function* () { for (;;) yield 'Once upon a time.\n'; })();
    await expect(lm.perplexity(endless, { signal: AbortSignal.timeout(60) })).rejects.toMatchObject({ name: 'TimeoutError' });
    const broken = (async function* () { yield 'Once '; throw new Error('the disk is gone'); })();
    await expect(lm.perplexity(broken)).rejects.toThrow('the disk is gone');
  });

  it('refuses too little text, and wrong arguments', async () => {
    for (const input of ['', [1], [], [1, 9999], 7, null, {}, inPieces('', () => 1), (async function* () { yield 7; })()]) {
      await expect(lm.perplexity(input as string), String(input)).rejects.toBeInstanceOf(ArgumentError);
    }
    for (const options of [{ context: 1 }, { context: 2.5 }, { context: 2 ** 30 }, { stride: 2 }, { context: 8, stride: 9 }, { context: 8, stride: 0 }, { window: 3 }]) {
      await expect(lm.perplexity('Once upon a time', options as never), JSON.stringify(options)).rejects.toBeInstanceOf(ArgumentError);
    }
    const bare = await MatMulFreeLM.load(tinyCheckpoint());
    await expect(bare.perplexity('text')).rejects.toBeInstanceOf(TokenizerError);
    expect((await bare.perplexity([1, 2, 3])).tokens).toBe(2);
  });
});

describe.each(['gpt2', 'llama3', 'llama'])('a text in pieces, %s', (name) => {
  const tokenizer = tokenizerOf(tokenizerFile(`${name}.tokenizer.json`));
  const vectors = tokenizerFile<Vector[]>(`${name}.vectors.json`).map(({ text }) => text);

  async function encode(text: string, sizes: () => number): Promise<{ ids: number[]; longest: number; text: string }> {
    const found = { ids: [] as number[], longest: 0, text: '' };
    for await (const piece of encodeStream(tokenizer, inPieces(text, sizes))) {
      for (const id of piece.ids) found.ids.push(id);
      found.text += piece.text;
      found.longest = Math.max(found.longest, piece.text.length);
    }
    return found;
  }

  it.each(['\n', '\n\n', ' ', '', '\r\n', '  \n\t'])(`has the ids of the whole, joined by %j (seed ${seed})`, async (separator) => {
    const random = randomFrom(seed);
    const samples = vectors.filter((sample) => sample.length < 2000);
    let text = '';
    while (text.length < 100_000) text += samples[random.integer(0, samples.length - 1)]! + separator;
    const found = await encode(text, () => random.integer(1, 20_000));
    expect(found.text).toBe(text);
    expect(found.longest).toBeLessThan(80_000);
    expect(found.ids).toEqual(tokenizer.encode(text));
  });

  it('is cut in small pieces where there are words, also where no line ends between two tokens', async () => {
    for (const text of ['It sat in the sun.\nOnce it saw a bird.\n', 'It sat in the sun. Once it saw a bird. ']) {
      const found = await encode(text.repeat(5000), () => 70_000);
      expect(found.longest).toBeLessThan(8192);
      expect(found.ids).toEqual(tokenizer.encode(text.repeat(5000)));
    }
  });

  it('is cut even where there are no lines and no words', async () => {
    for (const text of ['x'.repeat(150_000), '🙂'.repeat(75_000), ' '.repeat(150_000), 'ab\n\n'.repeat(40_000)]) {
      const found = await encode(text, () => 50_000);
      expect(found.text).toBe(text);
      expect(found.longest).toBeLessThan(80_000);
      expect(found.ids).toEqual(tokenizer.encode(text));
    }
  });
});
