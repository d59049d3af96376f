/* The string arrays of large headers: a vocabulary has hundreds of thousands of short ones, and a call of the decoder for each takes most of the time. */

/** Where reading goes on in the bytes at hand. */
interface Cursor {
  readonly bytes: Uint8Array;
  readonly position: number;
  /** Throws if so many bytes are not there. */
  take(count: number): number;
}

/**
 * Reads `count` strings, each with its length before it. They are decoded as one text, which is cut at characters.
 * @returns undefined for what is to be refused, which reading them one by one tells of.
 */
export function readStrings(cursor: Cursor, count: number): string[] | undefined {
  const { bytes, position } = cursor;
  const lengths: number[] = []; // of those that are here
  let end = position;
  while (lengths.length < count && end + 8 <= bytes.length) {
    const length = bytes[end]! + bytes[end + 1]! * 2 ** 8 + bytes[end + 2]! * 2 ** 16 + bytes[end + 3]! * 2 ** 24;
    if (bytes[end + 4]! | bytes[end + 5]! | bytes[end + 6]! | bytes[end + 7]!) return undefined;
    if (end + 8 + length > bytes.length) break;
    end += 8 + length;
    lengths.push(length);
  }
  const joined = new Uint8Array(end - position - 8 * lengths.length);
  const units: number[] = []; // UTF-16 units of each
  let at = position;
  let filled = 0;
  for (const length of lengths) {
    at += 8;
    if (length > 0 && (bytes[at]! & 0xc0) === 0x80) return undefined; // would go on with a character of the string before
    let own = 0;
    for (const stop = at + length; at < stop; at++) {
      const byte = bytes[at]!;
      joined[filled++] = byte;
      if ((byte & 0xc0) !== 0x80) own += byte < 0xf0 ? 1 : 2;
    }
    units.push(own);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(joined);
  } catch {
    return undefined;
  }
  cursor.take(lengths.length < count ? Infinity : end - position);
  let from = 0;
  return units.map((length) => text.slice(from, (from += length)));
}
