/** The characters of a pattern: a cursor, escapes, classes and Unicode properties. */
import type { Budget } from './budget.js';
import { ANY, codeSet, complement, type CodeSet } from './code-points.js';

/** `.` leaves out the ends of lines. */
const DOT = complement([0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]);
const DIGIT: CodeSet = [0x30, 0x39];
const WORD: CodeSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const SPACE: CodeSet = [
  0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000,
  0xfeff, 0xfeff,
];
const CLASSES: Readonly<Record<string, CodeSet>> = { d: DIGIT, w: WORD, s: SPACE };
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

/** Different \p{…} in one grammar: each is looked up in all of Unicode, which takes some ten milliseconds. */
const MAX_PROPERTIES = 16;
/** And of all grammars for a tokenizer. */
const MAX_KEPT = 32;

/** Code points that are looked up at a time: a plane is a whole number of blocks. */
const BLOCK = 0x2000;

/** What the patterns of a grammar share. */
export interface Shared {
  /** The characters of properties that have been looked up already, also for other grammars; more are added. */
  readonly properties: Map<string, CodeSet>;
  /** Those of this grammar. */
  readonly used: Set<string>;
  /** Sets by how they are spelled, so that those that come often are one. */
  readonly spelled: Map<string, CodeSet>;
  readonly budget: Budget;
}

export class CharReader {
  at = 0;
  private readonly pattern: string;
  private readonly complain: (what: string, at: number) => never;
  private readonly shared: Shared;

  constructor(pattern: string, shared: Shared, complain: (what: string, at: number) => never) {
    this.pattern = pattern;
    this.shared = shared;
    this.complain = complain;
  }

  refuse(what: string, at = this.at): never {
    return this.complain(what, at);
  }

  get done(): boolean {
    return this.at >= this.pattern.length;
  }

  sees(text: string): boolean {
    return this.pattern.startsWith(text, this.at);
  }

  take(text: string): boolean {
    if (!this.sees(text)) return false;
    this.at += text.length;
    return true;
  }

  /** Consumes what the sticky `expression` matches here. */
  match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.at;
    const found = expression.exec(this.pattern);
    if (found) this.at += found[0].length;
    return found;
  }

  /** One character, escape or class. */
  set(): CodeSet {
    if (this.take('.')) return DOT;
    const { at } = this;
    const spelling = this.match(/\[(?:\\.|[^\]\\])*\]|\\[pPDSW](?:\{\w*\})?/suy)?.[0];
    const known = spelling === undefined ? undefined : this.shared.spelled.get(spelling);
    if (known) return known;
    this.at = at;
    const set = this.take('[') ? this.bracket() : this.take('\\') ? this.escape(false) : single(this.code());
    if (spelling !== undefined && this.at === at + spelling.length) this.shared.spelled.set(spelling, set);
    return set;
  }

  private code(): number {
    const code = this.pattern.codePointAt(this.at);
    if (code === undefined) return this.refuse('an unexpected end');
    if (code >= 0xd800 && code < 0xe000) this.refuse('half a surrogate pair');
    this.at += code > 0xffff ? 2 : 1;
    return code;
  }

  private bracket(): CodeSet {
    const start = this.at - 1;
    const isNegated = this.take('^');
    const ranges: number[] = [];
    while (!this.take(']')) {
      if (this.done) this.refuse('an unclosed class', start);
      const { at } = this;
      const low = this.member();
      if (!this.sees('-') || this.sees('-]')) {
        for (const end of low) ranges.push(end);
        continue;
      }
      this.at++;
      const high = this.member();
      if (!isSingle(low) || !isSingle(high)) this.refuse('a range with a class at one end', at);
      if (low[0]! > high[0]!) this.refuse('a range whose ends are in the wrong order', at);
      ranges.push(low[0]!, high[0]!);
    }
    const set = codeSet(ranges);
    return isNegated ? complement(set) : set;
  }

  private member(): CodeSet {
    const set = this.take('\\') ? this.escape(true) : single(this.code());
    this.shared.budget.spend(2 * set.length);
    return set;
  }

  /** Behind the backslash. */
  private escape(isInClass: boolean): CodeSet {
    const start = this.at - 1;
    const letter = String.fromCodePoint(this.code());
    if (letter.toLowerCase() in CLASSES && /[dwsDWS]/.test(letter)) {
      const set = CLASSES[letter.toLowerCase()]!;
      return letter === letter.toLowerCase() ? set : complement(set);
    }
    if (letter === 'p' || letter === 'P') return this.property(letter === 'P', start);
    if (letter in CONTROLS) return single(CONTROLS[letter]!);
    if (letter === 'b' && isInClass) return single(8);
    if (letter === '0' && !this.peek(/\d/y)) return single(0);
    if (letter === 'c') return single(parseInt(this.match(/[A-Za-z]/y)?.[0] ?? this.refuse('an incomplete escape', start), 36) - 9);
    if (letter === 'x') return single(parseInt(this.match(/[0-9A-Fa-f]{2}/y)?.[0] ?? this.refuse('an incomplete escape', start), 16));
    if (letter === 'u') return single(this.unicode(start));
    if (/[1-9]/.test(letter) || letter === 'k') return this.refuse('a back-reference, which is not supported,', start);
    if (letter === 'b' || letter === 'B') return this.refuse('a word boundary, which is not supported,', start);
    if (/[0-9A-Za-z]/.test(letter)) return this.refuse(`the escape \\${letter}, which is not supported,`, start);
    return single(letter.codePointAt(0)!);
  }

  private peek(expression: RegExp): boolean {
    expression.lastIndex = this.at;
    return expression.test(this.pattern);
  }

  private unicode(start: number): number {
    const found = this.match(/\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{4})/y);
    let code = found ? parseInt(found[1] ?? found[2]!, 16) : this.refuse('an incomplete escape', start);
    if (code >= 0xd800 && code < 0xdc00) {
      const low = this.match(/\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})/y);
      if (low) code = 0x10000 + ((code & 0x3ff) << 10) + (parseInt(low[1]!, 16) & 0x3ff);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) this.refuse('an escape that is no character', start);
    return code;
  }

  private property(isNegated: boolean, start: number): CodeSet {
    const name = this.match(/\{([\w=]+)\}/y)?.[1] ?? this.refuse('an incomplete property', start);
    const { properties, used } = this.shared;
    if (used.add(name).size > MAX_PROPERTIES) this.refuse(`more than ${MAX_PROPERTIES} different properties`, start);
    let set = properties.get(name);
    if (!set) {
      if (properties.size === MAX_KEPT) properties.clear();
      set = charactersWith(name) ?? this.refuse(`the property ${name}, which this engine does not know,`, start);
      properties.set(name, set);
    }
    return isNegated ? complement(set) : set;
  }
}

function single(code: number): CodeSet {
  return [code, code];
}

function isSingle(set: CodeSet): boolean {
  return set.length === 2 && set[0] === set[1];
}

/** The characters with a property, by the engine's own tables; undefined for one that it does not have. */
function charactersWith(name: string): CodeSet | undefined {
  let runs: RegExp;
  try {
    runs = new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return undefined;
  }
  const decoder = new TextDecoder('utf-16le', { ignoreBOM: true });
  const ranges: number[] = [];
  for (let i = 0; i < ANY.length; i += 2) {
    for (let from = ANY[i]!; from <= ANY[i + 1]!; from += BLOCK) {
      const units = from > 0xffff ? 2 : 1;
      for (const run of block(from, Math.min(BLOCK, ANY[i + 1]! - from + 1), decoder).matchAll(runs)) {
        const first = from + run.index / units;
        ranges.push(first, first + run[0].length / units - 1);
      }
    }
  }
  return codeSet(ranges);
}

/** The text of code points one after another. */
function block(from: number, count: number, decoder: TextDecoder): string {
  const units = new Uint16Array(from > 0xffff ? 2 * count : count);
  for (let i = 0; i < count; i++) {
    if (from <= 0xffff) {
      units[i] = from + i;
    } else {
      units[2 * i] = 0xd800 + ((from + i - 0x10000) >> 10);
      units[2 * i + 1] = 0xdc00 + ((from + i) & 0x3ff);
    }
  }
  return decoder.decode(units); // String.fromCharCode is three times as slow
}
