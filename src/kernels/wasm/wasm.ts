import { ArgumentError } from '../../errors.js';
import type { Arena } from '../arena.js';
import { MAX_COLUMNS, type Kernels, type TernaryMatrix } from '../kernels.js';
import { SHARED_KERNELS } from './emit.js';
import { CONTROL, MAIN_SPINS } from './jobs.js';
import { clearPadding, packedBytes, packRow, paddedColumns, panelBlocks, ROW_BLOCK, rowBlocks } from './layout.js';
import { createMemory, type KernelMemory } from './memory.js';
import { packBlocks } from './pack.js';
import type { WasmBackend } from './probe.js';
import type { Argument, Runner } from './runner.js';
import type { ThreadPool } from './threads.js';

export interface WasmKernelsOptions {
  readonly backend: WasmBackend;
  /** Of `emitKernels`. */
  readonly module: WebAssembly.Module;
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
/** Row blocks of a task of the token tiles, at most: their sums should stay in the second-level cache. */
const TILE_TASK_BLOCKS = 64;
/** From so many tokens on, a tile of eight is as fast as one after another (relaxed, one thread), or faster. */
const MIN_TILE_TOKENS = 4;
/** Up to so many, a tile of eight and one or two alone are faster than a tile of sixteen. */
const MAX_EIGHT_TOKENS = 10;

const ARGUMENTS = CONTROL.arguments / 4;

/** The backend in WebAssembly SIMD. Its results are those of the scalar backend, bit for bit. */
export function kernelsOn({ backend, module, shared, transformer, pool, shareAll = false, backendNote }: WasmKernelsOptions): Kernels {
  const threads = 1 + (pool?.size ?? 0);
  const names: readonly string[] = [...SHARED_KERNELS.map(([name]) => name), ...Object.keys(transformer?.TRANSFORMER_PARAMETERS ?? {})];
  const numbers = new Map(names.map((name, n) => [name, n]));
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

  function put(args: readonly Argument[]): void {
    args.forEach((value, n) => {
      if (typeof value === 'number') ints[ARGUMENTS + n] = value;
      else floats[ARGUMENTS + n] = value.f32;
    });
  }

  /** Runs a kernel whose arguments have been written, over `units` units of work; on all threads if that pays. */
  function run(kernel: string, units: number, unitsPerChunk: number, share: boolean): void {
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
  function runElements(kernel: string, units: number, elements: number): void {
    const share = pool !== undefined && elements >= least * MIN_SHARED_ELEMENTS;
    run(kernel, units, share ? Math.ceil(units / (threads * 2)) : units, share);
  }

  function multiplyToken(prefix: string, matrix: TernaryMatrix, q: number, qScale: Argument, out: number, group: number): void {
    const { rows, columns, packed, scales } = matrix;
    const blocks = rowBlocks(rows);
    const panel = panelBlocks(rows, threads);
    const panels = Math.ceil(blocks / panel);
    ints[ARGUMENTS] = at(packed);
    ints[ARGUMENTS + 1] = blocks;
    ints[ARGUMENTS + 2] = panel;
    ints[ARGUMENTS + 3] = paddedColumns(columns);
    ints[ARGUMENTS + 4] = q;
    ints[ARGUMENTS + 5] = rows;
    ints[ARGUMENTS + 6] = at(scales);
    if (typeof qScale === 'number') ints[ARGUMENTS + 7] = qScale;
    else floats[ARGUMENTS + 7] = qScale.f32;
    ints[ARGUMENTS + 8] = out;
    expectNext(matrix);
    ints[ARGUMENTS + 12] = group;
    const share = rows * columns >= least * MIN_SHARED_WORK;
    run(`${prefix}Rows`, panels, share ? 1 : panels, share);
  }

  /** Tells other threads where to look next: products come in the same order for every token. */
  function expectNext(matrix: TernaryMatrix): void {
    if (pool && lastMatrix) followers.set(lastMatrix, matrix);
    lastMatrix = matrix;
    const next = followers.get(matrix);
    const start = next ? at(next.packed) : 0;
    ints[ARGUMENTS + 9] = start;
    ints[ARGUMENTS + 10] = next ? packedBytes(panelBlocks(next.rows, threads) * ROW_BLOCK, next.columns) : 0;
    ints[ARGUMENTS + 11] = next ? start + next.packed.length : 0;
  }

  /** `tokens` tokens in tiles of `width`. */
  function multiplyTiles(
    prefix: string, matrix: TernaryMatrix, width: 8 | 16, q: number, qScales: number, tokens: number, out: number, group: number,
  ): void {
    const { rows, columns, packed, scales } = matrix;
    const blocks = rowBlocks(rows);
    const panel = panelBlocks(rows, threads);
    const tiles = Math.ceil(tokens / width);
    const share = rows * columns * tokens >= least * MIN_SHARED_WORK;
    const even = share ? Math.ceil(blocks / Math.ceil(threads / tiles)) : blocks;
    const taskBlocks = Math.max(1, Math.floor(Math.min(even, TILE_TASK_BLOCKS) / panel)) * panel;
    const tasks = Math.ceil(blocks / taskBlocks);
    ints[ARGUMENTS] = at(packed);
    ints[ARGUMENTS + 1] = blocks;
    ints[ARGUMENTS + 2] = panel;
    ints[ARGUMENTS + 3] = paddedColumns(columns);
    ints[ARGUMENTS + 4] = q;
    ints[ARGUMENTS + 5] = columns;
    ints[ARGUMENTS + 6] = qScales;
    ints[ARGUMENTS + 7] = tokens;
    ints[ARGUMENTS + 8] = rows;
    ints[ARGUMENTS + 9] = at(scales);
    ints[ARGUMENTS + 10] = out;
    ints[ARGUMENTS + 11] = taskBlocks;
    ints[ARGUMENTS + 12] = tasks;
    ints[ARGUMENTS + 13] = group;
    run(`${prefix}Tile${width}`, tiles * tasks, share ? 1 : tiles * tasks, share);
  }

  const multiply: Runner['multiply'] = (prefix, matrix, q, qScales, tokens, out, scalesPerToken, group = 0) => {
    const { rows, columns } = matrix;
    const [qAt, scalesAt, outAt] = [at(q), at(qScales), at(out)];
    const scaleBytes = 4 * (scalesPerToken ?? 1);
    let t = 0;
    while (tokens - t >= MIN_TILE_TOKENS) {
      const left = tokens - t;
      // Whole tiles of 16, then one for the rest.
      const width = left > MAX_EIGHT_TOKENS ? 16 : 8;
      const count = left >= 16 ? left - (left % 16) : Math.min(left, width);
      multiplyTiles(prefix, matrix, width, qAt + t * columns, scalesAt + scaleBytes * t, count, outAt + 4 * t * rows, group);
      t += count;
    }
    for (; t < tokens; t++) {
      const qScale = scalesPerToken === undefined ? { f32: qScales[t] } : scalesAt + scaleBytes * t;
      multiplyToken(prefix, matrix, qAt + t * columns, qScale, outAt + 4 * t * rows, group);
    }
  };

  const pack: Runner['pack'] = (kernel, args, units) => {
    put(args);
    const share = units >= least * 2 * threads;
    run(kernel, units, share ? Math.ceil(units / (threads * 2)) : units, share);
  };

  const allocate = (arena: Arena, rows: number, columns: number): Uint8Array => {
    const packed = arena.u8(packedBytes(rows, columns));
    clearPadding(packed, rows, columns, panelBlocks(rows, threads));
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
    packRow: ({ packed, rows, columns }, row, trits) =>
      packRow(packed as Uint8Array, rows, columns, panelBlocks(rows, threads), row, trits),
    packBlocks: (matrix, first, count, type, bytes) =>
      packBlocks(matrix, at(matrix.packed), threads, first, count, type, bytes, ints.buffer, CONTROL.end, (args, units) => pack('packBlocks', args, units)),
    ternaryMatmul: (matrix, q, qScales, tokens, out) => multiply('ternary', matrix, q, qScales, tokens, out),
    rmsNorm(x, weight, eps, tokens, out) {
      ints[ARGUMENTS] = at(x);
      ints[ARGUMENTS + 1] = at(weight);
      floats[ARGUMENTS + 2] = eps;
      ints[ARGUMENTS + 3] = weight.length;
      ints[ARGUMENTS + 4] = at(out);
      runElements('rmsNorm', tokens, tokens * weight.length);
    },
    rmsNormQuantize(x, weight, eps, tokens, q, qScales) {
      ints[ARGUMENTS] = at(x);
      ints[ARGUMENTS + 1] = at(weight);
      floats[ARGUMENTS + 2] = eps;
      ints[ARGUMENTS + 3] = weight.length;
      ints[ARGUMENTS + 4] = at(q);
      ints[ARGUMENTS + 5] = at(qScales);
      runElements('rmsNormQuantize', tokens, tokens * weight.length);
    },
    mlgruRecurrence(i, f, lowerBound, state, tokens, h, lengths) {
      const sequences = lengths ? lengths.length : 1;
      const width = state.length / sequences;
      ints[ARGUMENTS] = at(i);
      ints[ARGUMENTS + 1] = at(f);
      ints[ARGUMENTS + 2] = lowerBound ? at(lowerBound) : 0;
      ints[ARGUMENTS + 3] = at(state);
      ints[ARGUMENTS + 4] = width;
      ints[ARGUMENTS + 5] = tokens;
      ints[ARGUMENTS + 6] = at(h);
      ints[ARGUMENTS + 7] = sequences;
      ints[ARGUMENTS + 8] = lengths ? at(lengths) : 0;
      runElements('mlgruRecurrence', Math.ceil(width / 4), tokens * width);
    },
    gatedRmsNorm(g, weight, eps, h, tokens, out) {
      ints[ARGUMENTS] = at(g);
      ints[ARGUMENTS + 1] = at(weight);
      floats[ARGUMENTS + 2] = eps;
      ints[ARGUMENTS + 3] = weight.length;
      ints[ARGUMENTS + 4] = at(h);
      ints[ARGUMENTS + 5] = at(out);
      runElements('gatedRmsNorm', tokens, tokens * weight.length);
    },
    swiglu(ab, width, tokens, out) {
      ints[ARGUMENTS] = at(ab);
      ints[ARGUMENTS + 1] = width;
      ints[ARGUMENTS + 2] = at(out);
      runElements('swiglu', tokens, tokens * width);
    },
    add(r, x, count) {
      ints[ARGUMENTS] = at(r);
      ints[ARGUMENTS + 1] = at(x);
      ints[ARGUMENTS + 2] = count;
      runElements('add', count, count);
    },
    transformer: transformer?.createWasmTransformer({
      at,
      call(kernel, args, units, unitsPerChunk, work) {
        put(args);
        const share = work >= least * MIN_SHARED_WORK;
        run(kernel, units, unitsPerChunk > 0 ? unitsPerChunk : share ? Math.ceil(units / (threads * 2)) : units, share);
      },
      elements(kernel, args, units, count) {
        put(args);
        runElements(kernel, units, count);
      },
      multiply,
      pack,
      threads,
      allocate,
    }),
    dispose() {
      pool?.dispose();
      memory = undefined;
    },
  };
  pool?.endWith(kernels);
  return kernels;
}
