import workerThreads, { type Worker } from 'node:worker_threads';
import { CONTROL } from '../../src/kernels/wasm/jobs.js';

/** A worker thread that the library has started. */
export interface WatchedWorker {
  readonly worker: Worker;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
}

/**
 * Runs `create` and tells which worker threads the library started meanwhile. `edit` may give them another program, or throw where
 * there are to be none.
 */
export async function watchWorkers<T>(
  create: () => Promise<T>, edit: (program: string, n: number) => string = (program) => program,
): Promise<{ value: T; workers: WatchedWorker[] }> {
  const { Worker: Original } = workerThreads;
  const workers: WatchedWorker[] = [];
  class Watched extends Original {
    constructor(program: string, options: workerThreads.WorkerOptions) {
      super(edit(program, workers.length), options);
      workers.push({ worker: this, ended: new Promise((resolve) => this.once('exit', () => resolve())) });
    }
  }
  Object.assign(workerThreads, { Worker: Watched });
  try {
    return { value: await create(), workers };
  } finally {
    Object.assign(workerThreads, { Worker: Original });
  }
}

/** Where a thief counts the chunks that it took: a word that the library leaves alone. */
const STOLEN = CONTROL.end - 64;

/** How many chunks thieves have taken, given any view of the arena. */
export function stolenChunks(view: ArrayBufferView): number {
  return Atomics.load(new Int32Array(view.buffer, STOLEN, 1), 0);
}

/**
 * The program of a thread that takes one chunk of a job, as the protocol of jobs.ts has it, and then dies, hangs, or does it
 * `late`, after 150 ms, and goes on.
 */
export function thief(then: 'dies' | 'hangs' | 'is late'): string {
  return `
    const { parentPort } = process.getBuiltinModule('node:worker_threads');
    const asleep = new Int32Array(new SharedArrayBuffer(4));
    parentPort.once('message', ({ module, memory, thread }) => {
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      const words = new Int32Array(memory.buffer, 0, ${CONTROL.end / 4});
      const claims = new BigInt64Array(memory.buffer, 0, ${CONTROL.end / 8});
      while (!Atomics.load(words, ${CONTROL.stop / 4})) {
        const claim = Atomics.load(claims, ${CONTROL.claim / 8});
        const [chunk, chunks] = [Number(claim & 0xffffn), Number((claim >> 16n) & 0xffffn)];
        if (chunk >= chunks || Atomics.compareExchange(claims, ${CONTROL.claim / 8}, claim, claim + 1n) !== claim) continue;
        Atomics.add(words, ${STOLEN / 4}, 1);
        if ('${then}' === 'dies') process.exit();
        Atomics.wait(asleep, 0, 0, '${then}' === 'hangs' ? Infinity : 150);
        exports.runChunk(chunk, thread);
        Atomics.add(words, ${CONTROL.finished / 4}, 1);
      }
    });
    parentPort.postMessage('ready');
  `;
}
