import { ArgumentError, BackendError } from '../../errors.js';
import { arenaOn, type Arena } from '../arena.js';
import { CONTROL, WORK_BYTES } from './jobs.js';

const PAGE = 65536;
const MAX_PAGES = 65536;

/**
 * The one WebAssembly memory of a Kernels value. It is made at its full size and never grows, so that no view on it goes stale;
 * pages that nobody touches cost nothing.
 *
 *     control words | work space of each thread | the arena | a page that vector loads may run into
 */
export interface KernelMemory {
  readonly memory: WebAssembly.Memory;
  /** The control words, as integers and as floats. */
  readonly ints: Int32Array;
  readonly floats: Float32Array;
  readonly arena: Arena;
  /** The address of a view. @throws ArgumentError when it is not one of the arena. */
  address(view: Float32Array | Int8Array | Uint8Array | Uint16Array | Uint32Array): number;
}

/** @throws BackendError when the engine refuses, or more than 4 GiB are wanted. */
export function createMemory(bytes: number, threads: number, shared: boolean): KernelMemory {
  const start = CONTROL.end + threads * WORK_BYTES;
  const pages = Math.ceil((start + bytes) / PAGE) + 1;
  const size = `${((pages * PAGE) / 2 ** 20).toFixed(0)} MiB`;
  if (pages > MAX_PAGES) throw new BackendError(`the model needs ${size}: more than the 4 GiB that WebAssembly can address; use backend scalar`);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory(shared ? { initial: pages, maximum: pages, shared } : { initial: pages });
  } catch {
    throw new BackendError(`cannot allocate ${size} of WebAssembly memory for the model; close other programs or pages, take a smaller model, or use backend scalar (in Node: raise ulimit -v)`);
  }
  const { buffer } = memory;
  return {
    memory,
    ints: new Int32Array(buffer, 0, CONTROL.end / 4),
    floats: new Float32Array(buffer, 0, CONTROL.end / 4),
    arena: arenaOn(buffer, start),
    address(view) {
      if (view.buffer !== buffer) throw new ArgumentError('an array given to a kernel is not from its arena (createArena)');
      return view.byteOffset;
    },
  };
}
