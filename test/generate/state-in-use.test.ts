import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, type ModelState } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { tinyModelWithText } from '../support/naive-generation.js';
import { WorkerInProcess } from '../support/worker-in-process.js';
import { collect, textOf } from './support.js';

/*
 * A state that a generation uses belongs to it from the first `next()` to the end, whatever the end is. What is right is what each text is alone.
 */
let lm: MatMulFreeLM;
let worker: MatMulFreeWorker;
beforeAll(async () => {
  lm = await MatMulFreeLM.load(tinyModelWithText(1), { threads: 1 });
  worker = await MatMulFreeWorker.load(tinyModelWithText(1), { worker: new WorkerInProcess() as unknown as Worker, threads: 1 });
});
afterAll(() => {
  lm.dispose();
  worker.dispose();
});

const OPTIONS = { maxNewTokens: 30, temperature: 1, seed: 5, eosTokenIds: [] };
const IN_USE = /the state is in use by a generation that has not ended; .*state\.clone\(\)/;
const refuses = async (name: string, call: () => unknown): Promise<void> => {
  const error: unknown = await (async () => call())().then(() => 'it went through', (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ArgumentError);
  expect((error as Error).message).toMatch(new RegExp(`^${name}: ${IN_USE.source}`));
};

describe.each(['on the main thread', 'in a worker'])('%s', (where) => {
  // The worker's methods are the same, as promises: what is awaited here may be either.
  const model = (): MatMulFreeLM => (where === 'in a worker' ? (worker as unknown as MatMulFreeLM) : lm);
  const newState = async (): Promise<ModelState> => model().createState();
  const tokensOf = async (state: ModelState): Promise<number> => (where === 'in a worker' ? (state.tokens as unknown as () => Promise<number>)() : state.tokens);

  it('two generations at once: the first is what it is alone, the second is refused, and goes on from the first later', async () => {
    const state = await newState();
    const [first, second] = await Promise.allSettled([textOf(model().generate('ab', { ...OPTIONS, state })), textOf(model().generate('cab', { ...OPTIONS, state }))]);
    expect(first).toEqual({ status: 'fulfilled', value: await textOf(lm.generate('ab', OPTIONS)) });
    expect(second).toMatchObject({ status: 'rejected', reason: { name: 'ArgumentError', message: expect.stringMatching(/^generate: the state is in use/) as unknown } });
    const expected = lm.createState();
    await textOf(lm.generate('ab', { ...OPTIONS, state: expected }));
    expect(await textOf(model().generate('cab', { ...OPTIONS, state }))).toBe(await textOf(lm.generate('cab', { ...OPTIONS, state: expected })));
    expect(await state.serialize()).toEqual(expected.serialize());
  });

  it('also while the second one waits for its constraint, which takes longer than all of the first', async () => {
    const state = await newState();
    const constrained = textOf(model().generate('c', { ...OPTIONS, constraint: { regex: '[ab]{1,9}' }, state })); // takes it first
    await refuses('generateIds', () => collect(model().generateIds([3], { ...OPTIONS, maxNewTokens: 1, state })));
    expect(await constrained).toBe(await textOf(lm.generate('c', { ...OPTIONS, constraint: { regex: '[ab]{1,9}' } })));
  });

  it('nothing else may change it meanwhile; it may be read, and a copy goes on by itself', async () => {
    const state = await newState();
    const other = await newState();
    const text = model().generateIds([3, 4, 5], { ...OPTIONS, state });
    const ids = [(await text.next()).value, (await text.next()).value];
    await refuses('forward', () => model().forward([3], state));
    await refuses('forward', () => model().forward([3], state, { all: true }));
    await refuses('reset', () => state.reset());
    await refuses('copyFrom', () => state.copyFrom(other));
    await refuses('generate', () => textOf(model().generate('a', { state })));
    await refuses('generateTokens', () => collect(model().generateTokens('a', { state })));
    const copy = await state.clone();
    await other.copyFrom(state);
    expect(await other.serialize()).toEqual(await state.serialize());
    await model().forward([3], copy);
    for await (const id of text) ids.push(id);
    expect(ids).toEqual((await collect(lm.generateIds([3, 4, 5], OPTIONS))).all);
    await state.reset(); // it is over
    expect(await tokensOf(state)).toBe(0);
  });

  it.each(['to its end', 'left early', 'never started', 'refused option', 'refused prompt', 'refused constraint', 'aborted', 'aborted before'])('%s: then it is free', async (end) => {
    const state = await newState();
    const controller = new AbortController();
    const signal = controller.signal;
    if (end === 'to its end') await textOf(model().generate('ab', { ...OPTIONS, state }));
    if (end === 'left early') for await (const _ of model().generate('ab', { ...OPTIONS, state })) break;
    if (end === 'never started') model().generate('ab', { ...OPTIONS, state });
    if (end === 'refused option') await expect(textOf(model().generate('ab', { ...OPTIONS, topP: 7, state }))).rejects.toThrow(/topP/);
    if (end === 'refused prompt') await expect(textOf(model().generate([99], { ...OPTIONS, state }))).rejects.toThrow(/generate: token id 99/);
    if (end === 'refused constraint') await expect(textOf(model().generate('ab', { constraint: { regex: '(' }, state }))).rejects.toThrow(/regex/);
    if (end.startsWith('aborted')) {
      if (end === 'aborted before') controller.abort();
      const text = model().generate('ab', { ...OPTIONS, signal, state });
      const all = (async () => { for await (const _ of text) controller.abort(); })();
      await expect(all).rejects.toThrow(/abort/i);
    }
    const before = await tokensOf(state);
    await model().forward([3], state);
    expect(await tokensOf(state)).toBe(before + 1);
  });

  it('one that was abandoned half-way keeps it, and says how to go on: a copy, or ending it', async () => {
    const state = await newState();
    const abandoned = model().generate('ab', { ...OPTIONS, state });
    await abandoned.next();
    await refuses('generate', () => textOf(model().generate('c', { ...OPTIONS, state })));
    expect((await textOf(model().generate('c', { ...OPTIONS, state: await state.clone() }))).length).toBeGreaterThan(0);
    await abandoned.return(undefined as never);
    await textOf(model().generate('c', { ...OPTIONS, state }));
  });

  it('a session at work refuses in its own words, and is free when it fails before it has begun', async () => {
    const session = await model().session();
    await session.append('ab');
    await expect(textOf(session.generate({ constraint: { regex: '(' } }))).rejects.toThrow(/regex/);
    const [first, second] = await Promise.allSettled([textOf(session.generate(OPTIONS)), session.append('c')]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { message: 'session: is at work; wait until that is over, or fork it before' } });
    expect((await textOf(session.generate(OPTIONS))).length).toBeGreaterThan(0);
  });
});

it('a logits processor may not advance the state of the text that it works on', async () => {
  const state = lm.createState();
  let error: unknown;
  const logitsProcessor = (): void => {
    try {
      lm.forward([3], state);
    } catch (reason) {
      error ??= reason;
    }
  };
  expect(await textOf(lm.generate('ab', { ...OPTIONS, state, logitsProcessor }))).toBe(await textOf(lm.generate('ab', OPTIONS)));
  expect(String(error)).toMatch(IN_USE);
});

it('the layers below refuse it too', async () => {
  const state = lm.createState();
  const text = lm.generateIds([3], { ...OPTIONS, state });
  await text.next();
  expect(() => lm.model.advance([3], state)).toThrow(IN_USE);
  expect(() => lm.model.forwardSequences([{ ids: [3], state, want: 'last' }], () => undefined)).toThrow(IN_USE);
  expect(() => lm.model.hiddenSequences([{ ids: [3], state, want: 'last' }], () => undefined)).toThrow(IN_USE);
  await text.return(undefined as never);
  lm.model.advance([3], state);
});

it('with guesses, a prefix cache and long prompts, a text takes its state along as before', async () => {
  const prompt = Array.from({ length: 200 }, (_, n) => 3 + (n % 4));
  const prefixCache = await lm.createPrefixCache();
  for (let turn = 0; turn < 2; turn++) {
    const state = lm.createState();
    const { all } = await collect(lm.generateIds(prompt, { ...OPTIONS, state, prefixCache, speculate: true }));
    expect(all).toEqual((await collect(lm.generateIds(prompt, OPTIONS))).all);
    const expected = lm.createState();
    lm.forward([...prompt, ...all], expected);
    expect(state.serialize()).toEqual(expected.serialize());
  }
});
