import os from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ArgumentError, availableBackends, BackendError, createKernels, createScalarKernels, MatMulFreeLM, measureArena, type Arena, type Kernels,
  type KernelOptions,
} from 'matmulfree';
import { CONTROL, WORK_BYTES } from '../../src/kernels/wasm/jobs.js';
import { BACKENDS } from '../support/backends.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { randomFrom } from '../support/random.js';
import { watchWorkers } from '../support/thread-workers.js';

const made: Kernels[] = [];
async function create(options?: KernelOptions): Promise<Kernels> {
  const kernels = await createKernels(options);
  made.push(kernels);
  return kernels;
}
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const kernels of made.splice(0)) kernels.dispose();
});

const HAS_RELAXED = BACKENDS.some(({ backend }) => backend === 'relaxed');

/** WebAssembly.validate of an engine that lacks what `lacks` says of a module. */
function engineWithout(lacks: (module: Buffer) => boolean): void {
  const { validate } = WebAssembly;
  vi.spyOn(WebAssembly, 'validate').mockImplementation((bytes) => !lacks(Buffer.from(bytes as Uint8Array)) && validate(bytes));
}

/** Relaxed SIMD's swizzle has opcode 0x100, its sum of dot products 0x113. */
const isRelaxed = (module: Buffer): boolean => [0x80, 0x93].some((low) => module.includes(Buffer.from([0xfd, low, 0x02])));

/** Checks the product of a small matrix with the definition. */
function expectToWork(kernels: Kernels, arena: Arena = kernels.createArena(2 ** 20)): void {
  const [rows, columns, tokens] = [40, 70, 9];
  const random = randomFrom(3);
  const matrix = kernels.createTernary(arena, rows, columns);
  const weights = Array.from({ length: rows }, () => Int8Array.from({ length: columns }, () => random.integer(-1, 1)));
  weights.forEach((row, r) => kernels.packRow(matrix, r, row));
  matrix.scales.fill(1);
  const q = arena.i8(tokens * columns);
  for (let i = 0; i < q.length; i++) q[i] = random.integer(-127, 127);
  const out = arena.f32(tokens * rows);
  kernels.ternaryMatmul(matrix, q, arena.f32(tokens).fill(1), tokens, out);
  for (let t = 0; t < tokens; t++) {
    weights.forEach((row, r) => expect(out[t * rows + r]).toBe(row.reduce((sum, w, c) => sum + w * q[t * columns + c]!, 0)));
  }
}

describe('options', () => {
  it.each([0, 1.5, NaN, 65, '2', -1, Infinity, true, [2], 2n])('threads: %o is an ArgumentError, whatever the backend', async (threads) => {
    for (const backend of ['auto', 'scalar', 'simd'] as const) {
      const { value: error, workers } = await watchWorkers(() => createKernels({ backend, threads: threads as number }).catch((e: unknown) => e));
      expect(error).toBeInstanceOf(ArgumentError);
      expect((error as Error).message).toMatch(/option threads is .*, not a whole number from 1 to 64/);
      expect(workers).toEqual([]);
    }
  });

  it.each(['gpu', '', 'SIMD', 'wasm', 5, {}, 'x'.repeat(500)])('backend: %o is a BackendError that tells which ones there are', async (backend) => {
    const { value: error, workers } = await watchWorkers(() => createKernels({ backend: backend as 'simd', threads: 2 }).catch((e: unknown) => e));
    expect(error).toBeInstanceOf(BackendError);
    expect((error as Error).message).toMatch(/backend .* is not available here \(available: auto, scalar, .*simd/);
    expect((error as Error).message.length).toBeLessThan(250);
    expect(workers).toEqual([]);
  });

  it('of a model are checked in the same way, and nothing is left behind', async () => {
    const { workers } = await watchWorkers(async () => {
      await expect(MatMulFreeLM.load(tinyCheckpoint(), { threads: 0 })).rejects.toThrow(ArgumentError);
      await expect(MatMulFreeLM.load(tinyCheckpoint(), { backend: 'gpu' as 'simd' })).rejects.toThrow(BackendError);
    });
    expect(workers).toEqual([]);
  });

  it('none at all: the last of the available backends, and one thread less than there are processors', async () => {
    const parallelism = vi.spyOn(os, 'availableParallelism');
    const available = await availableBackends();
    for (const [processors, threads] of [[1, 1], [2, 1], [3, 2]] as const) {
      parallelism.mockReturnValue(processors);
      const kernels = await create();
      expect(kernels).toMatchObject({ backend: available.at(-1), threads });
      expect(await create({ backend: 'auto', threads: 'auto' })).toMatchObject({ backend: kernels.backend, threads: kernels.threads });
    }
  });

  it('scalar has one thread, however many are asked for', async () => {
    const { value: kernels, workers } = await watchWorkers(() => create({ backend: 'scalar', threads: 4 }));
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    expect(workers).toEqual([]);
  });
});

describe('an engine that lacks something', () => {
  it('without vectors: auto is scalar, and others are refused', async () => {
    engineWithout(() => true);
    expect(await availableBackends()).toEqual(['scalar']);
    const kernels = await create();
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    expectToWork(kernels);
    for (const backend of ['simd', 'relaxed'] as const) {
      await expect(create({ backend })).rejects.toThrow(BackendError);
      await expect(create({ backend })).rejects.toThrow(`backend "${backend}" is not available here (available: auto, scalar)`);
      await expect(MatMulFreeLM.load(tinyCheckpoint(), { backend })).rejects.toThrow(BackendError);
    }
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    expect([lm.backend, lm.threads]).toEqual(['scalar', 1]);
  });

  it('without relaxed vectors: auto is simd', async () => {
    engineWithout(isRelaxed);
    expect(await availableBackends()).toEqual(['scalar', 'simd']);
    const kernels = await create({ threads: 1 });
    expect(kernels.backend).toBe('simd');
    expectToWork(kernels);
    await expect(create({ backend: 'relaxed' })).rejects.toThrow('backend "relaxed" is not available here (available: auto, scalar, simd)');
  });

  it('the probe tells relaxed from other vectors by the opcode', async () => {
    const seen: boolean[] = [];
    engineWithout((module) => (seen.push(isRelaxed(module)), false));
    await availableBackends();
    expect(seen).toEqual([false, true]);
  });

  it('without WebAssembly: the same', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    expect(await availableBackends()).toEqual(['scalar']);
    const kernels = await create({ threads: 3 });
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    expectToWork(kernels);
    await expect(create({ backend: 'simd' })).rejects.toThrow(BackendError);
  });

  it('that may not compile, by a Content-Security-Policy: auto is scalar, others say why, and no thread is started', async () => {
    const policy = 'WebAssembly.compile(): Wasm code generation disallowed by embedder';
    vi.spyOn(WebAssembly, 'compile').mockRejectedValue(new WebAssembly.CompileError(policy));
    expect(await availableBackends()).toEqual(['scalar']);
    const { value: kernels, workers } = await watchWorkers(() => create({ threads: 3 }));
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    expectToWork(kernels);
    const refused = await watchWorkers(() => createKernels({ backend: 'simd', threads: 3 }).catch((e: unknown) => e));
    expect(refused.value).toBeInstanceOf(BackendError);
    expect((refused.value as Error).message).toBe(`backend "simd" is not available here (available: auto, scalar): ${policy}`);
    expect([workers, refused.workers]).toEqual([[], []]);
  });

  it('that compiles small modules but not ours: auto is scalar, others say why, and no thread is left', async () => {
    const { compile } = WebAssembly;
    vi.spyOn(WebAssembly, 'compile').mockImplementation(async (bytes) => {
      if ((bytes as Uint8Array).length > 1000) throw new RangeError('out of memory');
      return compile(bytes);
    });
    const { value: kernels, workers } = await watchWorkers(() => create({ threads: 3 }));
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    const refused = await watchWorkers(() => createKernels({ backend: 'simd', threads: 3 }).catch((e: unknown) => e));
    expect(refused.value).toBeInstanceOf(BackendError);
    expect((refused.value as Error).message).toMatch(/simd is not available here: out of memory/);
    expect([workers.length, refused.workers.length]).toEqual([2, 2]);
    await Promise.all([...workers, ...refused.workers].map(({ ended }) => ended));
  });

  it.skipIf(!HAS_RELAXED)(`relaxed is the best where it exists${HAS_RELAXED ? '' : ' (skipped: this engine has no relaxed SIMD)'}`, async () => {
    const kernels = await create({ threads: 1 });
    expect(kernels.backend).toBe('relaxed');
    expectToWork(kernels);
  });
});

describe.each([1, 2])('memory, %i threads', (threads) => {
  it('that the engine refuses is a BackendError with the size', async () => {
    const kernels = await create({ backend: 'simd', threads });
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(function refuse() {
      throw new RangeError('WebAssembly.Memory(): could not allocate memory');
    });
    const ask = () => kernels.createArena(300 * 2 ** 20);
    expect(ask).toThrow(BackendError);
    expect(ask).toThrow(/cannot allocate 30[1-9] MiB/);
  });

  it('that was refused once may be asked for again', async () => {
    const kernels = await create({ backend: 'simd', threads });
    const refused = vi.spyOn(WebAssembly, 'Memory').mockImplementation(function refuse() {
      throw new RangeError('no');
    });
    expect(() => kernels.createArena(2 ** 20)).toThrow(BackendError);
    refused.mockRestore();
    expectToWork(kernels);
  });

  it.each([2 ** 32, 2 ** 32 - 2 ** 16, 5e9, 2 ** 45])('more than 4 GiB (%i bytes) is a BackendError with the size', async (bytes) => {
    const kernels = await create({ backend: 'simd', threads });
    const ask = () => kernels.createArena(bytes);
    expect(ask).toThrow(BackendError);
    expect(ask).toThrow(/needs \d+ MiB: more than the 4 GiB/);
    const [mebibytes] = (await Promise.resolve().then(ask).catch((e: Error) => e.message) as string).match(/\d+(?= MiB)/)!;
    expect(Number(mebibytes)).toBeGreaterThanOrEqual(Math.floor(bytes / 2 ** 20));
    expect(Number(mebibytes)).toBeLessThan(bytes / 2 ** 20 + 2 * threads + 2);
  });

  it('that a model cannot get ends its threads and names the size', async () => {
    const { Memory } = WebAssembly;
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(function refuse(descriptor: WebAssembly.MemoryDescriptor) {
      if (descriptor.initial > 1) throw new RangeError('no');
      return new Memory(descriptor);
    });
    const { value: error, workers } = await watchWorkers(() => MatMulFreeLM.load(tinyCheckpoint(), { backend: 'simd', threads }).catch((e: unknown) => e));
    expect(error).toBeInstanceOf(BackendError);
    expect((error as Error).message).toMatch(/cannot allocate \d+ MiB/);
    expect(workers).toHaveLength(threads - 1);
    await Promise.all(workers.map(({ ended }) => ended));
  });

  it('is made once', async () => {
    const kernels = await create({ backend: 'simd', threads });
    const arena = kernels.createArena(2 ** 20);
    expect(() => kernels.createArena(100)).toThrow(ArgumentError);
    expect(() => kernels.createArena(100)).toThrow(/once/);
    expectToWork(kernels, arena);
  });

  it('is needed before anything else', async () => {
    const kernels = await create({ backend: 'simd', threads });
    const add = () => kernels.add(new Float32Array(4), new Float32Array(4), 4);
    expect(add).toThrow(ArgumentError);
    expect(add).toThrow(/createArena/);
  });

  it('holds as many bytes as were asked for, all of them 0, and no more', async () => {
    const kernels = await create({ backend: 'simd', threads });
    const arena = kernels.createArena(3 * 64 + 100_000);
    const views = [arena.f32(16), arena.i8(1), arena.u32(16), arena.u8(100_000)];
    for (const view of views) expect(view.every((value) => value === 0)).toBe(true);
    for (const view of views) expect(view.byteOffset % 64).toBe(0);
    // What lies behind may be read by vectors that go too far, and is no more than a page or two.
    expect(views[0]!.buffer.byteLength - (views[3]!.byteOffset + 100_000)).toBeLessThan(2 * 65536);
  });

  it.each(['across 2 GiB', 'up to the last byte of 4 GiB'])('is good %s', async (place) => {
    const kernels = await create({ backend: 'simd', threads });
    const scalar = createScalarKernels();
    const random = randomFrom(8);
    const [rows, columns, tokens] = [1100, 490, 7]; // enough for all threads
    const allocate = (on: Kernels, arena: Arena) => ({
      matrix: on.createTernary(arena, rows, columns), q: arena.i8(tokens * columns), qScales: arena.f32(tokens), out: arena.f32(tokens * rows),
    });
    // Control words and work space come before the arena, a page after it.
    const before = CONTROL.end + threads * WORK_BYTES;
    const bytes = 2 ** 32 - 2 ** 16 - before;
    const needed = measureArena((arena) => allocate(kernels, arena));
    const arena = kernels.createArena(bytes);
    arena.u8(Math.floor((place === 'across 2 GiB' ? 2 ** 31 - before - needed / 4 : bytes - needed) / 64) * 64);
    const far = allocate(kernels, arena);
    const near = allocate(scalar, scalar.createArena(needed));
    const [first, end] = [far.matrix.packed.byteOffset, far.out.byteOffset + far.out.byteLength];
    if (place === 'across 2 GiB') expect(first < 2 ** 31 && end > 2 ** 31).toBe(true);
    else expect(end).toBeGreaterThan(2 ** 32 - 2 ** 16 - 64);
    for (let row = 0; row < rows; row++) {
      const trits = Int8Array.from({ length: columns }, () => random.integer(-1, 1));
      far.matrix.scales[row] = near.matrix.scales[row] = random.unit();
      kernels.packRow(far.matrix, row, trits);
      scalar.packRow(near.matrix, row, trits);
    }
    for (let i = 0; i < near.q.length; i++) far.q[i] = near.q[i] = random.integer(-127, 127);
    for (let t = 0; t < tokens; t++) far.qScales[t] = near.qScales[t] = random.unit();
    scalar.ternaryMatmul(near.matrix, near.q, near.qScales, tokens, near.out);
    kernels.ternaryMatmul(far.matrix, far.q, far.qScales, tokens, far.out);
    expectSameBits(far.out, near.out);
    far.out.fill(NaN);
    for (let t = 0; t < tokens; t++) {
      kernels.ternaryMatmul(far.matrix, far.q.subarray(t * columns), far.qScales.subarray(t), 1, far.out.subarray(t * rows));
    }
    expectSameBits(far.out, near.out);
    kernels.add(far.out, far.out, far.out.length);
    expectSameBits(far.out, near.out.map((value) => value + value));
    kernels.swiglu(far.out, rows / 2, tokens, far.out);
    scalar.add(near.out, near.out, near.out.length);
    scalar.swiglu(near.out, rows / 2, tokens, near.out);
    expectSameBits(far.out.slice(0, (tokens * rows) / 2), near.out.slice(0, (tokens * rows) / 2));
  });
});
