import { describe, expect, it } from 'vitest';
import { digitsOf, judgeStories, perplexityOf, wasSaid, type EachLogits } from '../../bench/stories.js';
import { CAVEAT, KINDS_TRAINED, QUOTED, ROUNDING, TRAINED } from '../../bench/trained-models.js';
import { takeTimedTurns, timedTask } from '../../bench/turns.js';

const VOCAB = 8;
/** Says that the token at a position comes again. */
const echo: EachLogits = (ids, sink) => {
  for (let position = 0; position < ids.length - 1; position++) sink(Float32Array.from({ length: VOCAB }, (_, id) => (id === ids[position] ? 2 : 0)), position);
};

describe('stories', () => {
  it('are judged token by token, by position', () => {
    const story = [1, 1, 2, 2, 2];
    const { all, byPosition } = judgeStories([story, [...Array<number>(40).fill(3)]], echo, new Set());
    const [hit, miss] = [Math.log(Math.exp(2) + VOCAB - 1) - 2, Math.log(Math.exp(2) + VOCAB - 1)];
    expect(all.tokens).toBe(4 + 39);
    expect(all.nll).toBeCloseTo(42 * hit + miss, 4);
    expect(byPosition.map(({ tokens }) => tokens)).toEqual([4 + 32, 7, 0]);
    expect(byPosition[1]!.nll).toBeCloseTo(7 * hit, 4);
    expect(perplexityOf({ tokens: 2, nll: 2 * Math.log(5) })).toBeCloseTo(5, 12);
  });

  it('count a name that was last said 17 to 32 tokens ago', () => {
    const after = (distance: number): number[] => [6, ...Array<number>(distance - 1).fill(1), 6];
    expect([1, 16, 17, 32, 33].map((distance) => wasSaid(after(distance), distance))).toEqual([false, false, true, true, false]);
    expect(wasSaid([...after(20), 6], 21)).toBe(false); // said again just before
    expect(wasSaid([6, 1], 0)).toBe(false);
    // One guesses it, one prefers another word, one another name.
    const guess = (...best: readonly number[]): EachLogits => (ids, sink) => {
      for (let position = 0; position < ids.length - 1; position++) sink(Float32Array.from({ length: VOCAB }, (_, id) => -(best.indexOf(id) + 1 || 9)), position);
    };
    const named = (eachLogits: EachLogits) => judgeStories([after(20), after(40)], eachLogits, new Set([5, 6])).names;
    expect(named(guess(6, 1))).toEqual({ said: 1, first: 1, firstOfNames: 1 });
    expect(named(guess(1, 6, 5))).toEqual({ said: 1, first: 0, firstOfNames: 1 });
    expect(named(guess(5, 6))).toEqual({ said: 1, first: 0, firstOfNames: 0 });
  });

  it.each([[9.6494712, 9.6490620, 4], [8.8511, 8.8543459, 3], [8.71538151, 8.71538134, 7], [9.9996, 10, 5], [10.04, 10, 3], [3, 9, 0], [2, 2, 15]])('%d is %d to %d digits', (value, expected, digits) => {
    expect(digitsOf(value, expected)).toBe(digits);
  });
});

describe('trained models', () => {
  it('have ids of their own, and kinds that are known', () => {
    const ids = [...TRAINED, ...QUOTED].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { kind } of [...TRAINED, ...QUOTED]) expect(KINDS_TRAINED).toContain(kind);
    for (const id of Object.keys(ROUNDING)) expect(ids).toContain(id);
  });

  it('come with what their figures do not say', () => {
    expect(CAVEAT).toMatch(/^No ranking of hybrid, BitNet and float Transformer follows/);
    for (const { masters, file } of Object.values(ROUNDING)) for (const nats of [masters, file]) expect(CAVEAT).toContain(String(nats));
    expect(TRAINED.filter(({ isDamaged }) => isDamaged).map(({ name }) => name)).toEqual(['matmulfree-9m-512', 'hybrid-9m']);
  });
});

describe('engines that answer later', () => {
  it('take turns with tasks that do not', async () => {
    const order: string[] = [];
    const times = await takeTimedTurns([timedTask(() => void order.push('a'), 0), async () => order.push('b')], { rounds: 4 });
    expect(times.map(({ length }) => length)).toEqual([4, 4]);
    expect(order.slice(-4).join('')).toMatch(/abab$/);
    expect(new Set(times[1]).size).toBe(4); // what it tells itself
    const none = await takeTimedTurns([async () => 1], { rounds: 9, seconds: 0 });
    expect(none).toEqual([[1, 1, 1]]);
  });
});
