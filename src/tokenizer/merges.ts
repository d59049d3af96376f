/** Byte-pair merging: which pairs merge, in which order, and doing it to a word in O(n log n). */

/** Ranks share a float64 with a 32-bit position, so they have 21 bits. Real files have under 2^19 merges. */
export const MAX_MERGES = 2 ** 21;

/** Beyond this the working arrays of a word are dropped after use (40 bytes a symbol). */
const KEPT_CAPACITY = 4096;

const POSITIONS = 2 ** 32;

/** Random, so that no file can be made whose pairs all meet in one place of the table. */
const [LEFT, RIGHT] = [randomOdd(), randomOdd()];

export function randomOdd(): number {
  return (Math.random() * 2 ** 32) | 1;
}

/** A power of two with room for `count` entries in half of it. */
export function tableSize(count: number): number {
  let size = 16;
  while (size < count * 2) size *= 2;
  return size;
}

/** (left id, right id) → rank and id of the merged token: open addressing in a flat array, at most half full. */
export class PairTable {
  /** At most as many are set. */
  readonly pairs: number;
  readonly #mask: number;
  readonly #slots: Int32Array; // [slots, 4] left + 1, right, rank, merged; 0 where it is free

  constructor(pairs: number) {
    this.pairs = pairs;
    const size = tableSize(pairs);
    this.#mask = size - 1;
    this.#slots = new Int32Array(size * 4);
  }

  #slot(left: number, right: number): number {
    let hash = Math.imul(left, LEFT);
    hash = Math.imul(hash ^ (hash >>> 15) ^ right, RIGHT);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    for (let at = hash ^ (hash >>> 16); ; at++) {
      const slot = (at & this.#mask) * 4;
      const found = this.#slots[slot]! - 1;
      if (found < 0 || (found === left && this.#slots[slot + 1] === right)) return slot;
    }
  }

  /** A pair set again takes the new values, as in the reference. */
  set(left: number, right: number, rank: number, merged: number): void {
    const slot = this.#slot(left, right);
    this.#slots[slot] = left + 1;
    this.#slots[slot + 1] = right;
    this.#slots[slot + 2] = rank;
    this.#slots[slot + 3] = merged;
  }

  /** Where the pair is, or -1. */
  find(left: number, right: number): number {
    const slot = this.#slot(left, right);
    return this.#slots[slot] === 0 ? -1 : slot;
  }

  /** Of the pair that is at `slot`. */
  rank(slot: number): number {
    return this.#slots[slot + 2]!;
  }

  merged(slot: number): number {
    return this.#slots[slot + 3]!;
  }

  forEach(each: (left: number, right: number) => void): void {
    for (let slot = 0; slot < this.#slots.length; slot += 4) {
      if (this.#slots[slot] !== 0) each(this.#slots[slot]! - 1, this.#slots[slot + 1]!);
    }
  }
}

/**
 * Merges the best-ranked pair of a word, the leftmost of equals, until none is left. The word is a linked list over typed
 * arrays; candidates wait in a binary heap of numbers `rank * 2^32 + position` and are dropped when they come up outdated.
 */
export class Merger {
  readonly #table: PairTable;
  #ids = new Int32Array(0); // [symbols], -1 once merged into the one before
  #next = new Int32Array(0); // [symbols]
  #previous = new Int32Array(0); // [symbols]
  #heap = new Float64Array(0); // [2 × symbols]: one candidate a pair, and each merge takes one and adds at most two
  #heapSize = 0;

  constructor(table: PairTable) {
    this.#table = table;
  }

  /** Appends the merged ids of `symbols` to `out`. */
  merge(symbols: ArrayLike<number>, out: number[]): void {
    const count = symbols.length;
    this.#reserve(count);
    for (let i = 0; i < count; i++) {
      this.#ids[i] = symbols[i]!;
      this.#next[i] = i + 1;
      this.#previous[i] = i - 1;
    }
    for (let i = 0; i + 1 < count; i++) {
      const pair = this.#table.find(symbols[i]!, symbols[i + 1]!);
      if (pair >= 0) this.#heap[this.#heapSize++] = this.#table.rank(pair) * POSITIONS + i;
    }
    for (let i = (this.#heapSize >> 1) - 1; i >= 0; i--) this.#siftDown(i);
    this.#run(count);
    for (let i = 0; i < count; i = this.#next[i]!) out.push(this.#ids[i]!);
    if (count > KEPT_CAPACITY) this.#allocate(0);
  }

  #run(count: number): void {
    const table = this.#table;
    const ids = this.#ids;
    const next = this.#next;
    const previous = this.#previous;
    while (this.#heapSize > 0) {
      const key = this.#pop();
      const best = Math.floor(key / POSITIONS);
      const at = key - best * POSITIONS;
      const right = next[at]!;
      if (ids[at] === -1 || right === count) continue;
      const pair = table.find(ids[at]!, ids[right]!);
      if (pair < 0 || table.rank(pair) !== best) continue;

      ids[at] = table.merged(pair);
      ids[right] = -1;
      const after = next[right]!;
      next[at] = after;
      const before = previous[at]!;
      if (before >= 0) this.#propose(before, ids[before]!, ids[at]!);
      if (after < count) {
        previous[after] = at;
        this.#propose(at, ids[at]!, ids[after]!);
      }
    }
  }

  #propose(at: number, left: number, right: number): void {
    const pair = this.#table.find(left, right);
    if (pair < 0) return;
    const key = this.#table.rank(pair) * POSITIONS + at;
    const heap = this.#heap;
    let i = this.#heapSize++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = key;
  }

  #pop(): number {
    const top = this.#heap[0]!;
    const last = this.#heap[--this.#heapSize]!;
    if (this.#heapSize > 0) {
      this.#heap[0] = last;
      this.#siftDown(0);
    }
    return top;
  }

  #siftDown(start: number): void {
    const heap = this.#heap;
    const size = this.#heapSize;
    const key = heap[start]!;
    let i = start;
    for (let child = 2 * i + 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= key) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = key;
  }

  #reserve(count: number): void {
    this.#heapSize = 0;
    if (this.#ids.length < count) this.#allocate(count > KEPT_CAPACITY ? count : Math.min(KEPT_CAPACITY, Math.max(64, count * 2)));
  }

  #allocate(capacity: number): void {
    this.#ids = new Int32Array(capacity);
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    this.#heap = new Float64Array(capacity * 2);
  }
}
