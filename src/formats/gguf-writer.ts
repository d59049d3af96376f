import { ArgumentError, FormatError, show } from '../errors.js';
import { READ_TYPES } from './ggml-types.js';
import {
  alignUp, DEFAULT_ALIGNMENT, tensorBytes, VALUE_TYPES,
  type GgufArrayType, type GgufMetadata, type GgufScalar, type GgufTensorType,
} from './gguf.js';
import type { TensorToWrite } from './stored-tensor.js';

export type GgufTensorToWrite = TensorToWrite<GgufTensorType>;

/**
 * Yields the bytes of a GGUF v3 file in order: header, then each tensor, padded. The same input gives the same bytes.
 * @throws FormatError when a tensor's data is not as long as its type and shape say; ArgumentError for what is no map of metadata or no tensor.
 */
export async function* writeGguf(
  metadata: GgufMetadata,
  tensors: readonly GgufTensorToWrite[],
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!(metadata instanceof Map)) throw new ArgumentError(`writeGguf: the metadata are ${show(metadata)}, not a Map`);
  if (!Array.isArray(tensors as unknown)) throw new ArgumentError(`writeGguf: the tensors are ${show(tensors)}, not a list`);
  tensors.forEach(checkTensor);
  const header = new ByteWriter();
  header.raw(new TextEncoder().encode('GGUF'));
  header.scalar('u32', 3);
  header.scalar('u64', tensors.length);
  header.scalar('u64', metadata.size);
  for (const [key, entry] of metadata) {
    header.scalar('string', key);
    header.scalar('u32', VALUE_TYPES.indexOf(entry.type));
    if (entry.type !== 'array') {
      header.scalar(entry.type, entry.value);
      continue;
    }
    header.scalar('u32', VALUE_TYPES.indexOf(entry.of));
    header.scalar('u64', entry.value.length);
    for (const value of entry.value) header.scalar(entry.of, value);
  }
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    header.scalar('string', name);
    header.scalar('u32', shape.length);
    for (const n of [...shape].reverse()) header.scalar('u64', n);
    header.scalar('u32', READ_TYPES[type].id);
    header.scalar('u64', offset);
    offset += alignUp(byteLength(name, type, shape), DEFAULT_ALIGNMENT);
  }
  header.pad(DEFAULT_ALIGNMENT);
  yield header.bytes();

  for (const { name, type, shape, bytes } of tensors) {
    const data = await bytes();
    const expected = byteLength(name, type, shape);
    if (data.length !== expected) throw new FormatError(`gguf: tensor "${name}" has ${data.length} bytes, not ${expected}`);
    yield data;
    const padding = alignUp(expected, DEFAULT_ALIGNMENT) - expected;
    if (padding > 0) yield new Uint8Array(padding);
  }
}

function checkTensor(tensor: GgufTensorToWrite | undefined, n: number): void {
  const { name, type, shape, bytes } = tensor ?? {};
  if (typeof name !== 'string' || !Array.isArray(shape) || typeof bytes !== 'function' || !Object.hasOwn(READ_TYPES, type!)) {
    throw new ArgumentError(`writeGguf: tensor ${n} is ${show(tensor)}, not { name, type, shape, bytes } of a type out of ${Object.keys(READ_TYPES).join(', ')}`);
  }
}

function byteLength(name: string, type: GgufTensorType, shape: readonly number[]): number {
  const bytes = tensorBytes(READ_TYPES[type], shape);
  if (bytes === undefined) throw new FormatError(`gguf: tensor "${name}": rows are not whole ${type} blocks`);
  return bytes;
}

const SAFE = Number.MAX_SAFE_INTEGER;
const MAX_F32 = 3.4028234663852886e38;

const RANGES: Readonly<Record<Exclude<GgufArrayType, 'string'>, readonly [number, number]>> = {
  u8: [0, 255], i8: [-128, 127], u16: [0, 65535], i16: [-32768, 32767], u32: [0, 2 ** 32 - 1], i32: [-(2 ** 31), 2 ** 31 - 1],
  f32: [-MAX_F32, MAX_F32], bool: [0, 1], u64: [0, SAFE], i64: [-SAFE, SAFE], f64: [-Infinity, Infinity],
};

class ByteWriter {
  private buffer = new Uint8Array(65536);
  private length = 0;

  bytes(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  pad(alignment: number): void {
    this.reserve(alignUp(this.length, alignment) - this.length);
  }

  scalar(type: GgufArrayType, value: GgufScalar): void {
    if (type === 'string') {
      const text = new TextEncoder().encode(String(value));
      this.scalar('u64', text.length);
      this.raw(text);
      return;
    }
    const number = Number(value);
    const [min, max] = RANGES[type];
    if (!(number >= min && number <= max) || (type !== 'f32' && type !== 'f64' && !Number.isInteger(number))) {
      throw new FormatError(`gguf: ${number} does not fit the type ${type}`);
    }
    switch (type) {
      case 'u8': case 'bool': return this.view(1).setUint8(0, number);
      case 'i8': return this.view(1).setInt8(0, number);
      case 'u16': return this.view(2).setUint16(0, number, true);
      case 'i16': return this.view(2).setInt16(0, number, true);
      case 'u32': return this.view(4).setUint32(0, number, true);
      case 'i32': return this.view(4).setInt32(0, number, true);
      case 'f32': return this.view(4).setFloat32(0, number, true);
      case 'f64': return this.view(8).setFloat64(0, number, true);
      case 'u64': return this.view(8).setBigUint64(0, BigInt(number), true);
      case 'i64': return this.view(8).setBigInt64(0, BigInt(number), true);
    }
  }

  private view(bytes: number): DataView {
    const at = this.reserve(bytes);
    return new DataView(this.buffer.buffer, at, bytes);
  }

  private reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.buffer.length) {
      const grown = new Uint8Array(Math.max(this.length, this.buffer.length * 2));
      grown.set(this.buffer);
      this.buffer = grown;
    }
    return at;
  }
}
