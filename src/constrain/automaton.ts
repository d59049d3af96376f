/**
 * Runs a grammar over bytes, and builds only the states that are visited. A state is a set of threads, which are ways in which the
 * text so far may be read. States are interned: what was worked out for one is there when it comes again.
 */
import { Budget } from './budget.js';
import type { Both, Edge, Grammar, Node } from './grammar.js';
import { Least } from './least.js';
import { Lists, type Beginning, type List } from './lists.js';
import { refuse } from './refuse.js';
import { Triples } from './triples.js';

type Thread = List<Pair>;

export interface State {
  readonly id: number;
  readonly threads: readonly Thread[];
  /** The text so far is a whole one. */
  readonly accepts: boolean;
  /** The text so far ends within a character. */
  readonly isInside: boolean;
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
/** What one mask may take, and what all up to the first may; and what a new state takes, besides its threads, and a pair. */
const MAX_STEPS = 3 * 2 ** 15;
const FIRST_STEPS = 2 ** 18;
const STATE_STEPS = 4;
const PAIR_STEPS = 3;
/** Beyond so many states, threads of them, lists, pairs, or transitions, an automaton is given up for a new one, when no mask is being made. */
const MANY_STATES = 2 ** 14;
const MANY_THREADS = 2 ** 19;
const MANY_LISTS = 2 ** 18;
const MANY_PAIRS = 2 ** 17;
const MANY_TRANSITIONS = 2 ** 21;
/** Bytes to go beyond which pairs are not told apart. */
const FAR = 2 ** 12;

export class Automaton {
  /** Class of each byte: bytes that no part of the grammar tells apart share one. */
  readonly classOf: Uint8Array;
  private readonly bytes: number[] = []; // of each class
  private readonly budget = new Budget(FIRST_STEPS, 'it is too ambiguous, or too long, to find out soon what may come next; fewer alternatives, or smaller repetitions and lengths, may do');
  private readonly lists: Lists<Pair>;
  private readonly distances: (number | undefined)[] = []; // by number of the state: bytes to an end, at least
  private readonly least = new Least<Pair>((pair) => this.distance(pair));
  private readonly states: State[] = [];
  private readonly sets = new Triples(); // the threads of a state, one after another
  private readonly stateOf = new Map<number, State>(); // by number of the set
  private readonly pairIds = new Triples(); // two states
  private readonly pairs: Pair[] = [];
  private transitions = new Int32Array(1024); // by state and class: number of the next state, DEAD, or 0 for not known yet
  private threads = 0; // of all states
  private luckyClass = 0; // the one that last led a pair to its end

  constructor(grammar: Grammar) {
    const begins = new Uint8Array(257);
    for (const node of grammar.nodes) {
      if (node.kind === 'bytes') for (const { low, high } of node.edges) begins[low] = begins[high + 1] = 1;
      else if (node.kind === 'text') for (let i = 0; i < node.bytes.length; i++) begins[node.bytes.charCodeAt(i)] = begins[node.bytes.charCodeAt(i) + 1] = 1;
    }
    this.classOf = new Uint8Array(256);
    for (let byte = 0; byte < 256; byte++) {
      if (byte === 0 || begins[byte]) this.bytes.push(byte);
      this.classOf[byte] = this.bytes.length - 1;
    }
    this.lists = new Lists(this.budget, (both) => {
      const pair = this.pair(this.startOf(both.a), this.startOf(both.b));
      return this.goesOn(pair) ? pair : undefined;
    });
    this.state([], false); // number 0 stands for what is not known
  }

  /** To be called before each request, whose work is bounded. */
  begin(): void {
    this.budget.renew(MAX_STEPS);
  }

  /** Whether it has grown so large that it should be given up. */
  get isFull(): boolean {
    return this.states.length > MANY_STATES || this.threads > MANY_THREADS || this.lists.size > MANY_LISTS || this.pairs.length > MANY_PAIRS
      || this.states.length * this.bytes.length > MANY_TRANSITIONS;
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
    const id = this.next(state.id, this.classOf[byte]!);
    return id === DEAD ? undefined : this.states[id];
  }

  /** As `step`, with numbers of states and classes. */
  next(id: number, byteClass: number): number {
    const at = id * this.bytes.length + byteClass;
    const known = this.transitions[at]!;
    if (known !== 0) return known;
    const { to, low, high } = this.derive(this.states[id]!, this.bytes[byteClass]!);
    const row = at - byteClass;
    this.transitions.fill(to, row + this.classOf[low]!, row + this.classOf[high]! + 1);
    return to;
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

  /** The number of the state after `byte`, and the bytes around it that lead there as well, as far as is easily seen. */
  private derive(state: State, byte: number): { to: number; low: number; high: number } {
    const threads = new Set<Thread>();
    let accepts = false;
    let low = 0;
    let high = 255;
    const follow = (tail: Thread | undefined): void => {
      const beginning = this.lists.beginningOf(tail);
      accepts ||= beginning.accepts;
      this.budget.spend(beginning.threads.length);
      for (const thread of beginning.threads) threads.add(thread);
    };
    this.budget.spend(1 + state.threads.length);
    for (const { node, used, pair, tail } of state.threads) {
      if (node.kind === 'text') {
        const own = node.bytes.charCodeAt(used);
        if (own <= byte) low = Math.max(low, own < byte ? own + 1 : own);
        if (own >= byte) high = Math.min(high, own > byte ? own - 1 : own);
        if (own !== byte) continue;
        if (used + 1 < node.bytes.length) threads.add(this.lists.of(node, used + 1, tail));
        else follow(tail);
      } else if (node.kind === 'bytes') {
        let edge: Edge | undefined;
        for (const each of node.edges) {
          if (each.high < byte) {
            low = Math.max(low, each.high + 1);
            continue;
          }
          edge = each.low <= byte ? each : undefined;
          low = Math.max(low, edge ? each.low : 0);
          high = Math.min(high, edge ? each.high : each.low - 1);
          break;
        }
        if (edge?.to) threads.add(this.lists.of(edge.to, 0, tail));
        else if (edge) follow(tail);
      } else {
        this.budget.spend(PAIR_STEPS);
        low = high = byte;
        const a = this.step(pair!.a, byte);
        const b = a && this.step(pair!.b, byte);
        if (!a || !b) continue;
        if (a.accepts && b.accepts) follow(tail);
        const next = this.pair(a, b);
        if (this.goesOn(next)) threads.add(this.lists.of(node, next.id, tail, next));
      }
    }
    return { to: threads.size === 0 && !accepts ? DEAD : this.stateFrom({ threads: [...threads], accepts }).id, low, high };
  }

  private stateFrom({ threads, accepts }: Beginning<Pair>): State {
    const needed = threads.length > FEW_THREADS ? this.lists.withoutCovered(threads) : [...threads];
    if (needed.length > MAX_THREADS) refuse(`it is too ambiguous: there are more than ${MAX_THREADS} ways to read the same text`);
    this.budget.spend(threads.length);
    return this.state(needed.sort((a, b) => a.id - b.id), accepts);
  }

  private state(threads: readonly Thread[], accepts: boolean): State {
    let set = this.sets.of(0, 0, Number(accepts));
    for (const { id } of threads) set = this.sets.of(set, id, 2);
    let state = this.stateOf.get(set);
    if (!state) {
      this.budget.spend(STATE_STEPS + threads.length);
      state = { id: this.states.length, threads, accepts, isInside: isInside(threads[0]) };
      this.states.push(state);
      this.threads += threads.length;
      this.stateOf.set(set, state);
      if (this.states.length * this.bytes.length > this.transitions.length) {
        const wider = new Int32Array(2 * this.transitions.length);
        wider.set(this.transitions);
        this.transitions = wider;
      }
    }
    return state;
  }

  private pair(a: State, b: State): Pair {
    const id = this.pairIds.of(a.id, b.id, 0);
    return (this.pairs[id] ??= { id: id + 1, a, b, goesOn: undefined });
  }

  /** Looks first where the end is nearest, and of several places at the first found. */
  private goesOn(start: Pair): boolean {
    if (start.goesOn !== undefined) return start.goesOn;
    const before = new Map<Pair, Pair | undefined>([[start, undefined]]);
    const due: { readonly pairs: Pair[]; at: number; tried: number }[] = []; // by distance
    let nearest = FAR;
    const add = (pair: Pair): void => {
      const distance = Math.min(this.distance(pair), FAR);
      nearest = Math.min(nearest, distance);
      (due[distance] ??= { pairs: [], at: 0, tried: -1 }).pairs.push(pair);
    };
    add(start);
    while (nearest < due.length) {
      const here = due[nearest];
      const from = here?.pairs[here.at];
      if (!from) {
        nearest++;
        continue;
      }
      this.budget.spend(1);
      const byteClass = here.tried < 0 ? this.luckyClass : here.tried;
      if (++here.tried === this.bytes.length) {
        here.at++;
        here.tried = -1;
      }
      const byte = this.bytes[byteClass]!;
      const a = this.step(from.a, byte);
      const b = a && this.step(from.b, byte);
      if (!a || !b) continue;
      const next = this.pair(a, b);
      if ((a.accepts && b.accepts) || next.goesOn) {
        this.luckyClass = byteClass;
        for (let pair: Pair | undefined = from; pair; pair = before.get(pair)) pair.goesOn = true;
        return true;
      }
      if (next.goesOn === undefined && !before.has(next)) {
        before.set(next, from);
        add(next);
      }
    }
    for (const pair of before.keys()) pair.goesOn = false;
    return false;
  }

  /** Bytes until both sides may be over, at least. */
  private distance({ a, b }: Pair): number {
    const of = ({ id, threads }: State): number => (
      this.distances[id] ??= threads.reduce((least, thread) => Math.min(least, this.least.of(thread)), Infinity)
    );
    return Math.max(of(a), of(b));
  }
}

function isInside(thread: Thread | undefined): boolean {
  const node = thread?.node;
  if (thread?.pair) return thread.pair.a.isInside;
  return node?.kind === 'text' ? (node.bytes.charCodeAt(thread!.used) & 0xc0) === 0x80 : node?.kind === 'bytes' && node.isInside;
}
