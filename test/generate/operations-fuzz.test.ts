import { beforeAll, expect, it } from 'vitest';
import {
  ArgumentError, MatMulFreeLM, type Constraint, type Drafter, type GenerateOptions, type GenerateResult, type ModelState, type PrefixCache, type Session, type SessionMark, type TokenPiece,
} from 'matmulfree';
import { encodeSession } from '../../src/generate/session-bytes.js';
import { BACKENDS } from '../support/backends.js';
import { effort, tries } from '../support/effort.js';
import { pick, type Random } from '../support/fuzz.js';
import { EOS, FAMILY_NAMES, naiveGeneration, tinyModelWithText, VOCAB, type Expected, type NaiveOptions } from '../support/naive-generation.js';
import { freshSeed, randomFrom } from '../support/random.js';

/*
 * Random operations on sessions, states, batches and prefix caches of tiny models of all families, with all options, guesses, aborts, errors and consumers
 * that walk away. Beside each text its ids are kept, and all that comes out is compared with what the plain loop of
 * `naiveGeneration` makes of them.
 */
const GAMES = tries(12, 100);
const MOVES = 14;
const first = freshSeed();
const MEMORY = 1024;

/** A text: a session, or a state, and the ids that should be in it. */
interface Subject {
  readonly session?: Session;
  readonly state?: ModelState;
  ids: number[];
  /** What it was after the last move: for these ids. */
  expected?: { readonly ids: readonly number[]; readonly length: number; readonly bytes: Uint8Array };
}

interface Game {
  readonly lm: MatMulFreeLM;
  readonly random: Random;
  readonly cache: PrefixCache;
  readonly subjects: Subject[];
  readonly marks: { mark: SessionMark; ids: number[] }[];
  readonly done: string[];
}

let models: MatMulFreeLM[];
beforeAll(async () => {
  const backends = [BACKENDS[0]!, BACKENDS.at(-1)!, BACKENDS.find(({ threads }) => threads > 1) ?? BACKENDS[0]!];
  models = await Promise.all(Array.from({ length: effort(6, 12) }, (_, n) => {
    const { backend, threads } = backends[n % 3]!;
    return MatMulFreeLM.load(tinyModelWithText(n, FAMILY_NAMES[n % FAMILY_NAMES.length]), { backend, threads, contextTokens: 32_768 });
  }));
});

it(`${GAMES} games of random operations give what a plain loop gives (SEED=${first})`, async () => {
  for (let n = 0; n < GAMES; n++) {
    const random = randomFrom(first + n);
    const lm = models[(first + n) % models.length]!; // each family in turn
    const cache = await lm.createPrefixCache({ maxBytes: random.integer(0, 12) * (lm.createState().byteLength + 4096) });
    const game: Game = { lm, random, cache, subjects: [{ session: lm.session(), ids: [] }, { state: lm.createState(), ids: [] }], marks: [], done: [] };
    try {
      for (let move = 0; move < MOVES; move++) await play(game);
      leave(game);
    } catch (error) {
      throw new Error(`SEED=${first + n}, ${game.done.slice(-4).join('; ')}: ${String(error)}`, { cause: error });
    }
  }
}, 60_000 + 1000 * GAMES);

/** Nothing that was used up is still held. */
function leave({ subjects, marks, cache }: Game): void {
  for (const { session, state } of subjects) (session ?? state)!.dispose();
  for (const { mark } of marks) mark.dispose();
  cache.clear();
  for (const { model: { parts: { pages } } } of models) expect(pages?.available).toBe(pages?.total);
}

async function play(game: Game): Promise<void> {
  const { random, subjects } = game;
  const subject = pick(random, subjects);
  const dice = random.unit();
  if (dice < 0.12) await batch(game);
  else if (dice < 0.22) await Promise.all(subjects.map((each) => change(game, each)));
  else if (dice < 0.75) await change(game, subject);
  else if (subject.session) move(game, subject, subject.session);
  if (random.unit() < 0.03) game.cache.clear();
  expect(game.cache.byteLength).toBeLessThanOrEqual(game.cache.maxBytes);
  for (const each of subjects) check(game, each);
}

/** What a text ought to be, told by its ids alone. */
function check({ lm }: Game, subject: Subject): void {
  const { session, state, ids } = subject;
  if (subject.expected?.ids !== ids || subject.expected.length !== ids.length) subject.expected = { ids, length: ids.length, bytes: expectedBytes(lm, subject) };
  if (session) expect(session.tokens).toBe(ids.length);
  expectSameBytes(session ? session.save() : state!.serialize(), subject.expected.bytes);
}

function expectedBytes(lm: MatMulFreeLM, { session, ids }: Subject): Uint8Array {
  const unread = session ? ids.slice(-1) : [];
  const state = lm.createState();
  if (ids.length > unread.length) lm.forward(ids.slice(0, ids.length - unread.length), state);
  const bytes = session ? encodeSession({ state, unread, memory: ids.slice(-MEMORY) }) : state.serialize();
  state.dispose();
  return bytes;
}

/** Keys and values are many: comparing them as lists takes longer than the model. */
function expectSameBytes(found: Uint8Array, right: Uint8Array): void {
  if (Buffer.compare(found, right) !== 0) expect(found).toEqual(right);
}

/** Forks, saves, marks and takes back. */
function move({ lm, random, subjects, marks }: Game, subject: Subject, session: Session): void {
  const { ids } = subject;
  switch (random.integer(0, 3)) {
    case 0:
    case 1: {
      const copy = random.unit() < 0.5 ? session.fork() : lm.openSession(session.save());
      const at = subjects.length < 4 ? subjects.length : subjects.indexOf(subject);
      subjects[at]?.session?.dispose();
      subjects[at] = { session: copy, ids: [...ids] };
      return;
    }
    case 2:
      marks.push({ mark: session.mark(), ids: [...ids] });
      return;
    default: {
      if (marks.length === 0) return;
      const { mark, ids: before } = pick(random, marks);
      session.rewind(mark);
      subject.ids = [...before];
    }
  }
}

async function change(game: Game, subject: Subject): Promise<void> {
  if (subject.session && (subject.ids.length === 0 || game.random.unit() < 0.3)) return append(game, subject, subject.session);
  return generate(game, subject);
}

function idsOf(random: Random): number[] {
  const length = random.unit() < 0.03 ? random.integer(900, 1300) : pick(random, [1, 1, 2, 3, 5, 63, 64, 65, 66, 128, 129, random.integer(1, 200)]);
  // Prompts that begin alike, and all kinds.
  const alike = random.unit() < 0.7 ? pick(random, [length, random.integer(0, length)]) : 0;
  return Array.from({ length }, (_, n) => (n < alike ? 3 + (n % 4) : random.integer(0, VOCAB - 1)));
}

async function append({ lm, random, cache, done }: Game, subject: Subject, session: Session): Promise<void> {
  const isStart = subject.ids.length === 0;
  const given = random.unit() < 0.3 ? Array.from({ length: random.integer(1, 12) }, () => pick(random, ['a', 'b', 'c', ' ', '€', 'ab'])).join('') : idsOf(random);
  const ids = typeof given === 'string' ? lm.tokenizer.encode(given, { addSpecialTokens: isStart, continues: !isStart }) : given;
  const controller = new AbortController();
  const abortAt = random.unit() < 0.2 ? random.integer(0, 130) : Infinity;
  if (abortAt === 0) controller.abort();
  const clearAt = random.unit() < 0.1 ? random.integer(1, 100) : Infinity;
  done.push(`append ${ids.length} to ${subject.ids.length}, abort at ${abortAt}`);
  const onProgress = (tokens: number): void => {
    if (tokens >= abortAt) controller.abort();
    if (tokens >= clearAt) cache.clear();
  };
  try {
    await session.append(given, { signal: controller.signal, onProgress, ...(random.unit() < 0.7 ? { prefixCache: cache } : {}) });
    subject.ids.push(...ids);
  } catch (error) {
    expect(error).toBe(controller.signal.reason);
  }
}

/** How a text is consumed. */
type Way = 'whole' | 'leave' | 'abort' | 'fail';

async function generate(game: Game, subject: Subject): Promise<void> {
  const { lm, random, cache, done } = game;
  const { session, state, ids } = subject;
  const prompt = session ? [] : idsOf(random);
  const context = [...ids, ...prompt];
  const remembered = session ? ids.slice(-MEMORY) : prompt;
  const kind = pick(random, ['generateIds', 'generate', 'generateTokens'] as const);
  const hasText = kind !== 'generateIds';
  const options = optionsOf(random, hasText);
  const expected = naiveGeneration(lm, context, remembered, options, hasText);
  const way: Way = pick(random, ['whole', 'whole', 'whole', 'leave', 'abort', 'fail']);
  const pieces = random.integer(0, Math.min(12, expected.ids.length));
  const controller = new AbortController();
  if (way === 'abort' && pieces === 0) controller.abort();
  done.push(`${session ? 'session.' : ''}${kind} after ${ids.length} + ${prompt.length}, ${way} ${pieces}, ${JSON.stringify(options)}`);
  const guesses = guessesOf(game, expected, remembered);
  const all: GenerateOptions = {
    ...options, ...guesses, signal: controller.signal,
    ...(way === 'fail' ? { logitsProcessor: failing(options, pieces) } : {}), ...(session ? {} : { state: state! }),
    ...(!session && ids.length === 0 && random.unit() < 0.5 ? { prefixCache: cache } : {}),
  };
  const generator: AsyncGenerator<string | number | TokenPiece, GenerateResult, undefined> =
    session ? session[kind](all) : lm[kind](prompt, all);

  const found: (string | number | TokenPiece)[] = [];
  let result: GenerateResult | undefined;
  let error: unknown;
  try {
    while (way !== 'leave' || found.length < pieces) {
      const step = await generator.next();
      if (step.done) {
        result = step.value;
        break;
      }
      found.push(step.value);
      if (session && random.unit() < 0.1) expect(() => session.save()).toThrow(/at work/);
      if (way === 'abort' && found.length === pieces) controller.abort();
    }
    await generator.return(undefined as never);
  } catch (reason) {
    error = reason;
  }
  if (way === 'abort' && error !== undefined) expect(error).toBe(controller.signal.reason);
  else if (way === 'fail' && error !== undefined) expect(error).toMatchObject({ message: 'mine' });
  else if (error !== undefined) throw error;

  // How many ids are in the text: all those given out, and with a stop string those that are held back for it.
  const before = ids.length + (session ? 0 : prompt.length);
  const hasStarted = way !== 'leave' || pieces > 0;
  const length = session ? session.tokens - before : way === 'abort' && pieces === 0 || !hasStarted ? 0 : state!.tokens - before;
  const text = expected.ids.slice(0, length);
  expect(length).toBeLessThanOrEqual(expected.ids.length);
  if (kind === 'generateIds') expect(found).toEqual(text);
  if (kind === 'generate') expect(expected.text.startsWith(found.join(''))).toBe(true);
  if (kind === 'generateTokens') {
    const tokens = found as TokenPiece[];
    expect(tokens.map(({ id }) => id)).toEqual(expected.ids.slice(0, tokens.length));
    tokens.forEach(({ logprob }, n) => expect(logprob).toBeCloseTo(expected.logprobs[n]!, 5));
    expect(expected.text.startsWith(tokens.map((token) => token.text).join(''))).toBe(true);
    expect(length).toBeGreaterThanOrEqual(tokens.length);
    // One that may end within a character waits for the next one.
    if (options.stop === undefined) expect(length - tokens.length).toBeLessThanOrEqual(1);
  }
  if (result) {
    const { finishReason, stopString, ids: { length: newTokens } } = expected;
    expect(result).toMatchObject({ finishReason, newTokens, seed: options.seed, promptTokens: session ? 1 : prompt.length });
    expect(result.stopString).toBe(stopString);
    expect(result.acceptedTokens).toBeLessThanOrEqual(result.draftedTokens);
    expect(length).toBe(newTokens);
    expect(found.map((piece) => (typeof piece === 'object' ? piece.text : piece)).join('')).toBe(hasText ? expected.text : expected.ids.join(''));
  }
  if (session || (hasStarted && !(way === 'abort' && pieces === 0))) subject.ids = [...context, ...text];
}

/** Random options; those that make errors together are not taken together. */
function optionsOf(random: Random, hasText: boolean): NaiveOptions {
  const maybe = <T>(chance: number, make: () => T): T | undefined => (random.unit() < chance ? make() : undefined);
  const id = (): number => random.integer(2, VOCAB - 1);
  const forcedTokens = maybe(0.1, () => ({ [random.integer(0, 9)]: random.integer(0, 12) }));
  const constraint = forcedTokens ? undefined : maybe(0.15, () => someConstraint(random.integer(0, 1e6), random.integer(0, 12)));
  return {
    seed: random.integer(0, 1e9),
    maxNewTokens: pick(random, [0, 1, 2, 7, 20, 40, 90]),
    temperature: pick(random, [0, 0.5, 1, 3]),
    ...given({
      topK: maybe(0.2, () => random.integer(1, VOCAB)), topP: maybe(0.2, () => random.unit()), minP: maybe(0.1, () => random.unit()), typicalP: maybe(0.1, () => random.unit()),
      repetitionPenalty: maybe(0.3, () => 0.5 + random.unit()), frequencyPenalty: maybe(0.2, () => random.unit()), presencePenalty: maybe(0.2, () => random.unit()),
      penaltyWindow: maybe(0.2, () => pick(random, [0, 1, 5, 100, 2000])), logitBias: maybe(0.1, () => ({ [id()]: random.integer(-5, 5) })),
      bannedTokens: maybe(0.1, () => (constraint || forcedTokens ? [] : [id()])), forcedTokens, constraint,
      logitsProcessor: maybe(0.2, () => hashing(maybe(0.5, () => pick(random, models)))), eosTokenIds: maybe(0.5, () => pick(random, [[], [EOS], [EOS, 0]])),
      stop: hasText ? maybe(0.4, () => pick(random, ['ab', 'cb', ['aab', 'ba', 'c'], 'bcbca', [' a', 'zz'], '€', '\ufffd'])) : undefined,
    }),
  };
}

function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

/** Depends on all that it is told of the text. It may use a model itself: of all things the one that is at work. */
function hashing(busy: MatMulFreeLM | undefined): NonNullable<NaiveOptions['logitsProcessor']> {
  return (logits, { ids, newTokens }) => {
    let hash = newTokens + ids.length;
    for (const id of ids.slice(-3)) hash = (hash * 31 + id) % 997;
    const state = busy?.createState();
    const other = busy?.forward([hash % VOCAB], state!);
    state?.dispose();
    for (let v = 0; v < logits.length; v++) logits[v]! += ((hash * (v + 3)) % 7) / 4 + (other ? other[v]! / 8 : 0);
  };
}

/** Fails when it is asked about token `at` or a later one: not if the text has ended before, or is forced to be what it is. */
function failing({ logitsProcessor }: NaiveOptions, at: number): NonNullable<NaiveOptions['logitsProcessor']> {
  return (logits, context) => {
    logitsProcessor?.(logits, context);
    if (context.newTokens >= at) throw new Error('mine');
  };
}

/** Of any three ids one is not allowed; complete at `least` tokens or more, then over sometimes. */
function someConstraint(salt: number, least: number): Constraint {
  const at = (length: number, last: number): ReturnType<Constraint['start']> => {
    const complete = length >= least && (salt + last) % 2 === 0;
    const isOver = complete && (salt + length) % 5 === 0;
    const bits = Array.from({ length: VOCAB }, (_, id) => (id > 1 && !isOver && (id + salt + last) % 3 !== 0 ? 1 << id : 0));
    const mask = Uint32Array.of(bits.reduce((all, bit) => all | bit, 0));
    return {
      mask, complete,
      next(id) {
        expect((mask[0]! >>> id) & 1).toBe(1);
        return at(length + 1, id);
      },
    };
  };
  return { start: (prompt = []) => at(0, prompt.length) };
}

/** No guesses, the library's, or those of a drafter that knows what comes and errs at times. */
function guessesOf({ random, lm }: Game, { ids }: Expected, remembered: readonly number[]): Pick<GenerateOptions, 'speculate' | 'draftModel'> {
  const dice = random.unit();
  if (dice < 0.4) return {};
  if (dice < 0.5) return { speculate: true };
  if (dice < 0.6) return { draftModel: random.unit() < 0.5 ? lm : pick(random, models) };
  const [skill, zeal] = [random.unit() ** 0.3, random.integer(1, 15)];
  let read: number[] | undefined;
  const accepted: number[] = [];
  const drafter: Drafter = {
    read(text) {
      expect(read).toBe(undefined);
      read = Array.from(text);
      expect(read).toEqual(remembered);
    },
    draft: (most) => Array.from({ length: Math.min(most, random.integer(0, zeal)) }, (_, n) => (random.unit() < skill ? ids[accepted.length + n] : undefined) ?? random.integer(0, VOCAB - 1)),
    accept(id) {
      accepted.push(id);
      // In one pass, ids may come behind a stop string.
      if (accepted.length <= ids.length) expect(id).toBe(ids[accepted.length - 1]);
    },
    observe: (tokens, milliseconds) => expect(tokens > 0 && milliseconds >= 0).toBe(true),
  };
  return { speculate: () => drafter };
}

/** Several texts at once: each as alone. */
async function batch({ lm, random, cache, done }: Game): Promise<void> {
  const texts = Array.from({ length: random.integer(0, 7) }, () => ({ prompt: idsOf(random), ...optionsOf(random, true) }));
  const batchSize = random.integer(1, 8);
  const pieces = texts.map(() => '');
  done.push(`batch of ${texts.length}, ${batchSize} at a time, `);
  const results = await lm.generateBatch(texts, {
    batchSize, ...(random.unit() < 0.7 ? { prefixCache: cache } : {}),
    onPiece(text, index) {
      pieces[index] += text;
      const state = lm.createState();
      lm.forward([1], state); // whoever shows text may do anything with the model
      state.dispose();
    },
  });
  expect(results.length).toBe(texts.length);
  texts.forEach(({ prompt, ...options }, n) => {
    const { ids, text, finishReason, stopString } = naiveGeneration(lm, prompt, prompt, options, true);
    expect(results[n]).toMatchObject({ ids, text, finishReason, newTokens: ids.length, promptTokens: prompt.length, seed: options.seed });
    expect(results[n]!.stopString).toBe(stopString);
    expect(pieces[n]).toBe(text);
  });
}

it('a drafter that is wrong in every way is refused by name, and does no harm', async () => {
  const [lm] = models as [MatMulFreeLM];
  const junk: unknown[] = [undefined, null, 5, 'ab', {}, [NaN], [-1], [VOCAB], [2.5], ['3'], [undefined], [[3]], Array(16).fill(3), Array(500).fill(3), { length: 3 }, { length: 1e9 }, Promise.resolve([3]), [3n]];
  for (const drafted of junk) {
    const session = lm.session();
    await session.append([0, 3, 4]);
    const state = lm.createState();
    const drafter = { read() {}, accept() {}, observe() {}, draft: () => drafted as number[] };
    const options = { maxNewTokens: 12, eosTokenIds: [], speculate: () => drafter };
    const before = session.save();
    const given: number[] = [];
    const useSession = async (): Promise<void> => { for await (const id of session.generateIds(options)) given.push(id); };
    await expect(useSession()).rejects.toThrow(/speculate/);
    await expect(useSession()).rejects.toBeInstanceOf(ArgumentError);
    expect(given).toEqual([]);
    expect(session.save()).toEqual(before);
    const useState = async (): Promise<void> => { for await (const id of lm.generateIds([0, 3], { ...options, state })) given.push(id); };
    await expect(useState()).rejects.toBeInstanceOf(ArgumentError);
    check({ lm } as Game, { state, ids: [0, 3, ...given] });
  }
});

it('a drafter that throws, anywhere, leaves the text as it was given out', async () => {
  const [lm] = models as [MatMulFreeLM];
  const options = { maxNewTokens: 30, eosTokenIds: [], temperature: 1, seed: 3 };
  const { ids } = naiveGeneration(lm, [0, 3, 4], [0, 3, 4], options, false);
  for (const where of ['read', 'draft', 'accept', 'observe'] as const) {
    for (const after of [1, 2, 5]) {
      let calls = 0;
      let accepted = 0;
      const fail = (): void => { if (++calls === after) throw new Error('mine'); };
      const drafter: Drafter = { read() {}, accept: () => void accepted++, observe() {}, draft: (most) => ids.slice(accepted, accepted + Math.min(most, 4)) };
      const work = drafter[where].bind(drafter) as (...all: never[]) => never;
      drafter[where] = (...all: never[]) => { fail(); return work(...all); };
      if (where === 'read' && after > 1) continue;
      for (const subject of [{ session: lm.session(), ids: [0, 3, 4] }, { state: lm.createState(), ids: [0, 3, 4] }] as Subject[]) {
        [calls, accepted] = [0, 0];
        await subject.session?.append(subject.ids);
        const given: number[] = [];
        const use = async (): Promise<void> => {
          const speculate = { ...options, speculate: () => drafter };
          for await (const id of subject.session?.generateIds(speculate) ?? lm.generateIds(subject.ids, { ...speculate, state: subject.state! })) given.push(id);
        };
        await expect(use()).rejects.toThrow('mine');
        expect(given).toEqual(ids.slice(0, given.length));
        if (where !== 'read' || subject.session) check({ lm } as Game, { ...subject, ids: [...subject.ids, ...given] });
      }
    }
  }
});
