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
  const { around } = options;
  return new PatternBuilder(pattern, grammar, options).alternatives(readPattern(pattern, grammar, options.refuse), { start: around, end: around });
}

/** What may stand before and behind; undefined where there is no edge of the text. */
interface Edges {
  readonly start: Node | undefined;
  readonly end: Node | undefined;
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

  alternatives(rows: Alternatives, edges: Edges): Node {
    return this.grammar.choiceOf(rows.map((row) => this.row(row, edges)));
  }

  private row(items: readonly Item[], { start, end }: Edges): Node {
    const { empty } = this.grammar;
    let from = 0;
    let to = items.length;
    if (start) for (; from < to && isAnchor(items[from]!, '^'); from++) start = empty;
    if (end) for (; to > from && isAnchor(items[to - 1]!, '$'); to--) end = empty;
    const parts: Node[] = [];
    for (let i = from; i < to; i++) {
      const item = items[i]!;
      // A group at an edge has the edge within it: it may hold anchors itself.
      const own: Edges = isOnce(item) ? { start: i === from ? start : undefined, end: i === to - 1 ? end : undefined } : NO_EDGES;
      if (i === from && start && !own.start) parts.push(start);
      parts.push(this.item(item, own));
      if (i === to - 1 && end && !own.end) parts.push(end);
    }
    return from < to ? this.grammar.sequenceOf(parts) : this.grammar.sequence(start ?? empty, end ?? empty);
  }

  private item({ atom, min, max, at }: Item, edges: Edges): Node {
    switch (atom.kind) {
      case 'set': return this.grammar.repeat(this.options.chars(atom.set), min, max);
      case 'group': return this.grammar.repeat(this.alternatives(atom.alternatives, edges), min, max);
      case 'anchor': return this.options.refuse(`the pattern ${show(this.pattern)} has ${atom.sign} at offset ${at}, which is not an edge of the text`);
    }
  }
}

const NO_EDGES: Edges = { start: undefined, end: undefined };

function isAnchor({ atom }: Item, sign: string): boolean {
  return atom.kind === 'anchor' && atom.sign === sign;
}

function isOnce({ atom, min, max }: Item): boolean {
  return atom.kind === 'group' && min === 1 && max === 1;
}
