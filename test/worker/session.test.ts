import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ArgumentError, compileRegex, MatMulFreeLM, TokenizerError, type Session } from 'matmulfree';
import { MatMulFreeWorker, type WorkerSession } from 'matmulfree/worker';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED } from '../support/files.js';
import { WorkerInProcess } from '../support/worker-in-process.js';

const made: { dispose(): void }[] = [];
let loaded: Promise<MatMulFreeLM> | undefined;
afterAll(async () => (await loaded)?.dispose());
afterEach(() => made.splice(0).forEach((model) => model.dispose()));

/** The same model in a worker and without one. */
async function pair(source = EMBEDDED as Parameters<typeof MatMulFreeLM.load>[0]): Promise<{ lm: MatMulFreeWorker; right: MatMulFreeLM; worker: WorkerInProcess }> {
  const worker = new WorkerInProcess();
  const lm = await MatMulFreeWorker.load(source, { worker: worker as unknown as Worker, threads: 1 });
  const direct = (): Promise<MatMulFreeLM> => MatMulFreeLM.load(source, { threads: 1 });
  const right = await (source === EMBEDDED ? (loaded ??= direct()) : direct());
  made.push(lm);
  return { lm, right, worker };
}

async function all<T, R>(items: AsyncGenerator<T, R>, most = Infinity): Promise<{ items: T[]; result: R | undefined }> {
  const taken: T[] = [];
  while (taken.length < most) {
    const { done, value } = await items.next();
    if (done) return { items: taken, result: value };
    taken.push(value);
  }
  await items.return(undefined as R);
  return { items: taken, result: undefined };
}

const OPTIONS = { temperature: 0.8, seed: 3, maxNewTokens: 40 };
const BEGIN = 'Once upon a time there was a dragon.';

describe('a session in a worker', () => {
  it('grows, forks, goes back to marks, and is saved as without one', async () => {
    const { lm, right } = await pair();
    const [mine, theirs] = [await lm.session(), right.session()];
    const both = async (run: (session: WorkerSession | Session) => unknown): Promise<void> => expect(await run(mine)).toEqual(await run(theirs));
    const saved = (): Promise<void> => both((session) => session.save());
    await both((session) => session.append(BEGIN));
    await saved();
    expect(await mine.tokens()).toBe(theirs.tokens);
    await both(async (session) => (await all(session.generate(OPTIONS))).items);
    await both(async (session) => (await all(session.generateTokens({ ...OPTIONS, topLogprobs: 3 }))).items);
    await saved();
    const [mark, rightMark] = [await mine.mark(), theirs.mark()];
    expect(mark.tokens).toBe(rightMark.tokens);
    await both(async (session) => (await all(session.generateIds(OPTIONS))).items);
    const [fork, rightFork] = [await mine.fork(), theirs.fork()];
    await both((session) => session.append([5, 6, 7]));
    await mine.rewind(mark);
    theirs.rewind(rightMark);
    await saved();
    expect(await fork.save()).toEqual(rightFork.save());
    await fork.rewind(mark);
    expect(await fork.save()).toEqual(theirs.save());
    const restored = await lm.openSession(theirs.save());
    expect((await all(restored.generate(OPTIONS))).items).toEqual((await all(theirs.generate(OPTIONS))).items);
    const result = (await all(restored.generate({ ...OPTIONS, stop: '.' }))).result;
    expect(result).toEqual({ ...(await all(theirs.generate({ ...OPTIONS, stop: '.' }))).result, prefillMs: expect.any(Number), decodeMs: expect.any(Number) });
  });

  it.each([1, 2, 17])('that is left after %i pieces holds what was taken, and no more', async (taken) => {
    const { lm, right } = await pair();
    const [mine, theirs] = [await lm.session(), right.session()];
    await Promise.all([mine.append(BEGIN), theirs.append(BEGIN)]);
    expect((await all(mine.generateTokens(OPTIONS), taken)).items).toEqual((await all(theirs.generateTokens(OPTIONS), taken)).items);
    await sleep(20); // nothing goes on
    expect(await mine.save()).toEqual(theirs.save());
  });

  it('tells how far it has read, and is as before when that is stopped', async () => {
    const { lm, right } = await pair();
    const session = await lm.session();
    await session.append(BEGIN);
    const before = await session.save();
    const ids = Array.from({ length: 20_000 }, (_, n) => n % 1000);
    const controller = new AbortController();
    const reason = new Error('enough');
    await expect(session.append(ids, { signal: controller.signal, onProgress: () => controller.abort(reason) })).rejects.toBe(reason);
    expect(await session.save()).toEqual(before);
    const told: number[][] = [];
    await session.append(ids.slice(0, 1000), { onProgress: (tokens, total) => told.push([tokens, total]) });
    const rightTold: number[][] = [];
    const theirs = right.openSession(before);
    await theirs.append(ids.slice(0, 1000), { onProgress: (tokens, total) => rightTold.push([tokens, total]) });
    expect(told).toEqual(rightTold);
    expect(await session.save()).toEqual(theirs.save());
  });

  it('is aborted, and goes on afterwards', async () => {
    const { lm } = await pair();
    const session = await lm.session();
    await session.append(BEGIN);
    const controller = new AbortController();
    const pieces = session.generate({ ...OPTIONS, maxNewTokens: 100_000, signal: controller.signal });
    for (let n = 0; n < 5; n++) await pieces.next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(pieces.next()).rejects.toBe(reason);
    const tokens = await session.tokens();
    expect((await all(session.generateIds(OPTIONS))).items.length).toBeGreaterThan(5);
    expect(await session.tokens()).toBeGreaterThan(tokens);
  });

  it('at work refuses other work; two forks work side by side', async () => {
    const { lm, right } = await pair();
    const session = await lm.session();
    await session.append(BEGIN);
    const fork = await session.fork();
    const pieces = session.generate(OPTIONS);
    await pieces.next();
    for (const call of [session.save(), session.append(' x'), session.mark(), session.fork(), session.generate().next()]) {
      await expect(call).rejects.toThrow(/^session: is at work/);
    }
    await pieces.return(undefined as never);
    const theirs = right.session();
    await theirs.append(BEGIN);
    const rightFork = theirs.fork();
    await all(theirs.generate(OPTIONS), 1);
    const mine = await Promise.all([all(session.generate({ ...OPTIONS, seed: 1 })), all(fork.generate({ ...OPTIONS, seed: 2 }))]);
    expect(mine[0].items).toEqual((await all(theirs.generate({ ...OPTIONS, seed: 1 }))).items);
    expect(mine[1].items).toEqual((await all(rightFork.generate({ ...OPTIONS, seed: 2 }))).items);
  });

  it('takes constraints as specifications', async () => {
    const { lm, right } = await pair();
    const constraint = { regex: ' It was (red|blue)\\.' };
    const session = await lm.session();
    await session.append(BEGIN);
    const text = (await all(session.generate({ ...OPTIONS, constraint }))).items.join('');
    expect(text).toMatch(/^ It was (red|blue)\.$/);
    expect((await all(lm.generate(BEGIN, { ...OPTIONS, constraint }))).items).toEqual((await all(right.generate(BEGIN, { ...OPTIONS, constraint }))).items);
    const [batch] = await lm.generateBatch([{ prompt: BEGIN, constraint: { choices: [' Yes.'] } }]);
    expect(batch!.text).toBe(' Yes.');
  });

  it('refuses what cannot be sent, by name: ArgumentError', async () => {
    const { lm, right } = await pair();
    const session = await lm.session();
    await session.append(BEGIN);
    const options: [RegExp, object][] = [
      [/the option logitsProcessor is a function/, { logitsProcessor: () => {} }],
      [/the option speculate is a function/, { speculate: () => ({}) }],
      [/the option draftModel is another model/, { draftModel: right }],
      [/the option prefixCache belongs to a model/, { prefixCache: await right.createPrefixCache() }],
      [/the option constraint is compiled; give .*regex/, { constraint: await compileRegex('a+', right.tokenizer) }],
    ];
    for (const [message, option] of options) {
      const calls = {
        'session.generate': session.generate(option).next(), 'session.generateIds': session.generateIds(option).next(),
        'session.generateTokens': session.generateTokens(option).next(), generate: lm.generate('x', option).next(),
        generateTokens: lm.generateTokens('x', option).next(), generateBatch: lm.generateBatch([{ prompt: 'x', ...option }]),
        beamSearch: lm.beamSearch('x', option),
      };
      for (const [what, call] of Object.entries(calls)) {
        const error = (await (call as Promise<unknown>).catch((e: unknown) => e)) as Error;
        expect(error).toBeInstanceOf(ArgumentError);
        expect(error.message).toMatch(message);
        expect(error.message.slice(0, what.length + 2)).toBe(`${what}: `);
      }
    }
    await expect(session.generate(null as never).next()).rejects.toThrow(ArgumentError);
    await expect(lm.generateBatch(['x'], null as never)).rejects.toThrow(ArgumentError);
    await expect(session.append('x', { prefixCache: await right.createPrefixCache() } as object)).rejects.toThrow(/^session\.append: an argument cannot be sent to the worker: the option prefixCache belongs to a model that is not in the worker/);
    expect((await all(session.generateIds({ ...OPTIONS, draftModel: undefined } as object))).items.length).toBeGreaterThan(5);
  });

  it('says what is wrong as without a worker', async () => {
    const { lm, right } = await pair();
    const [mine, theirs] = [await lm.session(), right.session()];
    const cases: [() => Promise<unknown>, () => unknown][] = [
      [() => mine.generate().next(), () => theirs.generate().next()],
      [() => mine.append([99_999]), () => theirs.append([99_999])],
      [() => lm.openSession(new Uint8Array(9)), () => right.openSession(new Uint8Array(9))],
    ];
    for (const [of, ofRight] of cases) {
      const [found, expected] = (await Promise.all([of, async () => ofRight()].map((run) => run().catch((e: unknown) => e)))) as [Error, Error];
      expect(expected).toBeInstanceOf(ArgumentError);
      expect(found).toBeInstanceOf(ArgumentError);
      expect(found.message).toBe(expected.message);
    }
    const tiny = (await pair(tinyCheckpoint())).lm;
    const other = await tiny.session();
    await expect(other.append('x')).rejects.toThrow(TokenizerError);
    await other.append([1]);
    await expect(mine.rewind(await other.mark())).rejects.toThrow(/not one that a session of this model has made/);
    await expect(mine.rewind(undefined as never)).rejects.toThrow(ArgumentError);
    const mark = await other.mark();
    mark.dispose();
    await expect(other.rewind(mark)).rejects.toThrow(/this mark has been disposed of/);
    other.dispose();
    await expect(other.tokens()).rejects.toThrow(/this session has been disposed of/);
    tiny.dispose();
    await expect(other.fork()).rejects.toThrow(/this model has been disposed of/);
    other.dispose();
  });
});
