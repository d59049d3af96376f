import { ArgumentError } from '../errors.js';
import { PAGE_POSITIONS } from '../kernels/kernels.js';
import { KeysAndValues, pagesFor, type HeldPages, type KeyValueShape, type PageMemory } from './keys-and-values.js';

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

/**
 * The memory for keys and values of a model's attention layers, in pages of 64 positions of one layer (Kwon et al., 2023, vLLM). States
 * hold pages, forks the same ones until one of them writes. A page that no state holds is free again.
 */
export class PagePool implements PageMemory {
  readonly memory: PageMemory['memory'];
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
  constructor(memory: PageMemory['memory'], shapes: readonly KeyValueShape[], maxPositions: number) {
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

  /** @throws ArgumentError for a text that is longer than the model takes, or than there is memory for, whoever gives up its own. */
  requirePositions(tokens: number, what: string): void {
    if (tokens > this.maxPositions) throw new ArgumentError(`${what}: the text would have ${tokens} tokens; this model can take ${this.maxPositions}`);
    const least = this.shapes.reduce((sum, { window }) => sum + pagesFor(Math.min(tokens, window)), 0);
    if (least <= this.total) return;
    throw new ArgumentError(
      `${what}: the memory for keys and values is used up by this text alone: it would have ${tokens} tokens, there is memory for ${this.info.contextTokens}; ` +
        'load the model with more contextTokens',
    );
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

  require(pages: number, what = 'forward'): void {
    for (const keeper of this.keepers) while (pages > this.available && keeper.deref()?.evict()) { /* one after the other */ }
    if (pages <= this.available) return;
    throw new ArgumentError(
      `${what}: the memory for keys and values is used up: of pages of ${PAGE_POSITIONS} positions ${pages} more are needed, ${this.available} of ${this.total} are free, ` +
        `${this.total - this.free.length} are held (states that hold some: ${this.states}); let go of states (state.dispose()), or load the model with more contextTokens`,
    );
  }

  take(): number {
    if (this.free.length === 0) this.require(1); // a state of this pass was copied while the pass went on
    const page = this.free.pop()!;
    this.holders[page] = 1;
    return page;
  }

  share(page: number): void {
    this.holders[page]!++;
  }

  letGo(page: number): boolean {
    const isFree = --this.holders[page]! === 0;
    if (isFree) this.free.push(page);
    return isFree;
  }

  isShared(page: number): boolean {
    return this.holders[page]! > 1;
  }

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
