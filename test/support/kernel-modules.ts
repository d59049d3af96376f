import { availableBackends } from 'matmulfree';
import { dotProducts } from '../../src/kernels/wasm/dot-products.js';
import { lookUpProducts } from '../../src/kernels/wasm/lookup-products.js';
import { supportsVectors, type WasmBackend } from '../../src/kernels/wasm/probe.js';
import type { Products } from '../../src/kernels/wasm/products.js';
import './backends.js'; // switches relaxed SIMD on in Node 20

export interface KernelModule {
  readonly name: string;
  readonly backend: WasmBackend;
  readonly shared: boolean;
  readonly products: Products;
  /** Whether this engine takes it; and computes it rightly, as far as the self-test tells. */
  readonly compiles: boolean;
  readonly runs: boolean;
}

const available = await availableBackends();
const PRODUCTS: Readonly<Record<WasmBackend, Products>> = { simd: lookUpProducts(false), relaxed: lookUpProducts(true), dot: dotProducts() };

/** The modules of all backends, with threads and without. */
export const MODULES: readonly KernelModule[] = (['simd', 'relaxed', 'dot'] as const).flatMap((backend) => [false, true].map((shared) => {
  const [compiles, runs] = [supportsVectors(backend), available.includes(backend)];
  const note = !compiles ? ' (skipped: this engine has no relaxed SIMD)' : !runs ? ' (skipped: this engine computes it wrongly)' : '';
  return { name: `${backend}${shared ? ', threads' : ''}${note}`, backend, shared, products: PRODUCTS[backend], compiles, runs };
}));
