import { describe, expect, it } from 'vitest';
import { ArgumentError, Sampler, type SamplerOptions } from 'matmulfree';
import { pickSamplingOptions, SAMPLING_OPTIONS } from '../../src/sampling/sampling-options.js';

const make = (options: object): Sampler => new Sampler(4, { temperature: 1, seed: 1, ...options } as SamplerOptions);

describe('options of the sampler', () => {
  it.each<[object, RegExp]>([
    [{ temperature: -1 }, /^option temperature is -1, not a number at least 0$/], [{ temperature: NaN }, /option temperature is NaN/],
    [{ temperature: Infinity }, /option temperature is/], [{ temperature: '1' }, /option temperature is "1"/], [{ temperature: [1] }, /option temperature is/],
    [{ topK: 1.5 }, /^option topK is 1.5, not a whole number/], [{ topK: -1 }, /option topK is/], [{ topP: 1.1 }, /option topP is/], [{ topP: -0.1 }, /option topP is/],
    [{ minP: 2 }, /option minP is 2, not a number from 0 to 1/], [{ typicalP: 1.01 }, /option typicalP is/], [{ typicalP: true }, /option typicalP is/],
    [{ repetitionPenalty: 0 }, /option repetitionPenalty is 0, not a number from 0.01 to 100/], [{ repetitionPenalty: 101 }, /option repetitionPenalty is/],
    [{ frequencyPenalty: 2.1 }, /option frequencyPenalty is 2.1, not a number from -2 to 2/], [{ frequencyPenalty: -3 }, /option frequencyPenalty is/],
    [{ presencePenalty: 3 }, /option presencePenalty is/], [{ presencePenalty: '0' }, /option presencePenalty is/],
    [{ penaltyWindow: -1 }, /option penaltyWindow is/], [{ penaltyWindow: 2 ** 21 }, /penaltyWindow is 2097152/], [{ penaltyWindow: 0.5 }, /penaltyWindow is/],
    [{ logitBias: 3 }, /option logitBias is 3, not a Map, an object or a list of pairs/], [{ logitBias: 'x' }, /option logitBias is "x"/],
    [{ logitBias: { 4: 1 } }, /option logitBias: 4 is not a token id from 0 to 3/], [{ logitBias: { '-1': 1 } }, /logitBias: "-1" is not a token id/],
    [{ logitBias: { '': 1 } }, /logitBias: "" is not a token id/], [{ logitBias: { ' 1': 1 } }, /logitBias: " 1" is not a token id/],
    [{ logitBias: [[1, 101]] }, /option logitBias of token 1 is 101, not a number from -100 to 100/], [{ logitBias: [[1, NaN]] }, /logitBias of token 1 is NaN/],
    [{ logitBias: [[1, Infinity]] }, /logitBias of token 1 is Infinity/], [{ logitBias: new Map([[1, '2']]) }, /logitBias of token 1 is "2"/],
    [{ logitBias: [[1, 2], [1, 3]] }, /option logitBias: 1 comes twice/], [{ logitBias: [1, 2] }, /option logitBias: 1 is not a pair of numbers/],
    [{ logitBias: [[1]] }, /logitBias: \[1\] is not a pair/], [{ logitBias: [null] }, /logitBias: null is not a pair/],
    [{ bannedTokens: 3 }, /option bannedTokens is 3, not a list of token ids/], [{ bannedTokens: [4] }, /option bannedTokens: 4 is not a token id/],
    [{ bannedTokens: [1.5] }, /bannedTokens: 1.5/], [{ bannedTokens: ['1'] }, /bannedTokens: "1"/],
    [{ forcedTokens: 'ab' }, /option forcedTokens is "ab"/], [{ forcedTokens: [1, 9] }, /option forcedTokens: 9 is not a token id/],
    [{ forcedTokens: [[-1, 2]] }, /forcedTokens: a position is -1/], [{ forcedTokens: [[0, 1], [0, 2]] }, /forcedTokens: 0 comes twice/],
    [{ forcedTokens: { x: 1 } }, /forcedTokens: a position is "x"/], [{ forcedTokens: [1], bannedTokens: [1] }, /option forcedTokens: token 1 is one of bannedTokens/],
    [{ logitsProcessor: 'x' }, /option logitsProcessor is "x", not a function/], [{ logitsProcessor: {} }, /option logitsProcessor is an object/],
    [{ seed: -1 }, /option seed is/], [{ seed: 0.5 }, /option seed is/], [{ seed: 2 ** 53 }, /option seed is/], [{ seed: undefined }, /option seed is undefined/],
  ])('refuses %j', (options, message) => {
    expect(() => make(options)).toThrow(ArgumentError);
    expect(() => make(options)).toThrow(message);
  });

  it.each([['topk', 'topK'], ['top_p', 'topP'], ['temprature', 'temperature'], ['repetition_penalty', 'repetitionPenalty'], ['bannedToken', 'bannedTokens'], ['logit-bias', 'logitBias']])(
    'refuses %s, and guesses %s', (option, guess) => {
      expect(() => make({ [option]: 1 })).toThrow(ArgumentError);
      expect(() => make({ [option]: 1 })).toThrow(new RegExp(`unknown option "${option}" .*; did you mean ${guess}\\?$`));
    },
  );

  it('guesses nothing where nothing is near', () => {
    for (const option of ['mirostat', 'x', '', 'Ω'.repeat(1e6)]) {
      expect(() => make({ [option]: 1 })).toThrow(/^sampler: unknown option ".*" \(known: temperature, .*seed\)$/);
    }
  });

  it('takes null and undefined for not given', () => {
    const logits = Float32Array.of(0, 1, 2, 3);
    const plain = make({}).distribution(logits);
    for (const key of SAMPLING_OPTIONS.filter((name) => name !== 'seed' && name !== 'temperature')) {
      for (const nothing of [null, undefined]) expect(make({ [key]: nothing }).distribution(logits), key).toEqual(plain);
    }
  });

  it('refuses a vocabulary that is none', () => {
    for (const size of [0, -1, 1.5, 2 ** 25, NaN]) expect(() => new Sampler(size, { seed: 1 })).toThrow(/option vocabSize is/);
    expect(() => new Sampler(4, undefined as never)).toThrow(ArgumentError);
    expect(() => new Sampler(4, null as never)).toThrow(ArgumentError);
  });

  it('does not follow changes that the caller makes to lists later', () => {
    const bannedTokens = [0];
    const logitBias = new Map([[1, -5]]);
    const sampler = make({ bannedTokens, logitBias });
    const before = sampler.distribution(new Float32Array(4));
    bannedTokens[0] = 3;
    logitBias.set(2, 7);
    expect(sampler.distribution(new Float32Array(4))).toEqual(before);
    expect(sampler.clone().distribution(new Float32Array(4))).toEqual(before);
  });

  it('picks its own from those of generate', () => {
    const options = { topK: 3, maxNewTokens: 5, seed: undefined };
    expect(pickSamplingOptions(options)).toEqual({ topK: 3, seed: undefined });
    expect(Object.keys(pickSamplingOptions(options))).toEqual(['topK', 'seed']);
  });
});
