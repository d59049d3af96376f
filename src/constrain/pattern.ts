/** Regular expressions → grammar. */
import { show } from '../errors.js';
import type { CodeSet } from './code-points.js';
import type { Grammar, Node } from './grammar.js';
import { readPattern, type Alternatives, type Item } from './pattern-tree.js';

export interface PatternOptions {
  /** How a character is written. */
  readonly chars: (set: CodeSet) => Node;
  /** What may stand before and behind where no anchor is: nothing when the whole text must match. */
  readonly around: Node;
  readonly refuse: (complaint: string) => never;
}

/** @throws ArgumentError for a pattern outside the subset: see `compileRegex`. */
export function patternGrammar(pattern: string, grammar: Grammar, options: PatternOptions): Node {
  return new PatternBuilder(pattern, grammar, options).alternatives(readPattern(pattern, options.refuse), true, true);
}

class PatternBuilder {
  private readonly pattern: string;
  private readonly grammar: Grammar;
  private readonly options: PatternOptions;

  constructor(pattern: string, grammar: Grammar, options: PatternOptions) {
    this.pattern = pattern;
    this.grammar = grammar;
    this.options = options;
  }

  /** @param isStart whether the text begins here, @param isEnd whether it ends behind. */
  alternatives(rows: Alternatives, isStart: boolean, isEnd: boolean): Node {
    return this.grammar.choice(...rows.map((row) => this.row(row, isStart, isEnd)));
  }

  private row(items: readonly Item[], isStart: boolean, isEnd: boolean): Node {
    let from = 0;
    let to = items.length;
    if (isStart) while (from < to && isAnchor(items[from]!, '^')) from++;
    if (isEnd) while (to > from && isAnchor(items[to - 1]!, '$')) to--;
    // Without an anchor the edge is passed on to a group that stands there, or else open.
    const startsWith = isStart && from === 0 ? items[0] : undefined;
    const endsWith = isEnd && to === items.length ? items.at(-1) : undefined;
    const parts = items.slice(from, to).map((item) => this.item(item, item === startsWith, item === endsWith));
    if (isStart && from === 0 && !takesEdge(startsWith)) parts.unshift(this.options.around);
    if (isEnd && to === items.length && !takesEdge(endsWith)) parts.push(this.options.around);
    return this.grammar.sequence(...parts);
  }

  private item(item: Item, isStart: boolean, isEnd: boolean): Node {
    const { atom, min, max, at } = item;
    switch (atom.kind) {
      case 'set': return this.grammar.repeat(this.options.chars(atom.set), min, max);
      case 'anchor': return this.options.refuse(`the pattern ${show(this.pattern)} has ${atom.sign} at offset ${at}, which is not an edge of the text`);
      case 'group': {
        const edge = takesEdge(item);
        return this.grammar.repeat(this.alternatives(atom.alternatives, isStart && edge, isEnd && edge), min, max);
      }
    }
  }
}

function isAnchor({ atom }: Item, sign: string): boolean {
  return atom.kind === 'anchor' && atom.sign === sign;
}

function takesEdge(item: Item | undefined): boolean {
  return item?.atom.kind === 'group' && item.min === 1 && item.max === 1;
}
