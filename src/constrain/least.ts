/** How many bytes what is still to come has at least, where it contains no rule: which way to an end is the shortest. */
import type { Node } from './grammar.js';
import type { List } from './lists.js';

export class Least<Pair> {
  private readonly ofPair: (pair: Pair) => number;
  private readonly nodes: (number | undefined)[] = []; // by number of the node
  private readonly behind = new Map<Node, Float64Array>(); // of a sequence: from each part on
  private readonly lists = new Map<List<Pair>, number>();

  constructor(ofPair: (pair: Pair) => number) {
    this.ofPair = ofPair;
  }

  of(list: List<Pair> | undefined): number {
    const due: List<Pair>[] = [];
    let at = list;
    for (; at && !this.lists.has(at); at = at.tail) due.push(at);
    let sum = at ? this.lists.get(at)! : 0;
    for (const part of due.reverse()) this.lists.set(part, (sum += this.first(part)));
    return sum;
  }

  private first({ node, used, pair }: List<Pair>): number {
    switch (node.kind) {
      case 'text': return node.bytes.length - used;
      case 'sequence': return this.rest(node, node.parts)[used]!;
      case 'repeat': return Math.max(0, node.min - used) * this.node(node.body);
      default: return pair ? this.ofPair(pair) : this.node(node);
    }
  }

  private node(node: Node): number {
    return (this.nodes[node.id] ??= this.find(node));
  }

  private find(node: Node): number {
    switch (node.kind) {
      case 'bytes': return 1;
      case 'text': return node.bytes.length;
      case 'sequence': return this.rest(node, node.parts)[0]!;
      case 'choice': return node.parts.reduce((least, part) => Math.min(least, this.node(part)), Infinity);
      case 'repeat': return node.min === 0 ? 0 : node.min * this.node(node.body);
      case 'both': return Math.max(this.node(node.a), this.node(node.b));
      case 'rule': return 0;
    }
  }

  private rest(node: Node, parts: readonly Node[]): Float64Array {
    let rest = this.behind.get(node);
    if (!rest) {
      this.behind.set(node, (rest = new Float64Array(parts.length + 1)));
      for (let i = parts.length - 1; i >= 0; i--) rest[i] = rest[i + 1]! + this.node(parts[i]!);
    }
    return rest;
  }
}
