import { BackendError } from '../../errors.js';
import { spawnThread, type Thread } from './spawn.js';
import { CONTROL } from './jobs.js';

/** How often an idle thread looks for a job before it sleeps: some 100 µs, longer than what lies between two jobs of a token. */
const WORKER_SPINS = 100_000;
/** A chunk takes milliseconds at most; when none was finished for this long, its thread has died. */
const PATIENCE_MS = 10_000;
const SLICE_MS = 20;

/** The threads beside the main one. */
export interface ThreadPool {
  readonly size: number;
  /** Gives the threads their module and memory. Called once. */
  start(module: WebAssembly.Module, memory: WebAssembly.Memory): void;
  /** Waits until `finished` says that all chunks are done. @throws BackendError when a thread has died over one. */
  wait(control: Int32Array): void;
  /** @throws BackendError when a thread has died. */
  check(): void;
  /** Ends the threads when `owner` has been garbage-collected without `dispose`. The pool must not refer to it. */
  endWith(owner: object): void;
  dispose(): void;
}

/** Starts `count` threads; fewer, or none, where the engine does not let us. */
export async function createThreadPool(count: number): Promise<ThreadPool> {
  let failure: BackendError | undefined;
  let control: Int32Array | undefined;
  let disposed = false;
  let registry: FinalizationRegistry<undefined> | undefined;
  const onEnd = (reason: string): void => {
    registry = undefined; // the threads keep this function alive, and so the registry until now
    if (!disposed) failure ??= new BackendError(`a worker thread ended (${reason}); load the model again`);
  };
  const started = await Promise.all(Array.from({ length: count }, () => spawnThread(onEnd)));
  const threads = started.filter((thread): thread is Thread => thread !== undefined);
  failure = undefined; // one that did not start is not missed

  function dispose(): void {
    disposed = true;
    if (control) {
      Atomics.store(control, CONTROL.stop / 4, 1);
      Atomics.add(control, CONTROL.jobNumber / 4, 1);
      Atomics.notify(control, CONTROL.jobNumber / 4);
      control = undefined;
    }
    for (const thread of threads) thread.end();
  }

  return {
    size: threads.length,
    start(module, memory) {
      control = new Int32Array(memory.buffer, 0, CONTROL.end / 4);
      threads.forEach((thread, n) => thread.post({ module, memory, thread: n + 1, spins: WORKER_SPINS }));
    },
    wait(words) {
      const chunks = words[CONTROL.chunks / 4]!;
      let finished = Atomics.load(words, CONTROL.finished / 4);
      let deadline = performance.now() + PATIENCE_MS;
      while (finished !== chunks) {
        sleepOn(words, CONTROL.finished / 4, finished);
        const now = Atomics.load(words, CONTROL.finished / 4);
        if (now !== finished) deadline = performance.now() + PATIENCE_MS;
        else if (performance.now() > deadline) {
          failure = new BackendError(`a worker thread has not answered for ${PATIENCE_MS / 1000} s: it must have died; load the model again`);
          throw failure;
        }
        finished = now;
      }
    },
    check() {
      if (failure) throw failure;
    },
    endWith(owner) {
      registry = new FinalizationRegistry(dispose);
      registry.register(owner, undefined);
    },
    dispose,
  };
}

/** Sleeps a little while `words[index]` is `value`; where sleeping is not allowed (a page's main thread), returns at once. */
function sleepOn(words: Int32Array, index: number, value: number): void {
  Atomics.store(words, CONTROL.mainSleeps / 4, 1);
  try {
    Atomics.wait(words, index, value, SLICE_MS);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  Atomics.store(words, CONTROL.mainSleeps / 4, 0);
}
