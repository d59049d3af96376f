/* What the benchmarks need of the process. */
import { spawn } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Before the first use of WebAssembly: Node 20 has relaxed SIMD, but behind a flag that a program may set at run time. */
export function enableRelaxedSimd(): void {
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
}

export function machine(): string {
  return `Node ${process.version}, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} processors`;
}

/** Lets go of models that are no longer used: their memory is not JavaScript's, which alone would not collect them in time. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
}

/** Bytes that are resident once garbage is gone. */
export function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

/** A process that keeps one core busy until `stop`, or until this process is gone in whatever way. */
export function keepOneCoreBusy(): { stop(): void } {
  const child = spawn(process.execPath, ['-e', 'const p = process.ppid; while (process.ppid === p) for (let i = 0; i < 1e8; i++);'], {
    stdio: 'ignore',
  });
  return { stop: () => void child.kill('SIGKILL') };
}

/** The number that an option holds. */
export function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new TypeError(`--${option} takes a whole number, not "${text}"`);
  return Number(text);
}

/** For `main().catch`. */
export function complain(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
