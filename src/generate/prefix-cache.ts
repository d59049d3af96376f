import { ArgumentError, show } from '../errors.js';
import { requireShape, type ModelState, type StateShape } from '../model/state.js';
import { checkNumber } from '../options.js';

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
 * `maxBytes` in all; what has not been used for longest goes first.
 */
export class PrefixCache {
  readonly maxBytes: number;
  private readonly shape: StateShape;
  private readonly entryBytes: number;
  private readonly roots = new Map<string, Entry>();
  private readonly byUse = new Set<Entry>(); // least recently used first; an entry always comes before its parent

  /** @throws ArgumentError for an option out of range. */
  constructor(shape: StateShape, maxBytes = DEFAULT_MAX_BYTES) {
    this.shape = shape;
    this.maxBytes = checkNumber('maxBytes', maxBytes, 0, Number.MAX_SAFE_INTEGER);
    this.entryBytes = shape.layers * shape.width * 4 + ENTRY_BYTES;
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
    if (state.tokens > 0) throw new ArgumentError('prefixCache: works for texts from their beginning on, not for a state that has read something');
  }

  clear(): void {
    this.roots.clear();
    this.byUse.clear();
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
    const entry = siblings.get(key) ?? { parent, key, state: state.clone(), children: new Map<string, Entry>() };
    siblings.set(key, entry);
    this.touch(entry);
    for (const oldest of this.byUse) {
      if (this.byteLength <= this.maxBytes) break;
      this.byUse.delete(oldest);
      (oldest.parent?.children ?? this.roots).delete(oldest.key);
    }
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

/** @throws ArgumentError unless `cache`, an option, is not given or one that `state` can be restored from. */
export function checkPrefixCache(cache: PrefixCache | undefined, state: ModelState): void {
  if (cache === undefined) return;
  if (!(cache instanceof PrefixCache)) throw new ArgumentError(`option prefixCache is ${show(cache)}, not what lm.createPrefixCache() gave`);
  cache.check(state);
}

function keyAt(ids: readonly number[], at: number): string {
  return ids.slice(at, at + PREFIX_STEP).join(' ');
}
