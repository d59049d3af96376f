/** Calls `each` with every UTF-8 byte of `text`, which must not contain lone surrogates. */
export function forEachUtf8Byte(text: string, each: (byte: number) => void): void {
  for (let i = 0; i < text.length; i++) {
    let c = text.charCodeAt(i);
    if (c < 0x80) {
      each(c);
      continue;
    }
    if (c < 0x800) {
      each(0xc0 | (c >> 6));
    } else {
      if (c >= 0xd800 && c < 0xe000) {
        c = text.codePointAt(i++)!;
        each(0xf0 | (c >> 18));
        each(0x80 | ((c >> 12) & 0x3f));
      } else {
        each(0xe0 | (c >> 12));
      }
      each(0x80 | ((c >> 6) & 0x3f));
    }
    each(0x80 | (c & 0x3f));
  }
}

/** Replaces lone surrogates, which have no UTF-8 form, by U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Cs}/gu, '\ufffd');
}

const REPLACEMENT = '\ufffd';

/**
 * Incremental UTF-8 decoding: a character comes out with its last byte, and no earlier. Malformed input becomes U+FFFD, one
 * for each maximal part of a sequence (as the Encoding standard has it), or with `perByte` one for each byte. Written out
 * because TextDecoder has no per-byte mode, and cannot tell whether it met an error while it is streaming.
 */
export class Utf8Stream {
  #perByte: boolean;
  #have = 0; // bytes of the unfinished character
  #need = 0; // bytes it still lacks
  #code = 0;
  #low = 0x80; // range of the next continuation byte: excludes overlong forms, surrogates and > U+10FFFF
  #high = 0xbf;

  constructor(perByte: boolean) {
    this.#perByte = perByte;
  }

  /** The text that `byte` makes certain: '' while a character is incomplete. */
  push(byte: number): string {
    let broken = '';
    if (this.#need > 0) {
      if (byte >= this.#low && byte <= this.#high) {
        this.#code = (this.#code << 6) | (byte & 0x3f);
        this.#have++;
        this.#low = 0x80;
        this.#high = 0xbf;
        if (--this.#need > 0) return '';
        this.#have = 0;
        return String.fromCodePoint(this.#code);
      }
      broken = this.flush();
    }
    if (byte < 0x80) return broken + String.fromCharCode(byte);
    if (byte < 0xc2 || byte > 0xf4) return broken + REPLACEMENT;
    this.#have = 1;
    this.#need = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#code = byte & (0x3f >> this.#need);
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return broken;
  }

  /** What is left of an incomplete character, as U+FFFD. */
  flush(): string {
    const text = this.#have === 0 ? '' : this.#perByte ? REPLACEMENT.repeat(this.#have) : REPLACEMENT;
    this.#have = 0;
    this.#need = 0;
    this.#low = 0x80;
    this.#high = 0xbf;
    return text;
  }
}
