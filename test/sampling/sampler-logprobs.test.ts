import { describe, expect, it } from 'vitest';
import { ConfigError, MatMulFreeLM } from 'matmulfree';
import { generationDefaults } from '../../src/sampling/generation-config.js';
import { largestIds, logProbabilities, logProbability } from '../../src/sampling/logprobs.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { softmax } from '../support/sampling.js';

describe('log-probabilities', () => {
  const seed = freshSeed();
  it(`are those of a plain softmax, the best first, equals by id, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 200; n++) {
      const vocab = random.integer(1, 80);
      const logits = Float32Array.from({ length: vocab }, () => (random.unit() < 0.3 ? random.integer(-2, 2) : 3 * random.normal()));
      const p = softmax([...logits]);
      const id = random.integer(0, vocab - 1);
      const count = random.integer(0, 30);
      const order = [...p.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, count);
      const { logprob, top } = logProbabilities(logits, id, count);
      expect(logprob).toBeCloseTo(Math.log(p[id]!), 10);
      expect(logProbability(logits, id)).toBe(logprob);
      expect(top.map((token) => token.id)).toEqual(order);
      expect(largestIds(logits, count)).toEqual(order);
      top.forEach((token) => expect(token.logprob).toBe(logProbability(logits, token.id)));
    }
  });

  it('of a text add up to its score, to the last bit each', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const ids = [1, 4, 2, 7, 3, 9];
    const state = lm.createState();
    const logprobs = ids.slice(0, -1).map((id, t) => logProbability(lm.forward(id, state), ids[t + 1]!));
    expect(logprobs).toEqual([...lm.score(ids).logprobs]);
  });

  it('take -Infinity for what it is', () => {
    const { logprob, top } = logProbabilities(Float32Array.of(-Infinity, 0, 0), 0, 5);
    expect(logprob).toBe(-Infinity);
    expect(top.map(({ id }) => id)).toEqual([1, 2, 0]);
    expect(top[0]!.logprob).toBeCloseTo(Math.log(0.5), 12);
  });
});

describe('generation_config.json', () => {
  it('gives defaults', () => {
    const json = {
      bos_token_id: 1, eos_token_id: [2, 3], do_sample: true, temperature: 0.6, top_k: 40, top_p: 0.9, min_p: 0.05, typical_p: 0.95, repetition_penalty: 1.1,
      max_new_tokens: 100, suppress_tokens: [5, 6], transformers_version: '4.44.0',
    };
    expect(generationDefaults(json, 10)).toEqual({
      temperature: 0.6, topK: 40, topP: 0.9, minP: 0.05, typicalP: 0.95, repetitionPenalty: 1.1, maxNewTokens: 100, bannedTokens: [5, 6],
    });
  });

  it('is greedy unless do_sample says otherwise, and keeps the cuts for callers who give a temperature', () => {
    expect(generationDefaults({ temperature: 0.6, top_p: 0.9 }, 10)).toEqual({ topP: 0.9 });
    expect(generationDefaults({ do_sample: false, temperature: 0.6 }, 10)).toEqual({});
    expect(generationDefaults({ do_sample: true }, 10)).toEqual({ temperature: 1 });
    expect(generationDefaults({ do_sample: true, temperature: 0 }, 10)).toEqual({ temperature: 0 });
  });

  it('may leave out, say null, or -1 for all', () => {
    expect(generationDefaults({}, 10)).toEqual({});
    expect(generationDefaults({ do_sample: null, temperature: null, top_k: null, top_p: null, max_new_tokens: null, suppress_tokens: null }, 10)).toEqual({});
    expect(generationDefaults({ top_k: -1 }, 10)).toEqual({ topK: 0 });
  });

  it.each<[object, RegExp]>([
    [{ temperature: -1 }, /^generation_config.json: temperature is -1, not a number at least 0$/], [{ temperature: '1' }, /temperature is "1"/],
    [{ do_sample: 'yes' }, /do_sample is "yes", not true or false/], [{ top_k: 1.5 }, /top_k is 1.5, not a whole number/], [{ top_k: -2 }, /top_k is -2/],
    [{ top_p: 7 }, /top_p is 7, not a number from 0 to 1/], [{ min_p: -1 }, /min_p is/], [{ typical_p: [1] }, /typical_p is/], [{ repetition_penalty: 0 }, /repetition_penalty is 0/],
    [{ max_new_tokens: 1e300 }, /max_new_tokens is/], [{ suppress_tokens: 3 }, /suppress_tokens is 3, not a list of token ids from 0 to 9/], [{ suppress_tokens: [10] }, /suppress_tokens is/],
  ])('is refused with %j', (json, message) => {
    expect(() => generationDefaults(json as Record<string, unknown>, 10)).toThrow(ConfigError);
    expect(() => generationDefaults(json as Record<string, unknown>, 10)).toThrow(message);
  });
});
