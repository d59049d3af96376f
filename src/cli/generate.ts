import { randomInt } from 'node:crypto';
import { ArgumentError, type GenerateOptions, type GenerateResult, type MatMulFreeLM } from '../index.js';
import { numberOption, parseCommand, UsageError } from './arguments.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { nameOf, pipedInput, readInput, STDIN } from './input.js';
import type { Io } from './io.js';
import { formatBytes, plural } from './terminal.js';
import { HELP } from './usage.js';

const DEFAULT_PROMPT = 'Once upon a time';
const DEFAULT_TEMPERATURE = 0.7;
const DEFAULT_TOP_P = 0.95;
const SEEDS = 2 ** 32;

export async function generateCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, {
    ...MODEL_OPTIONS,
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
  }, true);
  if (values.help) return void io.stdout.write(`${HELP.generate}\n`);
  const prompt = await promptOf(positionals, io);
  if (prompt === '') throw new UsageError('the prompt is empty');
  const seconds = numberOption('max-time', values['max-time']);
  const options: GenerateOptions = {
    maxNewTokens: numberOption('max-new-tokens', values['max-new-tokens']),
    temperature: numberOption('temperature', values.temperature) ?? DEFAULT_TEMPERATURE,
    topP: numberOption('top-p', values['top-p']) ?? DEFAULT_TOP_P,
    topK: numberOption('top-k', values['top-k']),
    minP: numberOption('min-p', values['min-p']),
    typicalP: numberOption('typical-p', values['typical-p']),
    repetitionPenalty: numberOption('repetition-penalty', values['repetition-penalty']),
    frequencyPenalty: numberOption('frequency-penalty', values['frequency-penalty']),
    presencePenalty: numberOption('presence-penalty', values['presence-penalty']),
    penaltyWindow: numberOption('penalty-window', values['penalty-window']),
    maxTimeMs: seconds === undefined ? undefined : seconds * 1000,
    speculate: values.speculate,
    constraint: await constraintOption(values, io),
    seed: numberOption('seed', values.seed) ?? randomInt(SEEDS),
    stop: values.stop,
    signal: io.signal,
  };
  const lm = await loadFromFlags(values, io);
  try {
    await stream(lm, prompt, options, io, values.quiet === true);
  } catch (error) {
    if (error instanceof ArgumentError) throw new UsageError(error.message);
    throw error;
  } finally {
    lm.dispose();
  }
}

/** What was given, what stands on stdin for `-` or comes from a pipe (without the end of its last line), or the one that there always is. */
async function promptOf(positionals: readonly string[], io: Io): Promise<string> {
  const given = positionals.length > 0 ? positionals.join(' ') : ((await pipedInput(io)) ?? DEFAULT_PROMPT);
  return given === STDIN ? (await readInput(STDIN, io)).replace(/\r?\n$/, '') : given;
}

/** @throws UsageError for two of them, or a schema that is no JSON; SourceError for a file that cannot be read. */
async function constraintOption(
  { choice, regex, 'json-schema': schemaFile }: { choice?: string[]; regex?: string; 'json-schema'?: string }, io: Io,
): Promise<GenerateOptions['constraint']> {
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

/** Writes prompt and text to stdout as they come, then a line about it to stderr, also when Ctrl-C ends it. */
async function stream(lm: MatMulFreeLM, prompt: string, options: GenerateOptions, io: Io, quiet: boolean): Promise<void> {
  const state = lm.createState();
  const pieces = lm.generate(prompt, { ...options, state });
  let begun: number | undefined;
  let result: GenerateResult | undefined;
  try {
    while (!result) {
      const step = await pieces.next();
      if (begun === undefined) io.stdout.write(prompt);
      begun ??= performance.now();
      if (step.done) result = step.value;
      else io.stdout.write(step.value);
    }
  } finally {
    if (begun !== undefined) io.stdout.write('\n');
    if (begun !== undefined && !quiet && (result || io.signal.aborted)) {
      // What was interrupted has no result; the state has what was written.
      const newTokens = result?.newTokens ?? state.tokens - lm.tokenizer.encode(prompt).length;
      io.stderr.write(`${summary(lm, state.byteLength, newTokens, result?.decodeMs ?? performance.now() - begun, options.seed!)}\n`);
    }
  }
}

function summary(lm: MatMulFreeLM, stateBytes: number, newTokens: number, decodeMs: number, seed: number): string {
  const rate = ((newTokens - 1) / decodeMs) * 1000; // the first comes with the prompt
  return [
    plural(newTokens, 'token'),
    `${newTokens > 1 ? rate.toFixed(0) : '-'} tokens/s`,
    `backend ${lm.backend}${lm.threads > 1 ? `, ${plural(lm.threads, 'thread')}` : ''}`,
    `state ${formatBytes(stateBytes)}`,
    `seed ${seed}`,
  ].join(' · ');
}
