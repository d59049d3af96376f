/**
 * Translates the Oniguruma regular expressions of tokenizer files to JavaScript's `u` mode: a recursive descent over the
 * pattern that writes the translation as it reads. It refuses what it does not know. Capturing groups become plain groups
 * (nothing in these files reads them), so the only named groups in a translation are our own.
 */
import { show } from '../errors.js';
import type { Json } from './json.js';
import { escapeLiteral } from './pattern.js';
import { caseVariants, CharClasses, classOf, NOTHING_AHEAD, NOTHING_BEHIND, WORD_BOUNDARY } from './regex-class.js';
import { excessiveCost } from './regex-cost.js';
import { PatternReader } from './regex-reader.js';

/** Nested groups beyond this are not a tokenizer's pattern, and would only exhaust the stack. */
const MAX_DEPTH = 100;

/** Quantifiers of quantifiers, which are as groups within groups. */
const MAX_QUANTIFIERS = 4;

/** Longest pattern, in UTF-16 units. Real ones are below 1,000. */
const MAX_PATTERN = 8192;

/** All translations of a file together, in UTF-16 units: compiling them takes up to 0.1 ms each. Real ones are below 10,000. */
const MAX_TRANSLATED = 2 ** 16;

/** Hundredths of a millisecond to find out what patterns may cost. */
const MAX_WORK = 25_000;

/** Folding pairs of ASCII letters that a single character also stands for (ß, ﬁ, ﬆ …) when case is ignored. */
const MULTI_FOLDS = ['ss', 'st', 'ff', 'fi', 'fl'];

interface Flags {
  /** `i` */
  readonly ignoreCase: boolean;
  /** `m`: the dot matches a line feed as well */
  readonly dotAll: boolean;
}

interface Atom {
  text: string;
  /** Can be quantified as it stands. */
  single: boolean;
  /** The character it matches, if it is just that. */
  literal?: string;
}

/** Compiles the pattern under the cursor to a `gu` expression, or throws a TokenizerError that names pattern and construct. */
export function translateRegex(json: Json): RegExp {
  const pattern = json.string();
  if (pattern.length > MAX_PATTERN) json.fail(`a pattern longer than ${MAX_PATTERN} characters`);
  const translation = new Translator(new PatternReader(pattern, json)).translate();
  json.spend('characters of translated patterns', translation.length, MAX_TRANSLATED);
  const cost = excessiveCost(translation, (work) => json.spend('characters in repetitions that depend on each other', work, MAX_WORK));
  if (cost !== undefined) json.fail(`the pattern ${show(pattern)} has ${cost}`);
  try {
    const expression = new RegExp(translation, 'gu');
    // It is compiled when it is first used on a text of 8-bit and of 16-bit units, and may turn out to be too big only then.
    for (const text of ['', '\u0100']) expression.test(text);
    expression.lastIndex = 0;
    return expression;
  } catch {
    return json.fail(`the pattern ${show(pattern)} cannot be translated (tried ${show(translation)})`);
  }
}

class Translator {
  #in: PatternReader;
  #classes: CharClasses;
  #groups = 0;
  #depth = 0;
  #lookBehind = 0;

  constructor(reader: PatternReader) {
    this.#in = reader;
    this.#classes = new CharClasses(reader);
  }

  translate(): string {
    const text = this.#alternatives({ ignoreCase: false, dotAll: false });
    if (!this.#in.done) this.#in.refuse('an unmatched )');
    return text;
  }

  #alternatives(flags: Flags): string {
    if (++this.#depth > MAX_DEPTH) this.#in.refuse(`groups nested deeper than ${MAX_DEPTH}`);
    const parts = [this.#sequence(flags)];
    while (this.#in.take('|')) parts.push(this.#sequence(flags));
    this.#depth--;
    return parts.join('|');
  }

  #sequence(flags: Flags): string {
    let out = '';
    let before = '';
    while (!this.#in.done && this.#in.peek() !== '|' && this.#in.peek() !== ')') {
      const atom = this.#atom(flags);
      if (flags.ignoreCase && atom.literal !== undefined) {
        const pair = (before + atom.literal).toLowerCase();
        if (MULTI_FOLDS.includes(pair)) this.#in.refuse(`"${pair}" with case ignored`);
      }
      before = atom.literal ?? '';
      out += this.#quantified(atom);
    }
    return out;
  }

  #quantified(atom: Atom): string {
    let { text, single } = atom;
    for (let count = 0; ; count++) {
      const quantifier = this.#quantifier();
      if (quantifier === '') return text;
      if (count === MAX_QUANTIFIERS) this.#in.refuse(`more than ${MAX_QUANTIFIERS} quantifiers in a row`);
      const operand = single ? text : `(?:${text})`;
      if (quantifier.startsWith('{')) {
        // A sign behind an interval is a quantifier of its own in Oniguruma: x{1,3}+ repeats x{1,3}.
        const lazy = quantifier.includes(',') && this.#in.take('?');
        text = operand + quantifier + (lazy ? '?' : '');
      } else if (this.#in.take('?')) {
        text = `${operand}${quantifier}?`;
      } else if (this.#in.take('+')) {
        text = this.#atomic(operand + quantifier);
      } else {
        text = operand + quantifier;
      }
      single = false;
    }
  }

  /** `*`, `+`, `?` or an interval in JavaScript's spelling; '' when none follows. */
  #quantifier(): string {
    for (const sign of ['*', '+', '?']) if (this.#in.take(sign)) return sign;
    const interval = this.#in.match(/\{(\d*)(,?)(\d*)\}/y);
    if (interval === null) return '';
    const [text, low, comma, high] = interval as unknown as [string, string, string, string];
    if (low === '' && high === '') return ''; // {} and {,} are literal
    this.#in.skip(text.length);
    if (low !== '' && high !== '' && Number(low) > Number(high)) this.#in.refuse(`the interval ${text}`);
    return `{${low === '' ? '0' : low}${comma}${high}}`;
  }

  /** Once matched, never given back: a look-ahead remembers the match, a back-reference consumes it. */
  #atomic(text: string): string {
    if (this.#lookBehind > 0) this.#in.refuse('an atomic group or possessive quantifier inside a look-behind');
    const name = `a${this.#groups++}`;
    return `(?:(?=(?<${name}>${text}))\\k<${name}>)`;
  }

  #atom(flags: Flags): Atom {
    const char = this.#in.next();
    switch (char) {
      case '(':
        return this.#group(flags);
      case '[':
        return { text: this.#classes.bracket(flags.ignoreCase), single: true };
      case '.':
        return { text: flags.dotAll ? '[^]' : '[^\\n]', single: true };
      case '^':
        return { text: `(?:${NOTHING_BEHIND}|(?<=\\n)(?=[^]))`, single: true };
      case '$':
        return { text: '(?:(?![^\\n]))', single: true };
      case '*':
      case '+':
      case '?':
        return this.#in.refuse(`the quantifier ${char} with nothing before it`);
      case '\\':
        return this.#escape(flags);
      default:
        return this.#literal(char, flags);
    }
  }

  #literal(char: string, flags: Flags): Atom {
    const variants = flags.ignoreCase ? caseVariants(char, this.#in) : [char];
    return { text: variants.length === 1 ? escapeLiteral(char) : `[${variants.join('')}]`, single: true, literal: char };
  }

  #escape(flags: Flags): Atom {
    if (this.#in.take('A')) return { text: `(?:${NOTHING_BEHIND})`, single: true };
    if (this.#in.take('z')) return { text: `(?:${NOTHING_AHEAD})`, single: true };
    if (this.#in.take('Z')) return { text: `(?:(?=\\n?${NOTHING_AHEAD}))`, single: true };
    if (this.#in.take('b')) return { text: `(?:${WORD_BOUNDARY})`, single: true };
    if (this.#in.take('B')) return { text: `(?!${WORD_BOUNDARY})`, single: false };
    if (this.#in.take('R')) return { text: this.#atomic('\\r\\n|[\\n-\\r\\x85\\u2028\\u2029]'), single: true };
    const escape = this.#classes.escape(flags.ignoreCase);
    if (escape.literal !== undefined) return this.#literal(escape.literal, flags);
    return { text: classOf(escape), single: true };
  }

  #group(flags: Flags): Atom {
    const wrap = (open: string): Atom => ({ text: `${open}${this.#body(flags)})`, single: true });
    if (!this.#in.take('?')) {
      if (this.#in.peek() === '*') this.#in.refuse('a call-out (*…)');
      return wrap('(?:');
    }
    if (this.#in.take('#')) {
      while (this.#in.next() !== ')');
      return { text: '(?:)', single: true };
    }
    if (this.#in.take(':')) return wrap('(?:');
    // JavaScript's u mode does not quantify an assertion itself.
    if (this.#in.take('=')) return { ...wrap('(?='), single: false };
    if (this.#in.take('!')) return { ...wrap('(?!'), single: false };
    if (this.#in.take('>')) return { text: this.#atomic(this.#body(flags)), single: true };
    if (this.#in.take('<=')) return this.#behind('(?<=', flags);
    if (this.#in.take('<!')) return this.#behind('(?<!', flags);
    const name = this.#in.match(/(?:P?<\w+>|'\w+')/y);
    if (name !== null) {
      this.#in.skip(name[0].length);
      return wrap('(?:');
    }
    return this.#options(flags);
  }

  #behind(open: string, flags: Flags): Atom {
    this.#lookBehind++;
    const text = `${open}${this.#body(flags)})`;
    this.#lookBehind--;
    return { text, single: false };
  }

  /** `(?im-im:…)`, or `(?im-im)` for the rest of the enclosing group, its further alternatives included. */
  #options(flags: Flags): Atom {
    const options = this.#in.match(/([im]*)(?:-([im]*))?([:)])/y);
    if (options === null) this.#in.refuse(`the group (?${this.#in.rest(8)}`);
    const [text, on, off = '', end] = options as unknown as [string, string, string | undefined, string];
    this.#in.skip(text.length);
    const inner: Flags = {
      ignoreCase: (flags.ignoreCase || on.includes('i')) && !off.includes('i'),
      dotAll: (flags.dotAll || on.includes('m')) && !off.includes('m'),
    };
    const body = end === ':' ? this.#body(inner) : this.#alternatives(inner);
    return { text: `(?:${body})`, single: true };
  }

  /** The alternatives up to the closing parenthesis, which it consumes. */
  #body(flags: Flags): string {
    const text = this.#alternatives(flags);
    if (!this.#in.take(')')) this.#in.refuse('an unclosed group');
    return text;
  }
}
