/** Which tokens a state allows: a walk over the tree of tokens and the automaton together, remembered for states met again. */
import { DEAD, type Automaton, type State } from './automaton.js';
import type { TokenTrie } from './token-trie.js';

/** Masks that are kept, for one constraint: the least recently used go first. */
const MAX_BYTES = 2 ** 23;
const MAX_MASKS = 4096;

export class Masks {
  private readonly automaton: Automaton;
  private readonly words: number;
  private readonly limit: number;
  private readonly continuations: readonly Uint8Array[] | undefined;
  private readonly masks = new Map<number, Uint32Array>(); // by number of the state, the least recently used first
  private readonly finishable = new Map<number, boolean>();

  /**
   * @param size ids are below this.
   * @param continuations tokens to end a character with, where not every byte has one: see `Vocabulary`.
   */
  constructor(automaton: Automaton, size: number, continuations: readonly Uint8Array[] | undefined) {
    this.automaton = automaton;
    this.words = Math.ceil(size / 32);
    this.limit = Math.min(MAX_MASKS, Math.max(16, Math.floor(MAX_BYTES / (4 * this.words))));
    this.continuations = continuations;
  }

  /** The tokens of `trie` that may follow. Not to be changed. */
  of(state: State, trie: TokenTrie): Uint32Array {
    const known = this.masks.get(state.id);
    this.masks.delete(state.id);
    const mask = known ?? this.make(state, trie);
    this.masks.set(state.id, mask);
    if (this.masks.size > this.limit) this.masks.delete(this.masks.keys().next().value!);
    return mask;
  }

  make(state: State, trie: TokenTrie): Uint32Array {
    const { automaton } = this;
    const { classOf } = automaton;
    const { bytes, depths, ends, firsts, ids } = trie;
    const mask = new Uint32Array(this.words);
    const path = new Int32Array(trie.maxDepth + 1); // states behind the bytes of the node and of those above it
    path[0] = state.id;
    for (let node = 0; node < bytes.length; ) {
      const depth = depths[node]!;
      const next = automaton.next(path[depth - 1]!, classOf[bytes[node]!]!);
      if (next === DEAD) {
        node = ends[node]!;
        continue;
      }
      path[depth] = next;
      const from = firsts[node]!;
      const to = firsts[node + 1]!;
      if (from < to && this.canEndAt(automaton.numbered(next))) for (let i = from; i < to; i++) mask[ids[i]! >> 5]! |= 1 << (ids[i]! & 31);
      node++;
    }
    for (const id of trie.silent) mask[id >> 5]! |= 1 << (id & 31);
    return mask;
  }

  /** The state behind a token, undefined if the token is not allowed. */
  after(state: State, bytes: Uint8Array): State | undefined {
    const reached = this.follow(state, bytes);
    return reached && this.canEndAt(reached) ? reached : undefined;
  }

  private follow(state: State, bytes: Uint8Array): State | undefined {
    let at: State | undefined = state;
    for (let i = 0; at && i < bytes.length; i++) at = this.automaton.step(at, bytes[i]!);
    return at;
  }

  /** Whether a token may end here: not within a character that no token can complete. */
  private canEndAt(state: State): boolean {
    if (!state.isInside || !this.continuations) return true;
    let can = this.finishable.get(state.id);
    if (can === undefined) {
      can = this.continuations.some((bytes) => {
        const reached = this.follow(state, bytes);
        return reached !== undefined && this.canEndAt(reached);
      });
      this.finishable.set(state.id, can);
    }
    return can;
  }
}
