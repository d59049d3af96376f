import { messageOf, missingPart } from '../../errors.js';
import type { KernelSet } from '../kernels.js';
import { emitKernels } from './emit.js';
import type { WasmBackend } from './probe.js';

/** A backend's module, compiled; or why it must not be used. */
export type Tested = { readonly module: WebAssembly.Module; readonly fault?: undefined } | { readonly module?: undefined; readonly fault: string };

/**
 * The modules that have been tested, of each engine: that is of its `compile`, of which a process has one. All instances of a module run
 * the same machine code, those of other threads too, so that one test does for all.
 */
const engines = new WeakMap<typeof WebAssembly.compile, Record<string, Promise<Tested>>>();

/** The kernels of Transformers, as many as are wanted. */
export async function transformerModule(wanted: KernelSet): Promise<typeof import('./transformer.js') | undefined> {
  return wanted ? (wanted === 'delta-net' ? import('./delta-net.js') : import('./transformer.js')).catch(missingPart) : undefined;
}

/** The module of a backend, with the kernels of Transformers or without, compiled and tested (self-test.ts) once. One that fails the test stays out; what else fails is tried again. */
export function testedModule(backend: WasmBackend, shared: boolean, transformer: KernelSet): Promise<Tested> {
  const modules = engines.get(WebAssembly.compile) ?? {};
  engines.set(WebAssembly.compile, modules);
  const key = `${backend}${shared}${transformer}`;
  return modules[key] ??= compileAndTest(backend, shared, transformer).catch((error: unknown) => {
    delete modules[key];
    return { fault: messageOf(error) };
  });
}

async function compileAndTest(backend: WasmBackend, shared: boolean, transformer: KernelSet): Promise<Tested> {
  const parts = await transformerModule(transformer);
  const [{ findFault }, more, module] = await Promise.all([
    import('./self-test.js').catch(missingPart), // on its way while this thread writes the module
    transformer ? (transformer === 'delta-net' ? import('./delta-net-self-test.js') : import('./transformer-self-test.js')).catch(missingPart) : undefined,
    WebAssembly.compile(emitKernels({ relaxed: backend === 'relaxed', threads: shared, more: parts?.emitTransformer })),
  ]);
  const fault = findFault({ backend, module, shared, transformer: parts }, more?.MORE_CHECKS);
  return fault === undefined ? { module } : { fault };
}
