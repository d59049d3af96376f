import { ArgumentError, show } from '../errors.js';
import type { Replay } from '../layers/mixers.js';
import type { KeysAndValues, KeyValueShape } from './keys-and-values.js';
import type { PagePool } from './pages.js';

/** What the token mixer of a block remembers of a text: a vector (of width 0 for none), or keys and values of the last `window` tokens. */
export type BlockMemory = VectorShape | KeyValueShape;

export interface VectorShape {
  readonly width: number;
  /** How to take it back, where a history does not hold states. */
  readonly replay?: Replay | undefined;
}

/** What a state belongs to: states move only between models that agree in all of it. */
export interface StateShape {
  readonly blocks: readonly BlockMemory[];
  /** 64 bits over configuration, norms, scales and samples of the weights: 16 hexadecimal digits. */
  readonly fingerprint: string;
}

/** A place in a state's own past to go back to: cheaper than a copy, for keys and values stay where they are. */
export class StateMark {
  tokens = 0;
  /** @internal */
  readonly vectors: Float32Array;

  constructor(shape: StateShape) {
    this.vectors = new Float32Array(vectorFloats(shape));
  }
}

const MAGIC = 'MMFS';
/** magic 4, version u32, blocks u32, width of the first vector u32, fingerprint 8, tokens f64 */
const HEADER_BYTES = 32;

/**
 * Everything a model knows of a text so far: for each recurrent block a vector, which does not grow with the text; for each attention block the
 * keys and values of the tokens that it can still see, in pages that copies share. `forward` advances it in place.
 *
 * While a generation uses it, from its first `next()` to its end, whatever else would change it throws ArgumentError: one text would become
 * two. It can be read (`clone`, `serialize`) and holds then what the generation has read, which need not be all that it has given out.
 */
export class ModelState {
  readonly shape: StateShape;
  /** [blocks][width] float32, empty for a block of attention; each is a view on one array. */
  readonly layers: readonly Float32Array[];
  /** How many tokens it has seen. */
  tokens = 0;
  /** @internal Of a model with attention. */
  readonly keysAndValues: KeysAndValues | undefined;
  private readonly pages: PagePool | undefined;
  private readonly data: Float32Array;
  private holder: object | undefined; // a generation that is under way

  /** @param pages where keys and values lie, of a model with attention. */
  constructor(shape: StateShape, pages?: PagePool) {
    this.shape = shape;
    this.pages = pages;
    this.data = new Float32Array(vectorFloats(shape));
    let at = 0;
    this.layers = shape.blocks.map((memory) => this.data.subarray(at, (at += widthOf(memory))));
    this.keysAndValues = pages?.hold(shape.blocks.filter((memory) => 'window' in memory));
  }

  /** What it takes: vectors, and the pages of keys and values that it holds, alone or with others. */
  get byteLength(): number {
    return this.data.byteLength + (this.keysAndValues?.byteLength ?? 0);
  }

  /** An independent copy: both can go on from here. Keys and values are shared until one of them writes. */
  clone(): ModelState {
    const copy = new ModelState(this.shape, this.pages);
    copy.copyFrom(this);
    return copy;
  }

  /** Overwrites this state with another of the same model. @throws ArgumentError when it is another model's, or this one is in use. */
  copyFrom(other: ModelState): void {
    requireState('copyFrom', other);
    this.checkFree('copyFrom');
    this.assign(other);
  }

  /** @internal As `copyFrom`, for whoever holds it. */
  assign(other: ModelState): void {
    requireShape('copyFrom: the state', other.shape, this.shape);
    this.keysAndValues?.copyFrom(other.keysAndValues!);
    this.data.set(other.data);
    this.tokens = other.tokens;
  }

  /** @internal Takes it for `holder`, which alone may change it until it lets go. @throws ArgumentError when it is in use. */
  hold(what: string, holder: object): void {
    this.checkFree(what);
    this.holder = holder;
  }

  /** @internal */
  letGo(): void {
    this.holder = undefined;
  }

  /** @internal Whether a generation uses it. */
  get isHeld(): boolean {
    return this.holder !== undefined;
  }

  /** @internal @throws ArgumentError when another than `holder` uses it. */
  checkFree(what: string, holder?: object): void {
    if (this.holder === holder) return;
    throw new ArgumentError(
      `${what}: the state is in use by a generation that has not ended; wait for that, end it (return()), or give a copy: state.clone()`,
    );
  }

  /** Back to the start of a text. @throws ArgumentError when it is in use. */
  reset(): void {
    this.checkFree('reset');
    this.data.fill(0);
    this.keysAndValues?.reset();
    this.tokens = 0;
  }

  /**
   * Lets go of keys and values now, and not only when it is garbage-collected; else as `reset`. A recurrent model's state has none.
   * @throws ArgumentError when it is in use.
   */
  dispose(): void {
    this.reset();
  }

  /** @internal As `dispose`, for whoever made it. */
  release(): void {
    this.keysAndValues?.reset();
  }

  /** @internal */
  remember(mark: StateMark): void {
    mark.vectors.set(this.data);
    mark.tokens = this.tokens;
  }

  /** @internal Back to a mark of this state, at most a pass ago. */
  goBack(mark: StateMark): void {
    this.data.set(mark.vectors);
    this.forget(mark.tokens);
  }

  /** @internal Back to the first `tokens`, as far as keys and values know; vectors are the caller's affair. */
  forget(tokens: number): void {
    this.keysAndValues?.forget(tokens);
    this.tokens = tokens;
  }

  /** Little-endian: a header of 32 bytes, the vectors, keys and values of the tokens that a later one can see. `restoreState` reads it. */
  serialize(): Uint8Array {
    const { shape: { blocks, fingerprint }, data, tokens, keysAndValues } = this;
    const rest = keysAndValues?.serialize(tokens);
    const bytes = new Uint8Array(HEADER_BYTES + data.byteLength + (rest?.length ?? 0));
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < 4; i++) bytes[i] = MAGIC.charCodeAt(i);
    view.setUint32(4, versionOf(keysAndValues), true);
    view.setUint32(8, blocks.length, true);
    view.setUint32(12, widthOf(blocks[0]!), true);
    view.setUint32(16, parseInt(fingerprint.slice(0, 8), 16), true);
    view.setUint32(20, parseInt(fingerprint.slice(8), 16), true);
    view.setFloat64(24, tokens, true);
    bytes.set(new Uint8Array(data.buffer), HEADER_BYTES);
    if (rest) bytes.set(rest, HEADER_BYTES + data.byteLength);
    return bytes;
  }

  /**
   * Reads what `serialize` wrote.
   * @throws ArgumentError when the bytes are no state, are cut off, or belong to another model.
   */
  static deserialize(bytes: Uint8Array, shape: StateShape, pages?: PagePool, what = 'restoreState'): ModelState {
    const magic = String.fromCharCode(...bytes.subarray(0, 4));
    if (bytes.length < HEADER_BYTES || magic !== MAGIC) throw new ArgumentError(`${what}: the bytes are not a saved state`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const u32 = (at: number): number => view.getUint32(at, true);
    const hex = (at: number): string => u32(at).toString(16).padStart(8, '0');
    requireShape(`${what}: the state`, { blocks: { length: u32(8), 0: { width: u32(12) } }, fingerprint: hex(16) + hex(20) }, shape);
    const state = new ModelState(shape, pages);
    const { data, keysAndValues } = state;
    if (u32(4) !== versionOf(keysAndValues)) throw new ArgumentError(`${what}: the state has version ${u32(4)}, not ${versionOf(keysAndValues)}`);
    const vectorsEnd = HEADER_BYTES + data.byteLength;
    if (keysAndValues ? bytes.length < vectorsEnd : bytes.length !== vectorsEnd) throw new ArgumentError(`${what}: the state has ${bytes.length} bytes, needs ${vectorsEnd}`);
    new Uint8Array(data.buffer).set(bytes.subarray(HEADER_BYTES, vectorsEnd));
    const tokens = view.getFloat64(24, true);
    if (!Number.isSafeInteger(tokens) || tokens < 0 || !data.every(Number.isFinite)) throw new ArgumentError(`${what}: the state is damaged`);
    keysAndValues?.restore(bytes.subarray(vectorsEnd), tokens, what);
    state.tokens = tokens;
    return state;
  }
}

/** @throws ArgumentError unless `value` is a state. */
export function requireState(what: string, value: unknown): asserts value is ModelState {
  if (!(value instanceof ModelState)) throw new ArgumentError(`${what}: got ${show(value)}, not a state that createState() made`);
}

/** 1: vectors alone. 2: keys and values behind them. */
function versionOf(keysAndValues: KeysAndValues | undefined): number {
  return keysAndValues ? 2 : 1;
}

function widthOf(memory: BlockMemory): number {
  return 'width' in memory ? memory.width : 0;
}

function vectorFloats({ blocks }: StateShape): number {
  return blocks.reduce((sum, memory) => sum + widthOf(memory), 0);
}

/** @throws ArgumentError when `found` belongs to another model than `expected`. */
export function requireShape(
  what: string, found: { readonly blocks: { readonly length: number; readonly 0?: BlockMemory }; readonly fingerprint: string }, expected: StateShape,
): void {
  const describe = ({ blocks, fingerprint }: typeof found): string =>
    `${blocks.length} layers${blocks[0] && widthOf(blocks[0]) > 0 ? ` of ${widthOf(blocks[0])}` : ''}, fingerprint ${fingerprint}`;
  if (describe(found) !== describe(expected)) throw new ArgumentError(`${what} is of another model (${describe(found)}; this one has ${describe(expected)})`);
}
