/**
 * Characters as the reference library has them, whatever Unicode version the engine knows: the same text has the same ids everywhere.
 * A character that only some engines know is looked up as an old one with the same properties, which stands in for it; one that the
 * reference does not know as U+FFFF, which never will be a character. (The names of properties are the engine's.)
 */
import { KINDS, RUNS } from './unicode-data.js';

/** The Unicode versions of Rust `tokenizers` 0.23.2: of patterns and words, of Rust's own characters, of normalization forms, of punctuation. */
const PATTERNS = 16;
export const RUST = 17;
const NORMALIZATION = 9;
const PUNCTUATION = 8;

/** All engines with ES2022 know what is in this version. */
const KNOWN_TO_ALL = 13;

/** All characters below have been there from the beginning. */
const FIRST_NEWER = 0x378;

const NO_CHARACTER = '\uffff';

/** Capitals since then: first, last, distance between them, distance to their small letters. */
const CAPITALS = [
  [0x1c89, 0x1c89, 1, 1], [0x2c2f, 0x2c2f, 1, 48], [0xa7c0, 0xa7c0, 1, 1], [0xa7cb, 0xa7cb, 1, -42343], [0xa7cc, 0xa7da, 2, 1], [0xa7dc, 0xa7dc, 1, -42561],
  [0x10570, 0x10595, 1, 39], [0x10d50, 0x10d65, 1, 32], [0x16ea0, 0x16eb8, 1, 27],
] as const;

export type CharacterTest = (code: number) => boolean;

export type NormalizationForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

/** Loaded for the tokenizers that ask for more than bytes and merges. */
export interface Unicode {
  /** Whether a character has one of some properties, given as in a class of JavaScript's `u` mode: `\p{L}\p{M}`, `\p{Script=Han}`. */
  property(body: string, version?: typeof PATTERNS | typeof RUST): CharacterTest;
  /** The character, or what stands in for it. */
  standIn(code: number): string;
  /** `\w` of Rust's regular expressions. */
  readonly isWord: CharacterTest;
  readonly isPunctuation: CharacterTest;
  normalize(text: string, form: NormalizationForm): string;
  lowercase(text: string): string;
  stripAccents(text: string): string;
}

export function createUnicode(): Unicode {
  const { starts, sinces, standIns } = readTable();
  const properties = new Map<string, CharacterTest>();
  const sinceOfUnit = new Uint8Array(0x10000);
  for (const [run, start] of starts.entries()) sinceOfUnit.fill(sinces[run]!, start, starts[run + 1]);

  /** The run of characters that `code` is in. */
  const runOf = (code: number): number => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= code) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const since = (code: number): number => (code < sinceOfUnit.length ? sinceOfUnit[code]! : sinces[runOf(code)]!);
  const standIn = (code: number, version: number = PATTERNS): string => {
    const run = runOf(code);
    return sinces[run]! > version ? NO_CHARACTER : (standIns[run] ?? String.fromCodePoint(code));
  };

  const property: Unicode['property'] = (body, version = PATTERNS) => {
    const key = `${body} ${version}`;
    let test = properties.get(key);
    if (test === undefined) {
      const expression = new RegExp(`^[${body}]$`, 'u');
      const isScript = body.includes('Script=');
      const known = new Uint8Array(0x10000); // 1: it has not, 2: it has
      const find: CharacterTest = (code) => {
        const char = String.fromCodePoint(code);
        const other = standIn(code, version);
        // What stands in for a character of a new script is of no script.
        return expression.test(isScript && other !== NO_CHARACTER && !/\p{Cn}/u.test(char) ? char : other);
      };
      test = (code) => {
        if (code >= known.length) return find(code);
        if (known[code] === 0) known[code] = find(code) ? 2 : 1;
        return known[code] === 2;
      };
      properties.set(key, test);
    }
    return test;
  };

  /** Applies `change` to what is between characters that came after `version`, and `changeNewer` to those. */
  const between = (text: string, version: number, change: (part: string) => string, changeNewer = (char: string): string => char): string => {
    let out = '';
    let done = 0;
    for (let at = 0; at < text.length; at++) {
      if (text.charCodeAt(at) < FIRST_NEWER) continue;
      const code = text.codePointAt(at)!;
      const end = code > 0xffff ? at + 2 : at + 1;
      if (since(code) > version) {
        if (done < at) out += change(text.slice(done, at));
        out += changeNewer(text.slice(at, end));
        done = end;
      }
      at = end - 1;
    }
    return done === 0 ? change(text) : out + change(text.slice(done));
  };

  const smallLetter = (char: string): string => {
    const code = char.codePointAt(0)!;
    const found = CAPITALS.find(([first, last, step]) => code >= first && code <= last && (code - first) % step === 0);
    return found === undefined || since(code) > RUST ? char : String.fromCodePoint(code + found[3]);
  };

  return {
    property,
    standIn,
    isWord: property('\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}'),
    // U+166D and U+111C9 were punctuation then.
    isPunctuation: (code) => since(code) <= PUNCTUATION && /[\p{P}$+<=>^`|~\u166d\u{111c9}]/u.test(String.fromCodePoint(code)),
    // What a version does not know is no mark, and neither decomposes nor joins with what is before it.
    normalize: (text, form) => between(text, NORMALIZATION, (part) => part.normalize(form)),
    // Character by character: a capital sigma never becomes a final sigma, unlike in String.prototype.toLowerCase.
    lowercase: (text) => between(text, KNOWN_TO_ALL, (part) => part.replace(/\u03a3/g, '\u03c3').toLowerCase(), smallLetter),
    // U+1CF2 and U+1CF3 were marks then, and U+111C9 was none.
    stripAccents: (text) => between(text, NORMALIZATION, (part) => part.replace(/(?!\u{111c9})[\p{M}\u1cf2\u1cf3]/gu, '')),
  };
}

/** Runs of characters that came with one version, those of the reference's newest apart; a stand-in is for all of a run. */
function readTable(): { starts: Int32Array; sinces: Uint8Array; standIns: (string | undefined)[] } {
  const kinds = new Map<string, [since: number, standIn: string | undefined]>();
  for (const text of KINDS.trim().split(/\s+/)) {
    const [, name, since, code] = /^(\D)(\d+)(?::(.+))?$/u.exec(text)!;
    kinds.set(name!, [Number(since), code === undefined ? undefined : String.fromCodePoint(parseInt(code, 16))]);
  }
  const runs = [...RUNS.matchAll(/([0-9a-z]*)([^0-9a-z\s])/g)];
  let start = 0;
  return {
    starts: Int32Array.from(runs, ([, length]) => {
      const here = start;
      start += length === '' ? 1 : parseInt(length!, 36);
      return here;
    }),
    sinces: Uint8Array.from(runs, ([, , kind]) => kinds.get(kind!)![0]),
    standIns: runs.map(([, , kind]) => kinds.get(kind!)![1]),
  };
}
