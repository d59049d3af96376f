import { describe, expect, it } from 'vitest';
import { ArgumentError, evaluate, MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { BACKENDS } from '../support/backends.js';
import { tinyModelWithText } from '../support/naive-generation.js';
import { WorkerInProcess } from '../support/worker-in-process.js';
import { collect } from './support.js';

/*
 * A model that is disposed of while something is under way: that ends with what every later call says, whatever the backend, and says nothing of
 * kernels and their memory. `progress` is called from within the work; it disposes of the model.
 */
const MESSAGE = 'this model has been disposed of';
const OPTIONS = { maxNewTokens: 1000, temperature: 1, seed: 1, eosTokenIds: [] };
const LONG = Array.from({ length: 400 }, (_, n) => 3 + (n % 4));
const after = (count: number, act: () => void) => (): void => { if (count-- === 0) act(); };

type Work = (lm: MatMulFreeLM, dispose: () => void) => Promise<unknown>;
const writing = (generator: AsyncGenerator<unknown, unknown>, dispose: () => void) => async (): Promise<void> => {
  const now = after(3, dispose);
  for await (const _ of { [Symbol.asyncIterator]: () => generator }) now();
};
const WORKS: Record<string, Work> = {
  generate: (lm, dispose) => writing(lm.generate('ab', OPTIONS), dispose)(),
  generateIds: (lm, dispose) => writing(lm.generateIds(LONG, OPTIONS), dispose)(),
  generateTokens: (lm, dispose) => writing(lm.generateTokens('ab', OPTIONS), dispose)(),
  'generate with guesses and a state': (lm, dispose) => writing(lm.generate('ab', { ...OPTIONS, speculate: true, state: lm.createState() }), dispose)(),
  generateBatch: (lm, dispose) => lm.generateBatch(['ab', 'c'], { ...OPTIONS, onPiece: after(3, dispose) }),
  beamSearch: (lm, dispose) => {
    const work = lm.beamSearch(LONG, { maxNewTokens: 500, eosTokenIds: [] });
    setImmediate(dispose);
    return work;
  },
  'session.generate': async (lm, dispose) => {
    const session = lm.session();
    await session.append('ab');
    await writing(session.generate(OPTIONS), dispose)();
  },
  'session.append': (lm, dispose) => lm.session().append(LONG, { onProgress: after(1, dispose) }),
  scoreAsync: (lm, dispose) => lm.scoreAsync(LONG, { onProgress: after(1, dispose) }),
  scoreBatch: (lm, dispose) => lm.scoreBatch([LONG, LONG], { onProgress: after(1, dispose) }),
  embed: (lm, dispose) => lm.embed(LONG, { onProgress: after(1, dispose) }),
  perplexity: (lm, dispose) => lm.perplexity(LONG, { onProgress: after(1, dispose) }),
  'perplexity in windows': (lm, dispose) => lm.perplexity(LONG, { context: 50, stride: 10, onProgress: after(1, dispose) }),
  choose: (lm, dispose) => lm.choose('ab', Array.from({ length: 600 }, () => 'c'), { onProgress: after(1, dispose) }),
  evaluate: (lm, dispose) => evaluate(lm, Array.from({ length: 4 }, () => ({ context: 'a', choices: ['b', 'c'], label: 0 })), { onProgress: after(1, dispose) }),
};

const FEW = [BACKENDS[0]!, BACKENDS.find(({ backend, threads }) => backend !== 'scalar' && threads === 1) ?? BACKENDS[0]!];
describe.each(FEW)('$backend', ({ backend, threads }) => {
  it.each(Object.keys(WORKS))('%s', async (name) => {
    const lm = await MatMulFreeLM.load(tinyModelWithText(1), { backend, threads });
    const error: unknown = await WORKS[name]!(lm, () => lm.dispose()).then(() => 'it ended well', (reason: unknown) => reason);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toBe(MESSAGE);
  });
});

it('in a worker, whatever is under way there', async () => {
  const started = async (): Promise<MatMulFreeWorker> => MatMulFreeWorker.load(tinyModelWithText(1), { worker: new WorkerInProcess() as unknown as Worker, threads: 1 });
  const works: ((lm: MatMulFreeWorker) => Promise<unknown>)[] = [
    (lm) => writing(lm.generate('ab', OPTIONS), () => lm.dispose())(),
    async (lm) => writing(lm.generate('ab', { ...OPTIONS, state: await lm.createState() }), () => lm.dispose())(),
    (lm) => lm.generateBatch(['ab', 'c'], { ...OPTIONS, onPiece: after(3, () => lm.dispose()) }),
    (lm) => lm.score(LONG, { onProgress: after(1, () => lm.dispose()) }),
    (lm) => lm.scoreBatch([LONG, LONG], { onProgress: after(1, () => lm.dispose()) }),
    (lm) => lm.embed(LONG, { onProgress: after(1, () => lm.dispose()) }),
    (lm) => lm.perplexity(LONG, { onProgress: after(1, () => lm.dispose()) }),
    (lm) => lm.choose('ab', Array.from({ length: 600 }, () => 'c'), { onProgress: after(1, () => lm.dispose()) }),
    async (lm) => {
      const session = await lm.session();
      await session.append(LONG, { onProgress: after(1, () => lm.dispose()) });
    },
  ];
  for (const work of works) {
    const lm = await started();
    await expect(work(lm)).rejects.toThrow(new ArgumentError(MESSAGE));
    await expect(lm.score([3, 4])).rejects.toThrow(new ArgumentError(MESSAGE));
    expect(() => lm.dispose()).not.toThrow();
  }
});

it('every later call says so, and so does a text that had been planned', async () => {
  const lm = await MatMulFreeLM.load(tinyModelWithText(1));
  const state = lm.createState();
  const session = lm.session();
  await session.append('ab');
  const planned = lm.generate('ab');
  lm.dispose();
  lm.dispose();
  const calls: (() => unknown)[] = [
    () => lm.createState(), () => lm.restoreState(state.serialize()), () => lm.forward([3], state), () => lm.forward([3, 4], state, { all: true }), () => planned.next(),
    () => lm.generateIds([3]).next(), () => lm.generateTokens('a').next(), () => lm.generateBatch(['a']), () => lm.beamSearch('a'), () => lm.session(), () => lm.openSession(session.save()),
    () => session.append('c'), () => session.generate().next(), () => lm.createPrefixCache(), () => lm.score('ab'), () => lm.scoreAsync('ab'), () => lm.scoreBatch(['ab']),
    () => lm.choose('a', ['b']), () => lm.embed('a'), () => lm.perplexity('ab'), () => lm.info(), () => evaluate(lm, [{ text: 'a b' }]),
  ];
  for (const call of calls) await expect((async () => call())()).rejects.toThrow(new ArgumentError(MESSAGE));
});

it('an abort at the same time is an abort', async () => {
  const lm = await MatMulFreeLM.load(tinyModelWithText(1));
  const controller = new AbortController();
  const text = lm.generate('ab', { ...OPTIONS, signal: controller.signal, state: lm.createState() });
  await text.next();
  controller.abort(new Error('mine'));
  lm.dispose();
  await expect(text.next()).rejects.toThrow('mine');
});

it('leaving a loop in which the model was disposed of is no error', async () => {
  const lm = await MatMulFreeLM.load(tinyModelWithText(1));
  for await (const _ of lm.generate('ab', { ...OPTIONS, state: lm.createState() })) {
    lm.dispose();
    break;
  }
});

it('guesses of a model that is no more are refused by the name of the option', async () => {
  const lm = await MatMulFreeLM.load(tinyModelWithText(1));
  const draftModel = await MatMulFreeLM.load(tinyModelWithText(2));
  const text = lm.generate('ab', { ...OPTIONS, draftModel });
  await text.next();
  draftModel.dispose();
  await expect(collect(text)).rejects.toThrow(/^option draftModel: this model has been disposed of$/);
  await expect(collect(lm.generate('ab', { ...OPTIONS, draftModel }))).rejects.toThrow(/^option draftModel: this model has been disposed of$/);
});
