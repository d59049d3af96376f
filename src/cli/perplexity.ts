import { open } from 'node:fs/promises';
import { ArgumentError, SourceError, type Perplexity, type PerplexityProgress } from '../index.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import type { Io } from './io.js';
import { describeFileError, formatCount, ProgressLine } from './terminal.js';
import { HELP, numberOption, parseCommand, UsageError } from './usage.js';

export async function perplexityCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    ...MODEL_OPTIONS,
    'text-file': { type: 'string' },
    context: { type: 'string' },
    stride: { type: 'string' },
    json: { type: 'boolean' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.perplexity}\n`);
  const { 'text-file': file } = values;
  if (file === undefined) throw new UsageError('perplexity takes --text-file FILE');
  const context = numberOption('context', values.context);
  const stride = numberOption('stride', values.stride);
  if (stride !== undefined && context === undefined) throw new UsageError('--stride needs --context: how long the windows are');
  const text = await TextFile.open(file);
  try {
    const lm = await loadFromFlags(values, io);
    const progress = new ProgressLine(values.quiet === true, io.stderr);
    const onProgress = ({ bytes }: PerplexityProgress): void => progress.update('reading', bytes, text.bytes);
    try {
      const result = await lm.perplexity(text.pieces(), { context, stride, onProgress, signal: io.signal });
      progress.clear();
      io.stdout.write(values.json ? `${JSON.stringify(jsonOf(result, context, stride))}\n` : tableOf(result));
    } catch (error) {
      if (error instanceof ArgumentError && /^option /.test(error.message)) throw new UsageError(error.message);
      throw error;
    } finally {
      progress.clear();
      lm.dispose();
    }
  } finally {
    await text.close();
  }
}

/** A UTF-8 file that is read piece by piece. */
class TextFile {
  /** 0 when that is not known, as of a pipe. */
  readonly bytes: number;
  private readonly name: string;
  private readonly handle: Awaited<ReturnType<typeof open>>;

  private constructor(name: string, handle: Awaited<ReturnType<typeof open>>, bytes: number) {
    this.name = name;
    this.handle = handle;
    this.bytes = bytes;
  }

  static async open(name: string): Promise<TextFile> {
    try {
      const handle = await open(name, 'r');
      const stat = await handle.stat();
      return new TextFile(name, handle, stat.isFile() ? stat.size : 0);
    } catch (error) {
      throw new SourceError(`cannot read ${name}: ${describeFileError(error)}`);
    }
  }

  async *pieces(): AsyncGenerator<string, void, undefined> {
    try {
      yield* this.handle.createReadStream({ encoding: 'utf8', autoClose: false }) as AsyncIterable<string>;
    } catch (error) {
      throw new SourceError(`cannot read ${this.name}: ${describeFileError(error)}`);
    }
  }

  close(): Promise<void> {
    return this.handle.close();
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
    `${formatCount(tokens)} tokens predicted, of ${formatCount(words)} words in ${formatCount(bytes)} bytes`,
    `perplexity      ${decimal(perplexity)} a token (negative log-likelihood ${(nll / tokens).toFixed(4)})`,
    `                ${decimal(wordPerplexity)} a word`,
    `bits per byte   ${bitsPerByte.toFixed(4)}`,
  ].join('\n') + '\n';
}

function decimal(value: number): string {
  return value < 1e6 ? value.toFixed(4) : value.toExponential(4);
}
