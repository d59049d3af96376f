import { describe, expect, it } from 'vitest';
import { argmax, Sampler, type SamplingOptions } from 'matmulfree';
import { Random } from '../../src/sampling/random.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectDraws, referenceDistribution } from '../support/sampling.js';

describe('the sampler', () => {
  const random = randomFrom(42);
  const logits = Float32Array.from({ length: 40 }, () => random.normal() * 2);
  const DRAWS = 20_000;

  const cases: SamplingOptions[] = [
    { temperature: 1 }, { temperature: 0.5 }, { temperature: 3 }, { temperature: 1, topK: 5 }, { temperature: 1, topK: 1 },
    { temperature: 1, topK: 1000 }, { temperature: 1, topP: 0.5 }, { temperature: 1, topP: 0.95 }, { temperature: 1, topP: 0 },
    { temperature: 1, minP: 0.1 }, { temperature: 1, minP: 1 }, { temperature: 0.8, topK: 10, topP: 0.7 },
    { temperature: 1.3, topK: 20, topP: 0.9, minP: 0.05 }, { temperature: 1, typicalP: 0.9 }, { temperature: 2, typicalP: 0.3 },
    { temperature: 1, typicalP: 0 }, { temperature: 1.5, topK: 25, topP: 0.95, minP: 0.02, typicalP: 0.7 },
  ];
  it.each(cases)('draws from the distribution that %j defines', (options) => {
    const sampler = new Sampler(40, { ...options, seed: 1 });
    expectDraws(() => sampler.sample(logits), referenceDistribution(logits, options), DRAWS);
  });

  const seed = freshSeed();
  it(`keeps what the definitions keep, with the same probabilities: 1,500 random cases, seed ${seed}`, () => {
    const dice = randomFrom(seed);
    const often = <T>(value: T, otherwise: T): T => (dice.unit() < 0.5 ? value : otherwise);
    let cuts = 0;
    for (let n = 0; n < 1500; n++) {
      const vocab = dice.integer(1, 120);
      const spread = often(1, 6);
      const some = Float32Array.from({ length: vocab }, () => (dice.unit() < 0.1 ? 1 : dice.unit() < 0.05 ? -Infinity : spread * dice.normal()));
      some[dice.integer(0, vocab - 1)] = 2;
      const options: SamplingOptions = {
        temperature: [1e-6, 0.3, 0.8, 1, 1.7, 100][dice.integer(0, 5)]!, topK: often(0, dice.integer(1, 130)), topP: often(1, dice.unit()),
        minP: often(0, dice.unit() / 3), typicalP: often(1, dice.unit()),
      };
      const expected = referenceDistribution(some, options);
      const actual = new Sampler(vocab, { ...options, seed: 1 }).distribution(some);
      const context = `case ${n}: ${JSON.stringify(options)}`;
      expected.forEach((p, id) => {
        if (actual[id]! > 0 !== p > 0 || !(Math.abs(actual[id]! - p) < 1e-9)) expect.fail(`${context}, token ${id}: ${actual[id]} is not ${p}`);
      });
      if (actual.filter((p) => p > 0).length < vocab) cuts++;
    }
    expect(cuts).toBeGreaterThan(700);
  });

  it('typicalP may drop the most probable token, and keeps all that are equally typical', () => {
    const of = (values: readonly number[], typicalP: number): number[] =>
      [...new Sampler(values.length, { temperature: 1, typicalP, seed: 1 }).distribution(Float32Array.from(values, Math.log))].map((v) => Math.round(1e6 * v) / 1e6);
    // Surprises 0.69, 1.20, 2.30, 2.30 around an entropy of 1.17: off by 0.48, 0.04, 1.13, 1.13.
    expect(of([0.5, 0.3, 0.1, 0.1], 0.2)).toEqual([0, 1, 0, 0]);
    expect(of([0.5, 0.3, 0.1, 0.1], 0.6)).toEqual([0.625, 0.375, 0, 0]);
    expect(of([0.5, 0.3, 0.1, 0.1], 0.85)).toEqual([0.5, 0.3, 0.1, 0.1]);
    // Surprises 0.92, 1.61 (three times): entropy 1.33; the three are nearer, and come together though one would do.
    expect(of([0.4, 0.2, 0.2, 0.2], 0.1)).toEqual([0, 0.333333, 0.333333, 0.333333]);
    expect(of([0.4, 0.2, 0.2, 0.2], 0.61)).toEqual([0.4, 0.2, 0.2, 0.2]);
    expect(of([1], 0.1)).toEqual([1]);
  });

  it.each<[SamplingOptions, number[]]>([
    [{ temperature: 0 }, [5, 82, 23, 60, 8, 30, 71, 61, 69, 93, 30, 89]],
    [{ temperature: 1 }, [5, 82, 23, 87, 10, 7, 64, 61, 69, 21, 40, 36]],
    [{ temperature: 0.7, topP: 0.9 }, [5, 38, 23, 82, 8, 30, 71, 61, 5, 93, 45, 89]],
    [{ temperature: 1.5, topK: 20 }, [5, 18, 23, 77, 42, 30, 71, 38, 40, 0, 25, 89]],
    [{ temperature: 2, minP: 0.02 }, [5, 36, 23, 16, 82, 30, 71, 44, 21, 70, 5, 89]],
    [{ temperature: 1.2, topK: 30, topP: 0.8, minP: 0.01 }, [5, 57, 23, 89, 10, 30, 71, 61, 51, 21, 56, 89]],
  ])('chooses with %j what version 0.1 chose: texts depend on it', (options, ids) => {
    const dice = randomFrom(2024);
    const sampler = new Sampler(100, { ...options, seed: 99 });
    expect(ids.map(() => sampler.sample(Float32Array.from({ length: 100 }, () => dice.normal() * 3)))).toEqual(ids);
  });

  it('chooses the only token of a vocabulary of one', () => {
    for (const options of [{}, { temperature: 1 }, { temperature: 1, topK: 3, topP: 0.5, minP: 0.5, typicalP: 0.5 }]) {
      expect(new Sampler(1, { ...options, seed: 1 }).sample(Float32Array.of(-7))).toBe(0);
    }
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
    for (const typicalP of [0.01, 0.5, 0.99]) {
      for (const temperature of [1e-300, 1e-6, 1e9, Number.MAX_VALUE]) {
        const id = new Sampler(4, { temperature, typicalP, seed: 1 }).sample(Float32Array.of(-3e38, 3e38, -Infinity, 0));
        expect([0, 1, 3]).toContain(id);
      }
    }
    expect(new Sampler(3, { temperature: 1e-9, topP: 0.5, seed: 1 }).sample(Float32Array.of(0, 1, 0.5))).toBe(1);
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
