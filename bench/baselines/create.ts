import type { FloatKernels } from './float-kernels.js';
import { createJsKernels } from './js-kernels.js';
import { createWasmFloatKernels } from './wasm-kernels.js';

export interface FloatKernelOptions {
  readonly backend: FloatKernels['backend'];
  /** The calling one included; JavaScript has one. */
  readonly threads: number;
}

export async function createFloatKernels({ backend, threads }: FloatKernelOptions): Promise<FloatKernels> {
  return backend === 'js' ? createJsKernels() : createWasmFloatKernels(backend, threads);
}
