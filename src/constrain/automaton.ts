/**
 * Runs a grammar over bytes, and builds only the states that are visited. A state is a set of threads, which are ways in which the
 * text so far may be read. States are interned: what was worked out for one is there when it comes again.
 */
import type { Both, Grammar, Node } from './grammar.js';
import { Lists, withoutCovered, type Beginning, type List } from './lists.js';
import { refuse } from './refuse.js';

type Thread = List<Pair>;

export interface State {
  readonly id: number;
  readonly threads: readonly Thread[];
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

/** In place of the number of a state: no text goes on like this. */
export const DEAD = -1;

/** Beyond so many threads it is worth while to look for some that others cover. */
const FEW_THREADS = 8;
/** Ways to read a text at once. Unambiguous grammars have one to some ten. */
const MAX_THREADS = 2048;
/** Steps of threads for one mask: a second, about. */
const MAX_WORK = 2 ** 23;
/** States that one mask may add. */
const MAX_NEW_STATES = 2 ** 17;
/** Beyond so many states, threads of them, or lists, an automaton is given up for a new one, when no mask is being made. */
const MANY_STATES = 2 ** 14;
const MANY_THREADS = 2 ** 20;
const MANY_LISTS = 2 ** 18;

export class Automaton {
  /** Class of each byte: bytes that no part of the grammar tells apart share one. */
  readonly classOf: Uint8Array;
  private readonly bytes: number[] = []; // of each class
  private readonly lists: Lists<Pair>;
  private readonly states: State[] = [];
  private readonly stateOf = new Map<string, State>();
  private readonly pairOf = new Map<string, Pair>();
  private threads = 0; // of all states
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
    this.lists = new Lists((both) => {
      const pair = this.pair(this.startOf(both.a), this.startOf(both.b));
      return this.goesOn(pair) ? pair : undefined;
    });
    this.state([], false); // number 0 stands for what is not known
  }

  /** To be called before each request, whose work is bounded. */
  begin(): void {
    this.work = 0;
    this.allowedStates = this.states.length + MAX_NEW_STATES;
  }

  /** Whether it has grown so large that it should be given up. */
  get isFull(): boolean {
    return this.states.length > MANY_STATES || this.threads > MANY_THREADS || this.lists.count > MANY_LISTS;
  }

  /** The state before the first byte of a text of `node`. */
  startOf(node: Node): State {
    return this.stateFrom(this.lists.beginningOf(this.lists.of(node, 0, undefined)));
  }

  /** The same state in this automaton, of one that another automaton for the same grammar made. */
  adopt(state: State): State {
    const copy = (thread: Thread): Thread => {
      const parts: Thread[] = [];
      for (let at: Thread | undefined = thread; at; at = at.tail) parts.push(at);
      return parts.reduceRight<Thread | undefined>((tail, { node, used, pair }) => {
        if (!pair) return this.lists.of(node, used, tail);
        const own = this.pair(this.adopt(pair.a), this.adopt(pair.b));
        return this.lists.of(node, own.id, tail, own);
      }, undefined)!;
    };
    return this.stateFrom({ threads: state.threads.map(copy), accepts: state.accepts });
  }

  /** The state after `byte`, or undefined when no text goes on like this. */
  step(state: State, byte: number): State | undefined {
    const id = this.next(state, this.classOf[byte]!);
    return id === DEAD ? undefined : this.states[id];
  }

  /** As `step`, with a class and with numbers. */
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

  private derive(state: State, byte: number): number {
    const threads = new Set<Thread>();
    let accepts = false;
    const follow = (tail: Thread | undefined): void => {
      const beginning = this.lists.beginningOf(tail);
      accepts ||= beginning.accepts;
      for (const thread of beginning.threads) threads.add(thread);
    };
    this.work += 1 + state.threads.length;
    if (this.work > MAX_WORK) refuse('it is too ambiguous: there are too many ways to read the same text');
    for (const { node, pair, tail } of state.threads) {
      if (node.kind === 'bytes') {
        const edge = node.edges.find(({ low, high }) => low <= byte && byte <= high);
        if (edge?.to) threads.add(this.lists.of(edge.to, 0, tail));
        else if (edge) follow(tail);
      } else {
        const a = this.step(pair!.a, byte);
        const b = a && this.step(pair!.b, byte);
        if (!a || !b) continue;
        if (a.accepts && b.accepts) follow(tail);
        const next = this.pair(a, b);
        if (this.goesOn(next)) threads.add(this.lists.of(node, next.id, tail, next));
      }
    }
    return threads.size === 0 && !accepts ? DEAD : this.stateFrom({ threads: [...threads], accepts }).id;
  }

  private stateFrom({ threads, accepts }: Beginning<Pair>): State {
    const needed = threads.length > FEW_THREADS ? withoutCovered(threads) : [...threads];
    if (needed.length > MAX_THREADS) refuse(`it is too ambiguous: there are more than ${MAX_THREADS} ways to read the same text`);
    this.work += threads.length;
    return this.state(needed.sort((a, b) => a.id - b.id), accepts);
  }

  private state(threads: readonly Thread[], accepts: boolean): State {
    const key = `${accepts ? '+' : '-'}${threads.map(({ id }) => id).join()}`;
    let state = this.stateOf.get(key);
    if (!state) {
      if (this.states.length > this.allowedStates) refuse('it is too ambiguous, or too long: what comes next has too many states');
      state = { id: this.states.length, threads, accepts, isInside: isInside(threads[0]), row: undefined };
      this.states.push(state);
      this.threads += threads.length;
      this.stateOf.set(key, state);
    }
    return state;
  }

  private pair(a: State, b: State): Pair {
    const key = `${a.id},${b.id}`;
    let pair = this.pairOf.get(key);
    if (!pair) this.pairOf.set(key, (pair = { id: this.pairOf.size + 1, a, b, goesOn: undefined }));
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

function isInside(thread: Thread | undefined): boolean {
  if (thread?.pair) return thread.pair.a.isInside;
  return thread?.node.kind === 'bytes' && thread.node.isInside;
}
