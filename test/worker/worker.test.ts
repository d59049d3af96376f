import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  ArgumentError, BackendError, ConfigError, FormatError, MatMulFreeLM, SourceError, TokenizerError, type ModelSource,
} from 'matmulfree';
import { MatMulFreeWorker, type WorkerLoadOptions } from 'matmulfree/worker';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { EMBEDDED } from '../support/files.js';
import { WorkerInProcess } from '../support/worker-in-process.js';

const made: { dispose(): void }[] = [];
afterEach(() => made.splice(0).forEach((model) => model.dispose()));

async function start(source: ModelSource = EMBEDDED, options: WorkerLoadOptions = {}): Promise<{ lm: MatMulFreeWorker; worker: WorkerInProcess }> {
  const worker = new WorkerInProcess();
  const lm = await MatMulFreeWorker.load(source, { worker: worker as unknown as Worker, threads: 1, ...options });
  made.push(lm);
  return { lm, worker };
}

/** The model without a worker. */
let loaded: Promise<MatMulFreeLM> | undefined;
const direct = (): Promise<MatMulFreeLM> => (loaded ??= MatMulFreeLM.load(EMBEDDED, { threads: 1 }));
afterAll(async () => (await loaded)?.dispose());

async function collect<R>(pieces: AsyncGenerator<string | number, R>, most = Infinity): Promise<{ pieces: (string | number)[]; result: R | undefined }> {
  const taken: (string | number)[] = [];
  while (taken.length < most) {
    const { done, value } = await pieces.next();
    if (done) return { pieces: taken, result: value };
    taken.push(value);
  }
  await pieces.return(undefined as R);
  return { pieces: taken, result: undefined };
}

const OPTIONS = { temperature: 0.8, seed: 3, maxNewTokens: 60 };

describe('a model in a worker', () => {
  it('is what the model is without one', async () => {
    const progress: unknown[] = [];
    const { lm } = await start(EMBEDDED, { onProgress: (told) => progress.push(told) });
    const right = await direct();
    expect(progress.at(-1)).toMatchObject({ stage: 'load' });
    expect([lm.config, lm.backend, lm.threads, lm.hasTokenizer]).toEqual([right.config, right.backend, right.threads, right.hasTokenizer]);
    expect(await lm.info()).toEqual(right.info());
    const text = 'Once upon a time there was a cat.';
    const ids = right.tokenizer.encode(text);
    expect(await lm.tokenizer.encode(text)).toEqual(ids);
    expect(await lm.tokenizer.encode(text, { addSpecialTokens: false })).toEqual(right.tokenizer.encode(text, { addSpecialTokens: false }));
    expect(await lm.tokenizer.count(text)).toBe(ids.length);
    expect(await lm.tokenizer.decode(ids)).toBe(right.tokenizer.decode(ids));
    const predicted: number[] = [];
    expect(await lm.score(text, { onProgress: (tokens) => predicted.push(tokens) })).toEqual(right.score(text));
    expect(predicted.at(-1)).toBe(ids.length - 1);
    expect(await lm.score(Int32Array.from([0, 0, ...ids]).subarray(2))).toEqual(right.score(ids));
    const [state, rightState] = [await lm.createState(), right.createState()];
    expectSameBits(await lm.forward(ids, state, { all: true }), right.forward(ids, rightState, { all: true }));
    expectSameBits(await lm.forward(5, state), right.forward(5, rightState));
    expect(await state.serialize()).toEqual(rightState.serialize());
  });

  it('writes the same text and gives the same result', async () => {
    const { lm } = await start();
    const right = await direct();
    const mine = await collect(lm.generate('The dragon', { ...OPTIONS, stop: ['castle'] }));
    const theirs = await collect(right.generate('The dragon', { ...OPTIONS, stop: ['castle'] }));
    expect(mine.pieces).toEqual(theirs.pieces);
    expect(mine.result).toEqual({ ...theirs.result, prefillMs: expect.any(Number), decodeMs: expect.any(Number) });
    expect((await collect(lm.generateIds([1, 2, 3], OPTIONS))).pieces).toEqual((await collect(right.generateIds([1, 2, 3], OPTIONS))).pieces);
  });

  it('gives tokens with their probabilities, batches and beams as without a worker', async () => {
    const { lm } = await start();
    const right = await direct();
    expect(lm.generationDefaults).toEqual(right.generationDefaults);
    const options = { ...OPTIONS, topLogprobs: 3, logitBias: new Map([[17, -Infinity]]) };
    const all = async <T>(items: AsyncGenerator<T>): Promise<T[]> => {
      const found: T[] = [];
      for await (const item of items) found.push(item);
      return found;
    };
    expect(await all(lm.generateTokens('The dragon', options))).toEqual(await all(right.generateTokens('The dragon', options)));
    const prompts = ['The dragon', 'Lily'];
    const pieces = [['', ''], ['', '']];
    const [mine, theirs] = await Promise.all([lm, right].map((model, n) => model.generateBatch(prompts, {
      maxNewTokens: 12, seed: 2, temperature: 1, onPiece: (text, index) => { pieces[n]![index] += text; },
    })));
    expect(mine).toEqual(theirs);
    expect(pieces[0]).toEqual(mine!.map(({ text }) => text));
    expect(await lm.beamSearch('The dragon', { maxNewTokens: 5, nBest: 2 })).toEqual(await right.beamSearch('The dragon', { maxNewTokens: 5, nBest: 2 }));
  });

  it('keeps states: they are advanced, cloned, copied, reset, saved and restored as without a worker', async () => {
    const { lm } = await start();
    const right = await direct();
    const state = await lm.createState();
    const rightState = right.createState();
    const first = await collect(lm.generate('Lily', { ...OPTIONS, state }));
    expect(first.pieces).toEqual((await collect(right.generate('Lily', { ...OPTIONS, state: rightState }))).pieces);
    expect(await state.tokens()).toBe(rightState.tokens);
    const fork = await state.clone();
    const saved = await state.serialize();
    expect(saved).toEqual(rightState.serialize());
    const [left, other] = await Promise.all([
      collect(lm.generate(' and', { ...OPTIONS, seed: 1, state })), collect(lm.generate(' and', { ...OPTIONS, seed: 2, state: fork })),
    ]);
    expect(left.pieces).not.toEqual(other.pieces);
    expect(other.pieces).toEqual((await collect(right.generate(' and', { ...OPTIONS, seed: 2, state: right.restoreState(saved) }))).pieces);
    const restored = await lm.restoreState(new Uint8Array([0, ...saved]).subarray(1));
    expect(await restored.serialize()).toEqual(saved);
    await restored.copyFrom(state);
    expect(await restored.serialize()).toEqual(await state.serialize());
    await restored.reset();
    expect(await restored.tokens()).toBe(0);
    restored.dispose();
    await expect(restored.tokens()).rejects.toThrow(ArgumentError);
    await expect(lm.forward(1, restored)).rejects.toThrow(/disposed of/);
  });

  it.each([1, 2, 17])('that is left after %i pieces has in its state what was taken, and no more', async (taken) => {
    const { lm } = await start();
    const right = await direct();
    const [state, rightState] = [await lm.createState(), right.createState()];
    const mine = await collect(lm.generate('The dragon', { ...OPTIONS, state }), taken);
    await sleep(20); // nothing goes on
    const theirs = await collect(right.generate('The dragon', { ...OPTIONS, state: rightState }), taken);
    expect(mine.pieces).toEqual(theirs.pieces);
    expect(await state.serialize()).toEqual(rightState.serialize());
  });

  it('writes some pieces ahead, and no more, until they are taken', async () => {
    const { lm, worker } = await start();
    const items = (): number => worker.replies.filter((reply) => 'item' in reply).length;
    const before = items();
    const pieces = lm.generate('The dragon', { ...OPTIONS, maxNewTokens: 500 });
    await sleep(20);
    expect(items()).toBe(before); // it begins when it is asked
    await pieces.next();
    for (let last = -1; last !== items(); await sleep(60)) last = items();
    expect(items() - before).toBe(32);
    for (let n = 0; n < 20; n++) await pieces.next();
    for (let last = -1; last !== items(); await sleep(60)) last = items();
    expect(items() - before).toBeGreaterThan(40);
    expect(items() - before).toBeLessThanOrEqual(21 + 32);
    await pieces.return(undefined as never);
    const rest = items();
    await sleep(60);
    expect(items()).toBe(rest);
  });
});

describe('abort', () => {
  it('of generate: rejects with the reason, leaves the state at rest, and the model goes on', async () => {
    const { lm } = await start();
    for (const state of [undefined, await lm.createState()]) {
      const controller = new AbortController();
      const reason = new Error('enough');
      const pieces = lm.generate('The dragon', { ...OPTIONS, maxNewTokens: 10_000, signal: controller.signal, state });
      for (let n = 0; n < 5; n++) await pieces.next();
      controller.abort(reason);
      await expect(pieces.next()).rejects.toBe(reason);
      expect((await pieces.next()).done).toBe(true);
      if (state) {
        const [before] = [await state.serialize(), await sleep(20)];
        expect(await state.serialize()).toEqual(before);
      }
    }
    const controller = new AbortController();
    const all = collect(lm.generate('The dragon', { maxNewTokens: 1_000_000, signal: controller.signal }));
    setTimeout(() => controller.abort(), 30);
    await expect(all).rejects.toMatchObject({ name: 'AbortError' });
    expect((await collect(lm.generate('The dragon', OPTIONS))).pieces.length).toBeGreaterThan(10);
  });

  it('that comes too late for the worker rejects all the same', async () => {
    const { lm, worker } = await start();
    const controller = new AbortController();
    const { onmessage } = worker;
    worker.onmessage = (event) => {
      controller.abort(new Error('enough'));
      onmessage!(event);
    };
    await expect(lm.score('A cat sat.', { signal: controller.signal })).rejects.toThrow('enough');
  });

  it('before anything, of load, of score', async () => {
    const { lm, worker } = await start();
    const gone = AbortSignal.abort(new Error('too late'));
    const sent = worker.requests.length;
    await expect(lm.generate('x', { signal: gone }).next()).rejects.toBe(gone.reason);
    await expect(lm.score('A cat sat.', { signal: gone })).rejects.toBe(gone.reason);
    expect(worker.requests.length).toBe(sent);
    const ids = Array.from({ length: 20_000 }, (_, n) => n % 1000);
    const controller = new AbortController();
    const reason = new Error('enough');
    await expect(lm.score(ids, { signal: controller.signal, onProgress: () => controller.abort(reason) })).rejects.toBe(reason);
    const loading = new AbortController();
    const fresh = new WorkerInProcess();
    const options = { worker: fresh as unknown as Worker, signal: loading.signal, onProgress: () => loading.abort(reason) };
    await expect(MatMulFreeWorker.load(new Blob([readFileSync(EMBEDDED)]), options)).rejects.toBe(reason);
    expect(fresh.terminated).toBe(true);
    await expect(MatMulFreeWorker.load(EMBEDDED, { worker: new WorkerInProcess() as unknown as Worker, signal: gone })).rejects.toBe(gone.reason);
  });
});

describe('errors', () => {
  it('come in their classes, with the same words', async () => {
    const { lm } = await start();
    const right = await direct();
    const state = await lm.createState();
    const cases: [() => Promise<unknown>, () => unknown][] = [
      [() => lm.generate('').next(), () => right.generate('').next()],
      [() => lm.generate('x', { temperature: -1 }).next(), () => right.generate('x', { temperature: -1 }).next()],
      [() => lm.generate('x', { temprature: 1 } as object).next(), () => right.generate('x', { temprature: 1 } as object).next()],
      [() => lm.generateIds([1, 99_999]).next(), () => right.generateIds([1, 99_999]).next()],
      [() => lm.forward([], state), () => right.forward([], right.createState())],
      [() => lm.score([1]), () => right.score([1])],
      [() => lm.score('x y', { speed: 1 } as object), () => right.scoreAsync('x y', { speed: 1 } as object)],
      [() => lm.restoreState(new Uint8Array(9)), () => right.restoreState(new Uint8Array(9))],
      [() => lm.tokenizer.decode([99_999]), () => right.tokenizer.decode([99_999])],
      [() => lm.tokenizer.encode(5 as unknown as string), () => right.tokenizer.encode(5 as unknown as string)],
    ];
    for (const [mine, theirs] of cases) {
      const [found, expected] = (await Promise.all([mine, async () => theirs()].map((run) => run().catch((e: unknown) => e)))) as [Error, Error];
      expect(expected).toBeInstanceOf(ArgumentError);
      expect(found).toBeInstanceOf(ArgumentError);
      expect(found.message).toBe(expected.message);
    }
    const tiny = (await start(tinyCheckpoint())).lm;
    await expect(tiny.tokenizer.encode('x')).rejects.toThrow(TokenizerError);
    await expect(tiny.generate('x').next()).rejects.toThrow(TokenizerError);
  });

  it.each([
    ['SourceError', '/no/such/model', SourceError], ['FormatError', new Uint8Array([0x47, 0x47, 0x55, 0x46, 9]), FormatError],
    ['ConfigError', tinyCheckpoint(undefined, 1, { hidden_size: -3 }), ConfigError], ['ArgumentError', 5 as unknown as string, ArgumentError],
  ] as const)('of load: %s, and the worker is ended', async (_, source, type) => {
    const worker = new WorkerInProcess();
    const error = await MatMulFreeWorker.load(source as ModelSource, { worker: worker as unknown as Worker }).catch((e: unknown) => e as Error);
    const right = await MatMulFreeLM.load(source as ModelSource).catch((e: unknown) => e as Error);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toBe((right as Error).message);
    expect(worker.terminated).toBe(true);
  });

  it('of what cannot be sent, of a state of nobody, of options that are none: ArgumentError', async () => {
    const { lm } = await start();
    const other = (await start(tinyCheckpoint())).lm;
    await expect(lm.generate('x', { onToken: () => {} } as object).next()).rejects.toThrow(/^generate: an argument cannot be sent to the worker/);
    await expect(lm.generate('x', { state: await other.createState() }).next()).rejects.toThrow(/not one that this model has made/);
    await expect(lm.forward(1, (await direct()).createState() as never)).rejects.toThrow(ArgumentError);
    await expect(lm.generate('x', null as never).next()).rejects.toThrow(ArgumentError);
    await expect(MatMulFreeWorker.load(EMBEDDED, null as never)).rejects.toThrow(ArgumentError);
    await expect((await lm.createState()).copyFrom(undefined as never)).rejects.toThrow(ArgumentError);
    await expect(start(EMBEDDED, { bakcend: 'simd' } as object)).rejects.toThrow(/unknown option "bakcend"/);
  });

  it('of a callback stop the call', async () => {
    const { lm } = await start();
    const mine = new Error('of the page');
    const thrower = (): never => {
      throw mine;
    };
    await expect(lm.score(Array.from({ length: 5000 }, () => 7), { onProgress: thrower })).rejects.toBe(mine);
    await expect(start(EMBEDDED, { onProgress: thrower })).rejects.toBe(mine);
    expect((await collect(lm.generate('The', OPTIONS))).pieces.length).toBeGreaterThan(10);
  });

  it('have the worker\'s stack', async () => {
    const { lm } = await start();
    const error = await lm.score([1]).catch((e: unknown) => e as Error);
    expect((error as Error).stack).toMatch(/score\.ts/);
  });
});

describe('the end', () => {
  it('by dispose: calls under way and later ones reject with ArgumentError, and the worker is ended', async () => {
    const { lm, worker } = await start();
    const state = await lm.createState();
    const pieces = lm.generate('The dragon', { maxNewTokens: 1000 });
    await pieces.next();
    const scoring = lm.score(Array.from({ length: 5000 }, () => 7));
    const all = collect(pieces);
    lm.dispose();
    lm.dispose();
    expect(worker.terminated).toBe(true);
    for (const call of [scoring, all, lm.score('A cat sat.'), lm.createState(), state.serialize(), lm.generate('x').next(), lm.info(), lm.tokenizer.encode('x')]) {
      await expect(call).rejects.toThrow(ArgumentError);
      await expect(call).rejects.toThrow(/disposed of/);
    }
    state.dispose();
  });

  it('by death: they reject with BackendError', async () => {
    const { lm, worker } = await start();
    const scoring = lm.score(Array.from({ length: 5000 }, () => 7));
    const all = collect(lm.generate('The dragon', { maxNewTokens: 1000 }));
    await sleep(5);
    worker.fail('out of memory');
    for (const call of [scoring, all, lm.score('A cat sat.'), lm.generate('x').next()]) {
      await expect(call).rejects.toThrow(BackendError);
      await expect(call).rejects.toThrow(/the worker has failed \(out of memory\); load the model again/);
    }
  });

  it('before it began: BackendError', async () => {
    const worker = new WorkerInProcess();
    queueMicrotask(() => worker.fail('404'));
    const loading = MatMulFreeWorker.load(EMBEDDED, { worker: worker as unknown as Worker });
    await expect(loading).rejects.toThrow(BackendError);
    await expect(loading).rejects.toThrow(/cannot be started here .*404/);
  });
});

describe('bytes', () => {
  const file = (): Uint8Array<ArrayBuffer> => Uint8Array.from(readFileSync(EMBEDDED));

  it('are copied, unless they are given away', async () => {
    const bytes = file();
    await start(bytes);
    expect(bytes.length).toBeGreaterThan(1e6);
    await start({ 'model.gguf': bytes }, { transfer: true });
    expect(bytes.length).toBe(0);
    const { buffer } = file();
    await start(new Map([['model.gguf', buffer]]), { transfer: true });
    expect(buffer.byteLength).toBe(0);
  });

  it('of a part of a larger buffer leave the rest where it is', async () => {
    const bytes = file();
    const around = new Uint8Array(bytes.length + 100);
    around.set(bytes, 50);
    const part = around.subarray(50, 50 + bytes.length);
    for (const source of [part, { 'model.gguf': part }, new Map([['model.gguf', part]])]) await start(source, { transfer: true });
    expect(around.length).toBe(bytes.length + 100);
  });
});
