#!/usr/bin/env node
import { FAILURE, run } from './run.js';
import { processStdin } from './stdin.js';
import { onOneLine } from './terminal.js';

/*
 * The program: signals, and readers that go away. What the commands do is in run.ts.
 */

/** By convention 128 and the signal's number. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;
const SAME_KEY_PRESS_MS = 300;

/** @returns the exit code: 0, 1 (failure), 2 (the command line is wrong), 130 (Ctrl-C), 143 (SIGTERM). */
async function main(args: readonly string[]): Promise<number> {
  const { stdout, stderr } = process;
  // A reader that goes away, as `| head` does, is no failure.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    stderr.write(`matmulfree: cannot write the output: ${onOneLine(error.message)}\n`);
    process.exit(FAILURE);
  });
  stderr.on('error', () => undefined); // nobody listens: what is written to stdout matters
  const interrupt = abortOnSignals();
  const { signal } = interrupt;
  const code = await run(args, { stdin: processStdin(signal), stdout, stderr, signal });
  return code === 'stopped' ? interrupt.exitCode() : code;
}

/** Ctrl-C, or a SIGTERM, stops cleanly at the next token; again, if that does not help, at once. */
function abortOnSignals(): { signal: AbortSignal; exitCode: () => number } {
  const interrupt = new AbortController();
  let exitCode: number = FAILURE;
  let first = 0;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
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

process.exitCode = await main(process.argv.slice(2));
