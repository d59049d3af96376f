/**
 * Reads the Oniguruma regular expressions of tokenizer files: a recursive descent that refuses what it does not know. Capturing
 * groups become plain groups, for nothing in these files reads them. JavaScript's own engine is not used: it can take time
 * exponential in a text's length, it has other word characters and other rules for repeating nothing, and its tables differ by version.
 */
import { show } from '../errors.js';
import type { Json } from './json.js';
import type { FindMatches } from './pattern.js';
import { ANY, CharClasses, LINE_FEED, NOT_LINE_FEED, setOf } from './regex-class.js';
import { excessiveCost } from './regex-cost.js';
import { createMatcher } from './regex-matcher.js';
import { compileProgram } from './regex-program.js';
import { PatternReader } from './regex-reader.js';
import { ahead, behind, choiceOf, NOTHING, sequenceOf, type CharSet, type Node } from './regex-tree.js';
import type { CharacterTest, Unicode } from './unicode.js';

/** Nested groups beyond this are not a tokenizer's pattern, and would only exhaust the stack. */
const MAX_DEPTH = 100;

/** Quantifiers of quantifiers, which are as groups within groups. */
const MAX_QUANTIFIERS = 4;

/** Longest pattern, in UTF-16 units. Real ones are below 1,000. */
const MAX_PATTERN = 8192;

/** All programs of a file together. Real ones have some 100 instructions; `x{1,1000}` takes 2,000. */
const MAX_INSTRUCTIONS = 2 ** 14;

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
  readonly node: Node;
  /** The character it matches, if it is just that. */
  readonly literal?: string;
}

/** Compiles the pattern under the cursor, or throws a TokenizerError that names pattern and construct. */
export function compileRegex(json: Json, unicode: Unicode, pattern = json.string()): FindMatches {
  if (pattern.length > MAX_PATTERN) json.fail(`a pattern longer than ${MAX_PATTERN} characters`);
  const tree = new Parser(new PatternReader(pattern, json), unicode).parse();
  const cost = excessiveCost(tree, pattern, (work) => json.spend('characters in repetitions that depend on each other', work, MAX_WORK));
  if (cost !== undefined) json.fail(`the pattern ${show(pattern)} has ${cost}`);
  const program = compileProgram(tree, () => json.spend('instructions of patterns', 1, MAX_INSTRUCTIONS));
  return createMatcher(program, () => json.fail(`the pattern ${show(pattern)} takes too many steps on this text: give a shorter text, or mend the pattern`));
}

/** Finds characters, or with several tests the longest runs of characters of each. */
export function charactersOf(...tests: readonly CharacterTest[]): FindMatches {
  const sets = tests.map((has, i) => nodeOf({ key: String(i), has }));
  const tree = choiceOf(sets.length === 1 ? sets : sets.map((body): Node => ({ kind: 'repeat', body, min: 1, max: Infinity, lazy: false })));
  return createMatcher(compileProgram(tree, () => {}), unexpected);
}

class Parser {
  readonly #in: PatternReader;
  readonly #classes: CharClasses;
  #depth = 0;
  #lookBehind = 0;
  #isBackward = false; // what is looked at behind is matched from its end on

  constructor(reader: PatternReader, unicode: Unicode) {
    this.#in = reader;
    this.#classes = new CharClasses(reader, unicode);
  }

  parse(): Node {
    const tree = this.#alternatives({ ignoreCase: false, dotAll: false });
    if (!this.#in.done) this.#in.refuse('an unmatched )');
    return tree;
  }

  #alternatives(flags: Flags): Node {
    if (++this.#depth > MAX_DEPTH) this.#in.refuse(`groups nested deeper than ${MAX_DEPTH}`);
    const parts = [this.#sequence(flags)];
    while (this.#in.take('|')) parts.push(this.#sequence(flags));
    this.#depth--;
    return choiceOf(parts);
  }

  #sequence(flags: Flags): Node {
    const parts: Node[] = [];
    let before = '';
    while (!this.#in.done && this.#in.peek() !== '|' && this.#in.peek() !== ')') {
      const atom = this.#atom(flags);
      if (flags.ignoreCase && atom.literal !== undefined) {
        const pair = (before + atom.literal).toLowerCase();
        if (MULTI_FOLDS.includes(pair)) this.#in.refuse(`"${pair}" with case ignored`);
      }
      before = atom.literal ?? '';
      parts.push(this.#quantified(atom.node));
    }
    if (this.#isBackward) parts.reverse();
    return sequenceOf(parts);
  }

  #quantified(atom: Node): Node {
    let node = atom;
    for (let count = 0; ; count++) {
      const times = this.#quantifier();
      if (times === undefined) return node;
      if (count === MAX_QUANTIFIERS) this.#in.refuse(`more than ${MAX_QUANTIFIERS} quantifiers in a row`);
      const [min, max, isInterval] = times;
      // A sign behind an interval is a quantifier of its own in Oniguruma: x{1,3}+ repeats x{1,3}, and x{2}? is x{2} or nothing.
      const lazy = (!isInterval || min !== max) && this.#in.take('?');
      node = { kind: 'repeat', body: node, min, max, lazy };
      if (!isInterval && !lazy && this.#in.take('+')) node = this.#atomic(node);
    }
  }

  /** `*`, `+`, `?` or an interval: at least and at most how often. Undefined when none follows. */
  #quantifier(): [min: number, max: number, isInterval: boolean] | undefined {
    if (this.#in.take('*')) return [0, Infinity, false];
    if (this.#in.take('+')) return [1, Infinity, false];
    if (this.#in.take('?')) return [0, 1, false];
    const interval = this.#in.match(/\{(\d*)(,?)(\d*)\}/y);
    if (interval === null) return undefined;
    const [text, low, comma, high] = interval as unknown as [string, string, string, string];
    if (low === '' && high === '') return undefined; // {} and {,} are literal
    this.#in.skip(text.length);
    const min = low === '' ? 0 : Number(low);
    const max = comma === '' ? min : high === '' ? Infinity : Number(high);
    if (min > max) this.#in.refuse(`the interval ${text}`);
    return [min, max, true];
  }

  /** Once matched, never given back. */
  #atomic(body: Node): Node {
    if (this.#lookBehind > 0) this.#in.refuse('an atomic group or possessive quantifier inside a look-behind');
    return { kind: 'atomic', body };
  }

  #atom(flags: Flags): Atom {
    const char = this.#in.next();
    switch (char) {
      case '(':
        return { node: this.#group(flags) };
      case '[':
        return atomOf(this.#classes.bracket(flags.ignoreCase));
      case '.':
        return atomOf(flags.dotAll ? ANY : NOT_LINE_FEED);
      case '^':
        return { node: choiceOf([NOTHING_BEHIND, this.#inOrder([behind(nodeOf(LINE_FEED)), ahead(nodeOf(ANY))])]) };
      case '$':
        return { node: ahead(nodeOf(NOT_LINE_FEED), true) };
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
    return { node: nodeOf(setOf(...(flags.ignoreCase ? this.#classes.caseVariants(char) : [char]))), literal: char };
  }

  #escape(flags: Flags): Atom {
    if (this.#in.take('A')) return { node: NOTHING_BEHIND };
    if (this.#in.take('z')) return { node: NOTHING_AHEAD };
    if (this.#in.take('Z')) return { node: choiceOf([NOTHING_AHEAD, ahead(sequenceOf([nodeOf(LINE_FEED), NOTHING_AHEAD]))]) };
    if (this.#in.take('b')) return { node: this.#boundary(false) };
    if (this.#in.take('B')) return { node: this.#boundary(true) };
    if (this.#in.take('R')) {
      const single = { key: 'R', has: (code: number): boolean => (code >= 10 && code <= 13) || code === 0x85 || code === 0x2028 || code === 0x2029 };
      return { node: this.#atomic(choiceOf([this.#inOrder([nodeOf(setOf('\r')), nodeOf(LINE_FEED)]), nodeOf(single)])) };
    }
    const escape = this.#classes.escape(flags.ignoreCase);
    return 'literal' in escape ? this.#literal(escape.literal, flags) : atomOf(escape.set);
  }

  /** Between a word character and none, or (`isNegative`) not. */
  #boundary(isNegative: boolean): Node {
    const word = nodeOf(this.#classes.word);
    const either = (isWordBehind: boolean): Node => this.#inOrder([behind(word, !isWordBehind), ahead(word, isWordBehind !== isNegative)]);
    return choiceOf([either(true), either(false)]);
  }

  #inOrder(parts: Node[]): Node {
    return sequenceOf(this.#isBackward ? parts.reverse() : parts);
  }

  #group(flags: Flags): Node {
    if (!this.#in.take('?')) {
      if (this.#in.peek() === '*') this.#in.refuse('a call-out (*…)');
      return this.#body(flags);
    }
    if (this.#in.take('#')) {
      while (this.#in.next() !== ')');
      return NOTHING;
    }
    if (this.#in.take(':')) return this.#body(flags);
    if (this.#in.take('=')) return this.#look(flags, false, false);
    if (this.#in.take('!')) return this.#look(flags, false, true);
    if (this.#in.take('>')) return this.#atomic(this.#body(flags));
    if (this.#in.take('<=')) return this.#look(flags, true, false);
    if (this.#in.take('<!')) return this.#look(flags, true, true);
    const name = this.#in.match(/(?:P?<\w+>|'\w+')/y);
    if (name !== null) {
      this.#in.skip(name[0].length);
      return this.#body(flags);
    }
    return this.#options(flags);
  }

  #look(flags: Flags, isBehind: boolean, isNegative: boolean): Node {
    const wasBackward = this.#isBackward;
    this.#isBackward = isBehind;
    if (isBehind) this.#lookBehind++;
    const body = this.#body(flags);
    if (isBehind) this.#lookBehind--;
    this.#isBackward = wasBackward;
    return { kind: 'look', body, isBehind, isNegative };
  }

  /** `(?im-im:…)`, or `(?im-im)` for the rest of the enclosing group, its further alternatives included. */
  #options(flags: Flags): Node {
    const options = this.#in.match(/([im]*)(?:-([im]*))?([:)])/y);
    if (options === null) this.#in.refuse(`the group (?${this.#in.rest(8)}`);
    const [text, on, off = '', end] = options as unknown as [string, string, string | undefined, string];
    this.#in.skip(text.length);
    const inner: Flags = {
      ignoreCase: (flags.ignoreCase || on.includes('i')) && !off.includes('i'),
      dotAll: (flags.dotAll || on.includes('m')) && !off.includes('m'),
    };
    return end === ':' ? this.#body(inner) : this.#alternatives(inner);
  }

  /** The alternatives up to the closing parenthesis, which it consumes. */
  #body(flags: Flags): Node {
    const body = this.#alternatives(flags);
    if (!this.#in.take(')')) this.#in.refuse('an unclosed group');
    return body;
  }
}

/** What does not look ahead or behind takes few steps. */
function unexpected(): never {
  throw new Error('too many steps for single characters');
}

const nodeOf = (set: CharSet): Node => ({ kind: 'set', set });
const atomOf = (set: CharSet): Atom => ({ node: nodeOf(set) });
const NOTHING_BEHIND = behind(nodeOf(ANY), true);
const NOTHING_AHEAD = ahead(nodeOf(ANY), true);
