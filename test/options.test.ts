import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ArgumentError, ChatTemplate, checkConversion, clearCache, compileChoices, compileJsonSchema, compileRegex, convert, convertToSafetensors, countWeights, createKernels, evaluate, inspect, listCache,
  MatMulFreeLM, Sampler, Tokenizer,
} from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { json, type Files } from './support/checkpoints.js';
import { tinyModelWithText } from './support/naive-generation.js';
import { WorkerInProcess } from './support/worker-in-process.js';

/*
 * Options that are null, or undefined, are as if they were not given, in every function that takes options. Which ones there are, a function
 * says itself when it is given one that it does not know.
 */
let folder: string;
let lm: MatMulFreeLM;
let remote: MatMulFreeWorker;
/** Null is the model's default, where its authors have chosen one. */
const model: Files = { ...tinyModelWithText(1), 'generation_config.json': json({ max_new_tokens: 6, repetition_penalty: 1.3, top_k: 5 }) };
const inProcess = (): Worker => new WorkerInProcess() as unknown as Worker;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  lm = await MatMulFreeLM.load(model, { backend: 'scalar' });
  remote = await MatMulFreeWorker.load(model, { backend: 'scalar', worker: inProcess() });
});
afterAll(async () => {
  lm.dispose();
  remote.dispose();
  await rm(folder, { recursive: true });
});

async function drain<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Calls with as little as there can be, `options` in their place. What they give is the same each time. */
const CALLS: Record<string, (options: object) => unknown> = {
  load: async (options) => (await MatMulFreeLM.load(model, { backend: 'scalar', ...options })).config,
  forward: (options) => lm.forward([3, 4], lm.createState(), options),
  generate: (options) => drain(lm.generate('ab', options)),
  generateIds: (options) => drain(lm.generateIds([3], options)),
  generateTokens: (options) => drain(lm.generateTokens('ab', options)),
  generateBatch: (options) => lm.generateBatch(['ab'], { temperature: 0, ...options }).then(([result]) => result!.text),
  'generateBatch: prompt 0': (options) => lm.generateBatch([{ prompt: 'ab', ...options }]).then(([result]) => result!.text),
  beamSearch: (options) => lm.beamSearch('ab', options),
  'session.generate': async (options) => {
    const session = lm.session();
    await session.append('ab');
    return drain(session.generateIds(options));
  },
  'session.append': (options) => lm.session().append('ab', options),
  createPrefixCache: async (options) => (await lm.createPrefixCache(options)).maxBytes,
  score: (options) => lm.scoreAsync('abc', options),
  scoreBatch: (options) => lm.scoreBatch(['abc'], options),
  choose: (options) => lm.choose('ab', ['c', 'b'], options),
  embed: (options) => lm.embed('abc', options),
  perplexity: (options) => lm.perplexity('abcab', options),
  evaluate: (options) => evaluate(lm, [{ context: 'a', choices: ['b', 'c'], label: 0 }], options),
  encode: (options) => lm.tokenizer.encode('ab', options),
  decode: (options) => lm.tokenizer.decode([0, 3], options),
  createDecodeStream: (options) => lm.tokenizer.createDecodeStream(options).push(3),
  'Tokenizer.fromJSON': async (options) => (await Tokenizer.fromJSON(JSON.parse(new TextDecoder().decode(model['tokenizer.json'])), options)).vocabSize,
  'ChatTemplate.compile': async (options) => (await ChatTemplate.compile('a', options)).render({}),
  compileChoices: async (options) => (await compileChoices(['a'], lm.tokenizer, options)).start().mask,
  compileRegex: async (options) => (await compileRegex('a', lm.tokenizer, options)).start().mask,
  compileJsonSchema: async (options) => (await compileJsonSchema({ enum: ['a'] }, lm.tokenizer, options).catch((error: Error) => { if (!/tokenizer cannot write/.test(error.message)) throw error; })),
  createKernels: async (options) => (await createKernels({ threads: 1, ...options })).backend,
  sampler: (options) => new Sampler(4, { seed: 1, ...options }).sample(Float32Array.of(1, 2, 3, 4)),
  inspect: async (options) => (await inspect(model, options)).tensors.length,
  countWeights: async (options) => (await drain(countWeights(model, options))).length,
  convert: async (options) => Buffer.concat(await drain(convert(model, options))).length,
  convertToSafetensors: async (options) => (await drain(convertToSafetensors(model, options))).length,
  checkConversion: (options) => checkConversion(model, model, options),
  listCache: async (options) => (await listCache({ ...('cache' in options ? {} : { cache: folder }), ...options })) instanceof Array,
  clearCache: (options) => clearCache({ ...options, cache: folder }),
  'load in a worker': async (options) => (await MatMulFreeWorker.load(model, { worker: inProcess(), backend: 'scalar', ...options })).config,
  'forward in a worker': async (options) => remote.forward([3, 4], await remote.createState(), options),
  'generate in a worker': (options) => drain(remote.generate('ab', options)),
  'generateTokens in a worker': (options) => drain(remote.generateTokens('ab', options)),
  'generateBatch: prompt 0 in a worker': (options) => remote.generateBatch([{ prompt: 'ab', ...options }], { temperature: 0 }).then(([result]) => result!.text),
  'generateBatch in a worker': (options) => remote.generateBatch(['ab'], { temperature: 0, ...options }).then(([result]) => result!.text),
  'beamSearch in a worker': (options) => remote.beamSearch('ab', options),
  'score in a worker': (options) => remote.score('abc', options),
  'scoreBatch in a worker': (options) => remote.scoreBatch(['abc'], options),
  'choose in a worker': (options) => remote.choose('ab', ['c', 'b'], options),
  'embed in a worker': (options) => remote.embed('abc', options),
  'perplexity in a worker': (options) => remote.perplexity('abcab', options),
  'session.append in a worker': async (options) => (await remote.session()).append('ab', options),
};
/** null is no name: what was looked for and not found must not clear everything. A seed is what a sampler needs. Without a worker that is given, a real one starts, of the built package. */
const EXCEPT: Record<string, readonly string[]> = { 'load in a worker': ['worker'], clearCache: ['name', 'cache'], sampler: ['seed'] };

it.each(Object.keys(CALLS))('%s', async (name) => {
  const call = async (options: object): Promise<unknown> => CALLS[name]!(options);
  const refused: unknown = await call({ nonsense: 1 }).then(() => 'it is taken', (error: unknown) => error);
  expect(refused).toBeInstanceOf(ArgumentError);
  const [, what, list] = /^(.*?): unknown option "nonsense" \(known: (.*)\)$/.exec((refused as Error).message) ?? [];
  expect(what).toBe(name.startsWith('compile') ? 'constraint' : name === 'session.generate' ? 'session.generateIds' : name.replace(' in a worker', ''));
  const options = list!.split(', ').filter((option) => !EXCEPT[name]?.includes(option));
  expect(options.length).toBeGreaterThan(name === 'clearCache' || name === 'sampler' ? -1 : 0);
  const expected = await call({});
  for (const option of options) expect(await call({ [option]: null }), option).toEqual(expected);
  for (const nothing of [null, undefined]) expect(await call(Object.fromEntries(options.map((option) => [option, nothing])))).toEqual(expected);
}, 20_000);

it('a constraint in a form that is null is not given in it', async () => {
  const [result] = await lm.generateBatch(['a'], { constraint: { choices: ['b'], regex: null, jsonSchema: undefined } as never });
  expect(result!.text).toBe('b');
});

it('clearCache refuses a name that is null', () =>
  expect(clearCache({ cache: folder, name: null as never })).rejects.toThrow(/^clearCache: name is null, not a text$/));
