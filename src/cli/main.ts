#!/usr/bin/env node
import { FAILURE, run } from './run.js';
import { processStdin } from './stdin.js';
import { onOneLine } from './terminal.js';

/*
 * The program: signals, and readers that go away. What the commands do is in run.ts.
 */

/** By convention 128 and the signal's number. */
const INTERRUPTED = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const SAME_KEY_PRESS_MS = 300;

/** @returns the exit code: 0, 1 (failure), 2 (the command line is wrong), 129 (SIGHUP: the terminal is closed), 130 (Ctrl-C), 143 (SIGTERM). */
async function main(args: readonly string[]): Promise<number> {
  const { stdout, stderr } = process;
  // A reader that goes away, as `| head` does, is no failure.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    if (error.code === 'EIO') hangUp(); // the terminal is gone
    stderr.write(`matmulfree: cannot write the output: ${onOneLine(error.message)}\n`);
    process.exit(FAILURE);
  });
  stderr.on('error', () => undefined); // nobody listens: what is written to stdout matters
  const interrupt = abortOnSignals();
  const { signal } = interrupt;
  const code = await run(args, { stdin: processStdin(signal), stdout, stderr, signal });
  return code === 'stopped' ? interrupt.exitCode() : code;
}

/** Ctrl-C, a SIGTERM, or a terminal that is closed, stops cleanly at the next token; again, if that does not help, at once. */
function abortOnSignals(): { signal: AbortSignal; exitCode: () => number } {
  const interrupt = new AbortController();
  let exitCode: number = FAILURE;
  let first = 0;
  for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // One key press may arrive twice: from the terminal, and passed on by a runner such as npm or tsx.
      if (interrupt.signal.aborted && performance.now() - first > SAME_KEY_PRESS_MS) process.exit(exitCode);
      if (interrupt.signal.aborted) return;
      first = performance.now();
      exitCode = INTERRUPTED[name];
      interrupt.abort();
    });
  }
  return { signal: interrupt.signal, exitCode: () => exitCode };
}

/** Ends without what Node does at its end: give the terminal, which is gone, its settings back, and abort over it. */
function hangUp(): void {
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

process.exitCode = await main(process.argv.slice(2));
if (process.exitCode === INTERRUPTED.SIGHUP) hangUp();
