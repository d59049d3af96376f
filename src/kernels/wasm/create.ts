import { BackendError, missingPart } from '../../errors.js';
import type { BackendName, Kernels, KernelSet } from '../kernels.js';
import { missingBackends, wasmBackends, WASM_BACKENDS } from './probe.js';
import { testedModule, transformerModule } from './tested-module.js';
import type { ThreadPool } from './threads.js';
import { kernelsOn } from './wasm.js';

/**
 * Kernels of that backend, or of the best one, in WebAssembly.
 * @param threads to use, the calling one included.
 * @param transformer of `KernelOptions`.
 * @throws BackendError when this engine lacks it, may not run it or computes it wrongly; for 'auto': all of them.
 */
export async function createWasmKernels(backend: 'auto' | BackendName, threads: number, transformer: KernelSet): Promise<Kernels> {
  const wanted = await wasmBackends(backend);
  let pool: ThreadPool | undefined;
  if (threads > 1 && typeof SharedArrayBuffer !== 'undefined') { // pages that may not share memory need none of it
    const starting = import('./threads.js').catch(missingPart).then(({ createThreadPool }) => createThreadPool(threads - 1));
    [pool] = await Promise.all([starting, testedModule(wanted[0]!, true, transformer)]);
  }
  const shared = pool !== undefined && pool.size > 0;
  const notes: string[] = [];
  const parts = await transformerModule(transformer);
  for (const name of wanted) {
    const { module, fault } = await testedModule(name, shared, transformer);
    if (module) {
      return kernelsOn({ backend: name, module, shared, transformer: parts, pool: shared ? pool : undefined, backendNote: notes.join('; ') || undefined });
    }
    notes.push(`backend ${name} is not available here: ${fault}`);
  }
  pool?.dispose();
  throw new BackendError(`${notes.join('; ')}${backend === 'auto' ? '' : '; use backend auto'}`);
}

/** Why this engine lacks, may not run, or must not use a backend, by name. */
export async function unavailableWasmBackends(): Promise<Partial<Record<BackendName, string>>> {
  const reasons = await missingBackends();
  for (const name of WASM_BACKENDS) {
    const fault = reasons[name] ?? (await testedModule(name, false, false)).fault;
    if (fault !== undefined) reasons[name] = fault;
  }
  return reasons;
}
