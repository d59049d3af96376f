import { BackendError, messageOf, show } from '../../errors.js';
import { i8x16, v128 } from '../../wasm/instructions.js';
import { createModule } from '../../wasm/module.js';
import type { BackendName } from '../kernels.js';

/** Backends that are a WebAssembly module. */
export type WasmBackend = Exclude<BackendName, 'scalar'>;

/** Fastest first. */
export const WASM_BACKENDS: readonly WasmBackend[] = ['relaxed', 'simd'];

/** Whether the engine takes modules with 128-bit vectors; with relaxed ones, if `relaxed`. */
export function supportsVectors(relaxed: boolean): boolean {
  if (typeof WebAssembly === 'undefined') return false;
  const module = createModule({ sharedMemory: false });
  module.func('probe', { x: 'i32' }, (b, { x }) => {
    const value = v128.load(x);
    b.run(v128.store(x, (relaxed ? i8x16.relaxedSwizzle : i8x16.swizzle)(value, value)));
  });
  return WebAssembly.validate(module.encode());
}

/**
 * Why the engine may not run WebAssembly at all, in its own words: a Content-Security-Policy without 'wasm-unsafe-eval', or too little
 * address space, of which the smallest memory takes up to 10 GiB. Undefined where it may.
 */
async function refusal(): Promise<string | undefined> {
  try {
    await WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    new WebAssembly.Memory({ initial: 1 });
    return undefined;
  } catch (error) {
    return messageOf(error) + (error instanceof RangeError ? '; raise the limit of address space (ulimit -v), or use backend scalar' : '');
  }
}

/** Why the engine cannot run a backend, by name; those that it can are missing. */
export async function missingBackends(): Promise<Partial<Record<BackendName, string>>> {
  const simd = supportsVectors(false) ? await refusal() : 'this engine has no WebAssembly SIMD';
  if (simd !== undefined) return { simd, relaxed: simd };
  return supportsVectors(true) ? {} : { relaxed: 'this engine has no relaxed SIMD' };
}

/**
 * The backends to try, the best one first.
 * @throws BackendError when there is none by this name, or none at all for 'auto'.
 */
export async function wasmBackends(backend: 'auto' | BackendName): Promise<readonly WasmBackend[]> {
  const missing = await missingBackends();
  const there = WASM_BACKENDS.filter((name) => missing[name] === undefined);
  const wanted = there.filter((name) => backend === 'auto' || name === backend);
  if (wanted.length > 0) return wanted;
  if (backend === 'auto') throw new BackendError(missing.simd);
  const why = missing[backend];
  const names = ['auto', 'scalar', ...there.reverse()].join(', ');
  throw new BackendError(`backend ${show(backend)} is not available here (available: ${names})${why === undefined ? '' : `: ${why}`}`);
}
