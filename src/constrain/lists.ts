/**
 * Lists of parts of a grammar that are still to come, the nearest first. They are interned, and what a list may begin with is
 * worked out once. (Partial derivatives after Antimirov, with counters and, for rules, a stack.)
 */
import type { Budget } from './budget.js';
import type { Both, Bytes, Node, Repeat, Text } from './grammar.js';
import { refuse } from './refuse.js';
import { Triples } from './triples.js';

/** Beginnings of all nodes together. */
const MAX_LEAVES = 2 ** 18;
/** Parts that begin with parts: an optional property is one more for the next. */
const MAX_DEPTH = 1500;

/** A list. One that begins with a consumer of bytes is a thread: a way in which the text so far may be read. */
export interface List<Pair> {
  readonly id: number;
  readonly node: Node;
  /**
   * Of a sequence: how many parts are done. Of a repetition: how often its body was begun. Of a text: how many bytes were read. Of
   * `both` as a consumer: its pair's number.
   */
  readonly used: number;
  readonly pair: Pair | undefined;
  readonly tail: List<Pair> | undefined;
  /** The same for lists of the same parts, whatever their counts; -1 when not known yet. */
  shape: number;
  beginning: Beginning<Pair> | undefined;
}

/** What a list may begin with: threads; and whether it may be over. */
export interface Beginning<Pair> {
  readonly threads: readonly List<Pair>[];
  readonly accepts: boolean;
}

/** How a node may begin: a consumer of bytes, and what comes between it and what follows the node. */
interface Leaf<Pair> {
  readonly node: Bytes | Text | Both;
  readonly pair: Pair | undefined;
  readonly rest: readonly { readonly node: Node; readonly used: number }[];
}

/** What the two sides of `both` have come to, together. Numbers begin with 1: 0 is for one that has not begun. */
export interface Numbered {
  readonly id: number;
}

export class Lists<Pair extends Numbered> {
  private readonly budget: Budget;
  private readonly startOf: (both: Both) => Pair | undefined;
  private readonly leaves: (readonly Leaf<Pair>[] | undefined)[] = []; // by id of the node
  private readonly known = new Triples(); // tail, node, how much of it is done
  private readonly lists: List<Pair>[] = [];
  private readonly shapes = new Triples(); // shape of the tail, node
  private leafCount = 0;
  private threadCount = 0;
  private depth = 0;
  private readonly over: Beginning<Pair> = { threads: [], accepts: true };

  /** @param startOf the pair with which `both` begins; undefined when no byte can follow. */
  constructor(budget: Budget, startOf: (both: Both) => Pair | undefined) {
    this.budget = budget;
    this.startOf = startOf;
  }

  /** Lists, and the threads that they begin with. */
  get size(): number {
    return this.lists.length + this.threadCount;
  }

  of(node: Node, used: number, tail: List<Pair> | undefined, pair?: Pair): List<Pair> {
    const id = this.known.of(tail ? tail.id + 1 : 0, node.id, used);
    let list = this.lists[id];
    if (!list) {
      this.lists.push((list = { id, node, used, pair, tail, shape: -1, beginning: undefined }));
      this.budget.spend(2);
    }
    return list;
  }

  /** @param list undefined: the empty one. */
  beginningOf(list: List<Pair> | undefined): Beginning<Pair> {
    if (!list) return this.over;
    if (list.beginning) return list.beginning;
    const threads = new Set<List<Pair>>();
    let at: List<Pair> | undefined = list;
    while (at && this.enter(at, threads)) at = at.tail;
    this.threadCount += threads.size;
    return (list.beginning = { threads: [...threads], accepts: at === undefined });
  }

  /** The threads without those that read nothing that another one does not, such as x{0,3} beside x{0,5}. */
  withoutCovered(threads: readonly List<Pair>[]): List<Pair>[] {
    const kept = new Map<number, List<Pair>[]>(); // by shape
    for (const thread of threads) {
      const shape = this.shapeOf(thread);
      const others = kept.get(shape) ?? [];
      this.budget.spend(1 + others.length);
      if (others.some((other) => covers(other, thread))) continue;
      kept.set(shape, [...others.filter((other) => !covers(thread, other)), thread]);
    }
    return [...kept.values()].flat();
  }

  private shapeOf(list: List<Pair>): number {
    const due: List<Pair>[] = [];
    let at: List<Pair> | undefined = list;
    for (; at && at.shape < 0; at = at.tail) due.push(at);
    let shape = at ? at.shape : -1;
    for (const each of due.reverse()) shape = each.shape = this.shapes.of(shape + 1, each.node.id, 0);
    return shape;
  }

  /** Adds the threads with which the first part of a list may begin; returns whether that part may be left out. */
  private enter({ node, used, tail }: List<Pair>, threads: Set<List<Pair>>): boolean {
    const add = (part: Node, again: number | undefined): void => {
      const behind = again === undefined ? tail : this.of(node, again, tail);
      for (const leaf of this.leavesOf(part)) {
        this.budget.spend(1);
        let after = behind;
        for (let i = leaf.rest.length - 1; i >= 0; i--) after = this.of(leaf.rest[i]!.node, leaf.rest[i]!.used, after);
        threads.add(this.of(leaf.node, leaf.pair?.id ?? 0, after, leaf.pair));
      }
    };
    switch (node.kind) {
      case 'sequence':
        for (let i = used; i < node.parts.length; i++) {
          add(node.parts[i]!, i + 1 < node.parts.length ? i + 1 : undefined);
          if (!node.parts[i]!.nullable) return false;
        }
        return true;
      case 'repeat':
        add(node.body, afterOnce(node, used));
        return used >= node.min || node.body.nullable;
      default:
        add(node, undefined);
        return node.nullable;
    }
  }

  private leavesOf(node: Node): readonly Leaf<Pair>[] {
    let leaves = this.leaves[node.id];
    if (!leaves) {
      if (++this.depth > MAX_DEPTH) refuse(`it is nested too deep: ${MAX_DEPTH} parts begin with each other`);
      leaves = this.leaves[node.id] = node.productive ? this.findLeaves(node) : [];
      this.depth--;
      this.leafCount += leaves.length;
      this.budget.spend(1 + leaves.length / 4);
      if (this.leafCount > MAX_LEAVES) refuse(`it is too large: there are more than ${MAX_LEAVES} ways to go on`);
    }
    return leaves;
  }

  private findLeaves(node: Node): readonly Leaf<Pair>[] {
    switch (node.kind) {
      case 'bytes': case 'text': return [{ node, pair: undefined, rest: [] }];
      case 'rule': return this.leavesOf(node.body);
      case 'choice': return [...new Set(node.parts.flatMap((part) => this.leavesOf(part)))];
      case 'sequence': {
        const leaves: Leaf<Pair>[] = [];
        for (const [i, part] of node.parts.entries()) {
          const behind = i + 1 < node.parts.length ? [{ node, used: i + 1 }] : [];
          for (const leaf of this.leavesOf(part)) leaves.push({ ...leaf, rest: [...leaf.rest, ...behind] });
          if (!part.nullable) break;
        }
        return leaves;
      }
      case 'repeat': {
        const again = afterOnce(node, 0);
        const rest = again === undefined ? [] : [{ node, used: again }];
        return this.leavesOf(node.body).map((leaf) => ({ ...leaf, rest: [...leaf.rest, ...rest] }));
      }
      case 'both': {
        const pair = this.startOf(node);
        return pair ? [{ node, pair, rest: [] }] : [];
      }
    }
  }
}

/** How often the body of a repetition was begun after once more; undefined when that was the last time. */
function afterOnce({ min, max }: Repeat, used: number): number | undefined {
  const count = used + 1;
  if (count === max) return undefined;
  return max === Infinity ? Math.min(count, min) : count;
}

/** Whether list `a` matches all that `b`, of the same shape, does: its repetitions leave as much room. */
function covers<Pair>(a: List<Pair>, b: List<Pair>): boolean {
  for (let x: List<Pair> | undefined = a, y: List<Pair> | undefined = b; x && y && x !== y; x = x.tail, y = y.tail) {
    if (x.used === y.used) continue;
    if (x.node.kind !== 'repeat') return false;
    const { min, max, body } = x.node;
    const leavesMore = max === Infinity ? x.used > y.used : x.used < y.used && (x.used >= min || body.nullable);
    if (!leavesMore) return false;
  }
  return true;
}
