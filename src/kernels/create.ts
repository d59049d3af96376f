import { BackendError, messageOf, missingPart } from '../errors.js';
import { checkNumber, givenOptions } from '../options.js';
import { processors } from '../platform/threads.js';
import type { Arena } from './arena.js';
import type { BackendName, Kernels, KernelSet } from './kernels.js';
import { createScalarKernels } from './scalar/scalar.js';

export interface KernelOptions {
  /** Default 'auto': the fastest one that this engine supports. */
  readonly backend?: 'auto' | BackendName | undefined;
  /** Threads to use, the calling one included. Default 'auto': one less than there are processors. The scalar backend has one. */
  readonly threads?: 'auto' | number | undefined;
  /**
   * Whether layers of Transformers are wanted: attention, GLU with an up projection, BitLinear without a norm, float heads; 'delta-net': also gated delta
   * nets, gates of attention, and rotated weights. Default false.
   */
  readonly transformer?: KernelSet | undefined;
}

const MAX_THREADS = 64;

/** Why backends are missing from `availableBackends`, by their names: the engine lacks something, or computes wrongly with them. */
export async function unavailableBackends(): Promise<Partial<Record<BackendName, string>>> {
  return (await import('./wasm/available.js').catch(missingPart)).unavailableWasmBackends();
}

/**
 * Backends that can be used here, slowest first: those that this engine supports, this page's Content-Security-Policy allows, and the
 * engine computes rightly (every kernel is tested, once a process).
 */
export async function availableBackends(): Promise<BackendName[]> {
  return (await import('./wasm/available.js').catch(missingPart)).availableWasmBackends();
}

/**
 * The kernels of the backend that was asked for, or of the best there is; `backendNote` says why a better one is left out.
 * @throws ArgumentError for `threads`; BackendError when that backend does not exist, is not available here, or computes wrongly here.
 */
export async function createKernels(options: KernelOptions = {}): Promise<Kernels> {
  const { backend = 'auto', threads = 'auto', transformer = false } = givenOptions('createKernels', options, ['backend', 'threads', 'transformer']);
  if (threads !== 'auto') checkNumber('threads', threads, 1, MAX_THREADS, 'whole');
  const count = threads === 'auto' ? Math.min(Math.max(processors() - 1, 1), MAX_THREADS) : threads;
  if (backend === 'scalar') return scalarKernels(transformer);
  try {
    const { createWasmKernels } = await import('./wasm/create.js').catch(missingPart); // not in the first chunk of a bundle
    return await createWasmKernels(backend, count, transformer);
  } catch (error) {
    // What passes the probe may fail nevertheless: no memory for the code, or a service worker, which may not `import()`.
    if (backend === 'auto') return scalarKernels(transformer, messageOf(error));
    throw error;
  }
}

/**
 * Kernels, and `bytes(kernels)` bytes of memory for them. With backend 'auto' they are scalar where WebAssembly cannot have so much.
 * @throws as createKernels, and BackendError when there is no memory.
 */
export async function createKernelsAndArena(
  options: KernelOptions, bytes: (kernels: Kernels) => number | Promise<number>,
): Promise<{ readonly kernels: Kernels; readonly arena: Arena }> {
  let kernels = await createKernels(options);
  for (;;) {
    try {
      return { kernels, arena: kernels.createArena(await bytes(kernels)) };
    } catch (error) {
      kernels.dispose();
      if (!(error instanceof BackendError) || (options.backend ?? 'auto') !== 'auto' || kernels.backend === 'scalar') throw error;
      kernels = await scalarKernels(options.transformer, error.message);
    }
  }
}

async function scalarKernels(transformer: KernelSet | undefined, backendNote?: string): Promise<Kernels> {
  const more = transformer ? (await import('./scalar/load-transformer.js').catch(missingPart)).scalarTransformer(transformer) : undefined;
  return createScalarKernels({ backendNote, transformer: await more });
}
