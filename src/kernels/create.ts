import { BackendError, show } from '../errors.js';
import { checkNumber } from '../options.js';
import { processors } from '../platform.js';
import type { BackendName, Kernels } from './kernels.js';
import { createScalarKernels } from './scalar/scalar.js';

export interface KernelOptions {
  /** Default 'auto': the fastest one that this engine supports. */
  readonly backend?: 'auto' | BackendName | undefined;
  /** Threads to use, the calling one included. Default 'auto': one less than there are processors. The scalar backend has one. */
  readonly threads?: 'auto' | number | undefined;
}

const MAX_THREADS = 64;

/** Backends that this engine supports, slowest first. */
export async function availableBackends(): Promise<BackendName[]> {
  const { supportsVectors } = await import('./wasm/probe.js'); // not in the first chunk of a bundle
  const backends: BackendName[] = ['scalar'];
  if (supportsVectors(false)) backends.push('simd');
  if (supportsVectors(true)) backends.push('relaxed');
  return backends;
}

/**
 * The kernels of the backend that was asked for, or of the best there is.
 * @throws ArgumentError for `threads`; BackendError when that backend does not exist or is not available here.
 */
export async function createKernels(options: KernelOptions = {}): Promise<Kernels> {
  const { backend = 'auto', threads = 'auto' } = options;
  if (threads !== 'auto') checkNumber('threads', threads, 1, MAX_THREADS, 'whole');
  const count = threads === 'auto' ? Math.min(Math.max(processors() - 1, 1), MAX_THREADS) : threads;
  if (backend === 'scalar') return createScalarKernels();
  try {
    const available = await availableBackends();
    const best = backend === 'auto' ? available.at(-1) : available.find((name) => name === backend);
    if (best === undefined) {
      throw new BackendError(`backend ${show(backend)} is not available here (available: auto, ${available.join(', ')})`);
    }
    if (best === 'scalar') return createScalarKernels();
    const { createWasmKernels } = await import('./wasm/wasm.js');
    return await createWasmKernels({ backend: best, threads: count });
  } catch (error) {
    // A page's Content-Security-Policy may forbid what the engine could do, and a service worker `import()`.
    if (backend === 'auto') return createScalarKernels();
    throw error;
  }
}
