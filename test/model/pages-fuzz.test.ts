import { afterAll, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type ModelState } from 'matmulfree';
import type { HeldPages } from '../../src/model/keys-and-values.js';
import { StateHistory } from '../../src/model/state-history.js';
import { StateMark } from '../../src/model/state.js';
import { expectSameBits } from '../support/compare.js';
import { tries } from '../support/effort.js';
import { TINY_BITNET, tinyDecoder, tinyHybrid } from '../support/families.js';
import { pick, type Random } from '../support/fuzz.js';
import { collectUntil } from '../support/garbage.js';
import { freshSeed, randomFrom } from '../support/random.js';

/*
 * Random forks, rewinds, disposals and garbage collection of states whose keys and values share pages. After every move the pages are counted
 * anew from what the states hold; what a state says is compared with a fresh state of another copy of the model, which has pages enough.
 */
const GAMES = tries(20, 200);
const MOVES = 30;
const first = freshSeed();

const windows = (...each: (number | null)[]): ReturnType<typeof tinyHybrid> =>
  tinyHybrid(each.map((window_size, n) => ({ layers: [n], num_heads: 2, num_kv_heads: 1 + (n % 2), window_size })));
const MODELS = [
  tinyDecoder({ ...TINY_BITNET, positions: 700 }), windows(null), windows(5, null), windows(64, 1), windows(63, 65), windows(70, 200), windows(130),
];

/** What the pool knows, which its users do not see. */
interface PoolInside {
  readonly holders: Uint32Array;
  readonly free: readonly number[];
  readonly reserved: number;
}

interface Subject {
  readonly state: ModelState;
  ids: number[];
}

interface Game {
  readonly lm: MatMulFreeLM;
  /** The same weights in memory of its own. */
  readonly reference: MatMulFreeLM;
  readonly random: Random;
  readonly subjects: Subject[];
  /** Of all states that there ever were: pages, without what would keep a state alive. */
  readonly held: (readonly HeldPages[])[];
  /** Of states that nobody knows any more. */
  lost: (readonly HeldPages[])[];
  readonly done: string[];
}

const loaded: MatMulFreeLM[] = [];
const load = async (files: (typeof MODELS)[number], contextTokens: number): Promise<MatMulFreeLM> => {
  const lm = await MatMulFreeLM.load(files, { threads: 1, contextTokens });
  loaded.push(lm);
  return lm;
};
afterAll(() => loaded.forEach((lm) => lm.dispose()));

it(`${GAMES} games: no page is lost, or used twice, and each state is what a fresh one is (SEED=${first})`, async () => {
  const references = await Promise.all(MODELS.map((files) => load(files, 65_536)));
  const copies = await Promise.all(MODELS.flatMap((files) => [384, 1024, 4096].map((tokens) => load(files, tokens))));
  const seen = new Map<string, number>();
  for (let n = 0; n < GAMES; n++) {
    const random = randomFrom(first + n);
    const which = random.integer(0, copies.length - 1);
    const game: Game = { lm: copies[which]!, reference: references[Math.floor(which / 3)]!, random, subjects: [], held: [], lost: [], done: [] };
    try {
      while (game.subjects.length < 3) begin(game, game.lm.createState(), []);
      for (let move = 0; move < MOVES; move++) {
        await play(game);
        checkPages(game);
      }
      game.subjects.forEach((subject) => checkState(game, subject));
      // All are gone in the end, some of them because nobody knows them.
      loseAll(game);
      await collectLost(game);
      checkPages(game);
      const { pages } = game.lm.model.parts;
      expect(pages!.available).toBe(pages!.total);
    } catch (error) {
      throw new Error(`SEED=${first + n}, model ${which}: ${game.done.slice(-8).join('; ')}: ${String(error)}`, { cause: error });
    }
    for (const done of game.done) seen.set(done.replace(/ .*/, ''), (seen.get(done.replace(/ .*/, '')) ?? 0) + 1);
  }
  if (GAMES >= 20) expect([...seen.keys()].sort()).toEqual(['clone', 'collect', 'copy', 'drop', 'mark', 'read', 'refused', 'reset', 'restore', 'roll', 'spoil']);
}, 60_000 + 1000 * GAMES);

/** In a function of its own, whose variables are gone when garbage is collected. */
function loseAll({ subjects, lost, random }: Game): void {
  for (const { state } of subjects.splice(0)) {
    lost.push(state.keysAndValues!.held);
    if (random.unit() < 0.5) state.dispose();
  }
}

function begin({ subjects, held }: Game, state: ModelState, ids: readonly number[]): void {
  subjects.push({ state, ids: [...ids] });
  held.push(state.keysAndValues!.held);
}

async function play(game: Game): Promise<void> {
  const { lm, random, subjects, done } = game;
  const subject = pick(random, subjects);
  const { state, ids } = subject;
  switch (random.integer(0, 14)) {
    case 0: case 1:
      if (subjects.length > 7) return;
      done.push(`clone ${subjects.indexOf(subject)}`);
      return begin(game, state.clone(), ids);
    case 2: {
      const other = pick(random, subjects);
      done.push(`copy ${subjects.indexOf(other)} to ${subjects.indexOf(subject)}`);
      state.copyFrom(other.state);
      subject.ids = [...other.ids];
      return;
    }
    case 3:
      done.push(`reset ${subjects.indexOf(subject)}`);
      if (random.unit() < 0.5) state.reset();
      else state.dispose();
      subject.ids = [];
      return;
    case 4:
      if (subjects.length < 3) return;
      done.push(`drop ${subjects.indexOf(subject)}`);
      game.lost.push(state.keysAndValues!.held);
      subjects.splice(subjects.indexOf(subject), 1);
      return;
    case 5:
      if (random.unit() < 0.6) return;
      done.push('collect');
      return collectLost(game);
    case 6: case 7: return restore(game, subject);
    case 8: case 9: return goBack(game, subject);
    case 10: case 11: return rollBack(game, subject);
    default: {
      const several = subjects.filter((each) => each === subject || random.unit() < 0.3);
      const most = pick(random, [3, 64, 65, 130, 300]);
      const inputs = several.map((each) => ({ subject: each, ids: randomIds(random, random.integer(1, most)), want: pick(random, ['nothing', 'last', 'all'] as const) }));
      done.push(`read ${inputs.map((each) => `${each.ids.length} after ${each.subject.ids.length}`).join(' and ')}`);
      const found: [Float32Array, number, number][] = [];
      const isRead = attempt(game, () => lm.model.forwardSequences(inputs.map((each) => ({ ...each, state: each.subject.state })), (row, position, sequence) => {
        found.push([row.slice(), position, sequence]);
      }));
      if (!isRead) return;
      for (const each of inputs) each.subject.ids.push(...each.ids);
      const right = inputs.map((each) => logitsOf(game, each.subject.ids, each.ids.length));
      for (const [row, position, sequence] of found) expectSameBits(row, right[sequence]![position]!);
      for (const each of several) checkState(game, each);
    }
  }
}

function randomIds(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.integer(0, 10));
}

/** The logits of the last `count` of `ids`, each. */
function logitsOf({ reference }: Game, ids: readonly number[], count: number): Float32Array[] {
  const state = reference.createState();
  if (ids.length > count) reference.forward(ids.slice(0, -count), state);
  const all = reference.forward(ids.slice(-count), state, { all: true });
  state.dispose();
  return Array.from({ length: count }, (_, n) => all.subarray(n * 11, (n + 1) * 11));
}

/** @returns whether it went well. If not, that is because memory or positions are used up, and nothing has changed. */
function attempt(game: Game, run: () => void): boolean {
  const { lm: { model: { parts: { pages } } }, subjects, done } = game;
  const before = [subjects.map(({ state }) => state.serialize()), structuredClone(game.held), pages!.available];
  try {
    run();
    return true;
  } catch (error) {
    done.push('refused');
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(/^\w+: (the memory for keys and values is used up(: of pages of 64 positions \d+ more| by this text alone)|the text would have \d+ tokens; this model can take 700)/);
    expect([subjects.map(({ state }) => state.serialize()), game.held, pages!.available]).toEqual(before);
    return false;
  }
}

/** A few tokens more, in passes of at most 64 together, and back again. */
function goBack(game: Game, { state, ids }: Subject): void {
  const { lm, random, done } = game;
  const mark = new StateMark(state.shape);
  state.remember(mark);
  let [room, copy] = [64, undefined as ModelState | undefined];
  for (let passes = random.integer(1, 3); passes > 0 && room > 0; passes--) {
    const more = randomIds(random, random.integer(1, room));
    if (!attempt(game, () => lm.model.advance(more, state))) break;
    room -= more.length;
    if (random.unit() < 0.3 && game.subjects.length < 8 && copy === undefined) {
      copy = state.clone();
      begin(game, copy, [...ids, ...more]);
      if (passes > 1) passes = 1; // what the copy has read is known
    }
    if (copy && room + more.length < 64) { copy.copyFrom(state); copy.goBack(mark); game.subjects.at(-1)!.ids = [...ids]; }
  }
  done.push(`mark ${ids.length}, back by ${64 - room}`);
  state.goBack(mark);
  checkState(game, { state, ids });
}

/** A pass, and back to the middle of it. */
function rollBack(game: Game, subject: Subject): void {
  const { lm, random, done } = game;
  const { state, ids } = subject;
  const history = new StateHistory(state.shape, 16);
  const more = randomIds(random, random.integer(1, 16));
  if (!attempt(game, () => lm.model.forwardSequences([{ ids: more, state, want: 'all', history }], () => {}))) return;
  if (random.unit() < 0.3 && game.subjects.length < 8) begin(game, state.clone(), [...ids, ...more]);
  const position = random.integer(0, more.length - 1);
  done.push(`roll back to ${position + 1} of ${more.length} after ${ids.length}`);
  history.rollBack(state, position, more.length);
  subject.ids.push(...more.slice(0, position + 1));
  checkState(game, subject);
}

function restore(game: Game, { state, ids }: Subject): void {
  const { lm, random, subjects, done } = game;
  const bytes = state.serialize();
  if (random.unit() < 0.4 && ids.length > 1) {
    done.push(`spoil ${ids.length}`);
    bytes.fill(0xff, -2); // not a number, the last one
    const before = structuredClone(game.held);
    expect(() => lm.restoreState(bytes)).toThrow(/^restoreState: (the state is damaged|the memory)/);
    expect(game.held).toEqual(before);
    return;
  }
  if (subjects.length > 7) return;
  done.push(`restore ${ids.length}`);
  attempt(game, () => begin(game, lm.restoreState(bytes), ids));
}

/** All that nobody knows lets go of its pages. */
async function collectLost(game: Game): Promise<void> {
  const isFree = (): boolean => game.lost.every((held) => held.every(({ numbers }) => numbers.length === 0));
  await collectUntil(isFree);
  expect(isFree()).toBe(true);
  game.lost = [];
}

function checkState({ reference }: Game, { state, ids }: Subject): void {
  expect(state.tokens).toBe(ids.length);
  const fresh = reference.createState();
  if (ids.length > 0) reference.forward(ids, fresh);
  const [found, right] = [state.serialize(), fresh.serialize()];
  fresh.dispose();
  expect(Buffer.compare(found, right)).toBe(0);
}

/** Counts pages anew. */
function checkPages({ lm, subjects, held }: Game): void {
  const pool = lm.model.parts.pages!;
  const { holders, free, reserved } = pool as unknown as PoolInside;
  expect(reserved).toBe(0);
  const counts = new Uint32Array(pool.total);
  for (const blocks of held) {
    const own = blocks.flatMap(({ numbers }) => numbers);
    expect(new Set(own).size).toBe(own.length);
    for (const page of own) counts[page]!++;
  }
  expect(counts).toEqual(holders);
  expect(new Set(free).size).toBe(free.length);
  for (const page of free) expect(counts[page]).toBe(0);
  expect(free.length).toBe(counts.filter((count) => count === 0).length);
  // Those that share a page have read the same up to its end, or that of the shorter text.
  const users = new Map<number, { block: number; place: number; ids: readonly number[] }>();
  for (const { state, ids } of subjects) {
    let bytes = 0;
    state.keysAndValues!.held.forEach(({ first: before, numbers }, block) => numbers.forEach((page, n) => {
      bytes += pool.pageBytes;
      const place = before + n;
      const known = users.get(page);
      users.set(page, { block, place, ids });
      if (!known) return;
      expect([known.block, known.place]).toEqual([block, place]);
      const common = Math.min(known.ids.length, ids.length, 64 * (place + 1));
      expect(known.ids.slice(0, common)).toEqual(ids.slice(0, common));
    }));
    expect(state.byteLength).toBe(state.shape.blocks.reduce((sum, memory) => sum + ('width' in memory ? memory.width * 4 : 0), 0) + bytes);
  }
}
