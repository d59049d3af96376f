import { BackendError, show } from '../errors.js';
import { checkNumber } from '../options.js';
import { processors } from '../platform.js';
import { createModule } from '../wasm/module.js';
import { i8x16, v128 } from '../wasm/instructions.js';
import type { BackendName, Kernels } from './kernels.js';
import { createScalarKernels } from './scalar/scalar.js';
import { createWasmKernels } from './wasm/wasm.js';

export interface KernelOptions {
  /** Default 'auto': the fastest one that this engine supports. */
  readonly backend?: 'auto' | BackendName | undefined;
  /** Threads to use, the calling one included. Default 'auto': one less than there are processors. The scalar backend has one. */
  readonly threads?: 'auto' | number | undefined;
}

const MAX_THREADS = 64;

/** Backends that this engine supports, slowest first. */
export function availableBackends(): BackendName[] {
  const backends: BackendName[] = ['scalar'];
  if (supports(false)) backends.push('simd');
  if (supports(true)) backends.push('relaxed');
  return backends;
}

/**
 * The kernels of the backend that was asked for, or of the best there is.
 * @throws ArgumentError for `threads`; BackendError when that backend does not exist or is not available here.
 */
export async function createKernels(options: KernelOptions = {}): Promise<Kernels> {
  const { backend = 'auto', threads = 'auto' } = options;
  if (threads !== 'auto') checkNumber('threads', threads, 1, MAX_THREADS, 'whole');
  const available = availableBackends();
  if (backend !== 'auto' && !available.includes(backend)) {
    throw new BackendError(`backend ${show(backend)} is not available here (available: auto, ${available.join(', ')})`);
  }
  const count = threads === 'auto' ? Math.min(Math.max(processors() - 1, 1), MAX_THREADS) : threads;
  const best = backend === 'auto' ? available.at(-1)! : backend;
  if (best === 'scalar') return createScalarKernels();
  try {
    return await createWasmKernels({ backend: best, threads: count });
  } catch (error) {
    // A page's Content-Security-Policy may forbid what the engine could do.
    if (backend === 'auto' && error instanceof BackendError) return createScalarKernels();
    throw error;
  }
}

/** Whether the engine takes modules with 128-bit vectors, and with relaxed ones. */
function supports(relaxed: boolean): boolean {
  if (typeof WebAssembly === 'undefined') return false;
  const module = createModule({ sharedMemory: false });
  module.func('probe', { x: 'i32' }, (b, { x }) => {
    const value = v128.load(x);
    b.run(v128.store(x, (relaxed ? i8x16.relaxedSwizzle : i8x16.swizzle)(value, value)));
  });
  return WebAssembly.validate(module.encode());
}
