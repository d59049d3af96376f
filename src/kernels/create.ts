import { BackendError, missingPart, show } from '../errors.js';
import { checkNumber, givenOptions } from '../options.js';
import { processors } from '../platform/threads.js';
import type { BackendName, Kernels } from './kernels.js';
import { createScalarKernels } from './scalar/scalar.js';

export interface KernelOptions {
  /** Default 'auto': the fastest one that this engine supports. */
  readonly backend?: 'auto' | BackendName | undefined;
  /** Threads to use, the calling one included. Default 'auto': one less than there are processors. The scalar backend has one. */
  readonly threads?: 'auto' | number | undefined;
}

const MAX_THREADS = 64;

interface Found {
  /** Slowest first. */
  readonly backends: readonly BackendName[];
  /** Why WebAssembly is not among them, if the engine has it. */
  readonly refusal?: string | undefined;
}

async function probe(): Promise<Found> {
  const backends: BackendName[] = ['scalar'];
  const { refusal, supportsVectors } = await import('./wasm/probe.js').catch(missingPart); // not in the first chunk of a bundle
  if (supportsVectors(false)) backends.push('simd');
  if (supportsVectors(true)) backends.push('relaxed');
  const refused = backends.length > 1 ? await refusal() : undefined;
  return refused === undefined ? { backends } : { backends: ['scalar'], refusal: refused };
}

/** Backends that this engine supports, and this page's Content-Security-Policy allows, slowest first. */
export async function availableBackends(): Promise<BackendName[]> {
  return [...(await probe()).backends];
}

/**
 * The kernels of the backend that was asked for, or of the best there is.
 * @throws ArgumentError for `threads`; BackendError when that backend does not exist or is not available here.
 */
export async function createKernels(options: KernelOptions = {}): Promise<Kernels> {
  const { backend = 'auto', threads = 'auto' } = givenOptions('createKernels', options, ['backend', 'threads']);
  if (threads !== 'auto') checkNumber('threads', threads, 1, MAX_THREADS, 'whole');
  const count = threads === 'auto' ? Math.min(Math.max(processors() - 1, 1), MAX_THREADS) : threads;
  if (backend === 'scalar') return createScalarKernels();
  try {
    const { backends, refusal } = await probe();
    const best = backend === 'auto' ? backends.at(-1) : backends.find((name) => name === backend);
    if (best === undefined) {
      const why = refusal === undefined ? '' : `: ${refusal}`;
      throw new BackendError(`backend ${show(backend)} is not available here (available: auto, ${backends.join(', ')})${why}`);
    }
    if (best === 'scalar') return createScalarKernels();
    const { createWasmKernels } = await import('./wasm/wasm.js').catch(missingPart);
    return await createWasmKernels({ backend: best, threads: count });
  } catch (error) {
    // What passes the probe may fail nevertheless: no memory for the code, or a service worker, which may not `import()`.
    if (backend === 'auto') return createScalarKernels();
    throw error;
  }
}
