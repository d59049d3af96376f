import type { BackendName } from 'matmulfree';
import type { FloatKernels } from './float-kernels.js';
import { createJsKernels } from './js-kernels.js';
import { createWasmFloatKernels } from './wasm-kernels.js';

export interface FloatKernelOptions {
  /** `dot` has no kernels of its own here: those of `relaxed`. */
  readonly backend: 'js' | Exclude<BackendName, 'scalar'>;
  /** The calling one included; JavaScript has one. */
  readonly threads: number;
}

export async function createFloatKernels({ backend, threads }: FloatKernelOptions): Promise<FloatKernels> {
  return backend === 'js' ? createJsKernels() : createWasmFloatKernels(backend === 'dot' ? 'relaxed' : backend, threads);
}
