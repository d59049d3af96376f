import type { ByteSource } from './bytes.js';

/** Names and numbers of the GGUF format that reader and writer share (ggml/docs/gguf.md). */

export type GgufScalar = number | boolean | string;
export type GgufArrayType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'bool' | 'string' | 'u64' | 'i64' | 'f64';

/** A metadata value. 64-bit integers are JavaScript numbers; one beyond 2^53 is refused on reading. */
export type GgufValue =
  | { readonly type: GgufArrayType; readonly value: GgufScalar }
  | { readonly type: 'array'; readonly of: GgufArrayType; readonly value: readonly GgufScalar[] };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Type numbers of metadata values; the position is the number. */
export const VALUE_TYPES = [
  'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64',
] as const;

/** Types that files of ours are written in. */
export type OwnTensorType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'TQ1_0' | 'TQ2_0';
/** Types that are read as well: `LATE_TYPES` of ggml-types.ts. */
export type LateTensorType = 'Q1_0' | 'Q2_0' | 'PQ2_0' | 'PTQ1_0' | 'I2_S';
export type GgufTensorType = OwnTensorType | LateTensorType;

export interface TensorTypeInfo {
  /** ggml's number of the type. */
  readonly id: number;
  /** Elements per block; rows are whole blocks. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** After the blocks of all rows. */
  readonly tailBytes?: number;
}

export interface TensorType<T extends string> extends TensorTypeInfo {
  readonly name: T;
}

/** What stands before the data. */
export interface GgufHeader {
  readonly source: ByteSource;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly alignment: number;
  /** Where the data begin in the file. */
  readonly dataStart: number;
  readonly infos: readonly TensorInfo[];
}

export interface TensorInfo {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** ggml's number of its type. */
  readonly id: number;
  /** From `dataStart` on. */
  readonly offset: number;
}

/** The type of a tensor. @throws FormatError for one that is not read. */
export type TypeOf<T extends string> = (info: TensorInfo) => TensorType<T>;

export const TENSOR_TYPES: Readonly<Record<OwnTensorType, TensorTypeInfo>> = {
  F32: { id: 0, blockSize: 1, blockBytes: 4 },
  F16: { id: 1, blockSize: 1, blockBytes: 2 },
  BF16: { id: 30, blockSize: 1, blockBytes: 2 },
  Q8_0: { id: 8, blockSize: 32, blockBytes: 34 },
  TQ1_0: { id: 34, blockSize: 256, blockBytes: 54 },
  TQ2_0: { id: 35, blockSize: 256, blockBytes: 66 },
};

export const DEFAULT_ALIGNMENT = 32;

/** Bytes of a tensor of `shape` (outermost first), or `undefined` when its rows are not whole blocks. */
export function tensorBytes({ blockSize, blockBytes, tailBytes = 0 }: TensorTypeInfo, shape: readonly number[]): number | undefined {
  const columns = shape[shape.length - 1] ?? 1;
  if (columns % blockSize !== 0) return undefined;
  return shape.reduce((product, n) => product * n, 1) / blockSize * blockBytes + tailBytes;
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
