import type { Perplexity, PerplexityProgress } from '../index.js';
import { numberOption, parseCommand, UsageError } from './arguments.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { textArgument, TextInput } from './input.js';
import type { Io } from './io.js';
import { decimal, plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

export async function perplexityCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, {
    ...MODEL_OPTIONS,
    'text-file': { type: 'string' },
    context: { type: 'string' },
    stride: { type: 'string' },
    json: { type: 'boolean' },
  }, true);
  if (values.help) return void io.stdout.write(`${HELP.perplexity}\n`);
  const context = numberOption('context', values.context);
  const stride = numberOption('stride', values.stride);
  if (stride !== undefined && context === undefined) throw new UsageError('--stride needs --context: how long the windows are');
  const text = await TextInput.open(await textArgument('perplexity takes --text-file FILE', positionals, values['text-file'], io), io);
  try {
    const lm = await loadFromFlags(values, io);
    const progress = new ProgressLine(values.quiet === true, io.stderr);
    const onProgress = ({ bytes }: PerplexityProgress): void => progress.update('scoring', text.bytesOf(bytes), text.bytes);
    try {
      const result = await lm.perplexity(text.pieces(), { context, stride, onProgress, signal: io.signal });
      progress.clear();
      io.stdout.write(values.json ? `${JSON.stringify(jsonOf(result, context, stride))}\n` : tableOf(result));
    } finally {
      progress.clear();
      lm.dispose();
    }
  } finally {
    await text.close();
  }
}

function jsonOf({ tokens, nll, perplexity, text }: Perplexity, context: number | undefined, stride: number | undefined): Record<string, unknown> {
  const windows = context === undefined ? {} : { context, stride: stride ?? context };
  return {
    ...windows, tokens, nll, perplexity,
    bytes: text?.bytes, bits_per_byte: text?.bitsPerByte, byte_perplexity: text?.bytePerplexity,
    words: text?.words, word_perplexity: text?.wordPerplexity,
  };
}

function tableOf({ tokens, nll, perplexity, text }: Perplexity): string {
  const { bytes = 0, words = 0, bitsPerByte = NaN, wordPerplexity = NaN } = text ?? {};
  return [
    `${plural(tokens, 'token')} predicted, of ${plural(words, 'word')} in ${plural(bytes, 'byte')}`,
    `perplexity      ${decimal(perplexity)} a token (negative log-likelihood ${(nll / tokens).toFixed(4)})`,
    `                ${decimal(wordPerplexity)} a word`,
    `bits per byte   ${bitsPerByte.toFixed(4)}`,
  ].join('\n') + '\n';
}
