import { BackendError, messageOf, show } from '../../errors.js';
import { i32x4, i8x16, v128, type V128 } from '../../wasm/instructions.js';
import { createModule } from '../../wasm/module.js';
import type { BackendName } from '../kernels.js';
import { ZERO } from './vectors.js';

/** Backends that are a WebAssembly module. */
export type WasmBackend = Exclude<BackendName, 'scalar'>;

/** A module with a function that stores what an instruction makes of two vectors at address `x`, and of a third that is 0. */
function probeOf(instruction: (a: V128, b: V128) => V128): Uint8Array<ArrayBuffer> {
  const module = createModule({ sharedMemory: false });
  module.func('probe', { x: 'i32' }, (b, { x }) => b.run(v128.store(x, instruction(v128.load(x), v128.load(x, 16)), 32)));
  return module.encode();
}

const PROBES = {
  simd: () => probeOf(i8x16.swizzle),
  relaxed: () => probeOf(i8x16.relaxedSwizzle),
  dot: () => probeOf((a, b) => i32x4.relaxedDotAdd(a, b, ZERO)),
} as const satisfies Record<WasmBackend, () => Uint8Array>;

/** Whether the engine takes modules with 128-bit vectors; with relaxed ones, or their dot products. */
export function supportsVectors(backend: WasmBackend): boolean {
  return typeof WebAssembly !== 'undefined' && WebAssembly.validate(PROBES[backend]());
}

/** Four times 127 · 255: all of it fits, as in `vpdpbusd`; x86 without that saturates sums of two to 16 bits, others take 255 for -1. */
const ONE_INSTRUCTION = 129540;

/**
 * Whether dot products are one instruction here, which the sum of products with 255, beyond the 7 bits that are defined, gives away. The
 * value chooses a backend and nothing else: that results are right is for the self-test to say.
 */
function hasFastDot(): boolean {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { probe } = new WebAssembly.Instance(new WebAssembly.Module(PROBES.dot()), { env: { memory } }).exports as { probe(x: number): void };
  new Uint8Array(memory.buffer).fill(127, 0, 16).fill(255, 16, 32);
  probe(0);
  return new Int32Array(memory.buffer)[8] === ONE_INSTRUCTION;
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
  /** Those that 'auto' tries. */
  readonly wanted: readonly WasmBackend[];
}

/** What this engine can run; whether it computes rightly is another question. */
export async function findBackends(): Promise<Found> {
  const none = supportsVectors('simd') ? await refusal() : 'this engine has no WebAssembly SIMD';
  if (none !== undefined) return { there: [], wanted: [], reasons: { simd: none, relaxed: none, dot: none } };
  const missing = 'this engine has no relaxed SIMD';
  const [relaxed, dot] = [supportsVectors('relaxed'), supportsVectors('dot')];
  const lookUps: readonly WasmBackend[] = relaxed ? ['relaxed', 'simd'] : ['simd'];
  const isFast = dot && hasFastDot();
  return {
    there: !dot ? lookUps : isFast ? ['dot', ...lookUps] : [...lookUps, 'dot'],
    wanted: isFast ? ['dot', ...lookUps] : lookUps,
    reasons: { ...(!relaxed && { relaxed: missing }), ...(!dot && { dot: missing }) },
  };
}

/**
 * The backends to try, the best one first.
 * @throws BackendError when there is none by this name, or none at all for 'auto'.
 */
export async function wasmBackends(backend: 'auto' | BackendName): Promise<readonly WasmBackend[]> {
  const { there, wanted, reasons } = await findBackends();
  const chosen = backend === 'auto' ? wanted : there.filter((name) => name === backend);
  if (chosen.length > 0) return chosen;
  if (backend === 'auto') throw new BackendError(reasons.simd);
  const why = reasons[backend];
  const names = ['auto', 'scalar', ...[...there].reverse()].join(', ');
  throw new BackendError(`backend ${show(backend)} is not available here (available: ${names})${why === undefined ? '' : `: ${why}`}`);
}
