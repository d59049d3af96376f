import { describe, expect, it } from 'vitest';
import { Sampler, type SamplingOptions } from 'matmulfree';
import { TokenHistory } from '../../src/sampling/token-history.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { softmax } from '../support/sampling.js';

/** The logits that the sampler would go on with, up to a constant: at temperature 1 nothing else touches them. */
function edited(logits: number[], prompt: number[], answer: number[], options: SamplingOptions): number[] {
  const sampler = new Sampler(logits.length, { temperature: 1, seed: 1, ...options });
  sampler.readPrompt(prompt);
  for (const id of answer) sampler.accept(id);
  const p = sampler.distribution(Float32Array.from(logits));
  return [...p].map((v) => Math.log(v / p[0]!) + logits[0]!); // token 0 is in no text below
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  actual.forEach((v, id) => expect(v, `token ${id}`).toBeCloseTo(expected[id]!, 5));
}

describe('penalties, worked by hand', () => {
  const logits = [1, 4, -2, 0, 3];

  it('repetition: positive logits are divided, negative ones multiplied, once, whatever the count; the prompt counts', () => {
    expectClose(edited(logits, [1, 2], [3, 1], { repetitionPenalty: 2 }), [1, 2, -4, 0, 3]);
    expectClose(edited(logits, [1, 1, 1], [], { repetitionPenalty: 0.5 }), [1, 8, -2, 0, 3]);
    expectClose(edited(logits, [], [2], { repetitionPenalty: 0.5 }), [1, 4, -1, 0, 3]);
    expectClose(edited(logits, [1, 2], [3], { repetitionPenalty: 1 }), logits);
  });

  it('frequency: once for each time, of new tokens only', () => {
    expectClose(edited(logits, [4, 4, 1], [1, 1, 2], { frequencyPenalty: 0.5 }), [1, 3, -2.5, 0, 3]);
    expectClose(edited(logits, [], [3, 3, 3], { frequencyPenalty: -1 }), [1, 4, -2, 3, 3]);
  });

  it('presence: once, of new tokens only', () => {
    expectClose(edited(logits, [4, 4, 1], [1, 1, 2], { presencePenalty: 0.5 }), [1, 3.5, -2.5, 0, 3]);
    expectClose(edited(logits, [4], [4, 4], { presencePenalty: -2 }), [1, 4, -2, 0, 5]);
  });

  it('all three: repetition first', () => {
    // 1: 4 / 2 - 2 · 0.25 - 1 = 0.5; 2: -2 · 2 - 0.25 - 1 = -5.25; 4: 3 / 2, as it is the prompt's
    expectClose(edited(logits, [4], [1, 2, 1], { repetitionPenalty: 2, frequencyPenalty: 0.25, presencePenalty: 1 }), [1, 0.5, -5.25, 0, 1.5]);
  });

  it('the bias comes before: 4 - 6 is negative and is multiplied', () => {
    expectClose(edited(logits, [1], [], { repetitionPenalty: 2, logitBias: { 1: -6 } }), [1, -4, -2, 0, 3]);
  });

  it('a window forgets what is farther back, prompt or not', () => {
    const options = { repetitionPenalty: 2, frequencyPenalty: 0.5 };
    expectClose(edited(logits, [4, 2], [1, 1], { ...options, penaltyWindow: 4 }), [1, 1, -4, 0, 1.5]);
    expectClose(edited(logits, [4, 2], [1, 1], { ...options, penaltyWindow: 3 }), [1, 1, -4, 0, 3]);
    expectClose(edited(logits, [4, 2], [1, 1], { ...options, penaltyWindow: 2 }), [1, 1, -2, 0, 3]);
    expectClose(edited(logits, [4, 2], [1, 1], { ...options, penaltyWindow: 1 }), [1, 1.5, -2, 0, 3]);
    expectClose(edited(logits, [4, 2], [1, 1], { ...options, penaltyWindow: 0 }), logits);
  });

  it('greedy obeys them too', () => {
    const sampler = new Sampler(3, { presencePenalty: 1, seed: 1 });
    const chosen = Array.from({ length: 6 }, () => {
      const id = sampler.sample(Float32Array.of(2, 1.5, 0));
      sampler.accept(id);
      return id;
    });
    expect(chosen).toEqual([0, 1, 0, 0, 0, 0]);
    const often = new Sampler(3, { frequencyPenalty: 1, seed: 1 });
    const alternating = Array.from({ length: 6 }, () => {
      const id = often.sample(Float32Array.of(2, 1.5, 0));
      often.accept(id);
      return id;
    });
    expect(alternating).toEqual([0, 1, 0, 1, 0, 2]); // 2 1.5 0, 1 1.5 0, 1 0.5 0, 0 0.5 0, 0 -0.5 0, -1 -0.5 0
  });
});

const seed = freshSeed();
it(`penalties over long texts are those of a plain count, seed ${seed}`, () => {
  const random = randomFrom(seed);
  for (let run = 0; run < 60; run++) {
    const vocab = random.integer(2, 50);
    const penaltyWindow = random.unit() < 0.3 ? undefined : random.integer(1, 90);
    const [repetition, frequency, presence] = [0.5 + 2 * random.unit(), random.normal() / 2, random.normal() / 2].map((v) => Math.max(-2, Math.min(2, v))) as [number, number, number];
    const options = { repetitionPenalty: repetition, frequencyPenalty: frequency, presencePenalty: presence, penaltyWindow };
    const sampler = new Sampler(vocab, { temperature: 1, seed: 1, ...options });
    const text: number[] = Array.from({ length: random.integer(0, 150) }, () => random.integer(0, vocab - 1));
    const prompt = text.length;
    sampler.readPrompt(text);
    for (let n = 0; n < 250; n++) {
      const id = random.integer(0, vocab - 1);
      text.push(id);
      sampler.accept(id);
      if (n % 50 !== 49) continue;
      const logits = Float32Array.from({ length: vocab }, () => 3 * random.normal());
      const start = Math.max(0, text.length - (penaltyWindow ?? Infinity));
      const window = text.slice(start);
      const added = text.slice(Math.max(start, prompt));
      const expected = softmax(Array.from(logits, (logit, token) => {
        const count = added.filter((other) => other === token).length;
        const repeated = window.includes(token) ? (logit < 0 ? logit * repetition : logit / repetition) : logit;
        return repeated - count * frequency - (count > 0 ? presence : 0);
      }));
      expectClose([...sampler.distribution(logits)], expected);
    }
  }
});

it(`the history holds the last ids, seed ${seed}`, () => {
  const random = randomFrom(seed);
  for (const limit of [1, 2, 3, 31, 32, 33, 64, 100, 1000]) {
    const history = new TokenHistory(limit);
    const copies: [TokenHistory, number[]][] = [];
    const all: number[] = [];
    for (let n = 0; n < 3 * limit + 300; n++) {
      const id = random.integer(0, 9999);
      const gone = all.length >= limit ? all[all.length - limit]! : -1;
      expect(history.push(id)).toBe(gone);
      all.push(id);
      if (n % 37 === 0) {
        expect([...history.ids], `limit ${limit}, ${n}`).toEqual(all.slice(-limit));
        const copy = new TokenHistory(limit);
        for (let k = random.integer(0, 2 * limit); k > 0; k--) copy.push(0); // what it held before is forgotten
        copy.copyFrom(history);
        copies.push([copy, all.slice(-limit)]);
      }
    }
    for (const [copy, ids] of copies) {
      expect([...copy.ids]).toEqual(ids);
      copy.push(1);
      expect([...copy.ids]).toEqual([...ids, 1].slice(-limit));
    }
  }
});

it('a history of a million takes memory for what it holds', () => {
  const history = new TokenHistory(2 ** 20);
  for (let n = 0; n < 100; n++) history.push(n);
  expect(history.ids.buffer.byteLength).toBeLessThan(2000);
});
