import { ArgumentError, type GenerateOptions, type GenerateResult, type MatMulFreeLM } from '../index.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { readInput } from './input.js';
import type { Io } from './io.js';
import { formatBytes } from './terminal.js';
import { HELP, numberOption, parseCommand, UsageError } from './usage.js';

const DEFAULT_PROMPT = 'Once upon a time';
const DEFAULT_TEMPERATURE = 0.7;
const DEFAULT_TOP_P = 0.95;

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
  const prompt = positionals.length > 0 ? positionals.join(' ') : DEFAULT_PROMPT;
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
    constraint: await constraintOption(values),
    seed: numberOption('seed', values.seed),
    stop: values.stop,
    signal: io.signal,
  };
  const lm = await loadFromFlags(values, io);
  try {
    const result = await stream(lm, prompt, options, io);
    if (!values.quiet) io.stderr.write(`${summary(lm, result)}\n`);
  } catch (error) {
    if (error instanceof ArgumentError) throw new UsageError(error.message);
    throw error;
  } finally {
    lm.dispose();
  }
}

/** @throws UsageError for two of them, or a schema that is no JSON; SourceError for a file that cannot be read. */
async function constraintOption(
  { choice, regex, 'json-schema': schemaFile }: { choice?: string[]; regex?: string; 'json-schema'?: string },
): Promise<GenerateOptions['constraint']> {
  if ([choice, regex, schemaFile].filter((each) => each !== undefined).length > 1) throw new UsageError('give one of --choice, --regex and --json-schema');
  if (choice !== undefined) return { choices: choice };
  if (regex !== undefined) return { regex };
  if (schemaFile === undefined) return undefined;
  const text = await readInput(schemaFile);
  try {
    return { jsonSchema: JSON.parse(text) };
  } catch (error) {
    throw new UsageError(`${schemaFile}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Writes prompt and text to stdout as they come. */
async function stream(lm: MatMulFreeLM, prompt: string, options: GenerateOptions, io: Io): Promise<GenerateResult> {
  const pieces = lm.generate(prompt, options);
  let started = false;
  try {
    for (;;) {
      const step = await pieces.next();
      if (!started) io.stdout.write(prompt);
      started = true;
      if (step.done) return step.value;
      io.stdout.write(step.value);
    }
  } finally {
    if (started) io.stdout.write('\n');
  }
}

function summary(lm: MatMulFreeLM, result: GenerateResult): string {
  const rate = ((result.newTokens - 1) / result.decodeMs) * 1000; // the first comes with the prompt
  return [
    `${result.newTokens} tokens`,
    `${result.newTokens > 1 ? rate.toFixed(0) : '-'} tokens/s`,
    `backend ${lm.backend}${lm.threads > 1 ? `, ${lm.threads} threads` : ''}`,
    `state ${formatBytes(lm.createState().byteLength)}`,
    `seed ${result.seed}`,
  ].join(' · ');
}
