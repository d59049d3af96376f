import { describe, expect, it } from 'vitest';
import { emitKernels, kernelParameters } from '../../src/kernels/wasm/emit.js';
import { MODULES } from '../support/kernel-modules.js';

describe.each(MODULES)('the module of the kernels: $name', ({ products, shared: threads, compiles: runs }) => {
  const bytes = emitKernels({ products, threads });
  const ownMemory = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 80 });
  const sharedMemory = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });

  it.skipIf(!runs)('validates, compiles, and is the same each time', async () => {
    expect(WebAssembly.validate(bytes)).toBe(true);
    await expect(WebAssembly.compile(bytes)).resolves.toBeInstanceOf(WebAssembly.Module);
    expect(emitKernels({ products, threads })).toEqual(bytes);
  });

  it.skipIf(!runs)('imports its memory and nothing else', () => {
    expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
  });

  it.skipIf(!runs)('exports the kernels under their names, and what runs them', () => {
    const exported = WebAssembly.Module.exports(new WebAssembly.Module(bytes));
    expect(exported.every(({ kind }) => kind === 'function')).toBe(true);
    const names = exported.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(Object.keys(kernelParameters(products))));
    expect(names).toEqual(expect.arrayContaining([
      'ternaryRows', 'rmsNorm', 'rmsNormQuantize', 'mlgruRecurrence', 'gatedRmsNorm', 'swiglu', 'add', 'runChunk', 'runJob',
    ]));
    for (const name of ['takeChunks', 'join', 'worker']) expect(names.includes(name), name).toBe(threads);
  });

  it.skipIf(!runs)(threads ? 'runs on shared memory, of any size up to 4 GiB, and on no other' : 'runs on memory of its own, and needs no shared one', () => {
    const module = new WebAssembly.Module(bytes);
    const start = (memory: WebAssembly.Memory) => () => new WebAssembly.Instance(module, { env: { memory } });
    expect(start(threads ? sharedMemory() : ownMemory())).not.toThrow();
    expect(start(threads ? ownMemory() : sharedMemory())).toThrow(WebAssembly.LinkError);
    if (threads) expect(start(new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }))).not.toThrow();
    else expect(start(new WebAssembly.Memory({ initial: 65536 }))).not.toThrow();
  });

  it.skipIf(!runs)('has no function that is empty or unreasonably large', () => {
    // Engines give up optimising functions that are too long; 60 KiB in all is what a page can load in passing.
    expect(bytes.length).toBeGreaterThan(4000);
    expect(bytes.length).toBeLessThan(60 * 1024);
  });
});

it('each backend has a module of its own, and so have threads', () => {
  const modules = MODULES.map(({ products, shared }) => Buffer.from(emitKernels({ products, threads: shared })).toString('base64'));
  expect(new Set(modules).size).toBe(6);
});
