import { randomInt } from 'node:crypto';
import type { GenerateOptions } from '../index.js';
import { numberOption, UsageError } from './arguments.js';
import { nameOf, readInput } from './input.js';
import type { Io } from './io.js';

/* How a text is written: what `generate` and `chat` have in common. */

export const DEFAULT_TEMPERATURE = 0.7;
export const DEFAULT_TOP_P = 0.95;
/** An answer ends by itself; with a thought before it, it may be long. */
export const CHAT_MAX_NEW_TOKENS = 4096;
const SEEDS = 2 ** 32;

export const WRITING_OPTIONS = {
  'max-new-tokens': { type: 'string', short: 'n' },
  temperature: { type: 'string', short: 't' },
  'top-p': { type: 'string' },
  'top-k': { type: 'string' },
  'min-p': { type: 'string' },
  'typical-p': { type: 'string' },
  'repetition-penalty': { type: 'string' },
  'frequency-penalty': { type: 'string' },
  'presence-penalty': { type: 'string' },
  'penalty-window': { type: 'string' },
  'max-time': { type: 'string' },
  speculate: { type: 'boolean' },
  choice: { type: 'string', multiple: true },
  regex: { type: 'string' },
  'json-schema': { type: 'string' },
  seed: { type: 'string' },
  stop: { type: 'string', multiple: true },
} as const;

type ValueOf<Option> = Option extends { type: 'boolean' } ? boolean : Option extends { multiple: true } ? string[] : string;
export type WritingFlags = { readonly [Name in keyof typeof WRITING_OPTIONS]?: ValueOf<(typeof WRITING_OPTIONS)[Name]> | undefined };

/**
 * The options that the flags stand for, with a seed in any case.
 * @throws UsageError for one that is no number, or two constraints; SourceError for a file that cannot be read.
 */
export async function writingOptions(flags: WritingFlags, io: Io): Promise<GenerateOptions & { readonly seed: number }> {
  const seconds = numberOption('max-time', flags['max-time']);
  return {
    maxNewTokens: numberOption('max-new-tokens', flags['max-new-tokens']),
    temperature: numberOption('temperature', flags.temperature),
    topP: numberOption('top-p', flags['top-p']),
    topK: numberOption('top-k', flags['top-k']),
    minP: numberOption('min-p', flags['min-p']),
    typicalP: numberOption('typical-p', flags['typical-p']),
    repetitionPenalty: numberOption('repetition-penalty', flags['repetition-penalty']),
    frequencyPenalty: numberOption('frequency-penalty', flags['frequency-penalty']),
    presencePenalty: numberOption('presence-penalty', flags['presence-penalty']),
    penaltyWindow: numberOption('penalty-window', flags['penalty-window']),
    maxTimeMs: seconds === undefined ? undefined : seconds * 1000,
    speculate: flags.speculate,
    constraint: await constraintOption(flags, io),
    seed: numberOption('seed', flags.seed) ?? randomInt(SEEDS),
    stop: flags.stop,
  };
}

/** @throws UsageError for two of them, or a schema that is no JSON; SourceError for a file that cannot be read. */
async function constraintOption({ choice, regex, 'json-schema': schemaFile }: WritingFlags, io: Io): Promise<GenerateOptions['constraint']> {
  if ([choice, regex, schemaFile].filter((each) => each !== undefined).length > 1) throw new UsageError('give one of --choice, --regex and --json-schema');
  if (choice !== undefined) return { choices: choice };
  if (regex !== undefined) return { regex };
  if (schemaFile === undefined) return undefined;
  const text = await readInput(schemaFile, io);
  try {
    return { jsonSchema: JSON.parse(text) };
  } catch (error) {
    throw new UsageError(`${nameOf(schemaFile)}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
