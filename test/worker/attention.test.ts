import { afterAll, beforeAll, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { tinyModelWithText, VOCAB } from '../support/naive-generation.js';
import { WorkerInProcess } from '../support/worker-in-process.js';
import { collect } from '../generate/support.js';

/* A worker with a model that has attention, and memory for 192 tokens. What is disposed of in the page is let go of there, at once. */
let lm: MatMulFreeWorker;
let right: MatMulFreeLM;
const OPTIONS = { threads: 1, contextTokens: 192 };
const WRITE = { temperature: 1, seed: 2, eosTokenIds: [], maxNewTokens: 8 };
const idsOf = (length: number): number[] => Array.from({ length }, (_, n) => 2 + ((n * n) % (VOCAB - 2)));
beforeAll(async () => {
  lm = await MatMulFreeWorker.load(tinyModelWithText(3, 'attention'), { worker: new WorkerInProcess() as unknown as Worker, ...OPTIONS });
  right = await MatMulFreeLM.load(tinyModelWithText(3, 'attention'), OPTIONS);
});
afterAll(() => {
  lm.dispose();
  right.dispose();
});

it('states: as without a worker, many one after another', async () => {
  for (let n = 0; n < 5; n++) {
    const [state, expected] = [await lm.createState(), right.createState()];
    expect(await lm.forward(idsOf(100), state)).toEqual(right.forward(idsOf(100), expected));
    const clone = await state.clone();
    await clone.copyFrom(clone);
    const saved = await clone.serialize();
    expect(saved).toEqual(expected.serialize());
    await clone.reset();
    const restored = await lm.restoreState((clone.dispose(), saved)).then(() => 'restored', (reason: unknown) => String(reason));
    expect(restored).toMatch(/restoreState: the memory for keys and values is used up/);
    expect(await collect(lm.generateIds([3], { ...WRITE, state }))).toMatchObject({ all: (await collect(right.generateIds([3], { ...WRITE, state: expected }))).all });
    expect(await state.serialize()).toEqual(expected.serialize());
    state.dispose();
    expected.dispose();
  }
});

it('sessions and marks: as without a worker, many one after another', async () => {
  for (let n = 0; n < 5; n++) {
    const [session, expected] = [await lm.session(), right.session()];
    for (const each of [session, expected]) await each.append(idsOf(60));
    const mark = await session.mark();
    const fork = await session.fork();
    expect((await collect(session.generateIds(WRITE))).all).toEqual((await collect(expected.generateIds(WRITE))).all);
    expect(await session.save()).toEqual(expected.save());
    await session.rewind(mark);
    expect(await session.save()).toEqual(await fork.save());
    for (const each of [mark, fork, session, expected]) each.dispose();
    // All of the memory.
    const all = await lm.session();
    await all.append(idsOf(190));
    all.dispose();
  }
});

it('what is disposed of while it is at work ends that in peace', async () => {
  const state = await lm.createState();
  const stream = lm.generateIds(idsOf(100), { ...WRITE, state });
  const begun = [(await stream.next()).value as number];
  state.dispose();
  for await (const id of stream) begun.push(id);
  expect(begun).toEqual((await collect(right.generateIds(idsOf(100), WRITE))).all);
});
