import { describe, expect, it } from 'vitest';
import { argmax, ArgumentError, Sampler } from 'matmulfree';
import { Random } from '../../src/generate/random.js';
import { randomFrom } from '../support/random.js';

interface Options { temperature: number; topK?: number; topP?: number; minP?: number }

/** The distribution that the options define, by sorting everything; the order of the cuts as in Hugging Face transformers. */
function reference(logits: Float32Array, { temperature, topK = 0, topP = 1, minP = 0 }: Options): number[] {
  const maximum = Math.max(...logits);
  const weights = Array.from(logits, (v) => Math.exp((v - maximum) / temperature));
  let kept = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  if (topK > 0) kept = kept.slice(0, topK);
  const mass = kept.reduce((sum, id) => sum + weights[id]!, 0);
  if (topP < 1) {
    let sum = 0;
    kept = kept.filter((id) => {
      const before = sum;
      sum += weights[id]!;
      return before === 0 || before < topP * mass;
    });
  }
  kept = kept.filter((id, n) => n === 0 || weights[id]! >= minP);
  const total = kept.reduce((sum, id) => sum + weights[id]!, 0);
  const probabilities = new Array<number>(logits.length).fill(0);
  for (const id of kept) probabilities[id] = weights[id]! / total;
  return probabilities;
}

describe('the sampler', () => {
  const random = randomFrom(42);
  const logits = Float32Array.from({ length: 40 }, () => random.normal() * 2);
  const DRAWS = 20_000;

  const cases: Options[] = [
    { temperature: 1 }, { temperature: 0.5 }, { temperature: 3 }, { temperature: 1, topK: 5 }, { temperature: 1, topK: 1 },
    { temperature: 1, topK: 1000 }, { temperature: 1, topP: 0.5 }, { temperature: 1, topP: 0.95 }, { temperature: 1, topP: 0 },
    { temperature: 1, minP: 0.1 }, { temperature: 1, minP: 1 }, { temperature: 0.8, topK: 10, topP: 0.7 },
    { temperature: 1.3, topK: 20, topP: 0.9, minP: 0.05 },
  ];
  it.each(cases)('draws from the distribution that %j defines', (options) => {
    const expected = reference(logits, options);
    const sampler = new Sampler(40, { ...options, seed: 1 });
    const counts = new Array<number>(40).fill(0);
    for (let n = 0; n < DRAWS; n++) counts[sampler.sample(logits)]!++;
    // χ² with one cell for each token that may occur; what may not occur must not.
    let chi2 = 0;
    let cells = 0;
    counts.forEach((count, id) => {
      const mean = expected[id]! * DRAWS;
      if (mean === 0) return expect(count, `token ${id}`).toBe(0);
      chi2 += (count - mean) ** 2 / mean;
      cells++;
    });
    expect(chi2).toBeLessThan(cells - 1 + 5 * Math.sqrt(2 * cells) + 1e-9);
  });

  it('is greedy at temperature 0, the lowest id of equals first', () => {
    const sampler = new Sampler(5, { temperature: 0, seed: 9 });
    expect(sampler.sample(Float32Array.of(1, 3, 2, 3, 3))).toBe(1);
    expect(argmax(Float32Array.of(-1, -1))).toBe(0);
    expect(new Sampler(3, { seed: 1 }).sample(Float32Array.of(0, 1, 0))).toBe(1);
  });

  it('cuts equal logits by the lowest id', () => {
    const seen = new Set<number>();
    const sampler = new Sampler(6, { temperature: 1, topK: 2, seed: 3 });
    for (let n = 0; n < 200; n++) seen.add(sampler.sample(new Float32Array(6)));
    expect([...seen].sort()).toEqual([0, 1]);
  });

  it('does not change the logits', () => {
    const before = logits.slice();
    new Sampler(40, { temperature: 1, topK: 3, seed: 1 }).sample(logits);
    expect(logits).toEqual(before);
  });

  it('repeats itself for a seed, and differs for another', () => {
    const draw = (seed: number): number[] => {
      const sampler = new Sampler(40, { temperature: 2, seed });
      return Array.from({ length: 50 }, () => sampler.sample(logits));
    };
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    expect(draw(5)).not.toEqual(draw(5 + 2 ** 32));
  });

  it('survives extreme temperatures and logits', () => {
    for (const temperature of [1e-300, 1e-9, 1e9, Number.MAX_VALUE]) {
      const id = new Sampler(3, { temperature, seed: 1 }).sample(Float32Array.of(-3e38, 3e38, 0));
      expect([0, 1, 2]).toContain(id);
    }
    expect(new Sampler(3, { temperature: 1e-9, topP: 0.5, seed: 1 }).sample(Float32Array.of(0, 1, 0.5))).toBe(1);
  });

  it.each([
    { temperature: -1 }, { temperature: NaN }, { temperature: Infinity }, { temperature: '1' }, { topK: 1.5 }, { topK: -1 },
    { topP: 1.1 }, { topP: -0.1 }, { topP: null }, { minP: 2 }, { seed: -1 }, { seed: 0.5 }, { seed: 2 ** 53 },
  ])('refuses %j', (options) => {
    const key = Object.keys(options)[0]!;
    const make = (): Sampler => new Sampler(4, { temperature: 1, seed: 1, ...(options as object) });
    if (Object.values(options)[0] === null) return expect(make).not.toThrow(); // null reads as not given
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(new RegExp(`option ${key} is`));
  });
});

describe('the random numbers', () => {
  it('are the same everywhere, for ever: texts depend on them', () => {
    const first = (seed: number): number[] => {
      const random = new Random(seed);
      return [random.next(), random.next(), random.next()];
    };
    expect(first(0)).toMatchInlineSnapshot(`
      [
        0.4060459885620835,
        0.8652547973766963,
        0.07003541584918083,
      ]
    `);
    expect(first(7)).toMatchInlineSnapshot(`
      [
        0.6793265443687186,
        0.8932757571579817,
        0.019638535624515896,
      ]
    `);
    expect(first(2 ** 53 - 1)).toMatchInlineSnapshot(`
      [
        0.029235634686384127,
        0.43812517099463866,
        0.22163197139398338,
      ]
    `);
  });

  it('are uniform', () => {
    const random = new Random(123);
    const bins = new Array<number>(64).fill(0);
    for (let n = 0; n < 64_000; n++) bins[Math.floor(random.next() * 64)]!++;
    const chi2 = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chi2).toBeLessThan(120);
  });
});
