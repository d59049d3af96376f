import { describe, expect, it } from 'vitest';
import { byteTick, compact, formatValue, short, tokens } from '../../bench/report/format.js';
import { createScale, linearTicks, logTicks, spreadOut } from '../../bench/report/scale.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();

describe('scales', () => {
  it('map domains to ranges', () => {
    const linear = createScale('linear', [0, 10], [100, 200]);
    expect([0, 5, 10].map(linear)).toEqual([100, 150, 200]);
    const log = createScale('log', [1, 100], [300, 100]);
    expect([1, 10, 100].map((value) => log(value))).toEqual([300, 200, 100].map((place) => expect.closeTo(place, 9) as number));
    expect(createScale('linear', [3, 3], [0, 10])(3)).toBe(0);
  });
});

describe('ticks', () => {
  it('are round numbers', () => {
    expect(linearTicks(0, 32.3, 4)).toEqual([0, 10, 20, 30, 40]);
    expect(linearTicks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linearTicks(5, 5)).toEqual([5]);
    expect(logTicks(1, 100)).toEqual([1, 2, 5, 10, 20, 50, 100]);
    expect(logTicks(3, 30)).toEqual([2, 5, 10, 20, 50]);
    expect(logTicks(1e5, 6.4e9)).toEqual([1e5, 1e6, 1e7, 1e8, 1e9, 1e10]);
    expect(logTicks(7, 7)).toEqual([5, 10]);
    for (const [low, high] of [[0, 1], [-1, 1], [2, 1], [NaN, 1]] as const) expect(() => logTicks(low, high)).toThrow(RangeError);
  });

  it(`enclose what they are for, in order, and are not too many, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 500; n++) {
      const low = 10 ** (12 * random.unit() - 4);
      const high = low * 10 ** (7 * random.unit());
      const log = logTicks(low, high);
      expect(log[0]).toBeLessThanOrEqual(low * (1 + 1e-9));
      expect(log.at(-1)).toBeGreaterThanOrEqual(high * (1 - 1e-9));
      expect(log.length).toBeLessThanOrEqual(8);
      const linear = linearTicks(0, high);
      expect(linear[0]).toBe(0);
      expect(linear.at(-1)).toBeGreaterThanOrEqual(high * (1 - 1e-9));
      expect(linear.length).toBeLessThanOrEqual(7);
      for (const ticks of [log, linear]) expect([...ticks].sort((a, b) => a - b)).toEqual(ticks);
    }
  });
});

describe('labels that touch', () => {
  it('are moved apart, as little as it takes', () => {
    expect(spreadOut([10, 50], 15, 0, 100)).toEqual([10, 50]);
    expect(spreadOut([50, 50], 20, 0, 100)).toEqual([40, 60]);
    expect(spreadOut([0, 1], 20, 0, 100)).toEqual([0, 20]);
    expect(spreadOut([60, 50, 52], 20, 0, 100)).toEqual([74, 34, 54]);
  });

  it(`keep their order and their distance, inside, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 300; n++) {
      const places = Array.from({ length: random.integer(1, 5) }, () => 200 * random.unit());
      const moved = spreadOut(places, 15, 0, 200);
      const order = places.map((_, i) => i).sort((a, b) => places[a]! - places[b]!);
      for (let i = 1; i < order.length; i++) expect(moved[order[i]!]! - moved[order[i - 1]!]!).toBeGreaterThanOrEqual(15 - 1e-6);
      for (const place of moved) expect(place >= -1e-9 && place <= 200 + 1e-9).toBe(true);
    }
  });
});

describe('numbers', () => {
  it('have three digits, and units that fit', () => {
    expect([0, 0.01234, 1.5, 2, 87.345, 123.4, 1234.5, 1e6].map(short)).toEqual(['0', '0.0123', '1.5', '2', '87.3', '123', '1,235', '1,000,000']);
    expect(formatValue(1.496e9, 'bytes')).toBe('1.5 GB');
    expect(formatValue(999.9e6, 'bytes')).toBe('1 GB');
    expect(formatValue(98_304, 'bytes')).toBe('98.3 kB');
    expect(formatValue(3.4e8, '1/token')).toBe('340 M');
    expect(formatValue(0, '1/token')).toBe('0');
    expect(formatValue(18.16, 'tokens/s')).toBe('18.2 tokens/s');
    expect(formatValue(8.715, '')).toBe('8.71');
    expect([1, 32, 1024, 32_768, 1000].map(tokens)).toEqual(['1', '32', '1k', '32k', '1000']);
    expect([0.5, 1000, 2e6].map(compact)).toEqual(['0.5', '1k', '2M']);
    expect(byteTick(1e7)).toBe('10 MB');
  });
});
