/**
 * Reads a regular expression in JavaScript's spelling (`u` mode) as a tree. What is not regular, or depends on what is around
 * (look-around, back-references, word boundaries), is refused.
 */
import { show } from '../errors.js';
import { CharReader, type Shared } from './pattern-chars.js';
import type { CodeSet } from './code-points.js';

/** Alternatives; each a row of items. */
export type Alternatives = readonly (readonly Item[])[];

export interface Item {
  readonly atom: Atom;
  readonly min: number;
  readonly max: number; // may be Infinity
  readonly at: number; //  offset in the pattern
}

export type Atom =
  | { readonly kind: 'set'; readonly set: CodeSet }
  | { readonly kind: 'group'; readonly alternatives: Alternatives }
  | { readonly kind: 'anchor'; readonly sign: '^' | '$' };

/** Longest pattern, in UTF-16 units. */
const MAX_PATTERN = 2 ** 14;
const MAX_DEPTH = 100;
/** For reading it. */
const STEPS_OF_CHARACTER = 8;

/** What `(?` may go on with that is refused. */
const GROUPS: readonly (readonly [string, string])[] = [
  ['(?=', 'a look-ahead'], ['(?!', 'a look-ahead'], ['(?<=', 'a look-behind'], ['(?<!', 'a look-behind'], ['(?>', 'an atomic group'],
  ['(?P=', 'a back-reference'], ['(?', 'a group of options'],
];

/** @throws ArgumentError naming the construct and its offset. */
export function readPattern(pattern: string, shared: Shared, refuse: (complaint: string) => never): Alternatives {
  if (pattern.length > MAX_PATTERN) refuse(`the pattern is longer than ${MAX_PATTERN} characters`);
  shared.budget.spend(STEPS_OF_CHARACTER * pattern.length);
  const shown = show(pattern);
  return new PatternReader(new CharReader(pattern, shared, (what, at) => refuse(`the pattern ${shown} has ${what} at offset ${at}`))).read();
}

class PatternReader {
  private readonly in: CharReader;
  private depth = 0;

  constructor(reader: CharReader) {
    this.in = reader;
  }

  read(): Alternatives {
    const all = this.alternatives();
    if (!this.in.done) this.in.refuse('an unmatched )');
    return all;
  }

  private alternatives(): Alternatives {
    if (++this.depth > MAX_DEPTH) this.in.refuse(`groups nested deeper than ${MAX_DEPTH}`);
    const rows = [this.row()];
    while (this.in.take('|')) rows.push(this.row());
    this.depth--;
    return rows;
  }

  private row(): Item[] {
    const items: Item[] = [];
    while (!this.in.done && !this.in.sees('|') && !this.in.sees(')')) items.push(this.item());
    return items;
  }

  private item(): Item {
    const { at } = this.in;
    const atom = this.atom();
    const [min, max] = this.quantifier() ?? [1, 1];
    if (atom.kind === 'anchor' && (min !== 1 || max !== 1)) this.in.refuse('a quantifier behind an anchor', at);
    return { atom, min, max, at };
  }

  private quantifier(): [number, number] | undefined {
    const { at } = this.in;
    const found = this.in.match(/[*+?]|\{(\d+)(,?)(\d*)\}/y);
    if (!found) {
      if (this.in.match(/\{,\d+\}/y)) this.in.refuse('{,n}, which means different things to different engines: write {0,n}', at);
      return undefined;
    }
    const [sign, low, comma, high] = found;
    const min = low === undefined ? (sign === '+' ? 1 : 0) : Number(low);
    const max = low === undefined ? (sign === '?' ? 1 : Infinity) : comma === '' ? min : high === '' ? Infinity : Number(high);
    if (min > max) this.in.refuse(`the interval ${sign}`, at);
    this.in.take('?'); // lazy or not is the same to a whole match
    if (this.in.match(/[*+?]|\{\d+,?\d*\}/y)) this.in.refuse('a quantifier behind a quantifier', at);
    return [min, max];
  }

  private atom(): Atom {
    if (this.in.take('^')) return { kind: 'anchor', sign: '^' };
    if (this.in.take('$')) return { kind: 'anchor', sign: '$' };
    if (this.in.sees('(')) return this.group();
    if (this.in.match(/[*+?]/y)) this.in.refuse('a quantifier with nothing before it', this.in.at - 1);
    return { kind: 'set', set: this.in.set() };
  }

  private group(): Atom {
    const { at } = this.in;
    if (!this.in.match(/\((?:\?:|\?P?<[\p{ID_Start}_$][\p{ID_Continue}$]*>|(?!\?))/uy)) {
      const [, what = 'a group'] = GROUPS.find(([open]) => this.in.sees(open)) ?? [];
      this.in.refuse(`${what}, which is not supported,`, at);
    }
    const alternatives = this.alternatives();
    if (!this.in.take(')')) this.in.refuse('an unclosed group', at);
    return { kind: 'group', alternatives };
  }
}
