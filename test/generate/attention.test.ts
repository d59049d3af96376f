import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, evaluate, MatMulFreeLM, type Drafter, type GenerateIdsOptions, type LoadOptions } from 'matmulfree';
import { effort } from '../support/effort.js';
import { collectUntil } from '../support/garbage.js';
import { ATTENTION_NAMES, naiveGeneration, tinyModelWithText, VOCAB, type Family } from '../support/naive-generation.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { collect } from './support.js';

/* What texts do with the pages of keys and values of models with attention. That texts are right is what operations-fuzz.test.ts tries. */
const loaded: MatMulFreeLM[] = [];
const load = async (family: Family, options: LoadOptions = {}, positions?: number): Promise<MatMulFreeLM> => {
  const lm = await MatMulFreeLM.load(tinyModelWithText(1, family, positions), { threads: 1, ...options });
  loaded.push(lm);
  return lm;
};
afterAll(() => loaded.forEach((lm) => lm.dispose()));

const seed = freshSeed();
const idsOf = (length: number, salt = 0): number[] => Array.from({ length }, (_, n) => 2 + ((n * 7 + n * n + salt) % (VOCAB - 2)));
const pagesOf = (lm: MatMulFreeLM): { available: number; total: number; pageBytes: number } => lm.model.parts.pages!;
const expectAllFree = (lm: MatMulFreeLM): void => expect(pagesOf(lm).available).toBe(pagesOf(lm).total);
const OPTIONS = { temperature: 1, seed: 4, eosTokenIds: [] };

/** Knows what comes, and guesses as much of it as it may. */
const knowing = (ids: readonly number[]) => (): Drafter => {
  let at = 0;
  return { read() {}, draft: (most) => ids.slice(at, at + most), accept: () => void at++, observe() {} };
};

describe.each(ATTENTION_NAMES)('%s', (family) => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await load(family, { contextTokens: 1024 }); });

  it('beams are those of a search that reads every text anew, and let go of all', async () => {
    for (const [length, numBeams] of [[3, 4], [60, 3], [64, 5], [70, 2]] as const) {
      const prompt = idsOf(length);
      let beams = [{ ids: [] as number[], logprob: 0 }];
      for (let step = 0; step < 8; step++) {
        const all = beams.flatMap(({ ids, logprob }) => {
          const state = lm.createState();
          const logits = Array.from(lm.forward([...prompt, ...ids], state));
          state.dispose();
          const sum = Math.log(logits.reduce((total, value) => total + Math.exp(value), 0));
          return logits.map((value, id) => ({ ids: [...ids, id], logprob: logprob + value - sum }));
        });
        beams = all.sort((a, b) => b.logprob - a.logprob).slice(0, numBeams);
      }
      const found = await lm.beamSearch(prompt, { numBeams, nBest: numBeams, maxNewTokens: 8, eosTokenIds: [] });
      expect(found.map(({ ids }) => ids)).toEqual(beams.map(({ ids }) => ids));
      found.forEach(({ logprob }, n) => expect(logprob).toBeCloseTo(beams[n]!.logprob, 5));
      expectAllFree(lm);
    }
  });

  it('whatever way a text ends, no page is held', async () => {
    const prefixCache = await lm.createPrefixCache();
    const draft = await load('attention', { contextTokens: 1024 });
    for (const more of [{}, { speculate: true }, { draftModel: draft }, { draftModel: lm }, { prefixCache }] as GenerateIdsOptions[]) {
      const options = { ...OPTIONS, ...more, maxNewTokens: 40 };
      await collect(lm.generateIds(idsOf(100), options));
      await lm.generateIds(idsOf(100), options).return(undefined as never);
      const left = lm.generate(idsOf(100), options);
      await left.next();
      await left.return(undefined as never);
      const [controller, reason] = [new AbortController(), new Error('enough')];
      const logitsProcessor = (): void => controller.abort(reason);
      await expect(collect(lm.generateTokens(idsOf(100), { ...options, logitsProcessor, signal: controller.signal }))).rejects.toBe(reason);
      await expect(collect(lm.generateIds(idsOf(100), { ...options, logitsProcessor: () => { throw new Error('mine'); } }))).rejects.toThrow('mine');
      prefixCache.clear();
      expectAllFree(lm);
      expectAllFree(draft);
    }
    const failing = { ...OPTIONS, speculate: (): Drafter => ({ read() {}, draft: () => [], accept() {}, observe() {}, close() { throw new Error('mine'); } }) };
    await expect(collect(lm.generateIds(idsOf(100), failing))).rejects.toThrow('mine');
    const session = lm.session();
    await session.append(idsOf(70));
    await expect(collect(session.generateIds({ ...failing, maxNewTokens: 5 }))).rejects.toThrow('mine');
    expect(session.tokens).toBe(75);
    session.dispose();
    expectAllFree(lm);
    await expect(lm.generateBatch([idsOf(90), idsOf(70)], { ...OPTIONS, onPiece: () => { throw new Error('mine'); } })).rejects.toThrow('mine');
    await expect(lm.beamSearch(idsOf(90), { eosTokenIds: [], signal: AbortSignal.timeout(1) })).rejects.toThrow(/abort|timeout/i);
    expectAllFree(lm);
  });

  it('a prefix cache shares pages, counts its own rightly, and gives them up for texts that need them', async () => {
    const cache = await lm.createPrefixCache({ maxBytes: 1e9 });
    const vectors = lm.createState().byteLength;
    const held = (): number => (pagesOf(lm).total - pagesOf(lm).available) * pagesOf(lm).pageBytes;
    const check = (): void => expect(cache.byteLength).toBe(held() + cache.size * (vectors + 1024));
    const options = { ...OPTIONS, prefixCache: cache, maxNewTokens: 3 };
    const alone = await collect(lm.generateIds(idsOf(260), { ...OPTIONS, maxNewTokens: 3 }));
    // Two that read the same beginning at the same time, and one that has all of it from the cache.
    const [one, two] = await Promise.all([collect(lm.generateIds(idsOf(260), options)), collect(lm.generateIds(idsOf(260), options))]);
    check();
    expect(cache.size).toBe(4);
    const three = await collect(lm.generateIds(idsOf(260), options));
    expect(three.result.cachedTokens).toBe(256);
    await lm.generateBatch([idsOf(200), [...idsOf(130), ...idsOf(100, 5)], idsOf(260)], options);
    check();
    for (const { all } of [one, two, three]) expect(all).toEqual(alone.all);
    // All of the memory for one text: what is kept goes.
    const before = cache.size;
    const long = lm.createState();
    lm.forward(idsOf(1024, 3), long);
    expect(cache.size).toBe(family === 'hybrid with windows' ? before : 0); // windows need little
    cache.clear();
    long.dispose();
    expectAllFree(lm);
  });

  it('generations one after another leave nothing', async () => {
    const { living } = pagesOf(lm) as unknown as { living: Set<unknown> };
    for (let n = 0; n < effort(500, 10_000); n++) await collect(lm.generateIds([3, 4, 5], { ...OPTIONS, maxNewTokens: 2 }));
    expectAllFree(lm);
    await collectUntil(() => living.size <= 20);
    expect(living.size).toBeLessThanOrEqual(20);
  });

  it('another copy of the model is told from this one', async () => {
    const other = await load(family);
    const state = lm.createState();
    lm.forward(idsOf(80), state);
    expect(() => other.createState().copyFrom(state)).toThrow(/^copyFrom: the state is of another copy of this model; .*serialize\(\)/);
    const prefixCache = await other.createPrefixCache();
    await expect(collect(lm.generateIds(idsOf(100), { prefixCache }))).rejects.toThrow(/^prefixCache: was made by another copy of this model/);
    await expect(lm.generateBatch([idsOf(100)], { prefixCache })).rejects.toThrow(/^prefixCache: was made by another copy/);
    await expect(lm.session().append(idsOf(100), { prefixCache })).rejects.toThrow(/^prefixCache: was made by another copy/);
    const moved = other.restoreState(state.serialize());
    expect(other.forward(5, moved)).toEqual(lm.forward(5, state));
    // A state can be read, copied and let go of when its model is no more.
    const saved = moved.serialize();
    other.dispose();
    expect(moved.clone().serialize()).toEqual(saved);
    expect(() => other.forward(5, moved)).toThrow(/disposed/);
    moved.dispose();
    expect(lm.restoreState(saved).serialize()).toEqual(saved);
    state.dispose();
  });

  it('a mark can be let go of, and is refused then', async () => {
    const session = lm.session();
    await session.append(idsOf(70));
    const mark = session.mark();
    await session.append(idsOf(70));
    const used = pagesOf(lm).available;
    session.rewind(mark);
    mark.dispose();
    mark.dispose();
    expect(() => session.rewind(mark)).toThrow(/^rewind: .* or it has been disposed of$/);
    expect(session.tokens).toBe(70);
    expect(pagesOf(lm).available).toBeGreaterThan(used);
    session.dispose();
  });
});

describe('memory that is used up', () => {
  const CALLS: Record<string, (lm: MatMulFreeLM) => unknown> = {
    forward: (lm) => {
      const state = lm.createState();
      lm.forward(idsOf(70), state);
      state.dispose();
    },
    generate: (lm) => collect(lm.generate(idsOf(70), OPTIONS)),
    generateIds: (lm) => collect(lm.generateIds(idsOf(100), { ...OPTIONS, maxNewTokens: 2 })),
    generateTokens: (lm) => collect(lm.generateTokens(idsOf(60), { ...OPTIONS, maxNewTokens: 9 })),
    generateBatch: (lm) => lm.generateBatch([idsOf(60)], { ...OPTIONS, maxNewTokens: 9 }),
    beamSearch: (lm) => lm.beamSearch(idsOf(60), { numBeams: 1, maxNewTokens: 9, eosTokenIds: [] }),
    score: (lm) => lm.score(idsOf(90)),
    'score ': (lm) => lm.scoreAsync(idsOf(90)),
    scoreBatch: (lm) => lm.scoreBatch([idsOf(70), idsOf(20)]),
    embed: (lm) => lm.embed(idsOf(70)),
    perplexity: (lm) => lm.perplexity(idsOf(90)),
    'perplexity ': (lm) => lm.perplexity(idsOf(90), { context: 80 }),
    choose: (lm) => lm.choose('abc'.repeat(30), ['c', 'a']),
    evaluate: (lm) => evaluate(lm, [{ context: 'abc'.repeat(30), choices: ['b', 'c'], label: 0 }]),
    'session.append': async (lm) => {
      const session = lm.session();
      await session.append(idsOf(80)).finally(() => session.dispose());
    },
  };

  it.each(Object.keys(CALLS))('%s says so, changes nothing, and works when there is memory again', async (name) => {
    const lm = await load('attention', { contextTokens: 128 });
    const holder = lm.createState();
    lm.forward(idsOf(70), holder);
    const small = holder.clone(); // which shares them
    const saved = holder.serialize();
    const call = async (): Promise<unknown> => CALLS[name]!(lm);
    const error: unknown = await call().then(() => 'it went well', (reason: unknown) => reason);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(new RegExp(`^${name.trim()}: the memory for keys and values is used up: of pages of 64 positions \\d+ more are needed, 0 of 4 are free, 4 are held \\(states that hold some: 2\\); .*dispose\\(\\).*contextTokens`));
    expect(pagesOf(lm).available).toBe(0);
    expect(holder.serialize()).toEqual(saved);
    holder.dispose();
    small.dispose();
    const made = await call().then((value) => value, (reason: unknown) => reason);
    if (name !== 'generate') expect(made).not.toBeInstanceOf(Error); // it has no limit
    expectAllFree(lm);
  });

  it('in restoreState, openSession, session.generate and generate with a state', async () => {
    const lm = await load('attention', { contextTokens: 192 });
    let session = lm.session();
    await session.append(idsOf(64));
    const [state, savedSession] = [lm.createState(), session.save()];
    lm.forward(idsOf(128), state);
    const saved = state.serialize();
    expect(pagesOf(lm).available).toBe(0);
    const refused = (name: string): RegExp => new RegExp(`^${name}: the memory for keys and values is used up`);
    expect(() => lm.restoreState(saved)).toThrow(refused('restoreState'));
    expect(() => lm.openSession(savedSession)).toThrow(refused('openSession'));
    // The first id is the 64th that is read, and fits.
    for (const more of [{}, { speculate: knowing(naiveGeneration(await load('attention'), idsOf(64), idsOf(64), { ...OPTIONS, maxNewTokens: 9 }, false).ids) }]) {
      await expect(collect(session.generateIds({ ...OPTIONS, ...more, maxNewTokens: 9 }))).rejects.toThrow(refused('session.generateIds'));
      expect(session.tokens).toBe(65);
      session.dispose();
      session = lm.openSession(savedSession);
    }
    expect(session.save()).toEqual(savedSession);
    await expect(session.append(idsOf(5))).rejects.toThrow(refused('session.append'));
    expect(session.save()).toEqual(savedSession);
    await expect(collect(lm.generateIds(idsOf(3), { ...OPTIONS, state }))).rejects.toThrow(refused('generateIds'));
    expect(state.serialize()).toEqual(saved);
    state.dispose();
    await session.append(idsOf(5));
    expect(lm.restoreState(savedSession.slice(16 + 4 * 64)).tokens).toBe(63);
  });

  it('for a prompt that there can never be memory for: it is refused before anything is read, or let go of', async () => {
    for (const family of ATTENTION_NAMES) {
      const lm = await load(family, { contextTokens: 192 });
      const prefixCache = await lm.createPrefixCache();
      await collect(lm.generateIds(idsOf(70), { maxNewTokens: 1, prefixCache }));
      const { size } = prefixCache;
      const state = lm.createState();
      lm.forward(idsOf(5), state);
      const saved = state.serialize();
      const long = idsOf(500);
      const session = lm.session();
      const onProgress = (): void => expect.unreachable();
      if (family !== 'hybrid with windows') { // whose keys and values never are many
        await expect(collect(lm.generateIds(long, { state }))).rejects.toThrow('generateIds: the memory for keys and values is used up by this text alone: it would have 505 tokens, there is memory for 192; load the model with more contextTokens');
        await expect(session.append(long, { onProgress })).rejects.toThrow(/^session.append: the memory for keys and values is used up/);
        await expect(lm.generateBatch([idsOf(3), long], { onPiece: onProgress })).rejects.toThrow(/^generateBatch: prompt 1: the memory for keys and values is used up/);
      }
      expect(state.serialize()).toEqual(saved);
      expect([session.tokens, prefixCache.size]).toEqual([0, size]);
      prefixCache.clear();
      state.dispose();
      expectAllFree(lm);
    }
  });

  it('in the middle of a batch: nothing is held', async () => {
    const lm = await load('hybrid', { contextTokens: 192 });
    const texts = [60, 50, 40, 3].map((length) => ({ prompt: idsOf(length), maxNewTokens: 40 }));
    const pieces: number[] = [];
    const batch = lm.generateBatch(texts, { ...OPTIONS, onPiece: (_, index) => void pieces.push(index) });
    await expect(batch).rejects.toThrow(/^generateBatch: the memory for keys and values is used up/);
    expect(new Set(pieces).size).toBeGreaterThan(1);
    expectAllFree(lm);
    const two = await lm.generateBatch(texts, { ...OPTIONS, batchSize: 1 });
    expect(two.map(({ newTokens }) => newTokens)).toEqual([40, 40, 40, 40]);
  });

  it('a pass that goes through uses no page of a guess that would not', async () => {
    const lm = await load('attention', { contextTokens: 64 });
    const right = naiveGeneration(await load('attention'), idsOf(50), idsOf(50), { ...OPTIONS, maxNewTokens: 15 }, false).ids;
    for (const more of [{}, { speculate: knowing([...right, ...idsOf(40)]) }, { speculate: true }, { draftModel: lm }, { draftModel: await load('attention', { contextTokens: 64 }) }] as GenerateIdsOptions[]) {
      const { all, result } = await collect(lm.generateIds(idsOf(50), { ...OPTIONS, ...more, maxNewTokens: 15 }));
      expect([all, result.finishReason]).toEqual([right, 'length']);
      expectAllFree(lm);
    }
  });
});

describe('the last position', () => {
  const POSITIONS = 100;
  let lm: MatMulFreeLM;
  let longer: MatMulFreeLM;
  let drafts: MatMulFreeLM[];
  beforeAll(async () => {
    lm = await load('attention', {}, POSITIONS);
    longer = await load('attention');
    drafts = [lm, longer, await load('attention', {}, 80), await load('hybrid with windows')];
  });

  it(`ends a text, whoever writes it (SEED=${seed})`, async () => {
    const random = randomFrom(seed);
    for (const length of [1, 36, 84, 99, 100, random.integer(2, 98)]) {
      const prompt = idsOf(length, seed % 11);
      const right = naiveGeneration(longer, prompt, prompt, { ...OPTIONS, maxNewTokens: POSITIONS + 1 - length }, false).ids;
      const ways: GenerateIdsOptions[] = [{}, { speculate: true }, { speculate: knowing([...right, ...idsOf(30)]) }, ...drafts.map((draftModel) => ({ draftModel }))];
      for (const more of ways) {
        for (const state of [undefined, lm.createState()]) {
          const { all, result } = await collect(lm.generateIds(prompt, { ...OPTIONS, ...more, state, maxNewTokens: 500 }));
          expect([all, result.finishReason, result.newTokens]).toEqual([right, 'length', right.length]);
          if (!state) continue;
          // The last one cannot be read, for nothing can follow it.
          expect(state.tokens).toBe(POSITIONS);
          await expect(collect(lm.generateIds([3], { state }))).rejects.toThrow('generateIds: the text would have 101 tokens; this model can take 100');
          state.dispose();
        }
        const session = lm.session();
        await session.append(prompt);
        const { all, result } = await collect(session.generateIds({ ...OPTIONS, ...more, maxNewTokens: 500 }));
        expect([all, result.finishReason]).toEqual([right, 'length']);
        expect(session.tokens).toBe(POSITIONS + 1);
        expect(await collect(session.generate(OPTIONS))).toMatchObject({ all: [], result: { finishReason: 'length', newTokens: 0 } }); // there is no room
        await expect(session.append([3])).rejects.toThrow('session.append: the text would have 101 tokens; this model can take 100');
        const reopened = lm.openSession(session.save());
        expect(reopened.tokens).toBe(POSITIONS + 1);
        [session, reopened].forEach((each) => each.dispose());
      }
      const [first, second] = await lm.generateBatch([prompt, idsOf(5)], { ...OPTIONS, maxNewTokens: 500 });
      expect([first!.ids, first!.finishReason, second!.newTokens]).toEqual([right, 'length', POSITIONS + 1 - 5]);
      const beams = { numBeams: 3, eosTokenIds: [] };
      const [beam] = await lm.beamSearch(prompt, { ...beams, maxNewTokens: 500 });
      const [same] = await longer.beamSearch(prompt, { ...beams, maxNewTokens: POSITIONS + 1 - length });
      expect(beam).toEqual(same);
    }
    expectAllFree(lm);
  });

  it('a longer prompt is refused before anything is read', async () => {
    const long = idsOf(POSITIONS + 1);
    const refused = (name: string, tokens = POSITIONS + 1): string => `${name}: the text would have ${tokens} tokens; this model can take ${POSITIONS}`;
    await expect(collect(lm.generateIds(long))).rejects.toThrow(refused('generateIds'));
    await expect(lm.generateBatch([[3], long])).rejects.toThrow(refused('generateBatch: prompt 1'));
    await expect(lm.beamSearch(long)).rejects.toThrow(refused('beamSearch'));
    await expect(lm.session().append(long)).rejects.toThrow(refused('session.append'));
    await expect(lm.embed(long)).rejects.toThrow(refused('embed'));
    expect(() => lm.forward(long, lm.createState())).toThrow(refused('forward'));
    // The last token is only predicted.
    expect(lm.score(long).tokens).toBe(POSITIONS);
    expect(() => lm.score(idsOf(POSITIONS + 2))).toThrow(refused('score'));
    await expect(lm.scoreBatch([idsOf(POSITIONS + 2)])).rejects.toThrow(refused('scoreBatch: text 0'));
    await expect(lm.choose('abc'.repeat(60), ['a'])).rejects.toThrow(/^choose: the text would have \d+ tokens/);
    await expect(lm.perplexity(idsOf(300))).rejects.toThrow(`perplexity: the text has more than the ${POSITIONS} tokens that this model can take; measure it in windows, with context ${POSITIONS} (--context ${POSITIONS}) or less`);
    expect((await lm.perplexity(idsOf(300), { context: 100, stride: 50 })).tokens).toBe(299);
    expectAllFree(lm);
  });
});
