/** The event loop gets its turn at least this often: timers, signals and input are not starved, a page stays smooth. */
const WORK_MS = 12;

/** Paces long work: `await pace.giveWay()` now and then lets other tasks run, if it is time, and stops at an abort. */
export class Pace {
  private readonly signal: AbortSignal | undefined;
  private since = performance.now();

  constructor(signal?: AbortSignal) {
    this.signal = signal;
  }

  /** Whether `giveWay` would wait: saves loops the cost of an await. */
  get isDue(): boolean {
    return performance.now() - this.since >= WORK_MS;
  }

  /** @throws the signal's reason when it is aborted. */
  async giveWay(): Promise<void> {
    if (this.isDue) {
      await nextTask();
      this.since = performance.now();
    }
    this.signal?.throwIfAborted();
  }
}

/** Resolves in a later task, after timers and input that are due. `setTimeout` alone waits 4 ms in browsers. */
function nextTask(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  if (typeof MessageChannel === 'undefined') return new Promise((resolve) => setTimeout(resolve)); // workerd
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
