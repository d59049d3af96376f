import { messageOf, missingPart } from '../../errors.js';
import { emitKernels } from './emit.js';
import type { WasmBackend } from './probe.js';

/** A backend's module, compiled; or why it must not be used. */
export type Tested = { readonly module: WebAssembly.Module; readonly fault?: undefined } | { readonly module?: undefined; readonly fault: string };

/**
 * The modules that have been tested, of each engine: that is of its `compile`, of which a process has one. All instances of a module run
 * the same machine code, those of other threads too, so that one test does for all.
 */
const engines = new WeakMap<typeof WebAssembly.compile, Record<string, Promise<Tested>>>();

/** The module of a backend, compiled and tested (self-test.ts) once. One that fails the test stays out; what else fails is tried again. */
export function testedModule(backend: WasmBackend, shared: boolean): Promise<Tested> {
  const modules = engines.get(WebAssembly.compile) ?? {};
  engines.set(WebAssembly.compile, modules);
  const key = `${backend}${shared}`;
  return modules[key] ??= compileAndTest(backend, shared).catch((error: unknown) => {
    delete modules[key];
    return { fault: messageOf(error) };
  });
}

async function compileAndTest(backend: WasmBackend, shared: boolean): Promise<Tested> {
  const [{ findFault }, module] = await Promise.all([
    import('./self-test.js').catch(missingPart), // on its way while this thread writes the module
    WebAssembly.compile(emitKernels({ relaxed: backend === 'relaxed', threads: shared })),
  ]);
  const fault = findFault({ backend, module, shared });
  return fault === undefined ? { module } : { fault };
}
