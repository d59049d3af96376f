import { ArgumentError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { PagePool } from '../model/pages.js';
import { requireShape, type ModelState, type StateShape } from '../model/state.js';
import { checkNumber, givenOptions } from '../options.js';
import { IS_PREFIX_CACHE } from './prefix-option.js';

/** Tokens between two states that are kept. */
export const PREFIX_STEP = 64;
const DEFAULT_MAX_BYTES = 64 * 2 ** 20;
/** What an entry takes beside its state: ids, key, map. */
const ENTRY_BYTES = 1024;
/** Longer beginnings are not kept: finding them takes time that grows with the length. */
const MAX_LENGTH = 65_536;

export interface Entry {
  readonly parent: Entry | undefined;
  readonly key: string;
  readonly state: ModelState;
  readonly children: Map<string, Entry>;
}

/** A state that is kept: after `length` tokens. */
export interface PrefixPlace {
  readonly length: number;
  readonly entry: Entry | undefined;
}

/**
 * States after the beginnings of prompts, so that a beginning that prompts share is read once. Keeps a state for every 64 tokens, up to
 * `maxBytes` in all; what has not been used for longest goes first. Keys and values of a model with attention are shared with the texts that
 * begin so: 64 tokens take a page for each block, and when a text needs the memory it has it.
 */
export class PrefixCache {
  /** @internal */
  readonly [IS_PREFIX_CACHE] = true;
  readonly maxBytes: number;
  private readonly shape: StateShape;
  private readonly pages: PagePool | undefined;
  private readonly entryBytes: number;
  private readonly roots = new Map<string, Entry>();
  private readonly byUse = new Set<Entry>(); // least recently used first; an entry always comes before its parent

  /** @param pages where keys and values lie, of a model with attention. @throws ArgumentError for an option out of range. */
  constructor(shape: StateShape, maxBytes = DEFAULT_MAX_BYTES, pages?: PagePool) {
    this.shape = shape;
    this.pages = pages;
    this.maxBytes = checkNumber('maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER);
    this.entryBytes = shape.blocks.reduce((sum, memory) => sum + ('width' in memory ? memory.width * 4 : pages!.pageBytes), 0) + ENTRY_BYTES;
  }

  /** About what the entries take. */
  get byteLength(): number {
    return this.byUse.size * this.entryBytes;
  }

  /** States that are kept. */
  get size(): number {
    return this.byUse.size;
  }

  /** @throws ArgumentError for another model's state, or one that has read something. */
  check(state: ModelState): void {
    requireShape('prefixCache: the state', state.shape, this.shape);
    if (state.keysAndValues?.pool !== this.pages) throw new ArgumentError('prefixCache: was made by another copy of this model, whose keys and values are in other memory');
    if (state.tokens > 0) throw new ArgumentError('prefixCache: works for texts from their beginning on, not for a state that has read something');
  }

  clear(): void {
    for (const { state } of this.byUse) state.release();
    this.roots.clear();
    this.byUse.clear();
  }

  /** Lets go of the entry that has not been used for longest. @returns false when there is none. */
  evict(): boolean {
    for (const oldest of this.byUse) {
      oldest.state.release();
      (oldest.parent?.children ?? this.roots).delete(oldest.key);
      return this.byUse.delete(oldest);
    }
    return false;
  }

  /**
   * Takes `state`, an empty one, to after the longest beginning of `ids` that is known, and is not all of it.
   * @returns where that is. @throws as `check`.
   */
  restore(ids: readonly number[], state: ModelState): PrefixPlace {
    this.check(state);
    let entry: Entry | undefined;
    let length = 0;
    for (; length + PREFIX_STEP < ids.length; length += PREFIX_STEP) {
      const next = (entry?.children ?? this.roots).get(keyAt(ids, length));
      if (!next) break;
      entry = next;
    }
    if (entry) {
      state.assign(entry.state);
      this.touch(entry);
    }
    return { length, entry };
  }

  /** Keeps `state`, which is 64 tokens further than `place`, if there is room. @returns where it is. */
  store(ids: readonly number[], { length: start, entry: parent }: PrefixPlace, state: ModelState): PrefixPlace {
    const length = start + PREFIX_STEP;
    const isKept = parent ? this.byUse.has(parent) : start === 0; // it may have been let go of meanwhile
    if (!isKept || length > MAX_LENGTH || (this.entryBytes * length) / PREFIX_STEP > this.maxBytes) return { length, entry: undefined };
    const siblings = parent?.children ?? this.roots;
    const key = keyAt(ids, start);
    let entry = siblings.get(key);
    if (entry) state.assign(entry.state); // the same, bit for bit; keys and values are held once
    else siblings.set(key, (entry = { parent, key, state: state.clone(), children: new Map() }));
    this.touch(entry);
    while (this.byteLength > this.maxBytes) this.evict();
    this.pages?.askUnderPressure(this);
    return { length, entry };
  }

  /** Puts an entry and those before it at the end of `byUse`, itself first, so that no entry outlives its parent. */
  private touch(entry: Entry): void {
    for (let each: Entry | undefined = entry; each; each = each.parent) {
      this.byUse.delete(each);
      this.byUse.add(each);
    }
  }
}

function keyAt(ids: readonly number[], at: number): string {
  return ids.slice(at, at + PREFIX_STEP).join(' ');
}

/** See `lm.createPrefixCache`. */
export function createPrefixCache({ parts: { stateShape, pages } }: Model, options: { readonly maxBytes?: number }): PrefixCache {
  const { maxBytes } = givenOptions('createPrefixCache', options, ['maxBytes']);
  return new PrefixCache(stateShape, maxBytes, pages);
}
