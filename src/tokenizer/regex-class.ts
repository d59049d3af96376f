/** Character classes, escapes and properties of Oniguruma patterns, for the parser in regex.ts. */
import { show } from '../errors.js';
import type { PatternReader } from './regex-reader.js';
import type { CharSet } from './regex-tree.js';
import type { Unicode } from './unicode.js';

/** What `\s`, `\d` and their like are, as the bodies of classes in JavaScript's u mode. */
const SPACE = '\\p{White_Space}';
const DIGIT = '\\p{Nd}';
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';

const POSIX = new Map([
  ['alpha', '\\p{Alphabetic}'],
  ['digit', DIGIT],
  ['alnum', `\\p{Alphabetic}${DIGIT}`],
  ['upper', '\\p{Uppercase}'],
  ['lower', '\\p{Lowercase}'],
  ['space', SPACE],
  ['cntrl', '\\p{Cc}'],
  ['word', WORD],
]);

/** Characters of ranges whose case is looked up in one pattern: the basic plane once. */
const MAX_FOLDED = 0xffff;

/** Properties that depend on case, so that ignoring case would change them. */
const CASED = /^(?:lu|ll|lt|lc|upper|lower|uppercase|lowercase|(?:uppercase|lowercase|titlecase|cased)letter)$/;

/** What `\w` is outside of brackets as well: there Oniguruma goes by its table of Latin-1 (onigenc_unicode_is_code_ctype in its unicode.c). */
const BARE_WORD = setOf(...'²³¹¼½¾');
const HEX = unionOf([rangeOf(0x30, 0x39), rangeOf(0x41, 0x46), rangeOf(0x61, 0x66)]);

export const ANY: CharSet = { key: 'any', has: () => true };
export const LINE_FEED = setOf('\n');
export const NOT_LINE_FEED = complement(LINE_FEED);

/** Any of these characters. */
export function setOf(...chars: readonly string[]): CharSet {
  const codes = chars.map((char) => char.codePointAt(0)!);
  return { key: chars.map((char) => `'${char}`).join(''), has: codes.length === 1 ? (code) => code === codes[0] : (code) => codes.includes(code) };
}

function rangeOf(from: number, to: number): CharSet {
  return { key: `'${String.fromCodePoint(from)}-${String.fromCodePoint(to)}`, has: (code) => code >= from && code <= to };
}

function complement({ key, has }: CharSet): CharSet {
  return { key: `^(${key})`, has: (code) => !has(code) };
}

function unionOf(sets: readonly CharSet[]): CharSet {
  if (sets.length === 1) return sets[0]!;
  return { key: `(${sets.map(({ key }) => key).join('|')})`, has: (code) => sets.some(({ has }) => has(code)) };
}

function intersectionOf(sets: readonly CharSet[]): CharSet {
  if (sets.length === 1) return sets[0]!;
  return { key: `(${sets.map(({ key }) => key).join('&')})`, has: (code) => sets.every(({ has }) => has(code)) };
}

/** What an escape means: one character, or a set. */
export type Escape = { readonly literal: string } | { readonly set: CharSet };

export class CharClasses {
  readonly #in: PatternReader;
  readonly #unicode: Unicode;
  #folded = 0; // characters of ranges whose case was looked up

  constructor(reader: PatternReader, unicode: Unicode) {
    this.#in = reader;
    this.#unicode = unicode;
  }

  /** The word characters outside of brackets. */
  get word(): CharSet {
    return unionOf([this.#bodyOf(WORD), BARE_WORD]);
  }

  /** Reads a class behind its `[`. */
  bracket(ignoreCase: boolean, depth = 0): CharSet {
    if (depth > 20) this.#in.refuse('classes nested deeper than 20');
    const negated = this.#in.take('^');
    if (this.#in.peek() === ']') this.#in.refuse('a class that begins with ]');
    const operands = [this.#union(ignoreCase, depth)];
    while (this.#in.take('&&')) operands.push(this.#union(ignoreCase, depth));
    if (!this.#in.take(']')) this.#in.refuse('an unclosed class');
    const all = intersectionOf(operands);
    return negated ? complement(all) : all;
  }

  /** Class items up to `]` or `&&`. */
  #union(ignoreCase: boolean, depth: number): CharSet {
    const sets: CharSet[] = [];
    while (!this.#in.done && this.#in.peek() !== ']' && this.#in.rest(2) !== '&&') {
      const posix = this.#in.match(/\[:(\^?)(\w+):\]/y);
      if (posix !== null) {
        const set = this.#posix(posix[2]!) ?? this.#in.refuse(`the class ${posix[0]}`);
        if (ignoreCase && CASED.test(posix[2]!)) this.#in.refuse(`${posix[0]} with case ignored`);
        this.#in.skip(posix[0].length);
        sets.push(posix[1] === '^' ? complement(set) : set);
      } else if (this.#in.take('[')) {
        sets.push(this.bracket(ignoreCase, depth + 1));
      } else {
        const item = this.#item(ignoreCase);
        if ('literal' in item) this.#pushRange(item.literal, ignoreCase, sets);
        else sets.push(item.set);
      }
    }
    return unionOf(sets);
  }

  #item(ignoreCase: boolean): Escape {
    if (this.#in.take('\\')) return this.escape(ignoreCase, true);
    return { literal: this.#in.next() };
  }

  /** The range that begins with `low`, or `low` alone; a dash at the end of the class is itself. */
  #pushRange(low: string, ignoreCase: boolean, sets: CharSet[]): void {
    let high = low;
    if (this.#in.peek() === '-' && !['-]', '-[', '-&'].includes(this.#in.rest(2))) {
      this.#in.skip(1);
      const end = this.#item(ignoreCase);
      if (!('literal' in end)) this.#in.refuse('a range that ends in a set');
      high = (end as { literal: string }).literal;
    }
    const from = low.codePointAt(0)!;
    const to = high.codePointAt(0)!;
    if (to < from) this.#in.refuse(`the reversed range ${low}-${high}`);
    sets.push(rangeOf(from, to));
    if (!ignoreCase) return;
    this.#folded += to - from;
    if (this.#folded > MAX_FOLDED) this.#in.refuse(`the range ${low}-${high} with case ignored`);
    const others = new Set<string>();
    for (let code = from; code <= to; code++) for (const variant of this.caseVariants(String.fromCodePoint(code))) others.add(variant);
    sets.push(...[...others].filter((char) => char.codePointAt(0)! < from || char.codePointAt(0)! > to).map((char) => setOf(char)));
  }

  /** Reads an escape behind its backslash. */
  escape(ignoreCase: boolean, inClass = false): Escape {
    const char = this.#in.next();
    const literal = (text: string): Escape => ({ literal: text });
    switch (char) {
      case 's': return { set: this.#bodyOf(SPACE) };
      case 'S': return { set: complement(this.#bodyOf(SPACE)) };
      case 'd': return { set: this.#bodyOf(DIGIT) };
      case 'D': return { set: complement(this.#bodyOf(DIGIT)) };
      case 'w': return { set: inClass ? this.#bodyOf(WORD) : this.word };
      case 'W': return { set: complement(inClass ? this.#bodyOf(WORD) : this.word) };
      case 'h': return { set: HEX };
      case 'H': return { set: complement(HEX) };
      case 'p': return { set: this.#property(false, ignoreCase, inClass) };
      case 'P': return { set: this.#property(true, ignoreCase, inClass) };
      case 't': return literal('\t');
      case 'n': return literal('\n');
      case 'r': return literal('\r');
      case 'f': return literal('\f');
      case 'v': return literal('\v');
      case 'a': return literal('\x07');
      case 'e': return literal('\x1b');
      case 'x':
      case 'u': return literal(this.#codePoint(char));
      case 'b': if (inClass) return literal('\b');
    }
    if (/[0-9A-Za-z]/.test(char)) this.#in.refuse(`the escape \\${char}`);
    return literal(char);
  }

  /** `\xHH`, `\x{H…}` or `\uHHHH`, behind the letter. */
  #codePoint(letter: string): string {
    const digits = this.#in.match(letter === 'u' ? /([0-9A-Fa-f]{4})/y : /(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})/y);
    const code = digits === null ? NaN : parseInt(digits[1] ?? digits[2]!, 16);
    // Two hexadecimal digits beyond ASCII are a raw byte in Oniguruma, not a character.
    const rawByte = letter === 'x' && digits?.[1] !== undefined && code > 0x7f;
    if (!(code <= 0x10ffff) || (code >= 0xd800 && code < 0xe000) || rawByte) {
      this.#in.refuse(`the escape \\${letter}${this.#in.rest(6)}`);
    }
    this.#in.skip(digits![0].length);
    return String.fromCodePoint(code);
  }

  /** `{L}`, `{^L}`, `{Han}`…: general categories, scripts, and binary properties that JavaScript has. */
  #property(negated: boolean, ignoreCase: boolean, inClass: boolean): CharSet {
    const found = this.#in.match(/\{(\^?)([\w \-]+)\}/y);
    if (found === null) this.#in.refuse('a \\p without {name}');
    const [text, caret, name] = found as unknown as [string, string, string];
    this.#in.skip(text.length);
    const plain = name.replace(/[ _-]/g, '').toLowerCase();
    if (ignoreCase && CASED.test(plain)) this.#in.refuse(`\\p{${name}} with case ignored`);
    const posix = plain === 'word' && !inClass ? this.word : this.#posix(plain);
    const set = posix ?? this.#bodyOf(propertyBody(name) ?? this.#in.refuse(`the property \\p{${name}}`));
    return negated !== (caret === '^') ? complement(set) : set;
  }

  #posix(name: string): CharSet | undefined {
    const body = POSIX.get(name);
    return name === 'xdigit' ? HEX : body === undefined ? undefined : this.#bodyOf(body);
  }

  /** The characters of the properties in a class body. */
  #bodyOf(body: string): CharSet {
    return { key: body, has: this.#unicode.property(body) };
  }

  /** The characters that equal `char` when case is ignored, `char` included. Only ASCII letters and caseless characters. */
  caseVariants(char: string): string[] {
    const known = this.#unicode.standIn(char.codePointAt(0)!);
    if (known.toLowerCase() === known.toUpperCase()) return [char];
    if (!/^[A-Za-z]$/.test(char)) this.#in.refuse(`${show(char)} with case ignored`);
    const lower = char.toLowerCase();
    return [lower, char.toUpperCase(), ...(lower === 's' ? ['\u017f'] : lower === 'k' ? ['\u212a'] : [])];
  }
}

/** Oniguruma reads property names without regard to case; JavaScript wants Each_Word_So, and "Script=" before a script. */
function propertyBody(name: string): string | undefined {
  const words = name.split(/[ _-]/).filter((word) => word !== '');
  const spelled = words.map((word) => word[0]!.toUpperCase() + word.slice(1).toLowerCase()).join('_');
  for (const candidate of [name, spelled, spelled.toUpperCase()]) {
    for (const body of [`\\p{${candidate}}`, `\\p{Script=${candidate}}`]) {
      try {
        new RegExp(body, 'u');
        return body;
      } catch {
        // not this one
      }
    }
  }
  return undefined;
}
