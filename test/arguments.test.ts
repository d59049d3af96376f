import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as api from 'matmulfree';
import * as workerApi from 'matmulfree/worker';
import { json, type Files } from './support/checkpoints.js';
import { tinyModelWithText } from './support/naive-generation.js';
import { WorkerInProcess } from './support/worker-in-process.js';

/*
 * Every public function with arguments of the wrong kind, one at a time: it throws (or rejects with) one of our errors, which begins with
 * the name of the function that was called and speaks of no inner part; or the argument fits, as the table says.
 */
const { MatMulFreeError, MatMulFreeLM } = api;
const { MatMulFreeWorker } = workerApi;

const MESSAGES = [{ role: 'user', content: 'Hello' }];
const JUNK: Readonly<Record<string, unknown>> = {
  undefined, null: null, 5: 5, NaN, '-1': -1, '7n': 7n, true: true, x: 'x', symbol: Symbol('s'), function: () => 1, '{}': {}, '[]': [], messages: MESSAGES, texts: ['a', 'b'], map: new Map(), promise: Promise.resolve(1),
};
/** Of the kinds of junk, those that an argument may be. */
const OPTIONS = ['undefined', '{}', '[]', 'map', 'promise']; //   nothing is given in any of these
const TEXT = ['x'];
const ALL = Object.keys(JUNK);

interface Case {
  readonly call: (...args: never[]) => unknown;
  /** Right ones, and which junk fits in the place of each. */
  readonly args: readonly (readonly [right: unknown, fits: readonly string[]])[];
  /** What messages begin with, if not with the name. */
  readonly says?: RegExp;
}

const files: Files = { ...tinyModelWithText(1), 'generation_config.json': json({ max_new_tokens: 2 }) };
let folder: string;
let lm: api.MatMulFreeLM;
const CONTENTS = '{% for message in messages %}{{ message.content }}{% endfor %}';
/** One with a chat template. */
let chatting: api.MatMulFreeLM;
let remote: workerApi.MatMulFreeWorker;
let remoteChatting: workerApi.MatMulFreeWorker;
const inProcess = (): Worker => new WorkerInProcess() as unknown as Worker;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  lm = await MatMulFreeLM.load(files, { backend: 'scalar' });
  chatting = await MatMulFreeLM.load(files, { backend: 'scalar', chatTemplate: CONTENTS });
  remote = await MatMulFreeWorker.load(files, { backend: 'scalar', worker: inProcess() });
  remoteChatting = await MatMulFreeWorker.load(files, { backend: 'scalar', worker: inProcess(), chatTemplate: CONTENTS });
});
afterAll(async () => {
  lm.dispose();
  chatting.dispose();
  remote.dispose();
  remoteChatting.dispose();
  await rm(folder, { recursive: true });
});

const construct = (Class: unknown) => (...args: unknown[]): unknown => new (Class as new (...args: unknown[]) => unknown)(...args);
const byNew = (Class: unknown, count: number): Case => ({ call: construct(Class), args: Array.from({ length: count }, () => [undefined, []]), says: / is made by .*, not by new$/ });
/** Calls what `of` gives a method of. */
const method = (of: () => unknown, name: string) => async (...args: never[]): Promise<unknown> => {
  const object = (await of()) as Record<string, (...args: never[]) => unknown>;
  return object[name]!(...args);
};
const onLm = (name: string): Case['call'] => method(() => lm, name);
const onRemote = (name: string): Case['call'] => method(() => remote, name);
const begun = async (): Promise<api.Session> => {
  const session = lm.session();
  await session.append('ab');
  return session;
};
const begunRemote = async (): Promise<workerApi.WorkerSession> => {
  const session = await remote.session();
  await session.append('ab');
  return session;
};
const sampler = (): api.Sampler => new api.Sampler(4, { seed: 1 });
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function cases(): Record<string, Case> {
  const state = lm.createState();
  const short = { maxNewTokens: 2 };
  const logits = new Float32Array(4);
  const source = api.sourceFromContent('a', bytesOf('x'));
  return {
    'MatMulFreeLM': byNew(MatMulFreeLM, 4),
    'load': { call: MatMulFreeLM.load, args: [[files, []], [{ backend: 'scalar' }, OPTIONS]], says: /^load: |^x: no such file|holds no model/ },
    'restoreState': { call: onLm('restoreState'), args: [[state.serialize(), []]] },
    'forward': { call: onLm('forward'), args: [[[1], ['5']], [state, []], [{}, OPTIONS]] },
    'generate': { call: onLm('generate'), args: [['a', TEXT], [short, OPTIONS]] },
    'generateIds': { call: onLm('generateIds'), args: [[[1], TEXT], [short, OPTIONS]] },
    'generateTokens': { call: onLm('generateTokens'), args: [['a', TEXT], [short, OPTIONS]] },
    'generateBatch': { call: onLm('generateBatch'), args: [[['a'], ['[]', 'texts']], [short, OPTIONS]] },
    'beamSearch': { call: onLm('beamSearch'), args: [['a', TEXT], [short, OPTIONS]] },
    'complete': { call: onLm('complete'), args: [['a', TEXT], [short, OPTIONS]] },
    'chat': { call: method(() => chatting, 'chat'), args: [[{}, OPTIONS]] },
    'openChat': { call: method(() => chatting, 'openChat'), args: [[chatting.chat().save(), []], [{}, OPTIONS]] },
    'chat.say': { call: method(() => chatting.chat(), 'say'), args: [['a', ['x', 'messages']], [short, OPTIONS]] },
    'chat.sayPieces': { call: method(() => chatting.chat(), 'sayPieces'), args: [['a', ['x', 'messages']], [short, OPTIONS]], says: /^chat\.say: / },
    'applyChatTemplate': { call: method(() => chatting.tokenizer, 'applyChatTemplate'), args: [[MESSAGES, ['messages']], [{}, OPTIONS]], says: /^applyChatTemplate: |^messages/ },
    'chat.rewind': { call: method(() => chatting.chat(), 'rewind'), args: [[1, []]] },
    'openSession': { call: onLm('openSession'), args: [[lm.session().save(), []]] },
    'createPrefixCache': { call: onLm('createPrefixCache'), args: [[{}, OPTIONS]] },
    'score': { call: onLm('score'), args: [['ab', TEXT]] },
    'scoreAsync': { call: onLm('scoreAsync'), args: [['ab', TEXT], [{}, OPTIONS]], says: /^score: / },
    'scoreBatch': { call: onLm('scoreBatch'), args: [[['ab'], ['[]', 'texts']], [{}, OPTIONS]] },
    'choose': { call: onLm('choose'), args: [['a', TEXT], [['b'], ['texts']], [{}, OPTIONS]] },
    'embed': { call: onLm('embed'), args: [['a', TEXT], [{}, OPTIONS]] },
    'perplexity': { call: onLm('perplexity'), args: [['abc', TEXT], [{}, OPTIONS]] },
    'session.append': { call: method(() => lm.session(), 'append'), args: [['a', ['x', '[]']], [{}, OPTIONS]] },
    'session.generate': { call: method(begun, 'generate'), args: [[short, OPTIONS]] },
    'session.generateIds': { call: method(begun, 'generateIds'), args: [[short, OPTIONS]] },
    'session.generateTokens': { call: method(begun, 'generateTokens'), args: [[short, OPTIONS]] },
    'rewind': { call: method(begun, 'rewind'), args: [[lm.session().mark(), []]] },
    'copyFrom': { call: method(() => lm.createState(), 'copyFrom'), args: [[state, []]] },
    'evaluate': { call: api.evaluate, args: [[lm, []], [[{ text: 'a b' }], []], [{}, OPTIONS]] },
    'parseTask': { call: api.parseTask, args: [['{"text": "a b"}', []], ['file', TEXT]], says: /^parseTask: |^file: line 1: broken JSON/ },

    'Tokenizer': byNew(api.Tokenizer, 3),
    'Tokenizer.fromJSON': { call: method(() => api.Tokenizer, 'fromJSON'), args: [[JSON.parse(new TextDecoder().decode(files['tokenizer.json'])), []], [{}, OPTIONS]], says: /^(Tokenizer\.fromJSON|tokenizer\.json): / },
    'encode': { call: method(() => lm.tokenizer, 'encode'), args: [['a', TEXT], [{}, OPTIONS]] },
    'decode': { call: method(() => lm.tokenizer, 'decode'), args: [[[3], ['[]']], [{}, OPTIONS]] },
    'createDecodeStream': { call: method(() => lm.tokenizer, 'createDecodeStream'), args: [[{}, OPTIONS]] },
    'DecodeStream.push': { call: method(() => lm.tokenizer.createDecodeStream(), 'push'), args: [[3, ['5']]], says: /^decode: no token has the id / },
    // What is not there is not there.
    'tokenToId': { call: method(() => lm.tokenizer, 'tokenToId'), args: [['a', ALL]] },
    'idToToken': { call: method(() => lm.tokenizer, 'idToToken'), args: [[3, ALL]] },
    'isSpecial': { call: method(() => lm.tokenizer, 'isSpecial'), args: [[3, ALL]] },
    'Sampler': { call: construct(api.Sampler), args: [[4, ['5']], [{ seed: 1 }, []]], says: /^(sampler: |option )/ },
    'readPrompt': { call: method(sampler, 'readPrompt'), args: [[[1], ['[]', 'function']]] },
    'accept': { call: method(sampler, 'accept'), args: [[1, []]] },
    'sample': { call: method(sampler, 'sample'), args: [[logits, []], [undefined, ['undefined', 'null', 'NaN']]] },
    'distribution': { call: method(sampler, 'distribution'), args: [[logits, []]], says: /^sample: / },
    'Sampler.copyFrom': { call: method(sampler, 'copyFrom'), args: [[sampler(), []]], says: /^copyFrom: / },
    'argmax': { call: api.argmax, args: [[logits, []]] },
    'ChatTemplate': byNew(api.ChatTemplate, 2),
    'ChatTemplate.compile': { call: method(() => api.ChatTemplate, 'compile'), args: [['a', TEXT], [{}, OPTIONS]] },
    'render': { call: method(() => api.ChatTemplate.compile('a'), 'render'), args: [[{}, ['{}']]] },
    'renderPieces': { call: method(() => api.ChatTemplate.compile('a'), 'renderPieces'), args: [[{}, ['{}']]] },
    'compileChoices': { call: api.compileChoices, args: [[['a'], ['texts']], [lm.tokenizer, []], [{}, OPTIONS]], says: /^constraint: / },
    'compileRegex': { call: api.compileRegex, args: [['a', []], [lm.tokenizer, []], [{}, OPTIONS]], says: /^constraint: / },
    'compileJsonSchema': { call: api.compileJsonSchema, args: [[{}, []], [lm.tokenizer, []], [{}, []]], says: /^constraint: / },
    'createKernels': { call: api.createKernels, args: [[{ backend: 'scalar' }, OPTIONS]] },

    'listCache': { call: (options: never) => api.listCache(options === undefined ? { cache: folder } : options), args: [[{ cache: folder }, OPTIONS]] },
    'clearCache': { call: (options: never) => (isNothing(options) ? api.clearCache({ cache: folder }) : api.clearCache(options)), args: [[{ cache: folder }, OPTIONS]] },
    'countWeights': { call: api.countWeights, args: [[files, []], [{}, OPTIONS]], says: /^countWeights: |^x: no such file|holds no model/ },
    'inspect': { call: api.inspect, args: [[files, []], [{}, OPTIONS]], says: /^inspect: |^x: no such file|is no GGUF/ },
    'convert': { call: api.convert, args: [[files, []], [{}, OPTIONS]], says: /^convert: |^x: no such file|holds no model/ },
    'convertToSafetensors': { call: api.convertToSafetensors, args: [[files, []], [{}, OPTIONS]], says: /^convertToSafetensors: |^x: no such file|holds no model/ },
    'measureLayers': { call: api.measureLayers, args: [[lm, []], ['ab', ['x', '[]', 'texts']], [{}, OPTIONS]] },
    'planPruning': { call: api.planPruning, args: [[{ tokens: 1, context: 1, layers: [] }, []], [0, []], ['blocks', []]] },
    'prune': { call: api.prune, args: [[files, []], [{ blocks: [0] }, []], [{}, OPTIONS]], says: /^prune: |^x: no such file|holds no model/ },
    'pruneToSafetensors': { call: api.pruneToSafetensors, args: [[files, []], [{ blocks: [0] }, []], [{}, OPTIONS]], says: /^pruneToSafetensors: |^x: no such file|holds no model/ },
    'checkConversion': { call: api.checkConversion, args: [[files, []], [files, []], [{}, OPTIONS]], says: /^checkConversion: |^x: no such file|holds no model/ },
    'readGguf': { call: api.readGguf, args: [[source, []]] },
    'readSafetensorsHeader': { call: api.readSafetensorsHeader, args: [[source, []]] },
    'readTorchTensors': { call: api.readTorchTensors, args: [[source, []]] },
    'readTensor': { call: api.readTensor, args: [['w', TEXT], [{ source, dtype: 'F32', shape: [], offset: 0, byteLength: 1 }, []]] },
    'sourceFromContent': { call: api.sourceFromContent, args: [['a', TEXT], [new Uint8Array(1), []]] },
    'writeGguf': { call: api.writeGguf, args: [[new Map(), ['map']], [[], ['[]']]] },
    'decodeFloats': { call: api.decodeFloats, args: [['F32', []], [new Uint8Array(8), []], [0, []], [1, []], [new Float32Array(1), []]] },
    'decodeTernaryRow': { call: api.decodeTernaryRow, args: [['TQ2_0', []], [new Uint8Array(67), []], [0, []], [new Int8Array(256), []]] },
    'encodeTernaryRow': { call: api.encodeTernaryRow, args: [['TQ2_0', []], [new Int8Array(256), []], [new Uint8Array(67), []], [0, []]] },

    'MatMulFreeWorker': byNew(MatMulFreeWorker, 2),
    'WorkerState': byNew(workerApi.WorkerState, 2),
    'WorkerSession': byNew(workerApi.WorkerSession, 2),
    'WorkerSessionMark': { ...byNew(workerApi.WorkerSessionMark, 2), args: [[1, []], [undefined, ['function']]] },
    'WorkerTokenizer': { ...byNew(workerApi.WorkerTokenizer, 1), args: [[undefined, ['function']]] },
    'load in a worker': {
      call: (given: never, options: unknown) => MatMulFreeWorker.load(given, typeof options === 'object' && options !== null ? { worker: inProcess(), backend: 'scalar', ...options } : (options as never)),
      args: [[files, []], [{}, OPTIONS]], says: /^load: |^x: no such file|holds no model/, // a worker is given: a real one runs the built package
    },
    'restoreState in a worker': { call: onRemote('restoreState'), args: [[state.serialize(), []]] },
    'forward in a worker': { call: async (ids: never, wrong: never, options: never) => remote.forward(ids, wrong === 'a state' ? await remote.createState() : wrong, options), args: [[[1], ['5']], ['a state', []], [{}, OPTIONS]] },
    'generate in a worker': { call: onRemote('generate'), args: [['a', TEXT], [short, OPTIONS]] },
    'generateIds in a worker': { call: onRemote('generateIds'), args: [[[1], TEXT], [short, OPTIONS]] },
    'generateTokens in a worker': { call: onRemote('generateTokens'), args: [['a', TEXT], [short, OPTIONS]] },
    'generateBatch in a worker': { call: onRemote('generateBatch'), args: [[['a'], ['[]', 'texts']], [short, OPTIONS]] },
    'beamSearch in a worker': { call: onRemote('beamSearch'), args: [['a', TEXT], [short, OPTIONS]] },
    'openSession in a worker': { call: onRemote('openSession'), args: [[lm.session().save(), []]] },
    'score in a worker': { call: onRemote('score'), args: [['ab', TEXT], [{}, OPTIONS]] },
    'scoreBatch in a worker': { call: onRemote('scoreBatch'), args: [[['ab'], ['[]', 'texts']], [{}, OPTIONS]] },
    'choose in a worker': { call: onRemote('choose'), args: [['a', TEXT], [['b'], ['texts']], [{}, OPTIONS]] },
    'embed in a worker': { call: onRemote('embed'), args: [['a', TEXT], [{}, OPTIONS]] },
    'perplexity in a worker': { call: onRemote('perplexity'), args: [['abc', TEXT], [{}, OPTIONS]] },
    'applyChatTemplate in a worker': { call: method(() => remoteChatting.tokenizer, 'applyChatTemplate'), args: [[MESSAGES, ['messages']], [{}, ['undefined', '{}', '[]', 'map']]], says: /^applyChatTemplate: |^messages/ },
    'encode in a worker': { call: method(() => remote.tokenizer, 'encode'), args: [['a', TEXT], [{}, ['undefined', '{}', '[]', 'map']]] },
    'decode in a worker': { call: method(() => remote.tokenizer, 'decode'), args: [[[3], ['[]']], [{}, ['undefined', '{}', '[]', 'map']]] },
    'count in a worker': { call: method(() => remote.tokenizer, 'count'), args: [['a', TEXT], [{}, ['undefined', '{}', '[]', 'map']]], says: /^(count|encode): / },
    'copyFrom in a worker': { call: method(() => remote.createState(), 'copyFrom'), args: [[undefined, []]] },
    'session.append in a worker': { call: method(begunRemote, 'append'), args: [['a', ['x', '[]']], [{}, OPTIONS]] },
    'session.generate in a worker': { call: method(begunRemote, 'generate'), args: [[short, OPTIONS]] },
    'complete in a worker': { call: onRemote('complete'), args: [['a', TEXT], [short, OPTIONS]], says: /^complete: / },
    'chat in a worker': { call: method(() => remoteChatting, 'chat'), args: [[{}, OPTIONS]] },
    'openChat in a worker': { call: method(() => remoteChatting, 'openChat'), args: [[chatting.chat().save(), []], [{}, OPTIONS]] },
    'chat.say in a worker': { call: method(() => remoteChatting.chat(), 'say'), args: [['a', ['x', 'messages']], [short, OPTIONS]] },
    'chat.sayPieces in a worker': { call: method(() => remoteChatting.chat(), 'sayPieces'), args: [['a', ['x', 'messages']], [short, OPTIONS]], says: /^chat\.say: / },
    'chat.rewind in a worker': { call: method(() => remoteChatting.chat(), 'rewind'), args: [[1, []]] },
    'rewind in a worker': { call: method(begunRemote, 'rewind'), args: [[undefined, []]] },
  };
}

function isNothing(options: unknown): boolean {
  return typeof options === 'object' && options !== null && Object.keys(options).length === 0;
}

/** What a call comes to, the end of what it streams included. */
async function settle(call: () => unknown): Promise<unknown> {
  const value = await call();
  if (typeof value === 'object' && value !== null && Symbol.asyncIterator in value) for await (const _ of value as AsyncIterable<unknown>) { /* to its end */ }
  return value;
}

/** Words of what is inside: kernels and their memory, our classes, the platform's own complaints. */
const INNER = /arena|kernel(?!s: )|cannot read prop|not a function$|is not iterable|cannot destructure|instanceof|Generation\b|ModelState|writer|chunk|sequences|postMessage/i;

it('arguments of the wrong kind are refused by the name of the function that was called', async () => {
  const wrong: string[] = [];
  for (const [key, { call, args, says }] of Object.entries(cases())) {
    const name = key.replace(' in a worker', '');
    for (const [at, [, fits]] of args.entries()) {
      for (const [kind, junk] of Object.entries(JUNK)) {
        if (fits === OPTIONS && fits.includes(kind)) continue; // test/options.test.ts has what they do
        const all = args.map(([right], n) => (n === at ? junk : right)) as never[];
        const outcome = await settle(() => call(...all)).then(() => undefined, (error: unknown) => ({ error }));
        const where = `${key}, argument ${at}, ${kind}:`;
        if (!outcome) {
          if (!fits.includes(kind)) wrong.push(`${where} is taken`);
          continue;
        }
        const { error } = outcome as { error: Error };
        // What fits may be refused for another reason: another text is no JSON, another id is not in the vocabulary.
        if (!(error instanceof MatMulFreeError)) wrong.push(`${where} ${String(error)}`);
        else if (!(says ?? new RegExp(`^${name.replace('.', '\\.')}: `)).test(error.message)) wrong.push(`${where} does not say ${name}: ${error.message}`);
        else if (INNER.test(error.message)) wrong.push(`${where} speaks of what is inside: ${error.message}`);
        else if (error.message.length > 400 || error.message.includes('\n')) wrong.push(`${where} is too long: ${error.message}`);
      }
    }
  }
  expect(wrong).toEqual([]);
}, 60_000);

/** Parts for models of one's own, which the compiler checks; where they are put together, it is checked that their sizes fit (test/layers). */
const PARTS = [
  'Attention', 'BitLinear', 'Block', 'KeyReader', 'Rope', 'describeDecoder', 'readDecoderSizes', 'Embedding', 'GLU', 'GroupedLinear', 'TernaryEmbedding', 'allocateGroupedWorkspace', 'MLGRU', 'RMSNorm', 'Model', 'ModelState', 'StateHistory', 'allocateWorkspace', 'measureArena', 'loadModel', 'modelBytes', 'modelSpec', 'parseConfig',
  'quantizeTernary', 'cumulativeLowerBounds', 'parameters',
];
const WITHOUT_ARGUMENTS = ['availableBackends', 'unavailableBackends', 'createScalarKernels', 'publishedModels'];
/** Helpers of the command line that give a decoder and a hint. */
const HELPERS = ['textDecoderFor', 'didYouMean'];

it('nothing that is exported has been forgotten, and no method', () => {
  const known = Object.keys(cases());
  const named = new Set([...known.map((key) => key.replace(' in a worker', '').replace(/^.*\./, '')), ...known]);
  const isError = (value: unknown): boolean => typeof value === 'function' && (value === MatMulFreeError || value.prototype instanceof MatMulFreeError);
  const exported = [...Object.entries(api), ...Object.entries(workerApi)].filter(([, value]) => typeof value === 'function' && !isError(value));
  expect(exported.map(([name]) => name).filter((name) => ![...named, ...PARTS, ...WITHOUT_ARGUMENTS, ...HELPERS].includes(name))).toEqual([]);
  for (const [name, Class] of [...exported, ['Session', lm.session().constructor], ['Conversation', chatting.chat().constructor]] as [string, { prototype?: object }][]) {
    if (PARTS.includes(name) || !Class.prototype) continue;
    const methods = Object.entries(Object.getOwnPropertyDescriptors(Class.prototype)).filter(([method, { value }]) => method !== 'constructor' && typeof value === 'function' && (value as () => void).length > 0);
    const isPrivate = (method: string): boolean => ['idsOf', 'chats', 'read', 'behindAnswer', 'takeBack', 'goTo', 'checkIdle', 'copy', 'push', 'edit', 'forced', 'mostProbable', 'stream'].includes(method);
    expect(methods.map(([method]) => method).filter((method) => !named.has(method) && !isPrivate(method)), name).toEqual([]);
  }
});

it('generate says what it takes, and what takes the other things', async () => {
  const said = async (prompt: unknown): Promise<string> => settle(() => lm.generate(prompt as string)).then(() => 'it is taken', (error: Error) => error.message);
  expect(await said(undefined)).toBe('generate: the prompt is undefined, not one text or a list of token ids');
  expect(await said(MESSAGES)).toBe('generate: the model has no chat template; give load one, as option chatTemplate');
  expect(await said(['a', 'b'])).toBe('generate: the prompt is a list of texts, not one text or a list of token ids; generateBatch takes several');
  expect(await said([[3], [4]])).toMatch(/is a list of texts, .*; generateBatch takes several$/);
  expect(await said([3n])).toBe('generate: token id 3n at position 0 is not a whole number from 0 to 13');
  expect(() => lm.score(['a', 'b'] as never)).toThrow('score: the text is a list of texts, not one text or a list of token ids; scoreBatch takes several');
  await expect(lm.embed(['a', 'b'] as never)).rejects.toThrow(/^embed: the text is a list of texts, not one text or a list of token ids$/);
});
