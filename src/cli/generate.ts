import type { GenerateOptions, GenerateResult, MatMulFreeLM } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { pipedInput, readInput, STDIN } from './input.js';
import type { Io } from './io.js';
import { forTerminal, formatBytes, plural } from './terminal.js';
import { HELP } from './usage.js';
import { DEFAULT_TEMPERATURE, DEFAULT_TOP_P, WRITING_OPTIONS, writingOptions } from './writing.js';

const DEFAULT_PROMPT = 'Once upon a time';

export async function generateCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, { ...MODEL_OPTIONS, ...WRITING_OPTIONS }, true);
  if (values.help) return void io.stdout.write(`${HELP.generate}\n`);
  const prompt = await promptOf(positionals, io);
  if (prompt === '') throw new UsageError('the prompt is empty');
  const asked = await writingOptions(values, io);
  const options = { ...asked, temperature: asked.temperature ?? DEFAULT_TEMPERATURE, topP: asked.topP ?? DEFAULT_TOP_P, signal: io.signal };
  const lm = await loadFromFlags(values, io);
  try {
    await stream(lm, prompt, options, io, values.quiet === true);
  } finally {
    lm.dispose();
  }
}

/** What was given, what stands on stdin for `-` or comes from a pipe (without the end of its last line), or the one that there always is. */
async function promptOf(positionals: readonly string[], io: Io): Promise<string> {
  const given = positionals.length > 0 ? positionals.join(' ') : ((await pipedInput(io)) ?? DEFAULT_PROMPT);
  return given === STDIN ? (await readInput(STDIN, io)).replace(/\r?\n$/, '') : given;
}

/** Writes prompt and text to stdout as they come, then a line about it to stderr, also when Ctrl-C ends it. */
async function stream(lm: MatMulFreeLM, prompt: string, options: GenerateOptions, io: Io, quiet: boolean): Promise<void> {
  const state = lm.createState();
  const write = (text: string): unknown => io.stdout.write(forTerminal(text, io.stdout));
  const pieces = lm.generate(prompt, { ...options, state });
  let begun: number | undefined;
  let result: GenerateResult | undefined;
  try {
    while (!result) {
      const step = await pieces.next();
      if (begun === undefined) write(prompt);
      begun ??= performance.now();
      if (step.done) result = step.value;
      else write(step.value);
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
  const timed = newTokens - 1; // the first comes with the prompt
  return [
    plural(newTokens, 'token'),
    ...(timed > 0 ? [`${((timed / decodeMs) * 1000).toFixed(0)} tokens/s`] : []),
    `backend ${lm.backend}${lm.threads > 1 ? `, ${plural(lm.threads, 'thread')}` : ''}`,
    `state ${formatBytes(stateBytes)}`,
    `seed ${seed}`,
  ].join(' · ');
}
