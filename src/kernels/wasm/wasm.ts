import { ArgumentError } from '../../errors.js';
import type { Arena } from '../arena.js';
import { MAX_COLUMNS, type Kernels, type TernaryMatrix } from '../kernels.js';
import { kernelParameters } from './emit.js';
import { CONTROL, MAIN_SPINS } from './jobs.js';
import { packedBytes } from './layout.js';
import { createMemory, type KernelMemory } from './memory.js';
import type { WasmBackend } from './probe.js';
import type { Products } from './products.js';
import type { Argument, Runner } from './runner.js';
import type { ThreadPool } from './threads.js';

export interface WasmKernelsOptions {
  readonly backend: WasmBackend;
  /** Of `emitKernels`. */
  readonly module: WebAssembly.Module;
  /** The same that the module was made with. */
  readonly products: Products;
  /** Whether the module's memory is shared: so it is where there are other threads. */
  readonly shared: boolean;
  /** The kernels of Transformers, where the module has them. */
  readonly transformer?: typeof import('./transformer.js') | undefined;
  readonly pool?: ThreadPool | undefined;
  /** Hand all work to `pool`, however little it is: for tests of small problems. */
  readonly shareAll?: boolean;
  readonly backendNote?: string | undefined;
}

/** What the emitted module exports. */
interface Exports {
  runJob(spins: number): number;
  runChunk(chunk: number, thread: number): void;
}

/** Jobs below this many multiply-accumulates (some 10 µs) are not worth waking others for. */
const MIN_SHARED_WORK = 500_000;
/** As many elements of an elementwise kernel: eight tokens of 1024, not one of a 2.7B model. */
const MIN_SHARED_ELEMENTS = 8_000;
const ARGUMENTS = CONTROL.arguments / 4;

/** The backend in WebAssembly SIMD. Its results are those of the scalar backend, bit for bit. */
export function kernelsOn({ backend, module, products, shared, transformer, pool, shareAll = false, backendNote }: WasmKernelsOptions): Kernels {
  const threads = 1 + (pool?.size ?? 0);
  const numbers = new Map(Object.keys(kernelParameters(products, transformer)).map((name, n) => [name, n]));
  const least = shareAll ? 0 : 1; // of what pays to be shared
  let memory: KernelMemory | undefined;
  let lastMatrix: TernaryMatrix | undefined;
  const followers = new WeakMap<TernaryMatrix, TernaryMatrix>();
  let exports: Exports;
  let ints: Int32Array = new Int32Array(CONTROL.end / 4);
  let floats: Float32Array = new Float32Array(0);

  /** Address of a view, as `memory.address` gives it. */
  const at: KernelMemory['address'] = (view) => {
    if (!memory) throw new ArgumentError('these kernels have no arena (createArena), or are disposed of');
    return memory.address(view);
  };

  /** Runs a kernel over `units` units of work; on all threads, in chunks of `size` (0: two a thread), if that pays. */
  function run(kernel: string, args: readonly Argument[], units: number, size: number, share: boolean): void {
    args.forEach((value, n) => {
      if (typeof value === 'number') ints[ARGUMENTS + n] = value;
      else floats[ARGUMENTS + n] = value.f32;
    });
    const unitsPerChunk = !share ? units : size || Math.ceil(units / (threads * 2));
    const chunks = Math.ceil(units / unitsPerChunk);
    ints[CONTROL.kernel / 4] = numbers.get(kernel)!;
    ints[CONTROL.units / 4] = units;
    ints[CONTROL.unitsPerChunk / 4] = unitsPerChunk;
    if (!pool || !share || chunks === 1) {
      for (let chunk = 0; chunk < chunks; chunk++) exports.runChunk(chunk, 0);
      return;
    }
    pool.check();
    ints[CONTROL.chunks / 4] = chunks;
    if (exports.runJob(MAIN_SPINS) === 0) pool.wait(ints);
  }

  /** A kernel that goes element by element: its units may be shared as they come. */
  const elements: Runner['elements'] = (kernel, args, units, count) => run(kernel, args, units, 0, pool !== undefined && count >= least * MIN_SHARED_ELEMENTS);

  const runner: Runner = {
    threads, at, elements,
    isShared: (work) => work >= least * MIN_SHARED_WORK,
    call: (kernel, args, units, unitsPerChunk, work) => run(kernel, args, units, unitsPerChunk, runner.isShared(work)),
    pack: (kernel, args, units) => run(kernel, args, units, 0, units >= least * 2 * threads),
    stage: () => ({ memory: ints.buffer, work: CONTROL.end }),
    nextOf(matrix) {
      if (!pool) return undefined;
      if (lastMatrix) followers.set(lastMatrix, matrix);
      lastMatrix = matrix;
      return followers.get(matrix);
    },
  };
  const calls = products.on(runner);

  const allocate = (arena: Arena, rows: number, columns: number): Uint8Array => {
    const packed = arena.u8(packedBytes(rows, columns));
    calls.clearPadding(packed, rows, columns);
    return packed;
  };

  const kernels: Kernels = {
    backend,
    backendNote,
    threads,
    createArena(bytes) {
      if (memory) throw new ArgumentError('these kernels have an arena: measure all that goes into it (measureArena), then create it once');
      memory = createMemory(bytes, threads, shared);
      ({ ints, floats } = memory);
      const instance = new WebAssembly.Instance(module, { env: { memory: memory.memory } });
      exports = instance.exports as unknown as Exports;
      pool?.start(module, memory.memory);
      return memory.arena;
    },
    createTernary(arena, rows, columns) {
      if (columns > MAX_COLUMNS) throw new ArgumentError(`a ternary matrix of ${columns} columns: at most ${MAX_COLUMNS} are exact`);
      return { rows, columns, packed: allocate(arena, rows, columns), scales: arena.f32(rows) };
    },
    packRow: calls.packRow,
    packBlocks: calls.packBlocks,
    ternaryMatmul: calls.multiply,
    rmsNorm: (x, weight, eps, tokens, out) =>
      elements('rmsNorm', [at(x), at(weight), { f32: eps }, weight.length, at(out)], tokens, tokens * weight.length),
    rmsNormQuantize: (x, weight, eps, tokens, q, qScales) =>
      elements('rmsNormQuantize', [at(x), at(weight), { f32: eps }, weight.length, at(q), at(qScales)], tokens, tokens * weight.length),
    mlgruRecurrence(i, f, lowerBound, state, tokens, h, lengths) {
      const sequences = lengths ? lengths.length : 1;
      const width = state.length / sequences;
      const args = [at(i), at(f), lowerBound ? at(lowerBound) : 0, at(state), width, tokens, at(h), sequences, lengths ? at(lengths) : 0];
      elements('mlgruRecurrence', args, Math.ceil(width / 4), tokens * width);
    },
    gatedRmsNorm: (g, weight, eps, h, tokens, out) =>
      elements('gatedRmsNorm', [at(g), at(weight), { f32: eps }, weight.length, at(h), at(out)], tokens, tokens * weight.length),
    swiglu: (ab, width, tokens, out) => elements('swiglu', [at(ab), width, at(out)], tokens, tokens * width),
    add: (r, x, count) => elements('add', [at(r), at(x), count], count, count),
    transformer: transformer && calls.grouped && transformer.createWasmTransformer(runner, calls, calls.grouped, allocate),
    dispose() {
      pool?.dispose();
      memory = undefined;
    },
  };
  pool?.endWith(kernels);
  return kernels;
}
