/** Character classes, escapes and properties of Oniguruma patterns, for the translator in regex.ts. */
import { show } from '../errors.js';
import type { PatternReader } from './regex-reader.js';

/** Bodies of a u-mode character class. `\s`, `\w` and `\d` are Unicode here, which JavaScript's are not. */
const SPACE = '\\p{White_Space}';
const DIGIT = '\\p{Nd}';
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
const HEX = '0-9A-Fa-f';

export const NOTHING_BEHIND = '(?<![^])';
export const NOTHING_AHEAD = '(?![^])';
export const WORD_BOUNDARY = `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;

const POSIX = new Map([
  ['alpha', '\\p{Alphabetic}'],
  ['digit', DIGIT],
  ['alnum', `\\p{Alphabetic}${DIGIT}`],
  ['upper', '\\p{Uppercase}'],
  ['lower', '\\p{Lowercase}'],
  ['space', SPACE],
  ['cntrl', '\\p{Cc}'],
  ['xdigit', HEX],
  ['word', WORD],
]);

/** Characters of ranges whose case is looked up in one pattern: the basic plane once. */
const MAX_FOLDED = 0xffff;

/** Properties that depend on case, so that ignoring case would change them. */
const CASED = /^(?:lu|ll|lt|lc|upper|lower|uppercase|lowercase|(?:uppercase|lowercase|titlecase|cased)letter)$/;

/** What an escape means: one character, or a set given as a class body, possibly negated. */
export interface Escape {
  literal?: string;
  body: string;
  negated: boolean;
}

export function classOf(escape: Escape): string {
  return `[${escape.negated ? '^' : ''}${escape.body}]`;
}

export class CharClasses {
  #in: PatternReader;
  #folded = 0; // characters of ranges whose case was looked up

  constructor(reader: PatternReader) {
    this.#in = reader;
  }

  /** Reads a class behind its `[` and gives an expression for one character. */
  bracket(ignoreCase: boolean, depth = 0): string {
    if (depth > 20) this.#in.refuse('classes nested deeper than 20');
    const negated = this.#in.take('^');
    if (this.#in.peek() === ']') this.#in.refuse('a class that begins with ]');
    const operands = [this.#union(ignoreCase, depth)];
    while (this.#in.take('&&')) operands.push(this.#union(ignoreCase, depth));
    if (!this.#in.take(']')) this.#in.refuse('an unclosed class');
    const only = operands[0]!;
    if (operands.length === 1 && only.alternatives.length === 0) return `[${negated ? '^' : ''}${only.body}]`;
    const texts = operands.map(({ body, alternatives }) => `(?:${[`[${body}]`, ...alternatives].join('|')})`);
    // Intersection: all but the last are looked at, the last consumes.
    const all = texts.slice(0, -1).map((text) => `(?=${text})`).join('') + texts.at(-1)!;
    return negated ? `(?:(?!${all})[^])` : `(?:${all})`;
  }

  /** Class items up to `]` or `&&`: a plain body, and expressions for what no plain body can hold. */
  #union(ignoreCase: boolean, depth: number): { body: string; alternatives: string[] } {
    let body = '';
    const alternatives: string[] = [];
    while (!this.#in.done && this.#in.peek() !== ']' && this.#in.rest(2) !== '&&') {
      const posix = this.#in.match(/\[:(\^?)(\w+):\]/y);
      if (posix !== null) {
        const set = POSIX.get(posix[2]!) ?? this.#in.refuse(`the class ${posix[0]}`);
        if (ignoreCase && CASED.test(posix[2]!)) this.#in.refuse(`${posix[0]} with case ignored`);
        this.#in.skip(posix[0].length);
        if (posix[1] === '^') alternatives.push(`[^${set}]`);
        else body += set;
      } else if (this.#in.take('[')) {
        alternatives.push(this.bracket(ignoreCase, depth + 1));
      } else {
        const item = this.#item(ignoreCase);
        if (item.literal !== undefined) body += this.#range(item.literal, ignoreCase);
        else if (item.negated && !/^\\p\{[^}]*\}$/.test(item.body)) alternatives.push(classOf(item));
        else body += item.negated ? item.body.replace('\\p', '\\P') : item.body;
      }
    }
    return { body, alternatives };
  }

  #item(ignoreCase: boolean): Escape {
    if (this.#in.take('\\')) return this.escape(ignoreCase, true);
    return { literal: this.#in.next(), body: '', negated: false };
  }

  /** The range that begins with `low`, or `low` alone; a dash at the end of the class is itself. */
  #range(low: string, ignoreCase: boolean): string {
    let high = low;
    if (this.#in.peek() === '-' && !['-]', '-[', '-&'].includes(this.#in.rest(2))) {
      this.#in.skip(1);
      const end = this.#item(ignoreCase);
      if (end.literal === undefined) this.#in.refuse('a range that ends in a set');
      high = end.literal!;
    }
    const from = low.codePointAt(0)!;
    const to = high.codePointAt(0)!;
    if (to < from) this.#in.refuse(`the reversed range ${low}-${high}`);
    let text = from === to ? escapeInClass(low) : `${escapeInClass(low)}-${escapeInClass(high)}`;
    if (ignoreCase) {
      this.#folded += to - from;
      if (this.#folded > MAX_FOLDED) this.#in.refuse(`the range ${low}-${high} with case ignored`);
      for (let code = from; code <= to; code++) {
        const char = String.fromCodePoint(code);
        for (const variant of caseVariants(char, this.#in)) if (variant !== char) text += variant;
      }
    }
    return text;
  }

  /** Reads an escape behind its backslash. */
  escape(ignoreCase: boolean, inClass = false): Escape {
    const char = this.#in.next();
    const set = (body: string, negated = false): Escape => ({ body, negated });
    const literal = (text: string): Escape => ({ literal: text, body: '', negated: false });
    switch (char) {
      case 's': return set(SPACE);
      case 'S': return set(SPACE, true);
      case 'd': return set(DIGIT);
      case 'D': return set(DIGIT, true);
      case 'w': return set(WORD);
      case 'W': return set(WORD, true);
      case 'h': return set(HEX);
      case 'H': return set(HEX, true);
      case 'p': return this.#property(false, ignoreCase);
      case 'P': return this.#property(true, ignoreCase);
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
  #property(negated: boolean, ignoreCase: boolean): Escape {
    const found = this.#in.match(/\{(\^?)([\w \-]+)\}/y);
    if (found === null) this.#in.refuse('a \\p without {name}');
    const [text, caret, name] = found as unknown as [string, string, string];
    this.#in.skip(text.length);
    const plain = name.replace(/[ _-]/g, '').toLowerCase();
    if (ignoreCase && CASED.test(plain)) this.#in.refuse(`\\p{${name}} with case ignored`);
    const body = POSIX.get(plain) ?? propertyBody(name) ?? this.#in.refuse(`the property \\p{${name}}`);
    return { body, negated: negated !== (caret === '^') };
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

/** The characters that equal `char` when case is ignored, `char` included. Only ASCII letters and caseless characters. */
export function caseVariants(char: string, reader: PatternReader): string[] {
  const lower = char.toLowerCase();
  const upper = char.toUpperCase();
  if (lower === upper) return [char];
  if (!/^[A-Za-z]$/.test(char)) reader.refuse(`${show(char)} with case ignored`);
  return [lower, upper, ...(lower === 's' ? ['\u017f'] : lower === 'k' ? ['\u212a'] : [])];
}

function escapeInClass(char: string): string {
  return /[\\\][^-]/.test(char) ? `\\${char}` : char;
}
