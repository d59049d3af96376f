import { availableBackends } from 'matmulfree';
import { CONTROL, emitJobs, MAIN_SPINS } from '../src/kernels/wasm/jobs.js';
import { createMemory } from '../src/kernels/wasm/memory.js';
import { createThreadPool } from '../src/kernels/wasm/threads.js';
import { f32, f32x4, i32, v128, type V128 } from '../src/wasm/instructions.js';
import { createModule, type Func, type ModuleBuilder } from '../src/wasm/module.js';
import { multiplyAdd } from './baselines/emit-product.js';

/*
 * What the machine can do at most, by loops that do nothing else, in WebAssembly as all that is compared with them: reading memory, and
 * float32 multiplications with additions.
 */

/** As tasks to take turns with what is measured. */
export interface Roof {
  readonly threads: number;
  /** Reads `bytes` bytes of memory, more than caches hold. */
  readonly read: { readonly bytes: number; run(): void };
  /** Does `operations` float32 multiplications and additions in registers, each counted as one. */
  readonly compute: { readonly operations: number; run(): void };
  dispose(): void;
}

const READ_BYTES = 512 * 2 ** 20;
/** Bytes of a unit of reading. */
const UNIT_BYTES = 2 ** 20;
/** Sums side by side: enough to hide the latency of an addition. */
const CHAINS = 12;
const ROUNDS_PER_UNIT = 50_000;
const COMPUTE_UNITS = 64;

const PARAMETERS = { start: 'i32', first: 'i32', last: 'i32', work: 'i32' } as const;

function emitRead(module: ModuleBuilder): Func {
  return module.func('read', PARAMETERS, (b, p) => {
    const bits = b.locals('v128', 8);
    const at = b.local('i32');
    const from = i32.add(p.start, i32.mul(p.first, UNIT_BYTES));
    b.for(at, from, i32.add(p.start, i32.mul(p.last, UNIT_BYTES)), 16 * bits.length, () => {
      bits.forEach((some, n) => b.set(some, v128.or(some, v128.load(at, 16 * n))));
    });
    b.run(v128.store(p.work, bits.reduce<V128>((all, some) => v128.or(all, some), bits[0])));
  });
}

function emitCompute(module: ModuleBuilder, name: string, relaxed: boolean): Func {
  const madd = multiplyAdd(relaxed);
  return module.func(name, PARAMETERS, (b, p) => {
    const [unit, round] = [b.local('i32'), b.local('i32')] as const;
    const factors = b.local('v128', f32x4.splat(f32.const(0.5)));
    const sums = b.locals('v128', CHAINS);
    b.for(unit, p.first, p.last, 1, () => b.for(round, 0, ROUNDS_PER_UNIT, 1, () => {
      for (const sum of sums) b.set(sum, madd(sum, factors, factors));
    }));
    b.run(v128.store(p.work, sums.reduce<V128>((all, sum) => f32x4.add(all, sum), sums[0])));
  });
}

/** @param threads the calling one included. */
export async function createRoof(threads: number): Promise<Roof> {
  const relaxed = (await availableBackends()).includes('relaxed');
  const pool = threads > 1 ? await createThreadPool(threads - 1) : undefined;
  const shared = pool !== undefined && pool.size > 0;
  const module = createModule({ sharedMemory: shared });
  const kernels = [emitRead(module), emitCompute(module, 'separate', false), ...(relaxed ? [emitCompute(module, 'fused', true)] : [])];
  emitJobs(module, kernels.map((func) => ({ func, parameters: PARAMETERS })), shared);
  const memory = createMemory(READ_BYTES, threads, shared);
  const buffer = memory.arena.u8(READ_BYTES);
  buffer.fill(1); // pages that were never written are all the same one
  const compiled = await WebAssembly.compile(module.encode());
  const { runJob } = new WebAssembly.Instance(compiled, { env: { memory: memory.memory } }).exports as { runJob(spins: number): number };
  if (shared) pool.start(compiled, memory.memory);

  function run(kernel: number, units: number): void {
    const { ints } = memory;
    ints[CONTROL.kernel / 4] = kernel;
    ints[CONTROL.units / 4] = units;
    ints[CONTROL.unitsPerChunk / 4] = 4;
    ints[CONTROL.chunks / 4] = Math.ceil(units / 4);
    ints[CONTROL.arguments / 4] = buffer.byteOffset;
    if (runJob(MAIN_SPINS) === 0 && shared) pool.wait(ints);
  }
  /** Which way of multiplying is the faster one here is found out once. */
  const timeOf = (kernel: number): number => {
    run(kernel, COMPUTE_UNITS);
    const start = performance.now();
    run(kernel, COMPUTE_UNITS);
    return performance.now() - start;
  };
  const compute = relaxed && timeOf(2) < timeOf(1) ? 2 : 1;
  return {
    threads: 1 + (pool?.size ?? 0),
    read: { bytes: READ_BYTES, run: () => run(0, READ_BYTES / UNIT_BYTES) },
    compute: { operations: COMPUTE_UNITS * ROUNDS_PER_UNIT * CHAINS * 8, run: () => run(compute, COMPUTE_UNITS) },
    dispose: () => pool?.dispose(),
  };
}
