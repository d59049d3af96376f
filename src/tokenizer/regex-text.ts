/** A text as numbers of classes: characters of one class are in the same sets of a pattern, so that they do the same in it. */
import type { CharSet } from './regex-tree.js';

/** What is no character: the second half of a surrogate pair, and the end of the text. */
export const HALF = 0;
const END = 1;

/** Texts up to this length are kept in memory that is used again. */
const KEPT_LENGTH = 2 ** 16;

export class ClassedText {
  /** The class of each UTF-16 unit, and END. */
  at = new Uint16Array(256);
  length = 0;
  /** [sets, 2 ** shift classes]: 1 for what is in the set. */
  members: Uint8Array;
  shift = 4;
  /** What it took to look characters up, in steps. */
  work = 0;

  readonly #sets: readonly CharSet[];
  readonly #classes = new Map<string, number>(); // by what is in which sets
  readonly #ofCode = new Map<number, number>();
  #ofUnit = new Uint16Array(256); // as far as units have come up; 0: not yet known

  constructor(sets: readonly CharSet[]) {
    this.#sets = sets;
    this.members = new Uint8Array(sets.length << this.shift);
    this.#classOf(() => false); // END
  }

  read(text: string): void {
    const { length } = text;
    if (length >= this.at.length) this.at = new Uint16Array(length > KEPT_LENGTH ? length + 1 : Math.min(2 * length, KEPT_LENGTH + 1) + 1);
    const at = this.at;
    let known = this.#ofUnit;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      const found = unit < known.length ? known[unit]! : 0;
      at[i] = found;
      if (found !== 0) continue;
      const code = text.codePointAt(i)!;
      const own = this.#ofCode.get(code) ?? this.#classOf(({ has }) => has(code));
      this.#ofCode.set(code, own);
      at[i] = own;
      if (code > 0xffff) at[++i] = HALF;
      else {
        if (unit >= known.length) known = this.#ofUnit = grown(known, Math.min(0x10000, 2 * unit));
        known[unit] = own;
      }
    }
    at[length] = END;
    this.length = length;
  }

  /** Lets go of a long text. */
  forget(): void {
    if (this.length > KEPT_LENGTH) this.at = new Uint16Array(256);
  }

  #classOf(isMember: (set: CharSet) => boolean): number {
    const row = this.#sets.map((set) => Number(isMember(set)));
    this.work += row.length;
    const key = row.join('');
    let found = this.#classes.get(key);
    if (found === undefined) {
      this.#classes.set(key, (found = END + this.#classes.size));
      if (found >> this.shift > 0) this.members = widened(this.members, 1 << this.shift++);
      for (const [set, member] of row.entries()) this.members[(set << this.shift) + found] = member;
    }
    return found;
  }
}

/** A table with twice as many columns. */
export function widened<T extends Uint8Array | Int32Array>(table: T, columns: number): T {
  const wide = new (table.constructor as new (length: number) => T)(2 * table.length);
  for (let from = 0; from < table.length; from += columns) wide.set(table.subarray(from, from + columns), 2 * from);
  return wide;
}

export function grown<T extends Uint16Array | Int32Array>(array: T, length: number): T {
  const longer = new (array.constructor as new (length: number) => T)(Math.max(length, array.length + 1));
  longer.set(array);
  return longer;
}
