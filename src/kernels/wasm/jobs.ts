import type { ValueType } from '../../wasm/encode.js';
import { atomic, f32, i32, i64, type Expr, type I32 } from '../../wasm/instructions.js';
import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';

/*
 * A job is a kernel, its arguments, and a number of units of work that come in chunks. All threads take chunks until there are none
 * left; the main thread takes part, and goes on when every chunk is finished. So a thread that the operating system has stopped
 * holds nobody up as long as it has not taken a chunk, and one that comes late finds nothing to do.
 *
 * Arguments and the number of the next chunk lie in memory. A chunk is taken by raising that number by compare-and-exchange. The
 * number of chunks and the job's number are in the same 64 bits, so that a thread that was held up between reading and raising it
 * fails if the job is another one by then, and nobody takes a chunk while the arguments of the next job are being written.
 */

/** Byte addresses; each word that threads wait on has a cache line of its own. */
export const CONTROL = {
  /** i64: number of the job · 2³² + chunks · 2¹⁶ + next chunk. */
  claim: 64,
  /** The job's number, the upper half of `claim`: what idle threads sleep on. */
  jobNumber: 68,
  /** i32: chunks that are done. */
  finished: 128,
  /** i32: threads that sleep, or are about to. */
  sleepers: 192,
  /** i32: 1 while the main thread sleeps on `finished`. */
  mainSleeps: 256,
  /** i32: 1 when threads are to end. */
  stop: 320,
  kernel: 384,
  units: 388,
  unitsPerChunk: 392,
  chunks: 396,
  /** The kernel's arguments, four bytes each: there is room for hundreds. */
  arguments: 400,
  /** Here the work space of thread 0 begins. */
  end: 4096,
} as const;

/** Chunks of a job, at most. */
const MAX_CHUNKS = 0xffff;

/** How often the main thread looks whether the others are done (`runJob`'s argument), before it sleeps. */
export const MAIN_SPINS = 400_000;

/** The last parameters of every kernel: the units that it is to do, and the thread's own work space. */
export const UNITS = { first: 'i32', last: 'i32', work: 'i32' } as const;

/** A kernel that threads share: its last parameters are `first`, `last` (units) and `work`, an address. */
export interface SharedKernel {
  readonly func: Func;
  readonly parameters: Parameters;
}

/** Bytes of work space of each thread. */
export const WORK_BYTES = 1 << 20;

/** runChunk(chunk, thread): calls the job's kernel. */
function emitRunChunk(module: ModuleBuilder, kernels: readonly SharedKernel[]): Func {
  return module.func('runChunk', { chunk: 'i32', thread: 'i32' }, (b, { chunk, thread }) => {
    const kernel = b.local('i32', i32.load(CONTROL.kernel));
    const size = b.local('i32', i32.load(CONTROL.unitsPerChunk));
    const first = b.local('i32', i32.mul(chunk, size));
    const last = b.local('i32', i32.add(first, size));
    const units = b.local('i32', i32.load(CONTROL.units));
    const work = b.local('i32', i32.add(i32.mul(thread, WORK_BYTES), CONTROL.end));
    b.set(last, i32.select(last, units, i32.ltU(last, units)));
    kernels.forEach(({ func, parameters }, n) => {
      const types = Object.values(parameters).slice(0, -3);
      b.if(i32.eq(kernel, n), () => {
        const args = types.map((type, at) => argument(type, CONTROL.arguments + 4 * at));
        b.run(func.call(...args, first, last, work));
      });
    });
  });
}

function argument(type: ValueType, address: number): Expr<ValueType> {
  return type === 'f32' ? f32.load(address) : i32.load(address);
}

/**
 * runJob(): does the job that has been written to memory, alone or with the other threads.
 * With threads also: join(spins): 1 when all chunks are finished, 0 if they are not after looking `spins` times; worker(thread,
 * spins): what the other threads run until `stop`: looks for a new job `spins` times, then sleeps.
 */
export function emitJobs(module: ModuleBuilder, kernels: readonly SharedKernel[], threads: boolean): void {
  const runChunk = emitRunChunk(module, kernels);
  if (!threads) {
    module.func('runJob', {}, (b) => {
      const chunk = b.local('i32');
      b.for(chunk, 0, i32.load(CONTROL.chunks), 1, () => b.run(runChunk.call(chunk, 0)));
    });
    return;
  }

  /** takeChunks(thread): does chunks until there are none to take; 1 if it did any. */
  const takeChunks = module.funcWithResult('takeChunks', { thread: 'i32' }, 'i32', (b, { thread }) => {
    const claim = b.local('i64');
    const [chunk, chunks, did] = b.locals('i32', 3);
    const chunksLeft = (): I32 => {
      b.set(claim, i64.atomicLoad(CONTROL.claim));
      b.set(chunk, i32.fromI64(claim));
      b.set(chunks, i32.shrU(chunk, 16));
      b.set(chunk, i32.and(chunk, MAX_CHUNKS));
      return i32.ltU(chunk, chunks);
    };
    b.if(chunksLeft(), () => b.doWhile(() => {
      const taken = i64.eq(i64.atomicCompareExchange(CONTROL.claim, claim, i64.add(claim, i64.const(1))), claim);
      b.if(taken, () => {
        b.run(runChunk.call(chunk, thread));
        b.set(did, i32.add(i32.atomicAdd(CONTROL.finished, 1), 1));
        b.if(i32.and(i32.eq(did, chunks), i32.atomicLoad(CONTROL.mainSleeps)), () => {
          b.set(did, atomic.notify(CONTROL.finished, 1));
        });
        b.set(did, i32.const(1));
      });
    }, chunksLeft));
    return did;
  });

  const join = module.funcWithResult('join', { spins: 'i32' }, 'i32', (b, { spins }) => {
    const done = b.local('i32');
    b.doWhile(() => {
      b.set(done, i32.eq(i32.atomicLoad(CONTROL.finished), i32.load(CONTROL.chunks)));
      b.set(spins, i32.select(0, i32.sub(spins, 1), done));
    }, () => spins);
    return done;
  });

  module.funcWithResult('runJob', { spins: 'i32' }, 'i32', (b, { spins }) => {
    const ignored = b.local('i32');
    b.run(i32.atomicStore(CONTROL.finished, i32.const(0)));
    const job = i64.shl(i64.extendI32U(i32.add(i32.load(CONTROL.jobNumber), 1)), i64.const(32));
    b.run(i64.atomicStore(CONTROL.claim, i64.or(job, i64.extendI32U(i32.shl(i32.load(CONTROL.chunks), 16)))));
    b.if(i32.atomicLoad(CONTROL.sleepers), () => b.set(ignored, atomic.notify(CONTROL.jobNumber, -1)));
    b.set(ignored, takeChunks.value(i32.const(0)));
    return join.value(spins);
  });

  module.func('worker', { thread: 'i32', spins: 'i32' }, (b, { thread, spins }) => {
    const [left, seen, ignored] = [b.local('i32', spins), b.local('i32'), b.local('i32')] as const;
    b.doWhile(() => {
      b.set(seen, i32.atomicLoad(CONTROL.jobNumber));
      b.if(takeChunks.value(thread), () => b.set(left, spins), () => b.increase(left, -1));
      b.if(i32.eqz(left), () => {
        b.set(ignored, i32.atomicAdd(CONTROL.sleepers, 1));
        // A job that came in since `seen` was read has another number: then this returns at once.
        b.if(i32.eqz(i32.atomicLoad(CONTROL.stop)), () => {
          b.set(ignored, atomic.wait32(CONTROL.jobNumber, seen, i64.const(-1)));
        });
        b.set(ignored, i32.atomicAdd(CONTROL.sleepers, -1));
        b.set(left, spins);
      });
    }, () => i32.eqz(i32.atomicLoad(CONTROL.stop)));
  });
}
