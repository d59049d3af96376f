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
const INTERRUPTED = 130;
const SAME_KEY_PRESS_MS = 300;

/** @returns the exit code: 0, 1 (failure), 2 (the command line is wrong), 130 (Ctrl-C). */
async function main(args: readonly string[]): Promise<number> {
  // A reader that goes away, as `| head` does, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`matmulfree: cannot write the output: ${onOneLine(error.message)}\n`);
    process.exit(FAILURE);
  });
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
  const interrupt = abortOnCtrlC();
  try {
    const command = COMMANDS.get(name);
    if (!command) throw new UsageError(`unknown command "${name}" (commands: ${[...COMMANDS.keys()].join(', ')})`);
    await command(rest, interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED;
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

/** Ctrl-C stops cleanly at the next token; again, if that does not help, at once. */
function abortOnCtrlC(): AbortController {
  const interrupt = new AbortController();
  let first = 0;
  process.on('SIGINT', () => {
    // One key press may arrive twice: from the terminal, and passed on by a runner such as npm or tsx.
    if (interrupt.signal.aborted && performance.now() - first > SAME_KEY_PRESS_MS) process.exit(INTERRUPTED);
    if (!interrupt.signal.aborted) first = performance.now();
    interrupt.abort();
  });
  return interrupt;
}

process.exitCode = await main(process.argv.slice(2));
