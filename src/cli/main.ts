#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { MatMulFreeError } from '../index.js';
import { cacheCommand } from './cache.js';
import { convertCommand } from './convert.js';
import { evalCommand } from './eval.js';
import { generateCommand } from './generate.js';
import { infoCommand } from './info.js';
import { perplexityCommand } from './perplexity.js';
import { scoreCommand } from './score.js';
import { onOneLine } from './terminal.js';
import { HELP, UsageError } from './usage.js';

const COMMANDS = new Map([
  ['generate', generateCommand],
  ['score', scoreCommand],
  ['perplexity', perplexityCommand],
  ['eval', evalCommand],
  ['info', infoCommand],
  ['convert', convertCommand],
  ['cache', cacheCommand],
]);

const FAILURE = 1;
const USAGE = 2;
/** By convention 128 and the signal's number. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;
const SAME_KEY_PRESS_MS = 300;

/** @returns the exit code: 0, 1 (failure), 2 (the command line is wrong), 130 (Ctrl-C), 143 (SIGTERM). */
async function main(args: readonly string[]): Promise<number> {
  // A reader that goes away, as `| head` does, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`matmulfree: cannot write the output: ${onOneLine(error.message)}\n`);
    process.exit(FAILURE);
  });
  process.stderr.on('error', () => undefined); // nobody listens: what is written to stdout matters
  const [first, ...others] = args;
  // `help generate` is `generate --help`.
  const [name, rest] = first === 'help' && others[0] !== undefined ? [others[0], ['--help']] : [first, others];
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? process.stderr : process.stdout).write(`${HELP.general}\n`);
    return name === undefined ? USAGE : 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${await version()}\n`);
    return 0;
  }
  const interrupt = abortOnSignals();
  try {
    const command = COMMANDS.get(name);
    if (!command) throw new UsageError(`unknown command "${name}" (commands: ${[...COMMANDS.keys()].join(', ')})`);
    await command(rest, interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return interrupt.exitCode();
    if (error instanceof UsageError) {
      process.stderr.write(`matmulfree: ${onOneLine(error.message)}; see matmulfree ${COMMANDS.has(name) ? `${name} ` : ''}--help\n`);
      return USAGE;
    }
    const known = error instanceof MatMulFreeError || (error instanceof Error && 'code' in error);
    const unexpected = error instanceof Error ? error.stack : String(error);
    process.stderr.write(`matmulfree: ${known ? onOneLine((error as Error).message) : unexpected}\n`);
    return FAILURE;
  }
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
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
