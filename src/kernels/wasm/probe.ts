import { BackendError, messageOf, show } from '../../errors.js';
import { i32x4, i8x16, v128 } from '../../wasm/instructions.js';
import { createModule } from '../../wasm/module.js';
import type { BackendName } from '../kernels.js';

/** Backends that are a WebAssembly module. */
export type WasmBackend = Exclude<BackendName, 'scalar'>;

/** A module with a function that stores what an instruction makes of the vectors at 0, 16 and 32 (0). Engines have all of relaxed SIMD, or nothing. */
function probeOf(backend: WasmBackend): Uint8Array<ArrayBuffer> {
  const module = createModule({ sharedMemory: false });
  const [a, b] = [v128.load(0), v128.load(0, 16)];
  module.func('probe', {}, (body) => body.run(v128.store(0, backend === 'simd' ? i8x16.swizzle(a, b) : i32x4.relaxedDotAdd(a, b, v128.load(0, 32)))));
  return module.encode();
}

/** Whether the engine takes modules with the vectors of a backend. */
export function supportsVectors(backend: WasmBackend): boolean {
  return typeof WebAssembly !== 'undefined' && WebAssembly.validate(probeOf(backend));
}

/** Four times 127 · 255: all of it fits, as in `vpdpbusd`; x86 without that saturates sums of two to 16 bits, others take 255 for -1. */
const ONE_INSTRUCTION = 129540;

/**
 * Whether dot products are one instruction here, which the sum of products with 255, beyond the 7 bits that are defined, gives away. The
 * value chooses a backend and nothing else: that results are right is for the self-test to say.
 */
function hasFastDot(): boolean {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(probeOf('dot')), { env: { memory } });
  new Uint8Array(memory.buffer).fill(127, 0, 16).fill(255, 16, 32);
  (exports['probe'] as () => void)();
  return new Int32Array(memory.buffer)[0] === ONE_INSTRUCTION;
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

interface Found {
  /** Fastest first. */
  readonly there: readonly WasmBackend[];
  /** Why the engine cannot run the others. */
  readonly reasons: Partial<Record<BackendName, string>>;
}

/** What this engine can run; whether it computes rightly is another question. */
export async function findBackends(): Promise<Found> {
  const none = supportsVectors('simd') ? await refusal() : 'this engine has no WebAssembly SIMD';
  if (none !== undefined) return { there: [], reasons: { simd: none, relaxed: none, dot: none } };
  const missing = 'this engine has no relaxed SIMD';
  if (!supportsVectors('relaxed')) return { there: ['simd'], reasons: { relaxed: missing, dot: missing } };
  return { there: hasFastDot() ? ['dot', 'relaxed', 'simd'] : ['relaxed', 'simd', 'dot'], reasons: {} };
}

/**
 * The backends to try, the best one first.
 * @throws BackendError when there is none by this name, or none at all for 'auto'.
 */
export async function wasmBackends(backend: 'auto' | BackendName): Promise<readonly WasmBackend[]> {
  const { there, reasons } = await findBackends();
  // Dot products that are not the fastest are slower than look-ups.
  const wanted = there.filter((name, n) => (backend === 'auto' ? name !== 'dot' || n === 0 : name === backend));
  if (wanted.length > 0) return wanted;
  if (backend === 'auto') throw new BackendError(reasons.simd);
  const why = reasons[backend];
  const names = ['auto', 'scalar', ...[...there].reverse()].join(', ');
  throw new BackendError(`backend ${show(backend)} is not available here (available: ${names})${why === undefined ? '' : `: ${why}`}`);
}
