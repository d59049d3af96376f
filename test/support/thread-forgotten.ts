/*
 * A process that uses threads and ends in one way or another, mostly without `dispose`. The tests look whether it does end.
 */
import { createKernels, MatMulFreeLM, type Kernels } from 'matmulfree';
import { EMBEDDED } from './files.js';
import { createJobs, JOBS_ARENA_BYTES } from './thread-jobs.js';
import { watchWorkers, type WatchedWorker } from './thread-workers.js';

const ends: Record<string, () => Promise<void>> = {
  /** Nobody disposes of the kernels. */
  async forgotten() {
    runSome(await createKernels({ backend: 'simd', threads: 4 }));
  },
  /** The threads never got anything to do. */
  async unstarted() {
    await createKernels({ backend: 'simd', threads: 4 });
  },
  async model() {
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
  async disposed() {
    const { value: kernels, workers } = await watchWorkers(() => createKernels({ backend: 'simd', threads: 4 }));
    runSome(kernels);
    kernels.dispose();
    await Promise.all(workers.map(({ ended }) => ended));
    // Nothing is left that would keep the process: neither threads nor their ports.
    console.log(JSON.stringify(process.getActiveResourcesInfo().filter((name) => /worker|message|port/i.test(name))));
  },
  /** `dispose` in the middle of things, and the end at once. */
  async hurried() {
    const kernels = await createKernels({ backend: 'simd', threads: 4 });
    runSome(kernels);
    kernels.dispose();
    process.exit(0);
  },
  /** Forgotten kernels are garbage: their threads go with them. Needs --expose-gc. */
  async collected() {
    const workers = await makeGarbage();
    let ended = 0;
    for (const worker of workers) void worker.ended.then(() => ended++);
    const collect = (globalThis as { gc?: () => void }).gc!;
    for (let round = 0; round < 500 && ended < workers.length; round++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    console.log(`${ended} of ${workers.length}`);
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
