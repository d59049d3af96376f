import type { ChildProcess } from 'node:child_process';

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach(killGroup));

/** Ends a process with this one. @param child was spawned `detached`, so it leads a process group of its own. */
export function endWithThisProcess(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child)).once('error', () => running.delete(child));
}

/** Kills a process and what it has started. */
export function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // it has ended
  }
}
