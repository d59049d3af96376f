/*
 * A process that uses threads and ends in one way or another, mostly without `dispose`. The tests look whether it does end.
 */
import { createKernels, MatMulFreeLM, type Kernels } from 'matmulfree';
import { EMBEDDED } from './files.js';
import { createJobs, JOBS_ARENA_BYTES } from './thread-jobs.js';
import { watchWorkers, type WatchedWorker } from './thread-workers.js';

const ends: Record<string, () => Promise<void>> = {
  /** Nobody disposes of kernels with work done, of kernels whose threads never got anything to do, of a model. */
  async forgotten() {
    runSome(await createKernels({ backend: 'simd', threads: 4 }));
    await createKernels({ backend: 'simd', threads: 4 });
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'simd', threads: 4 });
    lm.forward([5, 6, 7], lm.createState());
  },
  /** The end comes while threads look for the next job. */
  async spinning() {
    runSome(await createKernels({ backend: 'simd', threads: 4 }));
    process.exit(3);
  },
  async thrown() {
    runSome(await createKernels({ backend: 'simd', threads: 4 }));
    throw new Error('on purpose');
  },
  /** `dispose` ends the threads of one, garbage collection (--expose-gc) those of another: nothing is left that would keep a process. */
  async gone() {
    const disposed = await watchWorkers(() => createKernels({ backend: 'simd', threads: 4 }));
    runSome(disposed.value);
    disposed.value.dispose();
    await Promise.all(disposed.workers.map(({ ended }) => ended));
    const workers = await makeGarbage();
    let ended = 0;
    for (const worker of workers) void worker.ended.then(() => ended++);
    const collect = (globalThis as { gc?: () => void }).gc!;
    for (let round = 0; round < 500 && ended < workers.length; round++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    console.log(`${ended} of ${workers.length}`, process.getActiveResourcesInfo().filter((name) => /worker|message|port/i.test(name)));
  },
};

async function makeGarbage(): Promise<WatchedWorker[]> {
  const { value, workers } = await watchWorkers(() => createKernels({ backend: 'simd', threads: 4 }));
  runSome(value);
  return workers;
}

function runSome(kernels: Kernels): void {
  const jobs = createJobs(kernels, kernels.createArena(JOBS_ARENA_BYTES));
  for (let n = 0; n < 100; n++) jobs[n % jobs.length]!.run(0);
}

const end = ends[process.argv[2] ?? ''];
if (!end) throw new Error(`no such end: ${process.argv[2]}`);
await end();
console.log('done');
