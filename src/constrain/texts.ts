import type { Grammar, Node } from './grammar.js';

/**
 * One of some texts, as a tree of their common beginnings, so that few of them are looked at together.
 * @param spell what stands for a part of a text, which is never empty.
 */
export function oneOfTexts(grammar: Grammar, texts: readonly string[], spell = (part: string): Node => grammar.text(part)): Node {
  const sorted = [...new Set(texts)].sort();
  return sorted.length === 0 ? grammar.nothing : subtree(grammar, spell, sorted, 0, sorted.length, 0);
}

/** The texts from `from` to `to` without their first `at` units, which they share. */
function subtree(grammar: Grammar, spell: (part: string) => Node, texts: readonly string[], from: number, to: number, at: number): Node {
  const first = texts[from]!;
  const last = texts[to - 1]!;
  let shared = at;
  while (shared < first.length && first.charCodeAt(shared) === last.charCodeAt(shared)) shared++;
  if (shared > at && isHigh(first.charCodeAt(shared - 1)) && shared < last.length) shared--; // not through a character
  const start = shared > at ? spell(first.slice(at, shared)) : grammar.empty;
  if (from + 1 === to) return start;
  const parts: Node[] = [];
  let next = from;
  if (first.length === shared) {
    parts.push(grammar.empty);
    next++;
  }
  while (next < to) {
    const code = texts[next]!.codePointAt(shared)!;
    const begin = next;
    while (next < to && texts[next]!.codePointAt(shared) === code) next++;
    parts.push(subtree(grammar, spell, texts, begin, next, shared));
  }
  return grammar.sequence(start, grammar.choiceOf(parts));
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
