import { open } from 'node:fs/promises';
import { FormatError, SourceError, textDecoderFor } from '../index.js';
import { UsageError } from './arguments.js';
import type { Io } from './io.js';
import { describeFileError } from './terminal.js';

/** What stands for stdin in place of a file's name. */
export const STDIN = '-';

/** A text that is read piece by piece, from a file or from stdin. */
export class TextInput {
  /** 0 when that is not known, as of a pipe. */
  readonly bytes: number;
  /** Bytes read so far, and how many they are as UTF-8. */
  private read = 0;
  private asUtf8 = 0;
  private readonly name: string;
  private readonly source: AsyncIterable<Uint8Array>;
  private readonly end: () => Promise<void>;

  private constructor(name: string, bytes: number, source: AsyncIterable<Uint8Array>, end: () => Promise<void>) {
    this.name = name;
    this.bytes = bytes;
    this.source = source;
    this.end = end;
  }

  /** @param file its name, or `-` for stdin. @throws SourceError saying why it cannot be read. */
  static async open(file: string, { stdin, signal }: Io): Promise<TextInput> {
    if (file === STDIN) return new TextInput(nameOf(file), 0, stdin.bytes(), async () => {});
    try {
      const handle = await open(file, 'r');
      const stat = await handle.stat();
      return new TextInput(file, stat.isFile() ? stat.size : 0, handle.createReadStream({ autoClose: false, signal }), () => handle.close());
    } catch (error) {
      throw cannotRead(file, error);
    }
  }

  async *pieces(): AsyncGenerator<string, void, undefined> {
    try {
      for await (const piece of decodeText(this.chunks())) {
        this.asUtf8 += Buffer.byteLength(piece);
        yield piece;
      }
    } catch (error) {
      throw cannotRead(this.name, error);
    }
  }

  /** How many of its own bytes so many of the text in UTF-8 are, about. */
  bytesOf(utf8: number): number {
    return Math.round((utf8 * this.read) / this.asUtf8);
  }

  private async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.source) {
      this.read += chunk.length;
      yield chunk;
    }
  }

  close(): Promise<void> {
    return this.end();
  }
}

/** Text of UTF-8, or of UTF-16 with a byte order mark, which is not part of it; however the bytes are cut. */
export async function* decodeText(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let decoder: TextDecoder | undefined;
  let start: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks) {
    if (decoder) {
      yield decoder.decode(chunk, { stream: true });
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < 2) continue; // of a byte order mark
    decoder = textDecoderFor(start);
    yield decoder.decode(start, { stream: true });
  }
  yield decoder ? decoder.decode() : textDecoderFor(start).decode(start);
}

export function cannotRead(name: string, error: unknown): SourceError {
  return new SourceError(`cannot read ${name}: ${describeFileError(error)}`);
}

/** The whole text of a file that the command line names, or of stdin. @throws SourceError saying why it cannot be read. */
export async function readInput(file: string, io: Io): Promise<string> {
  const input = await TextInput.open(file, io);
  let text = '';
  try {
    for await (const piece of input.pieces()) text += piece;
  } finally {
    await input.close();
  }
  return text;
}

/**
 * The file of a command that scores texts: the one that was named, or stdin, for `-` or a pipe.
 * @param takes what to say of what it takes. @throws UsageError
 */
export async function textArgument(takes: string, positionals: readonly string[], named: string | undefined, io: Io): Promise<string> {
  const [first, ...others] = positionals;
  if (others.length > 0 || (first !== undefined && (first !== STDIN || named !== undefined))) {
    throw new UsageError(`unexpected argument "${first}": ${takes}, or - for stdin`);
  }
  const file = named ?? first ?? (await pipedInput(io));
  if (file === undefined) throw new UsageError(`${takes}, or a text from a pipe`);
  return file;
}

/** What messages call a file. */
export function nameOf(file: string): string {
  return file === STDIN ? 'stdin' : file;
}

/** `-` if somebody gives a text on stdin without saying so. */
export async function pipedInput({ stdin, signal }: Io): Promise<typeof STDIN | undefined> {
  const isGiven = await stdin.isGiven();
  signal.throwIfAborted();
  return isGiven ? STDIN : undefined;
}

/** The sequences of a file of ids. @throws FormatError */
export function parseIds(file: string, text: string): number[][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${file}: broken JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const isIdList = (list: unknown): list is number[] => Array.isArray(list) && list.every((id) => Number.isInteger(id));
  if (!Array.isArray(value) || value.length === 0 || !value.every(isIdList)) {
    throw new FormatError(`${file}: must hold an array of arrays of token ids: [[1, 496, ...], ...]`);
  }
  return value;
}
