import { CONTROL, emitJobs, MAIN_SPINS, type SharedKernel } from '../../src/kernels/wasm/jobs.js';
import { ELEMENTWISE_PARAMETERS, emitElementwise } from '../../src/kernels/wasm/elementwise.js';
import { createMemory, type KernelMemory } from '../../src/kernels/wasm/memory.js';
import { createThreadPool, type ThreadPool } from '../../src/kernels/wasm/threads.js';
import { createModule, type Parameters } from '../../src/wasm/module.js';
import {
  ATTENTION_PARAMETERS, emitAttention, emitRotate, emitStore, keyTile, MAX_HEAD_SIZE, QUERY_TILE, ROTATE_PARAMETERS, STORE_PARAMETERS,
} from './emit-attention.js';
import { emitMatmul, emitPanelProduct, MATMUL_PARAMETERS } from './emit-product.js';
import { paddedCapacity, PANEL, requireMultiple, type FloatKernels } from './float-kernels.js';

export type WasmBackend = 'simd' | 'relaxed';

/** Names of the kernels in the order of their numbers, and their parameters. */
const KERNELS = {
  matmul: MATMUL_PARAMETERS, attention: ATTENTION_PARAMETERS, rotate: ROTATE_PARAMETERS, store: STORE_PARAMETERS, ...ELEMENTWISE_PARAMETERS,
} as const satisfies Record<string, Parameters>;
type KernelName = keyof typeof KERNELS;
const NAMES = Object.keys(KERNELS) as KernelName[];

/** Jobs of fewer multiplications (some 10 µs) are not worth waking others for. */
const MIN_SHARED_WORK = 100_000;
/** As many elements of an elementwise kernel. */
const MIN_SHARED_ELEMENTS = 20_000;
/** Chunks of a job for each thread: enough that none waits long for the last one. */
const CHUNKS_PER_THREAD = 4;

/** The module of all kernels of the baseline. It imports its memory as `env.memory`. */
export function emitFloatKernels(backend: WasmBackend, threads: boolean): Uint8Array<ArrayBuffer> {
  const module = createModule({ sharedMemory: threads });
  const panelProduct = emitPanelProduct(module, backend === 'relaxed');
  const functions = {
    matmul: emitMatmul(module, panelProduct), attention: emitAttention(module, panelProduct), rotate: emitRotate(module),
    store: emitStore(module), ...emitElementwise(module),
  };
  emitJobs(module, NAMES.map((name): SharedKernel => ({ func: functions[name], parameters: KERNELS[name] })), threads);
  return module.encode();
}

/** What the emitted module exports. */
interface Exports {
  runJob(spins: number): number;
  runChunk(chunk: number, thread: number): void;
}

/**
 * The baseline's kernels in WebAssembly, with the library's own threads and jobs.
 * @throws WebAssembly.CompileError where the engine lacks what the backend needs.
 */
export async function createWasmFloatKernels(backend: WasmBackend, threads: number): Promise<FloatKernels> {
  const pool = threads > 1 ? await createThreadPool(threads - 1) : undefined;
  const shared = pool !== undefined && pool.size > 0;
  try {
    return kernelsOn(backend, await WebAssembly.compile(emitFloatKernels(backend, shared)), shared ? pool : undefined);
  } catch (error) {
    pool?.dispose();
    throw error;
  }
}

function kernelsOn(backend: WasmBackend, module: WebAssembly.Module, pool: ThreadPool | undefined): FloatKernels {
  const threads = 1 + (pool?.size ?? 0);
  let memory: KernelMemory | undefined;
  let exports: Exports;

  /**
   * Runs a kernel over `units` units of work, on all threads if that pays.
   * @param args arrays, which become their addresses, and numbers.
   */
  function run(kernel: KernelName, units: number, pays: boolean, ...args: readonly (Float32Array | undefined | number)[]): void {
    if (!memory) throw new RangeError('the float kernels have no arena yet');
    const { ints, floats } = memory;
    const types = Object.values(KERNELS[kernel]);
    for (const [n, arg] of args.entries()) {
      const word = CONTROL.arguments / 4 + n;
      if (typeof arg !== 'number') ints[word] = arg ? memory.address(arg) : 0;
      else if (types[n] === 'f32') floats[word] = arg;
      else ints[word] = arg;
    }
    const share = pool !== undefined && pays;
    const unitsPerChunk = share ? Math.ceil(units / (threads * CHUNKS_PER_THREAD)) : units;
    const chunks = Math.ceil(units / unitsPerChunk);
    ints[CONTROL.kernel / 4] = NAMES.indexOf(kernel);
    ints[CONTROL.units / 4] = units;
    ints[CONTROL.unitsPerChunk / 4] = unitsPerChunk;
    if (!share || chunks === 1) {
      for (let chunk = 0; chunk < chunks; chunk++) exports.runChunk(chunk, 0);
      return;
    }
    pool.check();
    ints[CONTROL.chunks / 4] = chunks;
    if (exports.runJob(MAIN_SPINS) === 0) pool.wait(ints);
  }

  const kernels: FloatKernels = {
    backend,
    threads,
    createArena(bytes) {
      if (memory) throw new RangeError('the float kernels have their arena already');
      memory = createMemory(bytes, threads, pool !== undefined);
      exports = new WebAssembly.Instance(module, { env: { memory: memory.memory } }).exports as unknown as Exports;
      pool?.start(module, memory.memory);
      return memory.arena;
    },
    createMatrix(arena, rows, columns) {
      requireMultiple('the number of rows', rows, PANEL);
      requireMultiple('the number of columns', columns, 4);
      return { rows, columns, values: arena.f32(rows * columns) };
    },
    setRow({ values, columns }, row, from) {
      let at = Math.floor(row / PANEL) * PANEL * columns + (row % PANEL);
      for (let j = 0; j < columns; j++, at += PANEL) values[at] = from[j];
    },
    matmul({ rows, columns, values }, x, tokens, out) {
      run('matmul', rows / PANEL, rows * columns * tokens >= MIN_SHARED_WORK, values, columns, x, tokens, out, rows);
    },
    rotate(x, heads, headSize, angles, tokens) {
      run('rotate', tokens, tokens * heads * headSize >= MIN_SHARED_ELEMENTS, x, heads, headSize, angles);
    },
    createCache(arena, heads, headSize, capacity) {
      requireMultiple('the size of a head', headSize, PANEL);
      if (headSize > MAX_HEAD_SIZE) throw new RangeError(`the size of a head is ${headSize}; the work space is for ${MAX_HEAD_SIZE}`);
      const floats = heads * paddedCapacity(capacity) * headSize;
      return { heads, headSize, capacity, keys: arena.f32(floats), values: arena.f32(floats) };
    },
    store(cache, keys, values, position, tokens) {
      const { heads, headSize, capacity } = cache;
      run(
        'store', heads, tokens * heads * headSize >= MIN_SHARED_ELEMENTS, cache.keys, cache.values, headSize, paddedCapacity(capacity),
        heads * headSize * 4, keys, values, position, tokens,
      );
    },
    attention(cache, q, position, tokens, out) {
      const { heads, headSize, capacity } = cache;
      const tiles = Math.ceil(tokens / QUERY_TILE);
      const pays = (position + tokens) * tokens * heads * headSize >= MIN_SHARED_WORK;
      run(
        'attention', heads * tiles, pays, q, cache.keys, cache.values, headSize, paddedCapacity(capacity), heads * headSize * 4, position,
        tokens, 1 / Math.sqrt(headSize), out, tiles, keyTile(tokens),
      );
    },
    rmsNorm(x, weight, eps, tokens, out) {
      run('rmsNorm', tokens, tokens * weight.length >= MIN_SHARED_ELEMENTS, x, weight, eps, weight.length, out);
    },
    mlgruRecurrence(i, f, lowerBound, state, tokens, h) {
      const width = state.length;
      run('mlgruRecurrence', Math.ceil(width / 4), tokens * width >= MIN_SHARED_ELEMENTS, i, f, lowerBound, state, width, tokens, h, 1, undefined);
    },
    gatedRmsNorm(g, weight, eps, h, tokens, out) {
      run('gatedRmsNorm', tokens, tokens * weight.length >= MIN_SHARED_ELEMENTS, g, weight, eps, weight.length, h, out);
    },
    swiglu(ab, width, tokens, out) {
      run('swiglu', tokens, tokens * width >= MIN_SHARED_ELEMENTS, ab, width, out);
    },
    add(r, x, count) {
      run('add', count, count >= MIN_SHARED_ELEMENTS, r, x, count);
    },
    dispose: () => pool?.dispose(),
  };
  pool?.endWith(kernels);
  return kernels;
}
