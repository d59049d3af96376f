import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { availableBackends, BackendError, createKernels, MatMulFreeLM, unavailableBackends, type BackendName, type Kernels, type KernelOptions } from 'matmulfree';
import { createKernelsAndArena } from '../../src/kernels/create.js';
import { supportsVectors } from '../../src/kernels/wasm/probe.js';
import '../support/backends.js'; // switches relaxed SIMD on in Node 20
import { built } from '../support/build.js';
import type { EngineReport } from '../support/engine-report.js';
import { EMBEDDED } from '../support/files.js';
import { cli } from '../support/run.js';
import { hashLogits } from '../support/thread-logits.js';
import { watchWorkers } from '../support/thread-workers.js';
import { idleFunctions } from '../support/wasm-faults.js';

const made: Kernels[] = [];
async function create(options?: KernelOptions): Promise<Kernels> {
  const kernels = await createKernels(options);
  made.push(kernels);
  return kernels;
}
afterEach(() => {
  vi.restoreAllMocks();
  for (const kernels of made.splice(0)) kernels.dispose();
});

const AVAILABLE = await availableBackends();
const [NEXT, BEST] = AVAILABLE.slice(-2) as [BackendName, BackendName];
/** What auto tries before it takes the scalar one: not dot where that is slow. */
const TRIED = AVAILABLE.filter((backend, n) => backend !== 'scalar' && (backend !== 'dot' || n === AVAILABLE.length - 1)).length;
/** All that this engine takes modules of. */
const COMPILED = (['simd', 'relaxed', 'dot'] as const).filter((backend) => supportsVectors(backend)).length;

/** Relaxed SIMD's swizzle and sum of dot products, by their opcodes. */
function backendOf(module: Uint8Array): BackendName {
  const has = (low: number): boolean => Buffer.from(module).includes(Buffer.from([0xfd, low, 0x02]));
  return has(0x93) ? 'dot' : has(0x80) ? 'relaxed' : 'simd';
}

/** An engine that compiles a function of some of our modules to nothing. Tells how many it was asked for. */
function engineThatSpoils(name: string, which: (module: Uint8Array) => boolean = () => true): { readonly compiled: () => number } {
  const { compile } = WebAssembly;
  let compiled = 0;
  vi.spyOn(WebAssembly, 'compile').mockImplementation(async (source) => {
    const bytes = source as Uint8Array<ArrayBuffer>;
    if (bytes.length < 1000) return compile(bytes);
    compiled++;
    const fault = which(bytes) ? [...idleFunctions(bytes)].find((idle) => idle.name === name) : undefined;
    return compile(fault?.module() ?? bytes);
  });
  return { compiled: () => compiled };
}

/** An engine that gives no memory of more than so many pages. */
function engineWithMemory(pages: number): void {
  const { Memory } = WebAssembly;
  vi.spyOn(WebAssembly, 'Memory').mockImplementation(function refuse(descriptor: WebAssembly.MemoryDescriptor) {
    if (descriptor.initial > pages) throw new RangeError('WebAssembly.Memory(): could not allocate memory');
    return new Memory(descriptor);
  });
}

async function greedyText(lm: MatMulFreeLM): Promise<string> {
  let text = '';
  for await (const piece of lm.generate('Once upon a time', { temperature: 0, maxNewTokens: 8 })) text += piece;
  return text;
}

describe.each([1, 2])('an engine that computes wrongly, %i threads', (threads) => {
  const fault = (name: string): RegExp => new RegExp(`gives wrong results \\(in a test before use: ${name}\\)`);

  it.skipIf(NEXT === 'scalar')(`with one backend: auto takes the next, and says so${NEXT === 'scalar' ? ' (skipped: this engine has no relaxed SIMD)' : ''}`, async () => {
    engineThatSpoils('ternaryRows', (module) => backendOf(module) === BEST);
    const kernels = await create({ threads });
    expect(kernels).toMatchObject({ backend: NEXT, threads });
    expect(kernels.backendNote).toBe(`backend ${BEST} is not available here: this engine's WebAssembly gives wrong results (in a test before use: ternaryRows)`);
    expect(await availableBackends()).toEqual(AVAILABLE.filter((backend) => backend !== BEST));
    expect(await unavailableBackends()).toMatchObject({ [BEST]: expect.stringMatching(fault('ternaryRows')) as string });
    await expect(create({ backend: BEST, threads })).rejects.toThrow(BackendError);
    await expect(create({ backend: BEST, threads })).rejects.toThrow(new RegExp(`^backend ${BEST} is not available here: .*ternaryRows\\); use backend auto$`));
    expect(await create({ backend: 'simd', threads })).toMatchObject({ backend: 'simd', backendNote: undefined });
  });

  it('with all of them: auto is scalar, and no thread is left', async () => {
    engineThatSpoils('swiglu');
    const { value: kernels, workers } = await watchWorkers(() => create({ threads }));
    expect(kernels).toMatchObject({ backend: 'scalar', threads: 1 });
    expect(kernels.backendNote).toMatch(fault('swiglu'));
    expect(kernels.backendNote!.match(/not available here/g)).toHaveLength(TRIED);
    expect(await availableBackends()).toEqual(['scalar']);
    await expect(create({ backend: 'simd', threads })).rejects.toThrow(fault('swiglu'));
    await Promise.all(workers.map(({ ended }) => ended));
  });

  it('writes the right text all the same', async () => {
    const right = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
    engineThatSpoils('rmsNormQuantize');
    const lm = await MatMulFreeLM.load(EMBEDDED, { threads });
    expect(lm.backend).toBe('scalar');
    expect(lm.info().backendNote).toMatch(fault('rmsNormQuantize'));
    expect(await greedyText(lm)).toBe(await greedyText(right));
    expect(right.info().backendNote).toBeUndefined();
    await expect(MatMulFreeLM.load(EMBEDDED, { backend: 'simd', threads })).rejects.toThrow(fault('rmsNormQuantize'));
  });
});

it('threads that an engine computes wrongly are found out too', async () => {
  engineThatSpoils('worker');
  expect(await create({ threads: 2 })).toMatchObject({ backend: 'scalar', backendNote: expect.stringMatching(/: worker\)/) as string });
  expect(await create({ threads: 1 })).toMatchObject({ backend: BEST, backendNote: undefined });
});

it('matmulfree info says it', async () => {
  engineThatSpoils('add');
  const [{ stdout }, json] = [await cli('info'), await cli('info', '--json')];
  expect(stdout).toMatch(/^backend +scalar, 1 thread$/m);
  expect(stdout).toMatch(/^left out +backend \w+ is not available here: this engine's WebAssembly gives wrong results \(in a test before use: add\)/m);
  expect(JSON.parse(json.stdout)).toMatchObject({ backend: 'scalar', backendNote: expect.stringMatching(/: add\)/) as string });
  vi.restoreAllMocks();
  expect((await cli('info')).stdout).not.toMatch(/left out/);
});

describe('dot products', () => {
  /** An engine in which the sum of 127 · 255 four times comes out as that: machines differ there (probe.ts). */
  function engineWithSum(sum: number): void {
    const { Instance } = WebAssembly;
    vi.spyOn(WebAssembly, 'Instance').mockImplementation(function start(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      const instance = new Instance(module, imports);
      const { memory } = imports!['env'] as { memory: WebAssembly.Memory };
      return 'probe' in instance.exports ? { exports: { probe: () => new Int32Array(memory.buffer).fill(sum, 0, 4) } } : instance;
    });
  }
  const others = AVAILABLE.filter((backend) => backend !== 'dot' && backend !== 'scalar');
  const skipped = AVAILABLE.includes('dot') ? '' : ' (skipped: this engine has none that are right)';

  it.skipIf(skipped)(`are the first choice where they are one instruction${skipped}`, async () => {
    engineWithSum(129540);
    expect(await availableBackends()).toEqual(['scalar', ...others, 'dot']);
    expect(await create({ threads: 1 })).toMatchObject({ backend: 'dot', backendNote: undefined });
    const lm = await MatMulFreeLM.load(EMBEDDED, { threads: 2 });
    expect([lm.backend, lm.info().backendNote]).toEqual(['dot', undefined]);
    lm.dispose();
  });

  it.skipIf(skipped).each([65534, 131068, -508, 0])(`are there for who asks, and no choice of auto, where they are not: %i${skipped}`, async (sum) => {
    engineWithSum(sum);
    expect(await availableBackends()).toEqual(['scalar', 'dot', ...others]);
    expect(await create({ threads: 1 })).toMatchObject({ backend: others.at(-1), backendNote: undefined });
    expect(await create({ backend: 'dot', threads: 1 })).toMatchObject({ backend: 'dot' });
  });

  it('that are computed wrongly: auto takes the next best, whatever the probe says', async () => {
    engineWithSum(129540);
    engineThatSpoils('sumUp');
    if (COMPILED === 3) expect((await create({ threads: 1 })).backendNote).toMatch(/^backend dot is not available here: .*wrong results/);
    expect(await create({ threads: 1 })).toMatchObject({ backend: others.at(-1) });
    await expect(create({ backend: 'dot' })).rejects.toThrow(BackendError);
    await expect(create({ backend: 'dot' })).rejects.toThrow(/^backend "?dot"? is not available here/);
  });
});

describe('a module', () => {
  it('is compiled and tested once, for however many kernels, also at the same time', async () => {
    const { compiled } = engineThatSpoils('', () => false);
    await Promise.all([create({ threads: 1 }), create({ threads: 1 }), create({ threads: 1 })]);
    await create({ threads: 1 });
    expect(compiled()).toBe(1);
    await availableBackends();
    await create({ backend: 'simd', threads: 1 });
    expect(compiled()).toBe(COMPILED);
  });

  it('that was computed wrongly is not tried again', async () => {
    const { compiled } = engineThatSpoils('add');
    for (let n = 0; n < 3; n++) await expect(create({ backend: 'simd', threads: 1 })).rejects.toThrow(/: add\)/);
    expect(compiled()).toBe(1);
  });

  it('that there was no memory for is tried again', async () => {
    engineThatSpoils('', () => false); // a new engine, which knows no module yet
    const { Memory } = WebAssembly;
    engineWithMemory(1);
    await expect(create({ backend: 'simd', threads: 1 })).rejects.toThrow(/^backend simd is not available here: cannot allocate \d+ MiB/);
    Object.assign(WebAssembly, { Memory });
    expect(await create({ backend: 'simd', threads: 1 })).toMatchObject({ backend: 'simd' });
  });
});

describe('too little address space for WebAssembly', () => {
  it.each([[0, 'at all'], [40, 'for the model']])('%i pages at most: auto is scalar %s, and says why', async (pages) => {
    engineWithMemory(pages);
    const { value: lm, workers } = await watchWorkers(() => MatMulFreeLM.load(EMBEDDED, { threads: 2 }));
    expect([lm.backend, lm.threads]).toEqual(['scalar', 1]);
    expect(lm.info().backendNote).toMatch(pages === 0 ? /could not allocate memory; raise the limit of address space \(ulimit -v\), or use backend scalar/ : /^cannot allocate \d+ MiB of WebAssembly memory for the model; .*backend scalar \(in Node: .*ulimit -v\)$/);
    expect(await greedyText(lm)).toMatch(/\w/);
    expect(workers).toHaveLength(pages === 0 ? 0 : 1);
    await Promise.all(workers.map(({ ended }) => ended));
    expect(await availableBackends()).toEqual(pages === 0 ? ['scalar'] : expect.arrayContaining(['scalar', 'simd']));
  });

  it.each([0, 40])('%i pages at most: a backend that was asked for by name is refused', async (pages) => {
    engineWithMemory(pages);
    const error = await MatMulFreeLM.load(EMBEDDED, { backend: 'simd', threads: 1 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BackendError);
    expect((error as Error).message).toMatch(/allocate.*; .*(ulimit -v.*backend scalar|backend scalar.*ulimit -v)/);
  });

  it('also of a model that takes more than WebAssembly can address', async () => {
    const { kernels, arena } = await createKernelsAndArena({ threads: 1 }, ({ backend }) => (backend === 'scalar' ? 1000 : 2 ** 32));
    expect(kernels).toMatchObject({ backend: 'scalar', backendNote: expect.stringMatching(/^the model needs 409\d MiB: more than the 4 GiB/) as string });
    expect(arena.f32(2)).toHaveLength(2);
  });

  it('and too little for scalar as well: the error is that of scalar; other errors are not covered up', async () => {
    engineWithMemory(0);
    await expect(createKernelsAndArena({}, () => 2 ** 53)).rejects.toThrow(/^scalar: cannot allocate/);
    await expect(createKernelsAndArena({}, () => { throw new TypeError('mine'); })).rejects.toThrow('mine');
  });

  it.skipIf(process.platform !== 'linux')(`set by the operating system${process.platform === 'linux' ? '' : ' (skipped: not Linux)'}: a model is loaded, and computes the same`, async () => {
    const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -v 8000000; exec "$0" "$1"', process.execPath, built('test/support/engine-report.ts')]);
    const { backends: { auto }, missing } = JSON.parse(stdout) as EngineReport;
    expect(auto).toMatchObject({ logits: await hashLogits({ backend: 'scalar' }) });
    // Later versions of Node take less address space.
    if (auto!.used === 'scalar') expect([auto!.note, missing.simd]).toEqual([expect.stringMatching(/ulimit -v/), expect.stringMatching(/ulimit -v/)]);
    else expect(auto!.note).toBeUndefined();
  });
});
