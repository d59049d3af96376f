import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type GenerateOptions, type Session } from 'matmulfree';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { SOME_BACKENDS } from '../support/backends.js';
import { effort } from '../support/effort.js';
import { EMBEDDED, fixture } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { collect, textOf } from './support.js';

const seed = freshSeed();
let lm: MatMulFreeLM;
beforeAll(async () => {
  lm = await MatMulFreeLM.load(EMBEDDED);
});

const begun = async (text = 'Once upon a time'): Promise<Session> => {
  const session = lm.session();
  await session.append(text);
  return session;
};
const some = { maxNewTokens: 30, temperature: 0.8, topP: 0.9, seed: 3 };

describe('a session', () => {
  it('writes what generate writes', async () => {
    const session = await begun();
    expect(await textOf(session.generate(some))).toBe(await textOf(lm.generate('Once upon a time', some)));
    expect(session.tokens).toBe(lm.tokenizer.encode('Once upon a time').length + 30);
  });

  it('goes on where it stopped: 10 and 20 tokens are 30, by text, ids and tokens', async () => {
    const whole = (await collect(lm.generateIds(lm.tokenizer.encode('The dragon'), { maxNewTokens: 30 }))).all;
    const session = await begun('The dragon');
    const first = (await collect(session.generateIds({ maxNewTokens: 10 }))).all;
    const rest = (await collect(session.generateTokens({ maxNewTokens: 20 }))).all.map(({ id }) => id);
    expect([...first, ...rest]).toEqual(whole);
  });

  it('appends as if it had been one text', async () => {
    const session = await begun('Once upon a');
    await session.append(' time there was');
    await session.append('');
    await session.append([]);
    const ids = [...lm.tokenizer.encode('Once upon a'), ...lm.tokenizer.encode(' time there was', { addSpecialTokens: false, continues: true })];
    expect(session.tokens).toBe(ids.length);
    expect((await collect(session.generateIds(some))).all).toEqual((await collect(lm.generateIds(ids, some))).all);
  });

  it(`is the same however it is cut, forked, saved, rewound (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 6; round++) {
      const ids = Array.from({ length: random.integer(2, 200) }, () => random.integer(3, lm.config.vocabSize - 1));
      const expected = (await collect(lm.generateIds([1, ...ids], { ...some, repetitionPenalty: 1.3 }))).all;
      let session = lm.session();
      await session.append([1]);
      for (let at = 0; at < ids.length; ) {
        const count = random.integer(1, 80);
        await session.append(ids.slice(at, at + count));
        at += count;
        const mark = session.mark();
        await collect(session.generateIds({ maxNewTokens: random.integer(0, 9) }));
        const way = random.integer(0, 2);
        session.rewind(mark);
        if (way === 1) session = session.fork();
        if (way === 2) session = lm.openSession(session.save());
      }
      expect((await collect(session.generateIds({ ...some, repetitionPenalty: 1.3 }))).all).toEqual(expected);
    }
  });

  it('goes on after the model has ended the text: with what came before the end', async () => {
    const session = await begun();
    const { all, result } = await collect(session.generateIds({ maxNewTokens: 1000 }));
    expect(result.finishReason).toBe('eos');
    const ids = [...lm.tokenizer.encode('Once upon a time'), ...all];
    expect(session.tokens).toBe(ids.length);
    const again = await collect(session.generateIds({ maxNewTokens: 5 }));
    expect(again.result).toMatchObject({ finishReason: 'eos', newTokens: 0 });
    const on = { maxNewTokens: 5, eosTokenIds: [] };
    expect((await collect(session.generateIds(on))).all).toEqual((await collect(lm.generateIds(ids, on))).all);
  });

  it('ends at once after a prompt of any length that the model takes for a whole text', async () => {
    const ended = await begun();
    const story = (await collect(ended.generateIds({ maxNewTokens: 1000 }))).all;
    const ids = [...lm.tokenizer.encode('Once upon a time'), ...story];
    const session = lm.session();
    await session.append(ids);
    expect((await collect(session.generateIds({ maxNewTokens: 3 }))).result.finishReason).toBe('eos');
    expect(session.tokens).toBe(ids.length);
  });

  it('keeps what was given out when the consumer walks away, with guesses or without', async () => {
    for (const speculate of [false, true]) {
      const session = await begun();
      const shown: number[] = [];
      for await (const id of session.generateIds({ maxNewTokens: 50, speculate })) {
        shown.push(id);
        if (shown.length === 7) break;
      }
      const ids = [...lm.tokenizer.encode('Once upon a time'), ...shown];
      expect(session.tokens).toBe(ids.length);
      expect((await collect(session.generateIds(some))).all).toEqual((await collect(lm.generateIds(ids, some))).all);
    }
  });

  it('is as before after an abort of append, and after options that are refused', async () => {
    const session = await begun();
    const before = session.save();
    const controller = new AbortController();
    const long = Array.from({ length: 1000 }, (_, n) => 3 + (n % 100));
    const work = session.append(long, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(work).rejects.toThrow(/abort/i);
    expect(session.save()).toEqual(before);
    await expect(collect(session.generate({ topK: -1 }))).rejects.toThrow(/topK/);
    await expect(collect(session.generate({ state: lm.createState() } as never))).rejects.toThrow(/its own state/);
    await expect(session.append([99999])).rejects.toThrow(/token id 99999/);
    expect(session.save()).toEqual(before);
    const seen: number[] = [];
    await session.append(long, { onProgress: (done, total) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
  });

  it('keeps its text when a processor throws', async () => {
    const session = await begun();
    const before = session.save();
    await expect(collect(session.generate({ logitsProcessor: () => { throw new Error('mine'); } }))).rejects.toThrow('mine');
    expect(session.save()).toEqual(before);
  });

  it('refuses to be used while it is at work, and to generate from nothing', async () => {
    const session = await begun();
    const generator = session.generate(some);
    await generator.next();
    for (const act of [() => session.save(), () => session.fork(), () => session.mark()]) expect(act).toThrow(/at work/);
    await expect(session.append('x')).rejects.toThrow(/at work/);
    await expect(session.generate(some).next()).rejects.toThrow(/at work/);
    await generator.return(undefined as never);
    expect(session.save().length).toBeGreaterThan(0);
    await expect(lm.session().generate().next()).rejects.toThrow(/prompt is empty/);
    expect(() => session.rewind({ tokens: 3 } as never)).toThrow(ArgumentError);
  });

  it('saves to few bytes, which another model refuses by name, and damage is found', async () => {
    const session = await begun();
    await collect(session.generateIds({ maxNewTokens: 2000, eosTokenIds: [], temperature: 1, seed: 1 }));
    const bytes = session.save();
    expect(bytes.length).toBeLessThan(20_000);
    expect(lm.openSession(bytes).save()).toEqual(bytes);
    expect(lm.openSession(bytes.buffer as ArrayBuffer).tokens).toBe(session.tokens);
    expect(lm.openSession(lm.session().save()).tokens).toBe(0);
    const other = await MatMulFreeLM.load(fixture('models/f16-bin'));
    expect(() => other.openSession(bytes)).toThrow(/another model|of a model with/);
    for (const damage of [bytes.slice(0, 10), bytes.slice(0, -1), new Uint8Array(40), withWord(bytes, 4, 9), withWord(bytes, 8, 1 << 30), withWord(bytes, 12, 1 << 30), withWord(bytes, 16, 5000), withWord(bytes, 8, 0)]) {
      expect(() => lm.openSession(damage)).toThrow(ArgumentError);
    }
    expect(() => lm.openSession('bytes' as never)).toThrow(ArgumentError);
  });

  it('works without a tokenizer, on ids', async () => {
    const bare = await MatMulFreeLM.load(tinyCheckpoint());
    const session = bare.session();
    await session.append([1, 2, 3]);
    expect((await collect(session.generateIds({ maxNewTokens: 4 }))).all.length).toBeLessThanOrEqual(4);
    await expect(session.append('text')).rejects.toThrow(/tokenizer/);
  });
});

function withWord(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}

describe('a prefix cache', () => {
  it(`changes no text, only what is read (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const cache = await lm.createPrefixCache();
    const ids = (count: number): number[] => Array.from({ length: count }, () => random.integer(3, 4000));
    const shared = ids(300);
    for (const tail of [[], ids(1), ids(20), ids(200), [], ids(64)]) {
      const prompt = [...shared, ...tail];
      const { all, result } = await collect(lm.generateIds(prompt, { ...some, prefixCache: cache }));
      expect(all).toEqual((await collect(lm.generateIds(prompt, some))).all);
      if (cache.size > 4) expect(result.cachedTokens).toBeGreaterThanOrEqual(0);
    }
    const again = await collect(lm.generateIds([...shared, 5], { ...some, prefixCache: cache }));
    expect(again.result.cachedTokens).toBe(256);
    const session = lm.session();
    await session.append([...shared, 5], { prefixCache: cache });
    expect((await collect(session.generateIds(some))).all).toEqual(again.all);
    cache.clear();
    expect(cache.size).toBe(0);
  });

  it('stays within its bytes, and lets go of what was used longest ago', async () => {
    const bytesOfOne = lm.createState().byteLength + 1024;
    const cache = await lm.createPrefixCache({ maxBytes: 5 * bytesOfOne });
    const prompt = (n: number, length: number): number[] => Array.from({ length }, (_, i) => 3 + ((i * 7 + n * 1009) % 4000));
    const read = async (n: number, length = 130): Promise<number> =>
      (await collect(lm.generateIds(prompt(n, length), { maxNewTokens: 1, prefixCache: cache }))).result.cachedTokens;
    expect([await read(1), await read(2), await read(1)]).toEqual([0, 0, 128]);
    await read(3);
    expect(cache.byteLength).toBeLessThanOrEqual(cache.maxBytes);
    expect(await read(1)).toBe(128);
    expect(await read(2)).toBeLessThan(128);
    await read(4, 1000);
    expect(cache.byteLength).toBeLessThanOrEqual(cache.maxBytes);
    await expect(lm.createPrefixCache({ maxBytes: -1 })).rejects.toThrow(/maxBytes/);
  });

  it('may be emptied in the middle of a prompt: what is read afterwards is not taken for a beginning', async () => {
    const cache = await lm.createPrefixCache();
    const block = Array.from({ length: 64 }, (_, n) => 3 + n);
    const session = lm.session();
    await session.append([...block, ...block, ...block, 5], { prefixCache: cache, onProgress: (tokens) => void (tokens === 64 && cache.clear()) });
    expect(cache.size).toBe(0);
    const prompt = [...block, 7];
    expect((await collect(lm.generateIds(prompt, { ...some, prefixCache: cache }))).all).toEqual((await collect(lm.generateIds(prompt, some))).all);
  });

  it('is refused by another model, and beside a state that has read something', async () => {
    const cache = await lm.createPrefixCache();
    const other = await MatMulFreeLM.load(fixture('models/f16-bin'));
    await expect(collect(other.generateIds([1], { prefixCache: cache }))).rejects.toThrow(ArgumentError);
    const state = lm.createState();
    lm.forward([1], state);
    await expect(collect(lm.generateIds([5], { prefixCache: cache, state }))).rejects.toThrow(/prefixCache/);
  });
});

describe('guesses', () => {
  const song = 'The cat sat on the mat. The dog sat on the mat. The cat sat on the mat. The dog sat on';
  const variants: GenerateOptions[] = [
    { temperature: 0 }, { temperature: 0.7, seed: 5, topP: 0.9 }, { temperature: 0.4, seed: 6, repetitionPenalty: 1.1, topK: 20 },
    { temperature: 0, eosTokenIds: [] }, { temperature: 0, stop: 'mat. The' },
  ].map((options) => ({ ...options, maxNewTokens: effort(90, 150) }));
  /** Without guesses, of every backend. */
  let plain: Awaited<ReturnType<typeof collect<string>>>[];
  beforeAll(async () => {
    plain = [];
    for (const options of [...variants, { maxNewTokens: 60 }]) plain.push(await collect(lm.generate(song, options)));
  });

  it.each(SOME_BACKENDS)('change no token, whatever the options, $name', async ({ backend, threads }) => {
    const model = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    for (const [n, options] of variants.entries()) {
      const guessed = await collect(model.generate(song, { ...options, speculate: true }));
      expect(guessed.all.join('')).toBe(plain[n]!.all.join(''));
      expect(guessed.result).toMatchObject({ finishReason: plain[n]!.result.finishReason, newTokens: plain[n]!.result.newTokens });
    }
    const always = await collect(model.generate(song, { maxNewTokens: 60, speculate: () => ({ read() {}, accept() {}, observe() {}, draft: (most) => [9, 9, 9, 9, 9].slice(0, most) }) }));
    expect(always.all.join('')).toBe(plain.at(-1)!.all.join(''));
    expect(always.result.draftedTokens).toBeGreaterThan(200);
    model.dispose();
  });
});

it('a draft model guesses: the same text, most guesses of the same model right, options checked', async () => {
  const draft = await MatMulFreeLM.load(EMBEDDED, { backend: 'simd' });
  for (const options of [{ temperature: 0 }, { temperature: 0.9, seed: 4 }]) {
    const limits = { maxNewTokens: 120, eosTokenIds: [], ...options };
    const prompt = 'Once upon a time there was a cat. '.repeat(20);
    const plain = await textOf(lm.generate(prompt, limits));
    expect(await textOf(lm.generate(prompt, { ...limits, draftModel: draft }))).toBe(plain);
  }
  const { ModelDrafter } = await import('../../src/speculate/draft-model.js');
  const drafter = new ModelDrafter(draft.model, 4096);
  drafter.observe(1, 1000);
  const ids = lm.tokenizer.encode('Once upon a time');
  const text = (await collect(lm.generateIds(ids, { maxNewTokens: 40, eosTokenIds: [] }))).all;
  drafter.read(ids);
  let right = 0;
  for (let at = 0; at < text.length - 15; ) {
    const guesses = drafter.draft(5);
    const wrong = guesses.length > 0 && at % 3 === 1 ? 1 : guesses.length;
    for (const guess of guesses.slice(0, wrong)) right += Number(guess === text[at]), drafter.accept(text[at++]!);
    drafter.accept(text[at++]!);
  }
  expect(right).toBeGreaterThan(10);
  await expect(collect(lm.generateIds([1], { draftModel: draft, speculate: true }))).rejects.toThrow(/exclude each other/);
  await expect(collect(lm.generateIds([1], { speculate: 1 as never }))).rejects.toThrow(/speculate/);
  const other = await MatMulFreeLM.load(tinyCheckpoint());
  await expect(collect(lm.generateIds([1], { draftModel: other }))).rejects.toThrow(/vocabulary/);
});

it('guesses that are right are taken, and leave the state right', async () => {
  const ids = lm.tokenizer.encode('Once upon a time');
  const text = (await collect(lm.generateIds(ids, { maxNewTokens: 64 }))).all;
  let at = 0;
  const oracle = { read() {}, observe() {}, accept: () => void at++, draft: (most: number) => text.slice(at, at + Math.min(most, 5)) };
  const state = lm.createState();
  const { all, result } = await collect(lm.generateIds(ids, { maxNewTokens: 64, state, speculate: () => oracle }));
  expect(all).toEqual(text);
  expect(result.acceptedTokens).toBe(result.draftedTokens);
  expect(result.acceptedTokens).toBeGreaterThan(45);
  const expected = lm.createState();
  lm.forward([...ids, ...text], expected);
  expect(state.serialize()).toEqual(expected.serialize());
});
