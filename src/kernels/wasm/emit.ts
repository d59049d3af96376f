import { createModule, type ModuleBuilder, type Parameters } from '../../wasm/module.js';
import { ELEMENTWISE_PARAMETERS, emitElementwise } from './elementwise.js';
import { emitJobs } from './jobs.js';
import type { Products } from './products.js';

/** The kernels of Transformers, where they are wanted. */
export type TransformerPart = Pick<typeof import('./transformer.js'), 'TRANSFORMER_PARAMETERS' | 'emitTransformer'>;

export interface EmitOptions {
  readonly products: Products;
  /** Shared memory, and the functions for other threads. */
  readonly threads: boolean;
  readonly transformer?: TransformerPart | undefined;
}

/** Parameters of all kernels by their names, in the order of their numbers. */
export function kernelParameters({ parameters }: Products, transformer?: TransformerPart): Readonly<Record<string, Parameters>> {
  return { ...parameters, ...ELEMENTWISE_PARAMETERS, ...transformer?.TRANSFORMER_PARAMETERS };
}

/** The WebAssembly module of all kernels. It imports its memory as `env.memory`. */
export function emitKernels({ products, threads, transformer }: EmitOptions): Uint8Array<ArrayBuffer> {
  const module: ModuleBuilder = createModule({ sharedMemory: threads });
  const functions = [...products.emit(module), ...Object.values(emitElementwise(module)), ...(transformer?.emitTransformer(module) ?? [])];
  emitJobs(module, Object.values(kernelParameters(products, transformer)).map((parameters, n) => ({ func: functions[n]!, parameters })), threads);
  return module.encode();
}
