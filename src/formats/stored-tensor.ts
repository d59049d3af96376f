import { FormatError } from '../errors.js';
import type { ByteSource } from './bytes.js';

/** Where a file has a tensor, and how. `offset` is absolute in the file. */
export interface TensorEntry {
  readonly dtype: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly offset: number;
  /** Bytes of its elements. */
  readonly byteLength: number;
  /**
   * Elements from one index to the next in each dimension, of a tensor whose elements do not follow each other in the file. It
   * has no more elements than the stretch of the file from its first to its last.
   */
  readonly strides?: readonly number[];
}

/** A tensor of a checkpoint, with the file that holds it. */
export interface StoredTensor extends TensorEntry {
  readonly source: ByteSource;
}

/** A tensor to write: its data is asked for when its turn comes, so that only one is held at a time. */
export interface TensorToWrite<T extends string> {
  readonly name: string;
  readonly type: T;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly bytes: () => Promise<Uint8Array>;
}

/** Element types, as safetensors calls them. */
export const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ['F64', 8], ['F32', 4], ['F16', 2], ['BF16', 2], ['I64', 8], ['I32', 4], ['I16', 2], ['I8', 1], ['U8', 1], ['BOOL', 1],
]);

/** The stretch of the file that a scattered tensor lies in is held as a whole; views of this kind are small. */
const MAX_SPAN_BYTES = 512 * 1024 * 1024;

/** How many elements of the file lie from a tensor's first element to its last, both included. */
export function spanOf(shape: readonly number[], strides: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((span, n, d) => span + (n - 1) * strides[d]!, 1);
}

/** Whether the elements follow each other, the last dimension fastest. The stride of a dimension of one means nothing. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== expected) return false;
    expected *= shape[d]!;
  }
  return true;
}

/**
 * Reads a tensor's elements, the last dimension fastest.
 * @throws FormatError; `where` begins the message.
 */
export async function readTensor(where: string, { source, dtype, shape, offset, byteLength, strides }: StoredTensor): Promise<Uint8Array> {
  if (!strides) return source.read(offset, byteLength);
  const itemBytes = DTYPE_BYTES.get(dtype)!;
  const spanBytes = spanOf(shape, strides) * itemBytes;
  if (spanBytes > MAX_SPAN_BYTES) {
    throw new FormatError(`${where} lies scattered over ${spanBytes} bytes, more than ${MAX_SPAN_BYTES}: save it with .contiguous()`);
  }
  return gather(await source.read(offset, spanBytes), itemBytes, shape, strides, byteLength);
}

function gather(bytes: Uint8Array, itemBytes: number, shape: readonly number[], strides: readonly number[], byteLength: number): Uint8Array {
  const result = new Uint8Array(byteLength);
  const inner = shape.length - 1; // not a scalar: that would be contiguous
  const step = strides[inner]! * itemBytes;
  const index = new Array<number>(inner).fill(0);
  let from = 0;
  for (let to = 0; to < byteLength; ) {
    for (let j = 0, p = from; j < shape[inner]!; j++, p += step) {
      for (let b = 0; b < itemBytes; b++) result[to++] = bytes[p + b]!;
    }
    for (let d = inner - 1; d >= 0; d--) {
      from += strides[d]! * itemBytes;
      if (++index[d]! < shape[d]!) break;
      from -= shape[d]! * strides[d]! * itemBytes;
      index[d] = 0;
    }
  }
  return result;
}
