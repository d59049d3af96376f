import { ArgumentError, FormatError, messageOf } from '../errors.js';
import { refuseLfsText } from './lfs.js';

/** Random access to the bytes of one file: a file on disk, a Blob, memory. Everything that reads a format reads through this. */
export interface ByteSource {
  /** File name as the user knows it; it stands at the start of error messages. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; rejects with `FormatError` when the file has fewer. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** As `read`, filling the caller's memory, which is not shared between threads. Sources whose bytes are in memory already have no use for it. */
  readInto?(offset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A named set of files: a model folder, or files handed over in memory. */
export interface FileSet {
  /** What the user named: a folder, a file, "(files in memory)". */
  readonly name: string;
  /** File names, without folders, sorted. */
  list(): Promise<string[]>;
  /** `undefined` when there is no such file. */
  open(file: string): Promise<ByteSource | undefined>;
}

export type FileContent = Uint8Array | ArrayBuffer | Blob;

export function isContent(value: unknown): value is FileContent {
  return value instanceof Uint8Array || value instanceof ArrayBuffer || value instanceof Blob;
}

/** Wraps a Blob, an ArrayBuffer or bytes; nothing is copied until it is read. */
export function sourceFromContent(name: string, content: FileContent): ByteSource {
  const close = async (): Promise<void> => {};
  if (content instanceof Blob) {
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      checkRange(name, content.size, offset, length);
      return new Uint8Array(await content.slice(offset, offset + length).arrayBuffer());
    };
    return { name, size: content.size, read, close };
  }
  const bytes = bytesOf(name, content);
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    checkRange(name, bytes.length, offset, length);
    const part = bytes.subarray(offset, offset + length);
    return part.buffer instanceof ArrayBuffer ? part : part.slice(); // browsers decode no text in shared memory
  };
  return { name, size: bytes.length, read, close };
}

/** The same bytes, as an array. @throws ArgumentError when they have been moved elsewhere, which only this shows of an array. */
export function bytesOf(name: string, content: Uint8Array | ArrayBuffer): Uint8Array {
  try {
    return content instanceof ArrayBuffer ? new Uint8Array(content) : new Uint8Array(content.buffer, content.byteOffset, content.length);
  } catch {
    throw new ArgumentError(`${name}: these bytes have been moved to another thread, and are empty here`);
  }
}

/** A FileSet over files that are already in memory. */
export function filesFromMemory(name: string, files: ReadonlyMap<string, FileContent>): FileSet {
  return {
    name,
    list: async () => [...files.keys()].sort(),
    open: async (file) => {
      const content = files.get(file);
      return content === undefined ? undefined : sourceFromContent(file, content);
    },
  };
}

/** Throws `FormatError` unless `[offset, offset + length)` lies inside a file of `size` bytes. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size) {
    throw new FormatError(
      `${name}: bytes ${offset} to ${offset + length} are needed but the file has ${size} (truncated download?)`,
    );
  }
}

/** A fair size for pieces: reading one takes longer than asking for it, and a processor's second-level cache has room for it. */
export const PIECE_BYTES = 1024 * 1024;

/**
 * Reads a stretch of a file piece by piece, the next one while the caller works on this one, which is good until it asks on.
 * @param spare buffers of earlier calls, for files that are read into memory of ours; they are put back at the end.
 */
export async function* readPieces(
  source: ByteSource, offset: number, length: number, pieceBytes: number, spare: Uint8Array[] = [],
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [0, 1].map(() => {
    const used = spare.pop();
    return used && used.length >= pieceBytes ? used : undefined;
  });
  const read = async (at: number, turn: number): Promise<Uint8Array> => {
    const bytes = Math.min(pieceBytes, length - at);
    if (!source.readInto) return source.read(offset + at, bytes);
    const piece = (buffers[turn] ??= new Uint8Array(pieceBytes)).subarray(0, bytes);
    await source.readInto(offset + at, piece);
    return piece;
  };
  let next: Promise<Uint8Array> | undefined;
  const readNext = (at: number): void => {
    next = at < length ? read(at, (at / pieceBytes) & 1) : undefined;
    next?.catch(() => undefined); // it is thrown where it is awaited
  };
  readNext(0);
  try {
    for (let at = 0; at < length; at += pieceBytes) {
      const piece = (await next)!;
      readNext(at + pieceBytes);
      yield piece;
    }
  } finally {
    // Neither the file may be closed nor the buffer used again while a read is under way.
    await next?.catch(() => undefined);
    for (const buffer of buffers) if (buffer) spare.push(buffer);
  }
}

/** Reads a whole small file as text. `limit` bounds what a hostile file can make us hold. */
export async function readText(source: ByteSource, limit: number): Promise<string> {
  if (source.size > limit) {
    throw new FormatError(`${source.name}: ${source.size} bytes, more than the ${limit} that such a file may have`);
  }
  const bytes = await source.read(0, source.size);
  return decode(source.name, bytes, textDecoderFor(bytes, { fatal: true }));
}

/** @throws FormatError, `where` in front, for bytes that are not UTF-8. */
export function decodeUtf8(where: string, bytes: Uint8Array): string {
  return decode(where, bytes, new TextDecoder('utf-8', { fatal: true }));
}

function decode(where: string, bytes: Uint8Array, decoder: TextDecoder): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new FormatError(`${where}: is not valid ${decoder.encoding.toUpperCase()} text`);
  }
}

/** The decoder for a text file that begins with `start`: of UTF-8, or of UTF-16 if there is its byte order mark, which is not part of the text. */
export function textDecoderFor(start: Uint8Array, options?: { readonly fatal?: boolean }): TextDecoder {
  const mark = (start[0]! << 8) | start[1]!;
  return new TextDecoder(mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8', options);
}

export type JsonObject = { readonly [key: string]: unknown };

/** An index, or a safetensors header, of 65,536 tensors has fewer; so has the Hub's list of 100,000 files. */
const MAX_JSON_VALUES = 2 ** 20;
/** A tokenizer of 256,000 tokens with twice as many merges has under two million. */
export const MAX_TOKENIZER_VALUES = 2 ** 22;
const MAX_COMPLAINT = 160;

/**
 * Parses JSON text that must hold an object; `FormatError` names the file and the parser's complaint.
 * @param limit on its values: three characters may take 60 bytes of memory, and there is no recovery from running out of it.
 */
export function parseJsonObject(name: string, text: string, limit = MAX_JSON_VALUES): JsonObject {
  if (text.length > limit && hasMoreValues(text, limit)) throw new FormatError(`${name}: holds more than ${limit} values`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    refuseLfsText(name, text);
    const complaint = messageOf(error).slice(0, MAX_COMPLAINT);
    throw new FormatError(`${name}: broken JSON: ${complaint}`);
  }
  if (!isJsonObject(value)) throw new FormatError(`${name}: must hold a JSON object`);
  return value;
}

/** Before each value is a comma, or the bracket that it is the first in. Those inside of texts are counted along. */
function hasMoreValues(text: string, limit: number): boolean {
  let count = 1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if ((unit === 0x2c || unit === 0x5b || unit === 0x7b) && ++count > limit) return true;
  }
  return false;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
