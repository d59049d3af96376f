/** The program of a thread in a Web Worker; `THREAD_PROGRAM` in spawn.ts is the same as a text. */
import type { READY, ThreadWork } from './spawn.js';

const scope = globalThis as unknown as Pick<Worker, 'onmessage' | 'postMessage'> & { close(): void };
const ready: typeof READY = 'matmulfree thread ready';

scope.onmessage = (event): void => {
  const { module, memory, thread, spins } = event.data as ThreadWork;
  const { worker } = new WebAssembly.Instance(module, { env: { memory } }).exports as { worker(thread: number, spins: number): void };
  worker(thread, spins);
  scope.close();
};
scope.postMessage(ready);
