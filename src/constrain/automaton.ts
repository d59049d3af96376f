/**
 * Runs a grammar over bytes, and builds only the states that are visited. A state is a set of threads: ways in which the text so
 * far may be read. A thread is a list of what is still to come, the nearest part first, which is a consumer of bytes; lists and
 * states are interned, so that what has been worked out for one is there when it comes again. (Partial derivatives after
 * Antimirov, with counters and, for rules, a stack.)
 */
import type { Both, Bytes, Grammar, Node } from './grammar.js';
import { refuse } from './refuse.js';

/** A list of parts to come. */
interface Cell {
  readonly id: number;
  readonly node: Node;
  /** Of a repetition: how often its body was begun. Of `both`: the number of its pair. */
  readonly used: number;
  readonly pair: Pair | undefined;
  readonly tail: Cell | undefined;
  closure: Closure | undefined;
}

/** What a list may go on with: threads, and whether it may be over. */
interface Closure {
  readonly threads: readonly Cell[];
  readonly accepts: boolean;
}

/** How a node may begin: a consumer of bytes, and what comes between it and what follows the node. */
interface Leaf {
  readonly node: Bytes | Both;
  readonly pair: Pair | undefined;
  readonly rest: readonly { readonly node: Node; readonly used: number }[];
}

export interface State {
  readonly id: number;
  readonly threads: readonly Cell[];
  /** The text so far is a whole one. */
  readonly accepts: boolean;
  /** The text so far ends within a character. */
  readonly isInside: boolean;
  /** By class of byte: number of the next state, DEAD, or 0 for not known yet. */
  row: Int32Array | undefined;
}

/** Two sides that read the same text. */
interface Pair {
  readonly id: number;
  readonly a: State;
  readonly b: State;
  /** Whether both can be over together after one more byte or more. */
  goesOn: boolean | undefined;
}

const DEAD = -1;

/** Ways to read a text at once. Unambiguous grammars have one to some ten. */
const MAX_THREADS = 4096;
/** Steps of threads for one mask: a second, about. */
const MAX_WORK = 2 ** 23;
/** States that one mask may add. */
const MAX_NEW_STATES = 2 ** 17;
/** Beyond so many states, or lists, an automaton is given up for a new one, when no mask is being made. */
const MANY_STATES = 2 ** 14;
const MANY_CELLS = 2 ** 18;

const NOTHING_LEFT: Closure = { threads: [], accepts: true };

export class Automaton {
  /** Class of each byte: bytes that no part of the grammar tells apart share one. */
  readonly classOf: Uint8Array;
  private readonly bytes: number[] = []; // of each class
  private readonly states: State[] = [];
  private readonly stateOf = new Map<string, State>();
  private readonly leaves: (readonly Leaf[] | undefined)[] = []; // by id of the node
  private readonly items = new Map<number, number>(); // numbers of nodes with counts
  private readonly cells = new Map<number, Cell>(); // by tail and item
  private readonly pairOf = new Map<string, Pair>();
  private work = 0;
  private allowedStates = MAX_NEW_STATES;

  constructor(grammar: Grammar) {
    const begins = new Uint8Array(257);
    for (const node of grammar.nodes) {
      if (node.kind === 'bytes') for (const { low, high } of node.edges) begins[low] = begins[high + 1] = 1;
    }
    this.classOf = new Uint8Array(256);
    for (let byte = 0; byte < 256; byte++) {
      if (byte === 0 || begins[byte]) this.bytes.push(byte);
      this.classOf[byte] = this.bytes.length - 1;
    }
    this.state([], false); // number 0 stands for what is not known
  }

  /** The state before the first byte of a text of `node`. */
  start(node: Node): State {
    this.begin();
    return this.startOf(node);
  }

  /** To be called before each request, whose work is bounded. */
  begin(): void {
    this.work = 0;
    this.allowedStates = this.states.length + MAX_NEW_STATES;
  }

  /** Whether it has grown so large that it should be given up. */
  get isFull(): boolean {
    return this.states.length > MANY_STATES || this.cells.size > MANY_CELLS;
  }

  /** The same state in this automaton, of one that another automaton for the same grammar made. */
  adopt(state: State): State {
    this.begin();
    return this.copyOf(state);
  }

  /** The state after `byte`, or undefined when no text goes on like this. */
  step(state: State, byte: number): State | undefined {
    const id = this.next(state, this.classOf[byte]!);
    return id === DEAD ? undefined : this.states[id];
  }

  /** As `step`, with a class and with numbers: -1 for a dead end. */
  next(state: State, byteClass: number): number {
    const row = (state.row ??= new Int32Array(this.bytes.length));
    return row[byteClass]! || (row[byteClass] = this.derive(state, this.bytes[byteClass]!));
  }

  numbered(id: number): State {
    return this.states[id]!;
  }

  /** Whether the two sides have a text in common. */
  meet(both: Both): boolean {
    const a = this.startOf(both.a);
    const b = this.startOf(both.b);
    return (a.accepts && b.accepts) || this.goesOn(this.pair(a, b));
  }

  private startOf(node: Node): State {
    return this.stateFrom(this.closure(this.cell(node, 0, undefined)));
  }

  private derive(state: State, byte: number): number {
    const threads = new Set<Cell>();
    let accepts = false;
    const follow = (tail: Cell | undefined): void => {
      const closure = this.closure(tail);
      accepts ||= closure.accepts;
      for (const thread of closure.threads) threads.add(thread);
    };
    this.work += 1 + state.threads.length;
    if (this.work > MAX_WORK) refuse('it is too ambiguous: there are too many ways to read the same text');
    for (const { node, pair, tail } of state.threads) {
      if (node.kind === 'bytes') {
        const edge = node.edges.find(({ low, high }) => low <= byte && byte <= high);
        if (edge?.to) threads.add(this.cell(edge.to, 0, tail));
        else if (edge) follow(tail);
      } else {
        const a = this.step(pair!.a, byte);
        const b = a && this.step(pair!.b, byte);
        if (!a || !b) continue;
        if (a.accepts && b.accepts) follow(tail);
        const next = this.pair(a, b);
        if (this.goesOn(next)) threads.add(this.cell(node, next.id, tail, next));
      }
    }
    return threads.size === 0 && !accepts ? DEAD : this.stateFrom({ threads: [...threads], accepts }).id;
  }

  private stateFrom({ threads, accepts }: Closure): State {
    if (threads.length > MAX_THREADS) refuse(`it is too ambiguous: there are more than ${MAX_THREADS} ways to read the same text`);
    this.work += threads.length;
    return this.state([...threads].sort((a, b) => a.id - b.id), accepts);
  }

  private state(threads: readonly Cell[], accepts: boolean): State {
    const key = `${accepts ? '+' : '-'}${threads.map(({ id }) => id).join()}`;
    let state = this.stateOf.get(key);
    if (!state) {
      if (this.states.length > this.allowedStates) refuse('it is too ambiguous: the next token alone leads to too many states');
      state = { id: this.states.length, threads, accepts, isInside: this.isInside(threads[0]), row: undefined };
      this.states.push(state);
      this.stateOf.set(key, state);
    }
    return state;
  }

  private isInside(thread: Cell | undefined): boolean {
    if (thread?.pair) return thread.pair.a.isInside;
    return thread?.node.kind === 'bytes' && thread.node.isInside;
  }

  private copyOf(state: State): State {
    const copy = (thread: Cell): Cell => {
      const parts: Cell[] = [];
      for (let at: Cell | undefined = thread; at; at = at.tail) parts.push(at);
      return parts.reduceRight<Cell | undefined>((tail, { node, used, pair }) => {
        if (!pair) return this.cell(node, used, tail);
        const own = this.pair(this.copyOf(pair.a), this.copyOf(pair.b));
        return this.cell(node, own.id, tail, own);
      }, undefined)!;
    };
    return this.stateFrom({ threads: state.threads.map(copy), accepts: state.accepts });
  }

  private cell(node: Node, used: number, tail: Cell | undefined, pair?: Pair): Cell {
    const part = node.id * 2 ** 32 + used;
    let item = this.items.get(part);
    if (item === undefined) this.items.set(part, (item = this.items.size));
    const key = (tail ? tail.id + 1 : 0) * 2 ** 26 + item;
    let cell = this.cells.get(key);
    if (!cell) {
      cell = { id: this.cells.size, node, used, pair, tail, closure: undefined };
      this.cells.set(key, cell);
    }
    return cell;
  }

  private closure(list: Cell | undefined): Closure {
    if (!list) return NOTHING_LEFT;
    if (list.closure) return list.closure;
    const threads = new Set<Cell>();
    let at: Cell | undefined = list;
    while (at && this.enter(at, threads)) at = at.tail;
    return (list.closure = { threads: [...threads], accepts: at === undefined });
  }

  /** Adds the threads with which the first part of a list may begin; returns whether that part may be left out. */
  private enter({ node, used, tail }: Cell, threads: Set<Cell>): boolean {
    if (node.kind === 'bytes') {
      threads.add(this.cell(node, 0, tail));
      return false;
    }
    const add = (leaf: Leaf, after: Cell | undefined): void => {
      for (let i = leaf.rest.length - 1; i >= 0; i--) after = this.cell(leaf.rest[i]!.node, leaf.rest[i]!.used, after);
      threads.add(this.cell(leaf.node, leaf.pair?.id ?? 0, after, leaf.pair));
    };
    if (node.kind !== 'repeat') {
      for (const leaf of this.leavesOf(node)) add(leaf, tail);
      return node.nullable;
    }
    const again = afterOnce(node, used);
    const after = again === undefined ? tail : this.cell(node, again, tail);
    for (const leaf of this.leavesOf(node.body)) add(leaf, after);
    return used >= node.min || node.body.nullable;
  }

  private leavesOf(node: Node): readonly Leaf[] {
    return (this.leaves[node.id] ??= this.findLeaves(node));
  }

  private findLeaves(node: Node): readonly Leaf[] {
    if (!node.productive) return [];
    switch (node.kind) {
      case 'bytes': return [{ node, pair: undefined, rest: [] }];
      case 'rule': return this.leavesOf(node.body);
      case 'choice': return node.parts.flatMap((part) => this.leavesOf(part));
      case 'sequence': {
        const leaves: Leaf[] = [];
        for (const [i, part] of node.parts.entries()) {
          const behind = node.parts.slice(i + 1).map((other) => ({ node: other, used: 0 }));
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
        const pair = this.pair(this.startOf(node.a), this.startOf(node.b));
        return this.goesOn(pair) ? [{ node, pair, rest: [] }] : [];
      }
    }
  }

  private pair(a: State, b: State): Pair {
    const key = `${a.id},${b.id}`;
    let pair = this.pairOf.get(key);
    if (!pair) {
      pair = { id: this.pairOf.size, a, b, goesOn: undefined };
        this.pairOf.set(key, pair);
    }
    return pair;
  }

  /** Searches in depth, which finds a text soon where there is one. */
  private goesOn(start: Pair): boolean {
    if (start.goesOn !== undefined) return start.goesOn;
    const seen = new Set([start]);
    const path: { pair: Pair; byteClass: number }[] = [{ pair: start, byteClass: 0 }];
    while (path.length > 0) {
      const top = path.at(-1)!;
      if (top.byteClass === this.bytes.length) {
        path.pop();
        continue;
      }
      if (++this.work > MAX_WORK) refuse('it takes too long to find out whether two patterns for the same text have anything in common');
      const byte = this.bytes[top.byteClass++]!;
      const a = this.step(top.pair.a, byte);
      const b = a && this.step(top.pair.b, byte);
      if (!a || !b) continue;
      const next = this.pair(a, b);
      if ((a.accepts && b.accepts) || next.goesOn) {
        for (const { pair } of path) pair.goesOn = true;
        return true;
      }
      if (next.goesOn === undefined && !seen.has(next)) {
        seen.add(next);
        path.push({ pair: next, byteClass: 0 });
      }
    }
    for (const pair of seen) pair.goesOn = false;
    return false;
  }
}

/** How often the body of a repetition was begun after once more; undefined when that was the last time. */
function afterOnce(node: { readonly min: number; readonly max: number }, used: number): number | undefined {
  const count = used + 1;
  if (count === node.max) return undefined;
  return node.max === Infinity ? Math.min(count, node.min) : count;
}
