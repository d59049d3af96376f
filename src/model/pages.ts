import { ArgumentError } from '../errors.js';
import { PAGE_POSITIONS, type KeyValuePages } from '../kernels/kernels.js';

/** Of one block of attention. */
export interface KeyValueShape {
  /** Tokens that one sees, itself included; Infinity for all. */
  readonly window: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** What is kept of a text for each of its tokens, in bytes. */
export interface KeyValueInfo {
  /** Keys and values of blocks of attention; 0 for a MatMul-free LM. */
  readonly stateBytesPerToken: number;
  /** Of these, blocks with a window have so many for the last tokens alone. */
  readonly windowedBytesPerToken: number;
  /** Tokens, of all texts together, whose keys and values there is memory for; Infinity where none are kept. */
  readonly contextTokens: number;
}

/** A text and what is to be read after it. */
export interface Growth {
  readonly ids: { readonly length: number };
  readonly what?: string | undefined;
  readonly state: { readonly tokens: number; readonly keysAndValues: KeysAndValues | undefined };
}

/** How many pages there are from the first to the one that holds `positions` - 1. */
export function pagesFor(positions: number): number {
  return Math.ceil(positions / PAGE_POSITIONS);
}

/**
 * The memory for keys and values of a model's attention layers, in pages of 64 positions of one layer (Kwon et al., 2023, vLLM). States
 * hold pages, forks the same ones until one of them writes. A page that no state holds is free again.
 */
export class PagePool {
  readonly memory: Pick<KeyValuePages, 'elements' | 'pageElements'>;
  readonly maxPositions: number;
  private readonly shapes: readonly KeyValueShape[];
  readonly total: number;
  private readonly holders: Uint32Array; // [total] how many states hold each page
  private readonly free: number[];
  private reserved = 0;
  /** Lets go of what a state held that has been garbage-collected. */
  private readonly forgotten = new FinalizationRegistry<readonly HeldPages[]>((held) => {
    this.letGoOfAll(held);
    this.living.delete(held);
  });
  private readonly keepers = new Set<WeakRef<PageKeeper>>();
  private readonly living = new Set<readonly HeldPages[]>(); // what states hold

  /** @param shapes of the blocks of attention. @param maxPositions of a text. */
  constructor(memory: Pick<KeyValuePages, 'elements' | 'pageElements'>, shapes: readonly KeyValueShape[], maxPositions: number) {
    this.memory = memory;
    this.maxPositions = maxPositions;
    this.shapes = shapes;
    this.total = Math.floor(memory.elements.length / memory.pageElements);
    this.holders = new Uint32Array(this.total);
    this.free = Array.from({ length: this.total }, (_, n) => this.total - 1 - n);
  }

  get info(): KeyValueInfo {
    const bytes = ({ kvHeads, headDim }: KeyValueShape): number => 2 * kvHeads * headDim * this.memory.elements.BYTES_PER_ELEMENT;
    const sum = (shapes: readonly KeyValueShape[]): number => shapes.reduce((total, shape) => total + bytes(shape), 0);
    return {
      stateBytesPerToken: sum(this.shapes), windowedBytesPerToken: sum(this.shapes.filter(({ window }) => Number.isFinite(window))),
      contextTokens: (this.total / this.shapes.length) * PAGE_POSITIONS,
    };
  }

  get pageBytes(): number {
    return this.memory.pageElements * this.memory.elements.BYTES_PER_ELEMENT;
  }

  /** Pages that can still be taken. */
  get available(): number {
    return this.free.length - this.reserved;
  }

  /**
   * Sets aside what a pass takes, which must not fail half-way. @param step tokens that are worked on at once.
   * @throws ArgumentError when there are not so many pages.
   */
  reserveFor(inputs: readonly Growth[], step: number): Reservation {
    let pages = pagesWanted(inputs, step);
    this.require(pages, inputs[0]?.what);
    this.reserved += pages;
    const take = (count: number): void => {
      this.reserved -= count;
      pages -= count;
    };
    return { took: take, end: () => take(pages) };
  }

  /** Whether there are positions for all that is to be read, and pages without asking anybody for them. */
  hasRoomFor(inputs: readonly Growth[], step: number): boolean {
    return inputs.every(({ ids, state }) => state.tokens + ids.length <= this.maxPositions) && pagesWanted(inputs, step) <= this.available;
  }

  /** @throws ArgumentError for a text that is longer than the model takes. */
  requirePositions(tokens: number, what: string): void {
    if (tokens > this.maxPositions) throw new ArgumentError(`${what}: the text would have ${tokens} tokens; this model can take ${this.maxPositions}`);
  }

  /** `keeper` is asked for pages when there are too few. It is not kept alive by that. */
  askUnderPressure(keeper: PageKeeper): void {
    for (const known of this.keepers) {
      const found = known.deref();
      if (found === keeper) return;
      if (!found) this.keepers.delete(known);
    }
    this.keepers.add(new WeakRef(keeper));
  }

  /** @throws ArgumentError when there are not so many pages. */
  require(pages: number, what = 'forward'): void {
    for (const keeper of this.keepers) while (pages > this.available && keeper.deref()?.evict()) { /* one after the other */ }
    if (pages <= this.available) return;
    throw new ArgumentError(
      `${what}: the memory for keys and values is used up: of pages of ${PAGE_POSITIONS} positions ${pages} more are needed, ${this.available} of ${this.total} are free, ` +
        `${this.total - this.free.length} are held (states that hold some: ${this.states}); let go of states (state.dispose()), or load the model with more contextTokens`,
    );
  }

  /** A page that nobody holds, held once now. Its contents are what they were. */
  take(): number {
    if (this.free.length === 0) this.require(1); // a state of this pass was copied while the pass went on
    const page = this.free.pop()!;
    this.holders[page] = 1;
    return page;
  }

  share(page: number): void {
    this.holders[page]!++;
  }

  /** @returns whether nobody holds it any more. */
  letGo(page: number): boolean {
    const isFree = --this.holders[page]! === 0;
    if (isFree) this.free.push(page);
    return isFree;
  }

  isShared(page: number): boolean {
    return this.holders[page]! > 1;
  }

  /** Copies what a page holds to another one. */
  copy(from: number, to: number): void {
    const { elements, pageElements } = this.memory;
    elements.copyWithin(to * pageElements, from * pageElements, (from + 1) * pageElements);
  }

  /** Nothing yet, of a text. */
  hold(shapes: readonly KeyValueShape[]): KeysAndValues {
    const held = shapes.map((): HeldPages => ({ first: 0, numbers: [] }));
    const state = new KeysAndValues(this, shapes, held);
    this.forgotten.register(state, held);
    this.living.add(held);
    return state;
  }

  /** Those that hold pages. */
  private get states(): number {
    let states = 0;
    for (const held of this.living) if (held.some(({ numbers }) => numbers.length > 0)) states++;
    return states;
  }

  letGoOfAll(held: readonly HeldPages[]): void {
    for (const { numbers } of held) {
      for (const page of numbers) this.letGo(page);
      numbers.length = 0;
    }
  }
}

function pagesWanted(inputs: readonly Growth[], step: number): number {
  return inputs.reduce((sum, { ids, state: { tokens, keysAndValues } }) => sum + keysAndValues!.pagesWanted(tokens, ids.length, step), 0);
}

/** Keeps states for later, and can do without. */
export interface PageKeeper {
  /** Lets go of one. @returns false when there is none. */
  evict(): boolean;
}

/** Pages that are set aside for a pass. */
export interface Reservation {
  /** So many have been taken. */
  took(pages: number): void;
  /** The others are not needed any more. */
  end(): void;
}

/** Pages of one block of attention that a state holds: of positions 64 · (first + n) and on, for n < numbers.length. */
export interface HeldPages {
  /** Pages before it have been let go of: no window reaches them. */
  first: number;
  readonly numbers: number[];
}

/** Tokens by which a text can go back without having let go of what a window saw there: those of the longest pass. */
const KEPT_BEHIND = PAGE_POSITIONS;

/** The keys and values that a state holds, for each block of attention, of the tokens that a later one can see. */
export class KeysAndValues {
  /** [blocks of attention] */
  readonly held: readonly HeldPages[];
  private readonly shapes: readonly KeyValueShape[]; // [blocks of attention]
  readonly pool: PagePool;

  /** Made by `PagePool.hold`, which lets go of `held` when this is garbage-collected. */
  constructor(pool: PagePool, shapes: readonly KeyValueShape[], held: readonly HeldPages[]) {
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
