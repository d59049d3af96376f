/** Which characters the tokens of a vocabulary can write, each for itself. */
import { codeSet, type CodeSet } from './code-points.js';

export interface Writable {
  /** Undefined: all. */
  readonly writable: CodeSet | undefined;
  /** Tokens made of continuation bytes alone; undefined when every byte has a token. */
  readonly continuations: readonly Uint8Array[] | undefined;
}

export function findWritable(texts: Iterable<Uint8Array>): Writable {
  const short = new Set<number>(); // tokens of up to four bytes, packed
  const continuations: Uint8Array[] = [];
  for (const bytes of texts) {
    if (bytes.length === 0 || bytes.length > 4) continue;
    short.add(pack(bytes, 0, bytes.length));
    if (bytes.length < 4 && bytes.every(isContinuation)) continuations.push(bytes);
  }
  const hasAll = (low: number, high: number): boolean => {
    for (let byte = low; byte <= high; byte++) if (!short.has(pack([byte], 0, 1))) return false;
    return true;
  };
  if (hasAll(0, 0xbf) && hasAll(0xc2, 0xf4)) return { writable: undefined, continuations: undefined };
  const ranges: number[] = [];
  for (let code = 0; code < 0x80; code++) if (short.has(pack([code], 0, 1))) ranges.push(code, code);
  const begun = new Set<number>(); // the first bytes of tokens
  for (const packed of short) for (let rest = packed; rest >= 256; rest = Math.floor(rest / 256)) begun.add(rest);
  const hasAllTails = hasAll(0x80, 0xbf);
  for (let lead = 0xc2; lead <= 0xf4; lead++) {
    const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const bytes = [lead];
    const canEnd: boolean[] = []; // by number of bytes less one: whether so many can be written
    const visit = (): void => {
      const count = bytes.length;
      const fits = (pieces: ReadonlySet<number>): boolean => bytes.some((_, from) => (from === 0 || canEnd[from - 1]!) && pieces.has(pack(bytes, from, count)));
      canEnd[count - 1] = fits(short);
      if (canEnd[count - 1] && (count === length || hasAllTails)) {
        const [low, high] = codesBehind(bytes, length);
        if (low <= high) ranges.push(low, high);
      } else if (count < length && ((canEnd[count - 1] && continuations.length > 0) || fits(begun))) {
        for (let byte = 0x80; byte < 0xc0; byte++) {
          bytes.push(byte);
          visit();
          bytes.pop();
        }
      }
    };
    visit();
  }
  return { writable: codeSet(ranges), continuations };
}

/** First and last code point whose `length` bytes begin with these. */
function codesBehind(bytes: readonly number[], length: number): [number, number] {
  const size = 64 ** (length - bytes.length);
  const low = bytes.slice(1).reduce((sum, byte) => sum * 64 + (byte & 0x3f), bytes[0]! & (0x7f >> length)) * size;
  const shortest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000; // below are overlong forms
  return [Math.max(low, shortest), Math.min(low + size - 1, 0x10ffff)];
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0;
}

/** Bytes as one number; the 1 in front tells lengths apart. */
function pack(bytes: ArrayLike<number>, from: number, to: number): number {
  let packed = 1;
  for (let i = from; i < to; i++) packed = packed * 256 + bytes[i]!;
  return packed;
}
