import { BackendError, missingPart } from '../../errors.js';
import type { BackendName, Kernels, KernelSet } from '../kernels.js';
import { wasmBackends } from './probe.js';
import { testedModule } from './tested-module.js';
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
  for (const name of wanted) {
    const { tested, fault } = await testedModule(name, shared, transformer);
    if (tested) return kernelsOn({ ...tested, pool: shared ? pool : undefined, backendNote: notes.join('; ') || undefined });
    notes.push(`backend ${name} is not available here: ${fault}`);
  }
  pool?.dispose();
  throw new BackendError(`${notes.join('; ')}${backend === 'auto' ? '' : '; use backend auto'}`);
}
