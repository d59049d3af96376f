import { ArgumentError } from '../errors.js';
import { PAGE_POSITIONS, type KeyValuePages } from '../kernels/kernels.js';

/** Of one block of attention. */
export interface KeyValueShape {
  /** Tokens that one sees, itself included; Infinity for all. */
  readonly window: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** How many pages there are from the first to the one that holds `positions` - 1. */
export function pagesFor(positions: number): number {
  return Math.ceil(positions / PAGE_POSITIONS);
}

/** Pages of one block of attention that a state holds: of positions 64 · (first + n) and on, for n < numbers.length. */
export interface HeldPages {
  /** Pages before it have been let go of: no window reaches them. */
  first: number;
  readonly numbers: number[];
}

/** What lends pages: `PagePool`. */
export interface PageMemory {
  readonly memory: Pick<KeyValuePages, 'elements' | 'pageElements'>;
  readonly pageBytes: number;
  /** A page that nobody holds, held once now. Its contents are what they were. */
  take(): number;
  share(page: number): void;
  /** @returns whether nobody holds it any more. */
  letGo(page: number): boolean;
  letGoOfAll(held: readonly HeldPages[]): void;
  isShared(page: number): boolean;
  /** Copies what a page holds to another one. */
  copy(from: number, to: number): void;
  /** @throws ArgumentError when there are not so many pages. */
  require(pages: number, what?: string): void;
}

/** Tokens by which a text can go back without having let go of what a window saw there: those of the longest pass. */
const KEPT_BEHIND = PAGE_POSITIONS;

/** The keys and values that a state holds, for each block of attention, of the tokens that a later one can see. */
export class KeysAndValues {
  /** [blocks of attention] */
  readonly held: readonly HeldPages[];
  private readonly shapes: readonly KeyValueShape[]; // [blocks of attention]
  readonly pool: PageMemory;

  /** Made by `PagePool.hold`, which lets go of `held` when this is garbage-collected. */
  constructor(pool: PageMemory, shapes: readonly KeyValueShape[], held: readonly HeldPages[]) {
    this.pool = pool;
    this.shapes = shapes;
    this.held = held;
  }

  /** Of all pages that it holds, alone or with others. */
  get byteLength(): number {
    return this.held.reduce((sum, { numbers }) => sum + numbers.length, 0) * this.pool.pageBytes;
  }

  /** Becomes the same as `other`; pages are shared until one of them writes. @throws ArgumentError for those of another memory. */
  copyFrom(other: KeysAndValues): void {
    if (other.pool !== this.pool) throw new ArgumentError('copyFrom: the state is of another copy of this model; take it over by serialize() and restoreState()');
    if (other === this) return;
    this.held.forEach((mine, n) => {
      const { first, numbers } = other.held[n]!;
      for (const page of numbers) this.pool.share(page);
      for (const page of mine.numbers) this.pool.letGo(page);
      mine.first = first;
      mine.numbers.length = 0;
      mine.numbers.push(...numbers);
    });
  }

  reset(): void {
    this.pool.letGoOfAll(this.held);
    for (const each of this.held) each.first = 0;
  }

  /** Takes it back to the first `tokens`. */
  forget(tokens: number): void {
    const pages = pagesFor(tokens);
    for (const { first, numbers } of this.held) {
      while (numbers.length > Math.max(0, pages - first)) this.pool.letGo(numbers.pop()!);
    }
  }

  /** Pages that `count` more tokens after `tokens`, at most `step` at a time, take at most. */
  pagesWanted(tokens: number, count: number, step: number): number {
    return this.held.reduce((sum, { first, numbers }, n) => {
      const kept = Math.min(numbers.length, pagesFor(tokens) - first);
      const pages = pagesFor(tokens + count) - first - kept;
      const { window } = this.shapes[n]!;
      const most = Number.isFinite(window) ? pagesFor(window + KEPT_BEHIND + step) + 1 : Infinity;
      return sum + Math.min(pages, most) + (this.sharesLast(tokens, numbers[kept - 1]) ? 1 : 0);
    }, 0);
  }

  /** Makes room for `count` more tokens after `tokens`; lets go of pages that no window reaches. @returns how many pages fewer are free. */
  grow(tokens: number, count: number): number {
    const { pool } = this;
    let taken = 0;
    this.held.forEach((each, n) => {
      const { numbers } = each;
      const { window } = this.shapes[n]!;
      while (numbers.length > 0 && (each.first + 1) * PAGE_POSITIONS <= tokens - KEPT_BEHIND + 1 - window) {
        if (pool.letGo(numbers.shift()!)) taken--;
        each.first++;
      }
      while (each.first + numbers.length > Math.max(each.first, pagesFor(tokens))) if (pool.letGo(numbers.pop()!)) taken--; // of a pass that failed
      if (this.sharesLast(tokens, numbers.at(-1))) {
        const page = pool.take();
        taken++;
        pool.copy(numbers.at(-1)!, page);
        pool.letGo(numbers.pop()!);
        numbers.push(page);
      }
      for (; each.first + numbers.length < pagesFor(tokens + count); taken++) numbers.push(pool.take());
    });
    return taken;
  }

  /** Whether the next token would be written into a page that another state holds too. */
  private sharesLast(tokens: number, last: number | undefined): boolean {
    return tokens % PAGE_POSITIONS !== 0 && last !== undefined && this.pool.isShared(last);
  }

  /** Of each block the first of `tokens` positions that a later token can see. */
  private visibleFrom(tokens: number): number[] {
    return this.shapes.map(({ window }) => Math.max(0, tokens - window + 1));
  }

  /**
   * What is saved of it: bytes of an element in a word, then for each block the keys and values of the tokens that a later one can see, head by
   * head as they lie in pages. Little-endian.
   */
  serialize(tokens: number): Uint8Array {
    const parts = [Uint32Array.of(this.pool.memory.elements.BYTES_PER_ELEMENT), ...this.savedParts(tokens)];
    const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of parts) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    return bytes;
  }

  /** Reads what `serialize` wrote, into an empty one. @throws ArgumentError when it is cut off, damaged, or kept in another type. */
  restore(bytes: Uint8Array, tokens: number, what: string): void {
    const { memory: { elements } } = this.pool;
    const elementBytes = elements.BYTES_PER_ELEMENT;
    const saved = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (saved !== elementBytes) {
      throw new ArgumentError(`${what}: the state has keys and values of ${saved} bytes, this model of ${elementBytes}; load it with the same kvType`);
    }
    const expected = 4 + this.visibleFrom(tokens).reduce((sum, first, n) => sum + (tokens - first) * 2 * this.shapes[n]!.kvHeads * this.shapes[n]!.headDim * elementBytes, 0);
    if (bytes.length !== expected) throw new ArgumentError(`${what}: the state has ${bytes.length} bytes of keys and values, needs ${expected}`);
    this.occupy(tokens, what);
    let at = 4;
    for (const part of this.savedParts(tokens)) {
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength).set(bytes.subarray(at, at + part.byteLength));
      at += part.byteLength;
      if (part instanceof Uint16Array ? part.every((half) => (half & 0x7c00) !== 0x7c00) : part.every(Number.isFinite)) continue;
      part.fill(0);
      this.reset();
      throw new ArgumentError(`${what}: the state is damaged`);
    }
  }

  /** Takes pages for what is kept of `tokens` positions, their contents to be filled in. @throws ArgumentError when there are not so many. */
  private occupy(tokens: number, what: string): void {
    const firsts = this.visibleFrom(tokens).map((first) => Math.floor(first / PAGE_POSITIONS));
    this.pool.require(firsts.reduce((sum, first) => sum + pagesFor(tokens) - first, 0), what);
    this.held.forEach((each, n) => {
      each.first = firsts[n]!;
      while (each.first + each.numbers.length < pagesFor(tokens)) each.numbers.push(this.pool.take());
    });
  }

  /** Views on what is saved: of each block its pages one after another, of a page the rows of each head. */
  private* savedParts(tokens: number): Generator<Uint16Array | Float32Array> {
    const { elements, pageElements } = this.pool.memory;
    const firsts = this.visibleFrom(tokens);
    for (const [n, { first, numbers }] of this.held.entries()) {
      const { kvHeads, headDim } = this.shapes[n]!;
      for (let start = firsts[n]!; start < tokens; ) {
        const end = Math.min(tokens, (Math.floor(start / PAGE_POSITIONS) + 1) * PAGE_POSITIONS);
        const page = numbers[Math.floor(start / PAGE_POSITIONS) - first]! * pageElements;
        for (let head = 0; head < 2 * kvHeads; head++) {
          const row = page + (head * PAGE_POSITIONS + (start % PAGE_POSITIONS)) * headDim;
          yield elements.subarray(row, row + (end - start) * headDim);
        }
        start = end;
      }
    }
  }
}
