import type { WorkerThreads } from './node.js';

/** Node's worker threads, or undefined in a browser. */
export function nodeThreads(): WorkerThreads | undefined {
  return (globalThis.process as NodeJS.Process | undefined)?.getBuiltinModule?.('node:worker_threads');
}

/** Logical processors that this process may use. */
export function processors(): number {
  const os = (globalThis.process as NodeJS.Process | undefined)?.getBuiltinModule?.('node:os');
  return os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}
