import { describe, expect, it } from 'vitest';
import { ArgumentError, Sampler, type LogitsProcessor, type SamplingOptions } from 'matmulfree';
import { freshSeed, randomFrom } from '../support/random.js';
import { expectDraws, referenceDistribution } from '../support/sampling.js';

const random = randomFrom(7);
const VOCAB = 70; // the last word of a mask is not full
const LOGITS = Float32Array.from({ length: VOCAB }, () => 2 * random.normal());
const BEST = LOGITS.indexOf(Math.max(...LOGITS));
const sampler = (options: SamplingOptions): Sampler => new Sampler(VOCAB, { temperature: 1, seed: 1, ...options });

function maskOf(ids: readonly number[], vocab = VOCAB): Uint32Array {
  const mask = new Uint32Array(Math.ceil(vocab / 32));
  for (const id of ids) mask[id >>> 5]! |= 1 << (id & 31);
  return mask;
}

describe('bias and bans', () => {
  it('adds the bias to the logit, given as a Map, an object or pairs', () => {
    const biases: [number, number][] = [[3, 2.5], [BEST, -4], [69, 1]];
    const expected = referenceDistribution(LOGITS.map((v, id) => v + (biases.find(([other]) => other === id)?.[1] ?? 0)), { temperature: 1 });
    for (const logitBias of [new Map(biases), Object.fromEntries(biases), biases]) {
      sampler({ logitBias }).distribution(LOGITS).forEach((p, id) => expect(p).toBeCloseTo(expected[id]!, 6));
    }
    const drawing = sampler({ logitBias: biases });
    expectDraws(() => drawing.sample(LOGITS), expected, 20_000);
  });

  it('100 is as good as forced, -100 as good as banned, -Infinity is banned', () => {
    expect(sampler({ logitBias: { 9: 100 } }).sample(LOGITS)).toBe(9);
    expect(sampler({ temperature: 0, logitBias: { [BEST]: -100 } }).sample(LOGITS)).not.toBe(BEST);
    expect(sampler({ logitBias: { [BEST]: -Infinity } }).distribution(LOGITS)[BEST]).toBe(0);
    // A ban holds even if the processor says otherwise.
    const logitsProcessor: LogitsProcessor = (logits) => void logits.fill(1);
    expect(sampler({ logitBias: { 4: -Infinity }, bannedTokens: [5], logitsProcessor }).distribution(LOGITS)).toEqual(
      Float64Array.from(LOGITS, (_, id) => (id === 4 || id === 5 ? 0 : 1 / 68)),
    );
  });

  it('never chooses a banned token, also where topK would want more than there are', () => {
    const left = [0, 31, 32, 69];
    const bannedTokens = [...LOGITS.keys()].filter((id) => !left.includes(id));
    for (const options of [{}, { temperature: 0 }, { topK: 10 }, { topP: 0.99 }, { typicalP: 0.9 }, { minP: 1e-9 }, { temperature: 1e6, topK: 10 }]) {
      const some = sampler({ ...options, bannedTokens });
      for (let n = 0; n < 200; n++) expect(left).toContain(some.sample(LOGITS));
    }
    const bannedBest = sampler({ temperature: 0, bannedTokens: [BEST] }).sample(LOGITS);
    expect(bannedBest).toBe(LOGITS.indexOf(Math.max(...LOGITS.filter((_, id) => id !== BEST))));
  });

  it('says so when no token is left', () => {
    for (const temperature of [0, 1]) {
      for (const few of [sampler({ temperature, bannedTokens: [...LOGITS.keys()] }), sampler({ temperature, logitsProcessor: (logits) => void logits.fill(-Infinity) })]) {
        expect(() => few.sample(LOGITS)).toThrow(ArgumentError);
        expect(() => few.sample(LOGITS)).toThrow(/no token is left/);
      }
      expect(() => sampler({ temperature }).sample(new Float32Array(VOCAB).fill(-Infinity))).toThrow(/no token is left/);
      expect(() => sampler({ temperature }).sample(LOGITS, new Uint32Array(3))).toThrow(/no token is left/);
      expect(() => sampler({ temperature, bannedTokens: [40] }).sample(LOGITS, maskOf([40]))).toThrow(/no token is left/);
    }
  });
});

/** As toBeCloseTo with 9 digits. */
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(actual.length, what).toBe(expected.length);
  for (let id = 0; id < expected.length; id++) if (!(Math.abs(actual[id]! - expected[id]!) < 5e-10)) expect.fail(`${what}, token ${id}: ${actual[id]} is not ${expected[id]}`);
}

describe('a mask', () => {
  const seed = freshSeed();
  it(`leaves what is in it, with the options on top: 300 random ones, seed ${seed}`, () => {
    const dice = randomFrom(seed);
    for (let n = 0; n < 300; n++) {
      const vocab = dice.integer(1, 130);
      const logits = Float32Array.from({ length: vocab }, () => 2 * dice.normal());
      const ids = [...logits.keys()].filter(() => dice.unit() < 0.4);
      const ends = [dice.integer(0, vocab - 1)];
      const options = { temperature: dice.integer(0, 2) / 2, topK: dice.integer(0, 20), topP: 1 - dice.unit() * dice.integer(0, 1), typicalP: 1 - dice.unit() * dice.integer(0, 1) };
      const mask = maskOf(ids, vocab);
      const before = mask.slice();
      const expected = referenceDistribution(logits.map((v, id) => (ids.includes(id) || ends.includes(id) ? v : -Infinity)), options);
      const some = new Sampler(vocab, { ...options, seed: n });
      expectClose(some.distribution(logits, mask, ends), expected, `case ${n}`);
      expect(expected[some.sample(logits, mask, ends)]).toBeGreaterThan(0);
      expect(mask).toEqual(before);
      // Without it everything is possible again.
      expectClose(some.distribution(logits), referenceDistribution(logits, options), `case ${n}, all`);
    }
  });

  it('of one bit leaves one token', () => {
    for (const options of [{ temperature: 0 }, {}, { topK: 5, topP: 0.5, minP: 0.5, typicalP: 0.5 }, { repetitionPenalty: 3 }]) {
      for (const id of [0, 31, 32, 69]) expect(sampler(options).sample(LOGITS, maskOf([id]))).toBe(id);
    }
  });

  it('does not bind the ids that end a text, but bans do', () => {
    expect(sampler({}).distribution(LOGITS, maskOf([1]), [2, 69]).map((p) => Number(p > 0))).toEqual(Float64Array.from(LOGITS, (_, id) => Number([1, 2, 69].includes(id))));
    expect(sampler({ bannedTokens: [2] }).distribution(LOGITS, maskOf([1]), [2])[1]).toBe(1);
  });

  it('may end before the ids do, whose rest may not come, and may not be longer', () => {
    for (const length of [4, 70]) expect(() => sampler({}).sample(LOGITS, new Uint32Array(length))).toThrow(/the mask has \d+ elements, for 3 at most/);
    expect(sampler({}).sample(LOGITS, Uint32Array.of(1 << 5))).toBe(5);
    expect(() => sampler({}).sample(LOGITS, new Uint32Array(0))).toThrow(/no token is left/);
  });
});

describe('forced tokens', () => {
  it('come first, or where they are wanted', () => {
    const run = (forcedTokens: SamplingOptions['forcedTokens']): number[] => {
      const greedy = sampler({ temperature: 0, forcedTokens });
      greedy.readPrompt([1, 2, 3]);
      return Array.from({ length: 4 }, () => {
        const id = greedy.sample(LOGITS);
        greedy.accept(id);
        return id;
      });
    };
    expect(run([8, 9])).toEqual([8, 9, BEST, BEST]);
    for (const forcedTokens of [[[1, 8], [3, 9]] as const, { 1: 8, 3: 9 }, new Map([[1, 8], [3, 9]])]) expect(run(forcedTokens)).toEqual([BEST, 8, BEST, 9]);
    expect(run([])).toEqual([BEST, BEST, BEST, BEST]);
  });

  it('take no random number, and show in the distribution', () => {
    const forcing = sampler({ forcedTokens: [8] });
    expect(forcing.distribution(LOGITS)[8]).toBe(1);
    forcing.accept(forcing.sample(LOGITS));
    expect(Array.from({ length: 20 }, () => forcing.sample(LOGITS))).toEqual(Array.from({ length: 20 }, ((plain) => () => plain.sample(LOGITS))(sampler({}))));
  });

  it('that a constraint forbids are an error', () => {
    expect(() => sampler({ forcedTokens: [8] }).sample(LOGITS, maskOf([9]))).toThrow(/forcedTokens: token 8 at position 0/);
    expect(sampler({ forcedTokens: [8] }).sample(LOGITS, maskOf([9]), [8])).toBe(8);
  });
});

describe('a logitsProcessor', () => {
  it('gets a copy with bias, penalties and bans in it, the text so far and the count of new tokens', () => {
    const seen: unknown[] = [];
    const before = LOGITS.slice();
    const some = sampler({
      temperature: 0, bannedTokens: [7], logitBias: { 6: 1 }, repetitionPenalty: 2,
      logitsProcessor: (logits, { ids, newTokens }) => {
        seen.push([[...ids], newTokens, logits[6], logits[7]]);
        logits.fill(0);
        logits[50 + newTokens] = 1;
      },
    });
    some.readPrompt([5, 6]);
    for (let n = 0; n < 3; n++) some.accept(some.sample(LOGITS));
    const six = Math.fround(LOGITS[6]! + 1);
    const penalised = Math.fround(six < 0 ? six * 2 : six / 2);
    expect(seen).toEqual([[[5, 6], 0, penalised, -Infinity], [[5, 6, 50], 1, penalised, -Infinity], [[5, 6, 50, 51], 2, penalised, -Infinity]]);
    expect(LOGITS).toEqual(before);
  });

  it('sees the last 65,536 ids', () => {
    let shown = new Int32Array(0);
    const some = sampler({ temperature: 0, logitsProcessor: (_, { ids }) => { shown = ids.slice(); } });
    for (let n = 0; n < 200_000; n++) some.accept(n % 70);
    some.sample(LOGITS);
    expect(shown).toEqual(Int32Array.from({ length: 65_536 }, (_, n) => (n + 200_000 - 65_536) % 70));
  });

  it.each([NaN, Infinity])('that leaves %s is named, with the token', (wrong) => {
    for (const temperature of [0, 1]) {
      const some = sampler({ temperature, logitsProcessor: (logits) => { logits[33] = wrong; } });
      expect(() => some.sample(LOGITS)).toThrow(ArgumentError);
      expect(() => some.sample(LOGITS)).toThrow(`option logitsProcessor made the logit of token 33 ${wrong}`);
    }
  });

  it('may ban with -Infinity, but does not bring back what is banned or masked', () => {
    const drop = sampler({ logitsProcessor: (logits) => { logits[BEST] = -Infinity; } });
    expect(drop.distribution(LOGITS)[BEST]).toBe(0);
    const equal = sampler({ bannedTokens: [1], logitsProcessor: (logits) => { logits.fill(3); } });
    expect(equal.distribution(LOGITS, maskOf([1, 2, 3])).map((p) => Number(p > 0))).toEqual(Float64Array.from(LOGITS, (_, id) => Number(id === 2 || id === 3)));
  });

  it('that returns its result instead is told, also if it is async; errors of its own come through', () => {
    for (const logitsProcessor of [(logits: Float32Array) => logits.map((v) => v), async () => {}, () => []] as unknown as LogitsProcessor[]) {
      expect(() => sampler({ logitsProcessor }).sample(LOGITS)).toThrow(/option logitsProcessor returned .*: it must change the logits/);
    }
    expect(() => sampler({ logitsProcessor: (logits) => logits.fill(0) }).sample(LOGITS)).not.toThrow();
    const error = new Error('mine');
    expect(() => sampler({ logitsProcessor: () => { throw error; } }).sample(LOGITS)).toThrow(error);
  });
});

describe('what the caller hands over', () => {
  it('is checked: the number of logits, NaN and Infinity, ids', () => {
    expect(() => sampler({}).sample(new Float32Array(69))).toThrow(/there are 69 logits, for a vocabulary of 70/);
    expect(() => sampler({ temperature: 0 }).sample(new Float32Array(71))).toThrow(/there are 71 logits/);
    for (const wrong of [NaN, Infinity]) {
      for (const at of [0, 33]) expect(() => sampler({}).sample(LOGITS.map((v, id) => (id === at ? wrong : v)))).toThrow(/a NaN or an Infinity among the logits/);
    }
    for (const id of [-1, 70, 1.5, NaN, '3']) {
      expect(() => sampler({}).accept(id as never)).toThrow(/^accept: .* is not a token id from 0 to 69$/);
      expect(() => sampler({}).readPrompt([id] as never)).toThrow(/^readPrompt: /);
    }
    expect(() => sampler({}).sample(undefined as never)).toThrow(/there are no logits/);
    expect(() => sampler({}).readPrompt(undefined as never)).toThrow(/readPrompt: got undefined/);
    const some = sampler({});
    some.accept(1);
    expect(() => some.readPrompt([1])).toThrow(/there are new tokens already/);
  });

  it('is not changed', () => {
    const before = LOGITS.slice();
    const some = sampler({ topK: 9, typicalP: 0.5, repetitionPenalty: 2, frequencyPenalty: 1, logitBias: { 1: 5 }, bannedTokens: [2], logitsProcessor: (logits) => logits.fill(0) });
    some.readPrompt([1, 2, 3]);
    for (let n = 0; n < 10; n++) some.accept(some.sample(LOGITS, maskOf([1, 4, 5])));
    expect(LOGITS).toEqual(before);
  });
});

describe('clones', () => {
  const options: SamplingOptions = { temperature: 2, repetitionPenalty: 1.5, frequencyPenalty: 0.3, penaltyWindow: 20, logitsProcessor: (logits, { ids }) => { logits[ids.at(-1)!] = -Infinity; } };
  const go = (some: Sampler, tokens: number): number[] => Array.from({ length: tokens }, () => {
    const id = some.sample(LOGITS);
    some.accept(id);
    return id;
  });

  it('go on as the original would, and do not touch it', () => {
    const one = sampler(options);
    one.readPrompt([1, 2, 3]);
    go(one, 30);
    const other = one.clone();
    const text = go(other, 50);
    expect(other.newTokens).toBe(80);
    expect(one.newTokens).toBe(30);
    expect(go(one, 50)).toEqual(text);
    expect(new Set(text).size).toBeGreaterThan(10);
  });

  it('bring back what was: copyFrom rolls back text and random numbers', () => {
    const one = sampler(options);
    one.readPrompt([1, 2, 3]);
    const mark = one.clone();
    const text = go(one, 40);
    for (let n = 0; n < 3; n++) {
      one.copyFrom(mark);
      expect(go(one, 40)).toEqual(text);
    }
    const twice = mark.clone();
    twice.copyFrom(one);
    expect(go(twice, 20)).toEqual(go(one, 20));
  });

  it('of another sampler are refused', () => {
    expect(() => sampler(options).copyFrom(sampler(options))).toThrow(/is not a clone of this one/);
  });
});

it('allocates nothing that lasts, with all penalties on', () => {
  const some = sampler({ topP: 0.9, typicalP: 0.9, repetitionPenalty: 1.2, frequencyPenalty: 0.1, presencePenalty: 0.1, penaltyWindow: 64, logitBias: { 3: 1 }, bannedTokens: [4] });
  const mask = maskOf([...LOGITS.keys()].filter((id) => id % 3));
  const run = (): void => { for (let n = 0; n < 500; n++) some.accept(some.sample(LOGITS, n % 2 ? mask : undefined)); };
  run();
  let made = 0;
  const scope = globalThis as unknown as Record<string, unknown>;
  const names = ['Float32Array', 'Float64Array', 'Int32Array', 'Uint32Array'];
  const originals = names.map((name) => scope[name] as new () => object);
  names.forEach((name, n) => { scope[name] = new Proxy(originals[n]!, { construct: (target, args) => (made++, Reflect.construct(target, args) as object) }); });
  try {
    run();
  } finally {
    names.forEach((name, n) => { scope[name] = originals[n]; });
  }
  expect(made).toBe(0);
});
