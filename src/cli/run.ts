import { readFile } from 'node:fs/promises';
import { ArgumentError, didYouMean, MatMulFreeError, TokenizerError } from '../index.js';
import { UsageError } from './arguments.js';
import { cacheCommand } from './cache.js';
import { chatCommand } from './chat.js';
import { convertCommand } from './convert.js';
import { evalCommand } from './eval.js';
import { generateCommand } from './generate.js';
import { infoCommand } from './info.js';
import type { Io } from './io.js';
import { modelsCommand } from './models.js';
import { perplexityCommand } from './perplexity.js';
import { pruneCommand } from './prune.js';
import { scoreCommand } from './score.js';
import { serveCommand } from './serve.js';
import { onOneLine } from './terminal.js';
import { HELP } from './usage.js';

const COMMANDS = new Map([
  ['generate', generateCommand],
  ['chat', chatCommand],
  ['serve', serveCommand],
  ['score', scoreCommand],
  ['perplexity', perplexityCommand],
  ['eval', evalCommand],
  ['info', infoCommand],
  ['convert', convertCommand],
  ['prune', pruneCommand],
  ['models', modelsCommand],
  ['cache', cacheCommand],
]);

/** Exit codes. */
export const FAILURE = 1;
const USAGE = 2;

/**
 * Does what the command line says.
 * @returns the exit code: 0, 1 (failure), 2 (the command line is wrong), or 'stopped' by the signal.
 */
export async function run(args: readonly string[], io: Io): Promise<number | 'stopped'> {
  const [first, ...others] = args;
  // `help generate` is `generate --help`.
  const [name, rest] = first === 'help' && others[0] !== undefined ? [others[0], ['--help']] : [first, others];
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? io.stderr : io.stdout).write(`${HELP.general}\n`);
    return name === undefined ? USAGE : 0;
  }
  if (name === '--version' || name === '-v') {
    io.stdout.write(`${await version()}\n`);
    return 0;
  }
  try {
    const command = COMMANDS.get(name);
    if (!command) throw new UsageError(`unknown command "${name}" (commands: ${[...COMMANDS.keys()].join(', ')})${didYouMean(name, [...COMMANDS.keys()])}`);
    await command(rest, io);
    return 0;
  } catch (error) {
    if (io.signal.aborted) return 'stopped';
    if (error instanceof UsageError || isOption(error)) {
      io.stderr.write(`matmulfree: ${onOneLine(error.message)}; see matmulfree ${COMMANDS.has(name) ? `${name} ` : ''}--help\n`);
      return USAGE;
    }
    const known = error instanceof MatMulFreeError || (error instanceof Error && 'code' in error);
    const unexpected = error instanceof Error ? error.stack : String(error);
    io.stderr.write(`matmulfree: ${known ? onOneLine((error as Error).message) + hintAt(error) : unexpected}\n`);
    return FAILURE;
  }
}

/** How a command does what the library's message says. */
function hintAt(error: unknown): string {
  if (error instanceof TokenizerError && error.message.endsWith('takes token ids only')) return '; matmulfree score takes them (--ids FILE.json)';
  return error instanceof ArgumentError && error.message.endsWith('more contextTokens') ? ' (--context-tokens N)' : '';
}

/** Whether the library has something against an option: not so a text that is too long. */
function isOption(error: unknown): error is ArgumentError {
  return error instanceof ArgumentError && /^(option |constraint: )/.test(error.message);
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
