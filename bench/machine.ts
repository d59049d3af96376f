import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, freemem, loadavg, platform, release, totalmem } from 'node:os';

/** Where a run took place. */
export interface Machine {
  readonly cpu: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  readonly system: string;
  readonly engine: string;
  /** Processes that wanted to run, on average over the last minute; this one is not among them yet at the start. */
  readonly load: { readonly start: number; readonly end: number };
  /** Of the repository; undefined where there is none. */
  readonly commit: string | undefined;
}

/** The machine as it is now; `load.end` is to be filled in. */
export function describeMachine(): Machine {
  const [load] = loadavg();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown', processors: availableParallelism(), memoryBytes: totalmem(), freeBytes: freemem(),
    system: `${platform()} ${release()}`, engine: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    load: { start: load, end: load }, commit: commit(),
  };
}

function commit(): string | undefined {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
