/* What both benchmarks share: taking turns, medians, and what they need of the process. */
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

export interface Turns {
  readonly rounds: number;
  /** What a task does in a round takes about so long; at least one call. */
  readonly roundMs: number;
}

/** Long enough that V8 has compiled a task's loops with its optimising compilers. */
const WARM_UP_MS = 300;

/**
 * Lets `tasks` take turns, round by round, so that whatever disturbs the machine disturbs all of them.
 * @returns milliseconds a call: [task][round]
 */
export function takeTurns(tasks: readonly (() => void)[], { rounds, roundMs }: Turns): number[][] {
  const callMs = tasks.map(warmUp);
  const times = tasks.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    tasks.forEach((task, n) => {
      const calls = Math.max(1, Math.round(roundMs / callMs[n]));
      const start = performance.now();
      for (let call = 0; call < calls; call++) task();
      const time = (performance.now() - start) / calls;
      if (round < 0) callMs[n] = time; // a round of its own, for those that were still being compiled
      else times[n].push(time);
    });
  }
  return times;
}

/** @returns milliseconds a call, towards the end. */
function warmUp(task: () => void): number {
  const start = performance.now();
  let last = 0;
  for (let now = start; now - start < WARM_UP_MS; now += last) {
    task();
    last = performance.now() - now;
  }
  return last;
}

export function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))];
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The quartiles of `values`. */
export function spread(values: readonly number[], digits: number): string {
  return `${quantile(values, 0.25).toFixed(digits)}–${quantile(values, 0.75).toFixed(digits)}`;
}

/** Median of a / b, round by round. */
export function ratio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, round) => value / b[round]));
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
