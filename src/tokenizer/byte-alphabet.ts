import { forEachUtf8Byte, Utf8Stream, wellFormed } from './byte-level.js';
import type { Stage } from './decode-stages.js';

/**
 * The byte-level alphabet of GPT-2: every byte is written as one printable character, so that a vocabulary of strings can
 * hold any bytes. Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 onwards, in order.
 */

/** byte → character */
export function byteAlphabet(): string[] {
  const chars: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    chars.push(String.fromCharCode(itself ? byte : next++));
  }
  return chars;
}

/** UTF-16 code unit → byte, for the characters of the alphabet. */
export function byteAlphabetInverse(): Map<number, number> {
  return new Map(byteAlphabet().map((char, byte) => [char.charCodeAt(0), byte]));
}

/** What ByteLevel does to decode: loaded for the files that have it. */
export const byteLevel = {
  /** Writes a token in the alphabet. */
  speller(): (token: string) => string {
    const alphabet = byteAlphabet();
    return (token) => {
      let out = '';
      forEachUtf8Byte(wellFormed(token), (byte) => void (out += alphabet[byte]!));
      return out;
    };
  },
  /** Reads a whole text that is written in the alphabet; or token by token. */
  decoding(): { decodeText(text: string): string; createStage(): Stage } {
    const alphabet = byteAlphabetInverse();
    return { decodeText: (text) => decodeText(text, alphabet), createStage: () => createStage(alphabet) };
  },
};

/** The bytes of a token; a token with a character outside the alphabet (an added one) stands for its own UTF-8. */
function tokenBytes(token: string, alphabet: Map<number, number>): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const byte = alphabet.get(token.charCodeAt(i));
    if (byte === undefined) {
      bytes.length = 0;
      forEachUtf8Byte(token, (own) => bytes.push(own));
      return bytes;
    }
    bytes.push(byte);
  }
  return bytes;
}

function createStage(alphabet: Map<number, number>): Stage {
  const utf8 = new Utf8Stream(false);
  return {
    push(token, emit) {
      let text = '';
      for (const byte of tokenBytes(token, alphabet)) text += utf8.push(byte);
      if (text !== '') emit(text);
    },
    flush(emit) {
      const rest = utf8.flush();
      if (rest !== '') emit(rest);
    },
  };
}

function decodeText(text: string, alphabet: Map<number, number>): string {
  const utf8 = new Utf8Stream(false);
  return tokenBytes(text, alphabet).map((byte) => utf8.push(byte)).join('') + utf8.flush();
}
