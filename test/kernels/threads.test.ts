import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ArgumentError, BackendError, createKernels, MatMulFreeLM, type Arena, type Kernels } from 'matmulfree';
import { CONTROL, WORK_BYTES } from '../../src/kernels/wasm/jobs.js';
import { BACKENDS } from '../support/backends.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { EMBEDDED } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { runChild } from '../support/thread-child.js';
import { createJobs, JOBS_ARENA_BYTES, VARIANTS, type Job } from '../support/thread-jobs.js';
import { hashLogits } from '../support/thread-logits.js';
import { playBrowser, WebWorker } from '../support/thread-web-worker.js';
import { stolenChunks, thief, watchWorkers, type WatchedWorker } from '../support/thread-workers.js';

const made: { dispose(): void }[] = [];
const disposeLater = <T extends { dispose(): void }>(value: T): T => (made.push(value), value);
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const value of made.splice(0)) value.dispose();
});

interface Working {
  readonly kernels: Kernels;
  readonly arena: Arena;
  readonly jobs: Job[];
  readonly workers: WatchedWorker[];
}

/** Kernels of the simd backend with jobs to do, and the threads that they started. */
async function start(threads: number, program?: (text: string, n: number) => string, backend: 'simd' | 'relaxed' = 'simd'): Promise<Working> {
  const { value: kernels, workers } = await watchWorkers(() => createKernels({ backend, threads }), program);
  disposeLater(kernels);
  const arena = kernels.createArena(JOBS_ARENA_BYTES);
  return { kernels, arena, jobs: createJobs(kernels, arena), workers };
}

/** Results of all jobs: [job][variant]. */
function resultsOf(jobs: readonly Job[]): Buffer[][] {
  return jobs.map((job) => Array.from({ length: VARIANTS }, (_, variant) => Buffer.from(job.run(variant))));
}

/** What one thread, and nobody else, computes. */
let alone: Promise<Buffer[][]> | undefined;
function expected(): Promise<Buffer[][]> {
  alone ??= start(1).then(({ jobs }) => resultsOf(jobs));
  return alone;
}

async function expectRight(jobs: readonly Job[]): Promise<void> {
  const right = await expected();
  resultsOf(jobs).forEach((results, n) => results.forEach((result, variant) => {
    expect(result.equals(right[n]![variant]!), `${jobs[n]!.name}, variant ${variant}`).toBe(true);
  }));
}

/** A job of a few milliseconds, in many chunks: also a thread that was just woken gets one. */
function longJob({ kernels, arena }: Working): () => Float32Array {
  const [rows, columns, tokens] = [4096, 512, 512];
  const matrix = kernels.createTernary(arena, rows, columns);
  for (let row = 0; row < rows; row++) kernels.packRow(matrix, row, Int8Array.from({ length: columns }, (_, c) => ((row * 7 + c * 5) % 3) - 1));
  matrix.scales.fill(0.25);
  const q = arena.i8(tokens * columns);
  for (let i = 0; i < q.length; i++) q[i] = ((i * 31) % 255) - 127;
  const qScales = arena.f32(tokens).fill(0.5);
  const out = arena.f32(tokens * rows);
  return () => {
    out.fill(NaN);
    kernels.ternaryMatmul(matrix, q, qScales, tokens, out);
    return out;
  };
}

describe('threads', () => {
  it.each([1, 2, 3, 4])('%i are there when they are asked for, the calling one among them', async (threads) => {
    const { kernels, workers } = await start(threads);
    expect(kernels.threads).toBe(threads);
    expect(workers).toHaveLength(threads - 1);
    const lm = disposeLater(await MatMulFreeLM.load(tinyCheckpoint(), { backend: 'simd', threads }));
    expect([lm.backend, lm.threads]).toEqual(['simd', threads]);
  });

  it.each(BACKENDS.filter(({ threads }) => threads > 1))('do not change a bit of any kernel: $name', async ({ backend, threads }) => {
    await expectRight((await start(threads, undefined, backend as 'simd' | 'relaxed')).jobs);
  });

  it('all take part, each in a work space of its own', async () => {
    const working = await start(4);
    const run = longJob(working);
    const { buffer } = working.arena.u8(1);
    const untouched = (): number[] => [0, 1, 2, 3].filter((thread) => {
      const space = new Int32Array(buffer, CONTROL.end + thread * WORK_BYTES, WORK_BYTES / 4);
      return space.every((word) => word === 0);
    });
    expect(untouched()).toEqual([0, 1, 2, 3]);
    // One may come late, if the operating system has no processor for it.
    for (let n = 0; n < 1000 && untouched().length > 0; n++) run();
    expect(untouched()).toEqual([]);
  });

  it('of several kernels work side by side', async () => {
    const [a, b] = [await start(2), await start(3)];
    const right = await expected();
    for (let n = 0; n < a.jobs.length; n++) {
      expect(Buffer.from(a.jobs[n]!.run(0)).equals(right[n]![0]!)).toBe(true);
      expect(Buffer.from(b.jobs[n]!.run(1)).equals(right[n]![1]!)).toBe(true);
    }
    a.kernels.dispose();
    await Promise.all(a.workers.map(({ ended }) => ended));
    await expectRight(b.jobs);
  });

  const seed = freshSeed();
  it(`thousands of small jobs in a row, with threads that fall asleep and wake, are all right (seed ${seed})`, { timeout: 120_000 }, async () => {
    const random = randomFrom(seed);
    const right = await expected();
    const { jobs } = await start(4);
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < 3000; round++) {
      const n = random.integer(0, jobs.length - 1);
      const variant = random.integer(0, VARIANTS - 1);
      const result = jobs[n]!.run(variant);
      if (right[n]![variant]!.compare(result) !== 0) expect.fail(`round ${round}: ${jobs[n]!.name}, variant ${variant}`);
      // Threads look for the next job for a fraction of a millisecond: pauses about as long, and longer.
      if (random.unit() < 0.1) Atomics.wait(clock, 0, 0, random.unit() * 2);
      if (random.unit() < 0.01) await sleep(random.integer(0, 4));
    }
  });
});

describe('dispose', () => {
  it('ends the threads, whether they work, sleep or never began', async () => {
    const asleep = await start(3);
    await expectRight(asleep.jobs);
    await sleep(50);
    const awake = await start(3);
    awake.jobs[0]!.run(0);
    const { value: idle, workers } = await watchWorkers(() => createKernels({ backend: 'simd', threads: 3 }));
    for (const { kernels } of [asleep, awake]) kernels.dispose();
    idle.dispose();
    await Promise.all([...asleep.workers, ...awake.workers, ...workers].map(({ ended }) => ended));
  });

  it.each([1, 3])('makes every later call of a kernel an ArgumentError, and may be repeated (%i threads)', async (threads) => {
    const { kernels, arena, jobs } = await start(threads);
    const [x, y, q, ids] = [arena.f32(64), arena.f32(64), arena.i8(64), arena.f32(4)];
    const matrix = kernels.createTernary(arena, 1, 64);
    kernels.dispose();
    kernels.dispose();
    const calls: (() => void)[] = [
      () => kernels.ternaryMatmul(matrix, q, ids, 1, y), () => kernels.ternaryMatmul(matrix, q, ids, 16, y), () => kernels.rmsNorm(x, y, 1e-6, 1, x),
      () => kernels.rmsNormQuantize(x, y, 1e-6, 1, q, ids), () => kernels.mlgruRecurrence(x, y, undefined, x, 1, x),
      () => kernels.gatedRmsNorm(x, y, 1e-6, x, 1, x), () => kernels.swiglu(x, 32, 1, y), () => kernels.add(x, y, 64), ...jobs.map((job) => () => job.run(0)),
    ];
    for (const call of calls) {
      expect(call).toThrow(ArgumentError);
      expect(call).toThrow(/disposed of/);
    }
  });

  it.each([['scalar', 1], ['simd', 1], ['simd', 3]] as const)('makes every later call of a model an ArgumentError (%s, %i threads)', async (backend, threads) => {
    const { value: lm, workers } = await watchWorkers(() => MatMulFreeLM.load(EMBEDDED, { backend, threads }));
    const state = lm.createState();
    lm.forward([5, 6], state);
    const bytes = state.serialize();
    const pieces = lm.generate('Once upon a time', { maxNewTokens: 50 });
    await pieces.next();
    lm.dispose();
    lm.dispose();
    const calls: (() => unknown)[] = [
      () => lm.forward(5, state), () => lm.forward([5, 6], state, { all: true }), () => lm.createState(), () => lm.restoreState(bytes), () => lm.score('A cat.'),
      () => lm.score([1, 2, 3]), () => lm.info(), () => lm.model,
    ];
    for (const call of calls) expect(call).toThrow(ArgumentError);
    await expect(lm.generate('A cat').next()).rejects.toThrow(ArgumentError);
    await expect(lm.generateIds([1, 2]).next()).rejects.toThrow(ArgumentError);
    await expect(lm.scoreAsync([1, 2, 3])).rejects.toThrow(ArgumentError);
    if (backend === 'simd') await expect(pieces.next()).rejects.toThrow(ArgumentError);
    expect(lm.threads).toBe(threads);
    await Promise.all(workers.map(({ ended }) => ended));
  });
});

describe('a process', () => {
  const FILE = 'test/support/thread-forgotten.ts';

  it('with threads that nobody disposed of ends by itself', { timeout: 60_000 }, async () => {
    expect(await runChild(FILE, ['forgotten'])).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
  });

  it('ends at once, with its own exit code, while threads look for jobs', { timeout: 60_000 }, async () => {
    expect(await runChild(FILE, ['spinning'])).toEqual({ code: 3, stdout: '', stderr: '' });
  });

  it('that fails with threads at work ends with its error', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await runChild(FILE, ['thrown']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/Error: on purpose/);
    expect(stderr).not.toMatch(/worker/i);
  });

  it('has no thread, and nothing else of them, after dispose or when the kernels were garbage-collected', { timeout: 60_000 }, async () => {
    expect(await runChild(FILE, ['gone'], ['--expose-gc'])).toEqual({ code: 0, stdout: '3 of 3 []\ndone\n', stderr: '' });
  });

  it.each(['--no-liftoff', '--liftoff-only'])('run with %s computes the bits of the scalar backend here', { timeout: 120_000 }, async (flag) => {
    const here = await hashLogits({ backend: 'scalar' });
    const { code, stdout, stderr } = await runChild('test/support/thread-logits.ts', ['simd', '2'], [flag]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${here}\n`, stderr: '' });
  });
});

describe('a thread that dies', () => {
  it('between two jobs: the next call that would need it is a BackendError, and so are those after it', async () => {
    const working = await start(3);
    await expectRight(working.jobs);
    await working.workers[1]!.worker.terminate();
    await working.workers[1]!.ended;
    for (const job of working.jobs) {
      expect(() => job.run(0), job.name).toThrow(BackendError);
      expect(() => job.run(1)).toThrow(/a worker thread ended \(.+\); load the model again/);
    }
    working.kernels.dispose();
    await Promise.all(working.workers.map(({ ended }) => ended));
  });

  it('of a model: forward and generate are BackendErrors', async () => {
    const { value: lm, workers } = await watchWorkers(() => MatMulFreeLM.load(EMBEDDED, { backend: 'simd', threads: 2 }));
    disposeLater(lm);
    const state = lm.createState();
    const pieces = lm.generate('Once upon a time', { maxNewTokens: 50 });
    await pieces.next();
    await workers[0]!.worker.terminate();
    await workers[0]!.ended;
    expect(() => lm.forward(5, state)).toThrow(BackendError);
    await expect(pieces.next()).rejects.toThrow(BackendError);
    await expect(lm.generate('A cat').next()).rejects.toThrow(BackendError);
    expect(() => lm.score([1, 2, 3])).toThrow(BackendError);
  });

  it('before it got anything to do: the same', async () => {
    const { value: kernels, workers } = await watchWorkers(() => createKernels({ backend: 'simd', threads: 2 }));
    disposeLater(kernels);
    await workers[0]!.worker.terminate();
    await workers[0]!.ended;
    const jobs = createJobs(kernels, kernels.createArena(JOBS_ARENA_BYTES));
    expect(() => jobs[0]!.run(0)).toThrow(BackendError);
  });

  it('by an error of its own: the BackendError tells it', async () => {
    const { jobs, workers } = await start(2, () => `
      const { parentPort } = process.getBuiltinModule('node:worker_threads');
      parentPort.once('message', () => { throw new Error('out of luck'); });
      parentPort.postMessage('ready');
    `);
    await workers[0]!.ended;
    expect(() => jobs[0]!.run(0)).toThrow(BackendError);
    expect(() => jobs[0]!.run(0)).toThrow(/out of luck/);
  });

  it.each(['dies', 'hangs'] as const)('in the middle of a chunk (%s): the call waits its ten seconds, then it is a BackendError, and others are at once', async (fate) => {
    // The clock runs five hundred times as fast: ten seconds are a slice or two of waiting.
    const { now } = performance;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) * 500);
    const working = await start(2, () => thief(fate));
    const run = longJob(working);
    let error: unknown;
    for (let n = 0; n < 500 && error === undefined; n++) {
      try {
        run(); // unless it got no chunk, because the operating system did not let it run
      } catch (caught) {
        error = caught;
      }
    }
    expect(stolenChunks(working.arena.u8(1))).toBe(1);
    expect(error).toBeInstanceOf(BackendError);
    expect((error as Error).message).toMatch(/not answered for 10 s: it must have died; load the model again/);
    vi.restoreAllMocks();
    const started = performance.now();
    for (const job of working.jobs) expect(() => job.run(0)).toThrow(BackendError);
    expect(performance.now() - started).toBeLessThan(8000); // they do not wait again
    working.kernels.dispose();
    await Promise.all(working.workers.map(({ ended }) => ended));
  });

  it('is told from one that is only late', async () => {
    const plain = await start(1);
    const right = longJob(plain)().slice();
    const working = await start(2, () => thief('is late'));
    const run = longJob(working);
    for (let n = 0; n < 300 && stolenChunks(working.arena.u8(1)) < 2; n++) expectSameBits(run(), right);
    expect(stolenChunks(working.arena.u8(1))).toBeGreaterThanOrEqual(2);
  });

  it('is waited for also where the calling thread must not sleep, as on a page', async () => {
    const right = longJob(await start(1))().slice();
    const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('Atomics.wait cannot be called in this context');
    });
    const working = await start(2, () => thief('is late'));
    const run = longJob(working);
    for (let n = 0; n < 300 && stolenChunks(working.arena.u8(1)) === 0; n++) expectSameBits(run(), right);
    expect(stolenChunks(working.arena.u8(1))).toBeGreaterThan(0);
    expect(wait).toHaveBeenCalled();
  });
});

describe('where threads cannot start', () => {
  it('because workers are refused: one thread, and everything works', async () => {
    const refuse = (): string => {
      throw new Error('no workers here');
    };
    const { kernels, jobs, workers } = await start(4, refuse);
    expect([kernels.backend, kernels.threads, workers.length]).toEqual(['simd', 1, 0]);
    await expectRight(jobs);
    const { value: lm } = await watchWorkers(() => MatMulFreeLM.load(tinyCheckpoint(), { backend: 'simd', threads: 3 }), refuse);
    expect(disposeLater(lm).threads).toBe(1);
    expect(lm.forward([1, 2], lm.createState())).toHaveLength(lm.config.vocabSize);
  });

  it('because they end before they are ready: one thread', async () => {
    for (const program of ['process.exit(1)', 'throw new Error("broken")', 'this is no program']) {
      const { kernels, jobs } = await start(3, () => program);
      expect(kernels.threads, program).toBe(1);
      await expectRight(jobs);
    }
  });

  it('but some do: as many as did, and those that did not are not missed', async () => {
    const { kernels, jobs, workers } = await start(4, (program, n) => (n === 1 ? 'process.exit(1)' : program));
    expect([kernels.threads, workers.length]).toEqual([3, 3]);
    await expectRight(jobs);
  });

  it('because there is no SharedArrayBuffer: one thread, and memory that is not shared', async () => {
    vi.stubGlobal('SharedArrayBuffer', undefined);
    const { kernels, arena, jobs, workers } = await start(4);
    vi.unstubAllGlobals();
    expect([kernels.backend, kernels.threads, workers.length]).toEqual(['simd', 1, 0]);
    expect(arena.u8(1).buffer).toBeInstanceOf(ArrayBuffer);
    await expectRight(jobs);
  });
});

describe('on a page, with Web Workers', () => {
  it('the same threads do the same, from a file', async () => {
    const workers = playBrowser();
    const { kernels, jobs, workers: ofNode } = await start(3);
    expect([kernels.threads, workers.length, ofNode.length]).toEqual([3, 2, 0]);
    for (const { url } of workers) expect(url).toBe(new URL('../../src/kernels/wasm/kernel-thread.js', import.meta.url).href);
    await expectRight(jobs);
    kernels.dispose();
    expect(workers.every(({ ended }) => ended)).toBe(true);
  });

  it.each(['at once', 'later', 'by a script of somebody else'])('from a text where the file is refused %s', async (when) => {
    const revoked = vi.spyOn(URL, 'revokeObjectURL');
    const all = playBrowser((url) => {
      const isText = String(url).startsWith('blob:');
      if (!isText && when === 'at once') throw new DOMException('of another origin', 'SecurityError');
      const worker = new WebWorker(url);
      if (!isText) queueMicrotask(() => (when === 'later' ? worker.fail('not found') : worker.onmessage?.({ data: 'hello' })));
      return worker;
    });
    const { kernels, jobs } = await start(3);
    const workers = all.filter(({ url }) => url.startsWith('blob:'));
    expect([kernels.threads, workers.length]).toEqual([3, 2]);
    expect(revoked.mock.calls.map(([url]) => url).sort()).toEqual(workers.map(({ url }) => url).sort());
    expect(all.every((worker) => worker.ended !== workers.includes(worker))).toBe(true);
    await expectRight(jobs);
    kernels.dispose();
    expect(workers.every(({ ended }) => ended)).toBe(true);
  });

  it('one that fails later makes the next call a BackendError', async () => {
    const workers = playBrowser();
    const { jobs } = await start(2);
    await expectRight(jobs);
    workers[0]!.fail('out of memory');
    expect(() => jobs[0]!.run(0)).toThrow(BackendError);
    expect(() => jobs[0]!.run(0)).toThrow(/out of memory/);
  });

  it('where they are forbidden there is one thread', async () => {
    playBrowser(() => {
      throw new Error('SecurityError');
    });
    const { kernels, jobs } = await start(3);
    expect(kernels.threads).toBe(1);
    await expectRight(jobs);
  });

  it('where a policy blocks them, which shows only later, there is one thread', async () => {
    playBrowser((url) => {
      const worker = new WebWorker(url);
      queueMicrotask(() => worker.fail('blocked'));
      return worker;
    });
    expect((await start(3)).kernels.threads).toBe(1);
  });
});
