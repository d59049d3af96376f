import { ArgumentError, show } from '../errors.js';

/** What a state belongs to: states move only between models that agree in all of it. */
export interface StateShape {
  readonly layers: number;
  readonly width: number;
  /** 64 bits over configuration, norms, scales and samples of the weights: 16 hexadecimal digits. */
  readonly fingerprint: string;
}

const MAGIC = 'MMFS';
const VERSION = 1;
/** magic 4, version u32, layers u32, width u32, fingerprint 8, tokens f64 */
const HEADER_BYTES = 32;

/**
 * Everything a model knows of a text so far: one vector a layer. It does not grow with the text. `forward` advances it in place.
 *
 * While a generation uses it, from its first `next()` to its end, whatever else would change it throws ArgumentError: one text would become
 * two. It can be read (`clone`, `serialize`) and holds then what the generation has read, which need not be all that it has given out.
 */
export class ModelState {
  readonly shape: StateShape;
  /** [layers][width] float32; each is a view on one array. */
  readonly layers: readonly Float32Array[];
  /** How many tokens it has seen. */
  tokens = 0;
  private readonly data: Float32Array;
  private holder: object | undefined; // a generation that is under way

  constructor(shape: StateShape) {
    this.shape = shape;
    this.data = new Float32Array(shape.layers * shape.width);
    this.layers = Array.from({ length: shape.layers }, (_, n) =>
      this.data.subarray(n * shape.width, (n + 1) * shape.width),
    );
  }

  get byteLength(): number {
    return this.data.byteLength;
  }

  /** An independent copy: both can go on from here. */
  clone(): ModelState {
    const copy = new ModelState(this.shape);
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
    this.tokens = 0;
  }

  /** A header of 32 bytes and the floats, little-endian. `restoreState` reads it. */
  serialize(): Uint8Array {
    const bytes = new Uint8Array(HEADER_BYTES + this.data.byteLength);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < 4; i++) bytes[i] = MAGIC.charCodeAt(i);
    view.setUint32(4, VERSION, true);
    view.setUint32(8, this.shape.layers, true);
    view.setUint32(12, this.shape.width, true);
    view.setUint32(16, parseInt(this.shape.fingerprint.slice(0, 8), 16), true);
    view.setUint32(20, parseInt(this.shape.fingerprint.slice(8), 16), true);
    view.setFloat64(24, this.tokens, true);
    bytes.set(new Uint8Array(this.data.buffer), HEADER_BYTES);
    return bytes;
  }

  /**
   * Reads what `serialize` wrote.
   * @throws ArgumentError when the bytes are no state, are cut off, or belong to another model.
   */
  static deserialize(bytes: Uint8Array, shape: StateShape): ModelState {
    const magic = String.fromCharCode(...bytes.subarray(0, 4));
    if (bytes.length < HEADER_BYTES || magic !== MAGIC) throw new ArgumentError('restoreState: the bytes are not a saved state');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const version = view.getUint32(4, true);
    if (version !== VERSION) throw new ArgumentError(`restoreState: the state has version ${version}, this library reads ${VERSION}`);
    const hex = (at: number): string => view.getUint32(at, true).toString(16).padStart(8, '0');
    requireShape('restoreState: the state', {
      layers: view.getUint32(8, true), width: view.getUint32(12, true), fingerprint: hex(16) + hex(20),
    }, shape);
    const state = new ModelState(shape);
    const expected = HEADER_BYTES + state.byteLength;
    if (bytes.length !== expected) throw new ArgumentError(`restoreState: the state has ${bytes.length} bytes, needs ${expected}`);
    new Uint8Array(state.data.buffer).set(bytes.subarray(HEADER_BYTES));
    const tokens = view.getFloat64(24, true);
    if (!Number.isSafeInteger(tokens) || tokens < 0 || !state.data.every(Number.isFinite)) {
      throw new ArgumentError('restoreState: the state is damaged');
    }
    state.tokens = tokens;
    return state;
  }
}

/** @throws ArgumentError unless `value` is a state. */
export function requireState(what: string, value: unknown): asserts value is ModelState {
  if (!(value instanceof ModelState)) throw new ArgumentError(`${what}: got ${show(value)}, not a state that createState() made`);
}

/** @throws ArgumentError when `found` belongs to another model than `expected`. */
export function requireShape(what: string, found: StateShape, expected: StateShape): void {
  if (found.layers !== expected.layers || found.width !== expected.width) {
    throw new ArgumentError(
      `${what} is of a model with ${found.layers} layers of ${found.width}, this one has ${expected.layers} of ${expected.width}`,
    );
  }
  if (found.fingerprint !== expected.fingerprint) {
    throw new ArgumentError(`${what} is of another model (fingerprint ${found.fingerprint}, this one has ${expected.fingerprint})`);
  }
}
