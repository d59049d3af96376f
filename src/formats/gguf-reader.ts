import { FormatError, missingPart, show } from '../errors.js';
import { checkRange, type ByteSource } from './bytes.js';
import {
  alignUp, DEFAULT_ALIGNMENT, TENSOR_TYPES, tensorBytes, VALUE_TYPES,
  type GgufArrayType, type GgufHeader, type GgufMetadata, type GgufScalar, type GgufTensorType, type GgufValue, type OwnTensorType, type TensorInfo,
  type TensorType, type TypeOf,
} from './gguf.js';
import type { readStrings } from './gguf-strings.js';
import { refuseLfsPointer } from './lfs.js';

/** One tensor of a GGUF file. `offset` is absolute in the file. */
export interface GgufTensor<T extends string = GgufTensorType> {
  readonly type: T;
  /** Outermost dimension first (the file stores it innermost first). */
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

export interface GgufFile<T extends string = GgufTensorType> {
  readonly source: ByteSource;
  /** 2 or 3. */
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor<T>>;
}

const MAGIC = 0x46554747; // "GGUF", little-endian
/** The largest vocabularies in use need a few megabytes; this bounds what a hostile file makes us parse. */
const MAX_HEADER_BYTES = 128 * 1024 * 1024;
const FIRST_READ_BYTES = 64 * 1024;
/** A vocabulary of 150,000 takes 6 MB. */
const READ_GROWTH = 16;
/** Elements of all arrays together: a vocabulary of 256,000 has under a million tokens, types, scores and merges. */
const MAX_ARRAY_ELEMENTS = 2 ** 22;
/** Real files have some dozens of keys and some hundreds of tensors. */
const MAX_ENTRIES = 65_536;
const MAX_NAME_BYTES = 64;
const MAX_DIMENSIONS = 4;

export async function isGguf(source: ByteSource): Promise<boolean> {
  if (source.size < 4) return false;
  const b = await source.read(0, 4);
  return (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) === MAGIC;
}

/**
 * Reads and checks header, metadata and tensor infos of a GGUF v2 or v3 file; tensor data is not read.
 * @throws FormatError naming file, key or tensor, and byte.
 */
export function readGguf(source: ByteSource): Promise<GgufFile> {
  return readGgufAs<GgufTensorType>(source, async (header) =>
    (header.infos.every(ownType) ? ownType as TypeOf<OwnTensorType> : (await import('./ggml-types.js').catch(missingPart)).readableTypes(header)));
}

function ownType({ id }: TensorInfo): TensorType<OwnTensorType> | undefined {
  const name = (Object.keys(TENSOR_TYPES) as OwnTensorType[]).find((type) => TENSOR_TYPES[type].id === id);
  return name && { name, ...TENSOR_TYPES[name] };
}

/** As `readGguf`. @param types of the tensors of such a file. */
export async function readGgufAs<T extends string>(source: ByteSource, types: (header: GgufHeader) => Promise<TypeOf<T>>): Promise<GgufFile<T>> {
  const header = await readHeader(source);
  return placeTensors(header, await types(header));
}

async function readHeader(source: ByteSource): Promise<GgufHeader> {
  await refuseLfsPointer(source);
  let strings: typeof readStrings | undefined;
  // The header's length is known only once it is parsed, so parse a prefix, and a longer one while it is too short.
  for (let length = FIRST_READ_BYTES; ; length *= READ_GROWTH) {
    const have = Math.min(length, source.size, MAX_HEADER_BYTES);
    const cursor = new Cursor(source.name, await source.read(0, have));
    cursor.readStrings = strings;
    try {
      return parseHeader(source, cursor);
    } catch (error) {
      if (!(error instanceof TooShort)) throw error;
      if (have === source.size) {
        throw new FormatError(`${source.name}: the file ends at byte ${have}, inside ${cursor.what} (truncated download?)`);
      }
      if (have === MAX_HEADER_BYTES) {
        throw new FormatError(`${source.name}: metadata and tensor infos take more than ${MAX_HEADER_BYTES} bytes`);
      }
      strings = (await import('./gguf-strings.js').catch(missingPart)).readStrings;
    }
  }
}

function parseHeader(source: ByteSource, cursor: Cursor): GgufHeader {
  const file = source.name;
  cursor.what = 'the header';
  if (cursor.u32() !== MAGIC) throw new FormatError(`${file}: does not start with "GGUF"`);
  const version = cursor.u32();
  if (version === 2 ** 24 * 2 || version === 2 ** 24 * 3) throw new FormatError(`${file}: is big-endian; convert it to little-endian`);
  if (version !== 2 && version !== 3) throw new FormatError(`${file}: GGUF version ${version} (2 and 3 are supported)`);
  const tensorCount = cursor.u64();
  const metadataCount = cursor.u64();
  if (tensorCount > MAX_ENTRIES || metadataCount > MAX_ENTRIES) {
    throw new FormatError(`${file}: claims ${tensorCount} tensors and ${metadataCount} metadata keys, at most ${MAX_ENTRIES} are read`);
  }

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    cursor.what = `metadata entry ${i + 1} of ${metadataCount}`;
    const key = cursor.string();
    cursor.what = `metadata key ${show(key)}`;
    if (metadata.has(key)) throw cursor.error('occurs twice');
    metadata.set(key, readValue(cursor));
  }

  const alignment = readAlignment(file, metadata);
  const infos: TensorInfo[] = [];
  for (let i = 0; i < tensorCount; i++) {
    cursor.what = `tensor info ${i + 1} of ${tensorCount}`;
    infos.push(readTensorInfo(cursor));
  }
  return { source, version, metadata, alignment, dataStart: alignUp(cursor.position, alignment), infos };
}

function placeTensors<T extends string>({ source, version, metadata, alignment, dataStart, infos }: GgufHeader, typeOf: TypeOf<T>): GgufFile<T> {
  const file = source.name;
  const tensors = new Map<string, GgufTensor<T>>();
  for (const info of infos) {
    const { name, shape, offset } = info;
    const type = typeOf(info);
    const where = `${file}: tensor ${show(name)}`;
    if (tensors.has(name)) throw new FormatError(`${where} occurs twice`);
    if (offset % alignment !== 0) throw new FormatError(`${where}: offset ${offset} is not a multiple of ${alignment}`);
    const byteLength = tensorBytes(type, shape);
    if (byteLength === undefined) {
      throw new FormatError(`${where}: rows of ${shape[shape.length - 1]} are not whole ${type.name} blocks of ${type.blockSize}`);
    }
    checkRange(where, source.size, dataStart + offset, byteLength);
    tensors.set(name, { type: type.name, shape, offset: dataStart + offset, byteLength });
  }
  checkOverlap(file, tensors);
  return { source, version, metadata, tensors };
}

function readValue(cursor: Cursor): GgufValue {
  const type = valueType(cursor);
  if (type !== 'array') return { type, value: cursor.scalar(type) };
  const of = valueType(cursor);
  if (of === 'array') throw cursor.error('is an array of arrays, which no model file needs');
  const count = cursor.u64();
  cursor.countElements(count);
  const value: GgufScalar[] = (of === 'string' && cursor.readStrings?.(cursor, count)) || [];
  while (value.length < count) value.push(cursor.scalar(of));
  return { type, of, value };
}

function valueType(cursor: Cursor): (typeof VALUE_TYPES)[number] {
  const id = cursor.u32();
  const type = VALUE_TYPES[id];
  if (type === undefined) throw cursor.error(`has the unknown value type ${id}`);
  return type;
}

function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.string(MAX_NAME_BYTES);
  cursor.what = `the info of tensor ${show(name)}`;
  const dimensions = cursor.u32();
  if (dimensions > MAX_DIMENSIONS) throw cursor.error(`has ${dimensions} dimensions (at most ${MAX_DIMENSIONS})`);
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift(cursor.u64());
  if (!Number.isSafeInteger(shape.reduce((product, n) => product * n, 1))) throw cursor.error('has an absurd shape');
  return { name, shape, id: cursor.u32(), offset: cursor.u64() };
}

function readAlignment(file: string, metadata: GgufMetadata): number {
  const entry = metadata.get('general.alignment');
  if (!entry) return DEFAULT_ALIGNMENT;
  const { value } = entry;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 8 || value > 65536 || value % 8 !== 0) {
    throw new FormatError(`${file}: general.alignment is ${show(value)}, not a multiple of 8 from 8 to 65536`);
  }
  return value;
}

function checkOverlap(file: string, tensors: ReadonlyMap<string, GgufTensor<string>>): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = 0;
  let before = '';
  for (const [name, tensor] of sorted) {
    if (tensor.offset < end) throw new FormatError(`${file}: tensor ${show(name)} overlaps tensor ${show(before)}`);
    end = tensor.offset + tensor.byteLength;
    before = name;
  }
}

/** Thrown where the prefix at hand is too short. */
class TooShort extends Error {}

class Cursor {
  /** Loaded for large headers. */
  readStrings: typeof readStrings | undefined;
  /** What is being read, for error messages. */
  what = '';
  position = 0;
  private elements = 0;
  private readonly file: string;
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });


  constructor(file: string, bytes: Uint8Array) {
    this.file = file;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  error(complaint: string): FormatError {
    return new FormatError(`${this.file}: ${this.what} ${complaint} (near byte ${this.position})`);
  }

  /** Before an array is built: not more elements than any model has, nor than bytes are left (each takes one at least). */
  countElements(count: number): void {
    this.elements += count;
    if (this.elements > MAX_ARRAY_ELEMENTS) {
      throw this.error(`has ${count} elements; all arrays together may have ${MAX_ARRAY_ELEMENTS}`);
    }
    this.need(count);
  }

  private need(count: number): void {
    if (this.position + count > this.bytes.length) throw new TooShort();
  }

  take(count: number): number {
    this.need(count);
    const at = this.position;
    this.position += count;
    return at;
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u64(): number {
    const at = this.take(8);
    return this.safe(this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32);
  }

  private i64(): number {
    const at = this.take(8);
    return this.safe(this.view.getUint32(at, true) + this.view.getInt32(at + 4, true) * 2 ** 32);
  }

  private safe(value: number): number {
    if (!Number.isSafeInteger(value)) throw this.error(`holds the absurd number ${value}`);
    return value;
  }

  string(limit = Infinity): string {
    const length = this.u64();
    if (length > limit) throw this.error(`has a name of ${length} bytes (at most ${limit})`);
    const at = this.take(length);
    try {
      return this.decoder.decode(this.bytes.subarray(at, at + length));
    } catch {
      throw this.error('holds text that is not valid UTF-8');
    }
  }

  scalar(type: GgufArrayType): GgufScalar {
    const { view } = this;
    switch (type) {
      case 'u8': return view.getUint8(this.take(1));
      case 'i8': return view.getInt8(this.take(1));
      case 'u16': return view.getUint16(this.take(2), true);
      case 'i16': return view.getInt16(this.take(2), true);
      case 'u32': return this.u32();
      case 'i32': return view.getInt32(this.take(4), true);
      case 'f32': return view.getFloat32(this.take(4), true);
      case 'f64': return view.getFloat64(this.take(8), true);
      case 'u64': return this.u64();
      case 'i64': return this.i64();
      case 'string': return this.string();
      case 'bool': {
        const value = view.getUint8(this.take(1));
        if (value > 1) throw this.error(`holds the bool ${value} (0 or 1)`);
        return value === 1;
      }
    }
  }
}
