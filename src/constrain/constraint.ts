/** What may be written next, so that the whole output follows a constraint. */
import { ArgumentError, show } from '../errors.js';
import { givenOptions } from '../options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { Automaton, type State } from './automaton.js';
import { Grammar, type Node } from './grammar.js';
import { Masks } from './masks.js';
import { refuse } from './refuse.js';
import { seal } from './seal.js';
import { vocabularyOf, type Vocabulary } from './vocabulary.js';

/** Compiled once for a tokenizer; any number of outputs may follow it, at the same time. */
export interface Constraint {
  /**
   * The state before the first token of an output.
   * @param prompt ids that stand before it, as `DecodeStreamOptions.prompt`: at the very beginning of a text some tokenizers drop a space.
   */
  start(prompt?: ArrayLike<number>): ConstraintState;
}

/** Never changes: `next` gives another one. */
export interface ConstraintState {
  /**
   * The tokens that may come next, one bit each: id & 31 of word id >> 5; ids beyond it may not. The end (EOS) is not among them.
   * After each of them there is a way to a whole output. Shared: not to be changed.
   * @throws ArgumentError when the constraint is too ambiguous here to find them soon.
   */
  readonly mask: Uint32Array;
  /** What was written is a whole output: it may end here. It must when `mask` is empty. */
  readonly complete: boolean;
  /** The state after one more token. @throws ArgumentError for a token that is not allowed. */
  next(id: number): ConstraintState;
}

export interface CompileOptions {
  /** Ids that end an output, besides the tokenizer's own: never part of it. */
  readonly eosTokenIds?: readonly number[] | undefined;
}

/**
 * Makes a constraint of a grammar.
 * @param build makes the grammar's nodes and returns the one that a whole output matches.
 * @param impossible what to say when no output is possible.
 */
export function compileGrammar(
  tokenizer: Tokenizer, options: CompileOptions, build: (grammar: Grammar) => Node, impossible: string,
): Constraint {
  if (typeof (tokenizer as Tokenizer | null | undefined)?.createDecodeStream !== 'function') refuse(`the second argument is ${show(tokenizer)}, not a tokenizer such as lm.tokenizer`);
  const { eosTokenIds = [] } = givenOptions('constraint', options, ['eosTokenIds']);
  const vocabulary = vocabularyOf(tokenizer, checkIds('eosTokenIds', eosTokenIds));
  const grammar = new Grammar(vocabulary.writable, vocabulary.properties);
  const root = build(grammar);
  const automaton = new Automaton(grammar);
  seal(grammar.nodes, (both) => automaton.meet(both));
  if (!root.productive) {
    const { missing } = grammar;
    refuse(missing === undefined ? impossible : `${impossible} (the tokenizer cannot write ${show(String.fromCodePoint(missing))})`);
  }
  const compiled = new Compiled(vocabulary, grammar, root, automaton);
  compiled.prepare();
  return compiled;
}

/** @throws ArgumentError for what is no list of whole numbers. */
function checkIds<Ids extends ArrayLike<number>>(name: string, ids: Ids): Ids {
  const isList = Array.isArray(ids) || (ArrayBuffer.isView(ids) && 'length' in ids);
  if (!isList || !Array.prototype.every.call(ids, (id) => Number.isInteger(id))) refuse(`${name} is ${show(ids)}, not a list of token ids`);
  return ids;
}

/** An automaton with the masks of its states. */
interface Engine {
  readonly automaton: Automaton;
  readonly masks: Masks;
}

/** A place in an output: a state, of an automaton that may have been given up since. */
interface Place {
  readonly engine: Engine;
  readonly state: State;
}

class Compiled implements Constraint {
  private readonly vocabulary: Vocabulary;
  private readonly grammar: Grammar;
  private readonly root: Node;
  private engine: Engine;
  private firstMask: Uint32Array | undefined;

  constructor(vocabulary: Vocabulary, grammar: Grammar, root: Node, automaton: Automaton) {
    this.vocabulary = vocabulary;
    this.grammar = grammar;
    this.root = root;
    this.engine = this.engineOf(automaton);
  }

  start(prompt: ArrayLike<number> = []): ConstraintState {
    const place = this.begin();
    if (this.vocabulary.hasText(checkIds('prompt', prompt))) return new Point(this, place, false);
    const first = new Point(this, place, true);
    if (!first.complete && first.mask.every((word) => word === 0)) {
      refuse('no output can begin here: at the beginning of a text, no token of this tokenizer writes what it begins with');
    }
    return first;
  }

  /** Complains now of what is too ambiguous from the first token on. */
  prepare(): void {
    const { automaton, masks } = this.engine;
    masks.of(automaton.startOf(this.root), this.vocabulary.tokens);
  }

  private begin(): Place {
    const engine = this.ready();
    return { engine, state: engine.automaton.startOf(this.root) };
  }

  mask(place: Place, isFirst: boolean): Uint32Array {
    const { engine, state } = this.current(place);
    if (!isFirst) return engine.masks.of(state, this.vocabulary.tokens);
    return (this.firstMask ??= engine.masks.make(state, this.vocabulary.firstTokens()));
  }

  /** @throws ArgumentError */
  after(place: Place, id: number, isFirst: boolean): Place {
    const { engine, state } = this.current(place);
    const tokens = isFirst ? this.vocabulary.firstTokens() : this.vocabulary.tokens;
    const bytes = tokens.bytesOf.get(id);
    const next = bytes && engine.masks.after(state, bytes);
    if (!next) throw new ArgumentError(`constraint: the token ${show(id)} is not allowed here`);
    return { engine, state: next };
  }

  /** The place in the automaton of now. */
  private current(place: Place): Place {
    const engine = this.ready();
    return place.engine === engine ? place : { engine, state: engine.automaton.adopt(place.state) };
  }

  /** An automaton that has grown large is given up, so that memory stays bounded however long the outputs are. */
  private ready(): Engine {
    if (this.engine.automaton.isFull) this.engine = this.engineOf(new Automaton(this.grammar));
    this.engine.automaton.begin();
    return this.engine;
  }

  private engineOf(automaton: Automaton): Engine {
    return { automaton, masks: new Masks(automaton, this.vocabulary.size, this.vocabulary.continuations) };
  }
}

class Point implements ConstraintState {
  private readonly owner: Compiled;
  private readonly place: Place;
  /** At the very beginning of a text. */
  private readonly isFirst: boolean;

  constructor(owner: Compiled, place: Place, isFirst: boolean) {
    this.owner = owner;
    this.place = place;
    this.isFirst = isFirst;
  }

  get mask(): Uint32Array {
    return this.owner.mask(this.place, this.isFirst);
  }

  get complete(): boolean {
    return this.place.state.accepts;
  }

  next(id: number): ConstraintState {
    return new Point(this.owner, this.owner.after(this.place, id, this.isFirst), false);
  }
}
