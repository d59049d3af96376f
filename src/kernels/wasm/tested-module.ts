import { messageOf, missingPart } from '../../errors.js';
import type { KernelSet } from '../kernels.js';
import { emitKernels } from './emit.js';
import type { WasmBackend } from './probe.js';
import type { Products } from './products.js';
import type { WasmKernelsOptions } from './wasm.js';

/** A backend's module, compiled, and what it was made with. */
export type TestedModule = Pick<WasmKernelsOptions, 'backend' | 'module' | 'products' | 'shared' | 'transformer'>;

/** The same; or why it must not be used. */
export type Tested = { readonly tested: TestedModule; readonly fault?: undefined } | { readonly tested?: undefined; readonly fault: string };

/**
 * The modules that have been tested, of each engine: that is of its `compile`, of which a process has one. All instances of a module run
 * the same machine code, those of other threads too, so that one test does for all.
 */
const engines = new WeakMap<typeof WebAssembly.compile, Record<string, Promise<Tested>>>();

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
  const testing = import('./self-test.js').catch(missingPart); // on its way while this thread writes the module
  const [products, parts, more] = await Promise.all([productsOf(backend, transformer !== false), ...partsOf(transformer)]);
  const module = await WebAssembly.compile(emitKernels({ products, threads: shared, transformer: parts }));
  const tested = { backend, module, products, shared, transformer: parts };
  const fault = (await testing).findFault(tested, more?.MORE_CHECKS);
  return fault === undefined ? { tested } : { fault };
}

/** The kernels of Transformers, as many as are wanted, and the checks of them. */
function partsOf(wanted: KernelSet): readonly [] | readonly [Promise<typeof import('./transformer.js')>, Promise<typeof import('./transformer-self-test.js')>] {
  if (!wanted) return [];
  return wanted === 'delta-net'
    ? [import('./delta-net.js').catch(missingPart), import('./delta-net-self-test.js').catch(missingPart)]
    : [import('./transformer.js').catch(missingPart), import('./transformer-self-test.js').catch(missingPart)];
}

/** Of the ways to multiply, only the one that is used is loaded. */
async function productsOf(backend: WasmBackend, grouped: boolean): Promise<Products> {
  if (backend === 'dot') {
    const [{ dotProducts }, more] = await Promise.all([import('./dot-products.js').catch(missingPart), grouped ? import('./dot-grouped.js').catch(missingPart) : undefined]);
    return dotProducts(more);
  }
  const { lookUpProducts } = await import('./lookup-products.js').catch(missingPart);
  return lookUpProducts(backend === 'relaxed', grouped ? await import('./grouped.js').catch(missingPart) : undefined);
}
