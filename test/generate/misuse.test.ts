import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM } from 'matmulfree';
import { tinyModelWithText } from '../support/naive-generation.js';
import { collect } from './support.js';

let lm: MatMulFreeLM;
beforeAll(async () => {
  lm = await MatMulFreeLM.load(tinyModelWithText(1), { backend: 'scalar' });
});

/** What is of the wrong kind for any option, or out of every range. */
const JUNK: readonly unknown[] = ['x', {}, [{}], -1, NaN, Infinity, 1.5, true, () => undefined, Symbol('x'), 7n, new Date(NaN)];
/** What fits all the same. */
const FITS: Readonly<Record<string, (junk: unknown) => boolean>> = {
  maxTimeMs: (junk) => junk === Infinity || junk === 1.5, temperature: (junk) => junk === 1.5, stop: (junk) => junk === 'x', speculate: (junk) => junk === true,
  repetitionPenalty: (junk) => junk === 1.5, frequencyPenalty: (junk) => junk === -1 || junk === 1.5, presencePenalty: (junk) => junk === -1 || junk === 1.5, lengthPenalty: (junk) => junk === -1 || junk === 1.5,
  logitsProcessor: (junk) => typeof junk === 'function', onPiece: (junk) => typeof junk === 'function', onProgress: (junk) => typeof junk === 'function',
  logitBias: isEmptyObject, forcedTokens: isEmptyObject, earlyStopping: (junk) => junk === true, maxBytes: (junk) => junk === 1.5,
};

function isEmptyObject(junk: unknown): boolean {
  return typeof junk === 'object' && junk !== null && Object.keys(junk).length === 0;
}

const SAMPLING = [
  'temperature', 'topK', 'topP', 'minP', 'typicalP', 'repetitionPenalty', 'frequencyPenalty', 'presencePenalty', 'penaltyWindow', 'logitBias', 'bannedTokens', 'forcedTokens',
  'logitsProcessor', 'seed', 'maxNewTokens', 'eosTokenIds', 'constraint', 'maxTimeMs',
];

type Call = (options: never) => Promise<unknown>;
const CALLS: readonly (readonly [name: string, options: readonly string[], call: Call])[] = [
  ['generate', [...SAMPLING, 'stop', 'state', 'prefixCache', 'speculate', 'draftModel', 'signal'], (options) => collect(lm.generate([3], options))],
  ['generateIds', ['prefixCache', 'speculate', 'draftModel', 'signal'], (options) => collect(lm.generateIds([3], options))],
  ['generateTokens', ['topLogprobs', 'stop', 'signal'], (options) => collect(lm.generateTokens([3], options))],
  ['generateBatch', [...SAMPLING, 'stop', 'batchSize', 'onPiece', 'prefixCache', 'signal'], (options) => lm.generateBatch([[3]], options)],
  ['a text of generateBatch', [...SAMPLING, 'stop'], (options) => lm.generateBatch([{ prompt: [3], ...(options as object) }])],
  ['beamSearch', ['maxNewTokens', 'eosTokenIds', 'signal', 'numBeams', 'nBest', 'lengthPenalty', 'earlyStopping'], (options) => lm.beamSearch([3], options)],
  ['append', ['prefixCache', 'onProgress', 'signal'], (options) => lm.session().append([3, 4], options)],
  ['session.generate', ['stop', 'speculate', 'draftModel', 'signal', 'state', 'prefixCache'], async (options) => {
    const session = lm.session();
    await session.append([3]);
    const before = session.save();
    await collect(session.generate(options)).finally(() => expect(session.save()).toEqual(before));
  }],
  ['createPrefixCache', ['maxBytes'], async (options) => lm.createPrefixCache(options)],
];

describe.each(CALLS)('%s', (_name, options, call) => {
  it.each(options)('refuses junk for %s, by name', async (option) => {
    for (const junk of JUNK) {
      if (FITS[option]?.(junk)) continue;
      const error: unknown = await call({ [option]: junk } as never).then(() => `${typeof junk} ${String(JSON.stringify(junk))} is taken`, (reason: unknown) => reason);
      expect(error).toBeInstanceOf(ArgumentError);
      expect((error as Error).message).toMatch(option === 'state' ? /state/ : new RegExp(option));
    }
  });

  it('refuses options that are none, or that it does not know', async () => {
    for (const junk of [null, 5, 'x', true, [1], { nonsense: 1 }, { Temperature: 1 }]) {
      if (_name === 'a text of generateBatch' && (typeof junk !== 'object' || junk === null)) continue;
      await expect(call(junk as never)).rejects.toBeInstanceOf(ArgumentError);
    }
  });
});

describe('prompts', () => {
  const junk: readonly unknown[] = [undefined, null, 5, true, {}, () => undefined, [NaN], [-1], [99], [1.5], ['3'], [undefined], [[3]], { length: 1e12 }, { length: -1 }, { length: 1.5, 0: 3 }, Symbol('x')];
  it.each([
    ['generate', (prompt: never) => collect(lm.generate(prompt))], ['generateIds', (prompt: never) => collect(lm.generateIds(prompt))], ['generateTokens', (prompt: never) => collect(lm.generateTokens(prompt))],
    ['generateBatch', (prompt: never) => lm.generateBatch([prompt])], ['beamSearch', (prompt: never) => lm.beamSearch(prompt)], ['append', (prompt: never) => lm.session().append(prompt)],
  ])('%s refuses what is no text and no list of ids', async (_name, call) => {
    for (const prompt of junk) await expect(call(prompt as never)).rejects.toBeInstanceOf(ArgumentError);
  });
});
