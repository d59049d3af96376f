import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Absolute path of a file in the repository. */
export function repository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

export function fixture(path: string): string {
  return repository(`test/fixtures/${path}`);
}

export const EMBEDDED = repository('examples/models/tinystories-9m.gguf');

/** The full goldens and checkpoints, which are not part of the repository. */
const SHARED = repository('../shared');
export const HAS_SHARED = existsSync(SHARED);
export const SHARED_NOTE = HAS_SHARED ? '' : ' (skipped: ../shared is not here)';

export function shared(path: string): string {
  return `${SHARED}/${path}`;
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: readonly number[] | Float32Array | Int32Array;
  /** As the file has it, of one that was read. */
  readonly dtype?: string;
}

/** A safetensors reader of the tests' own: floats, I32, small I64, I8 and U8 only, no checks. */
export function readTensors(path: string): Record<string, GoldenTensor> {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString()) as Record<
    string, { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: [begin, end] } = entry;
    const bytes = Uint8Array.from(file.subarray(8 + headerBytes + begin, 8 + headerBytes + end));
    tensors[name] = { shape, values: decode(dtype, bytes), dtype };
  }
  return tensors;
}

/** Little-endian values of a dtype. */
export function decode(dtype: string, bytes: Uint8Array): number[] | Float32Array | Int32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  if (dtype === 'I32') return new Int32Array(bytes.buffer);
  if (dtype === 'I64') return Array.from(new BigInt64Array(bytes.buffer), Number);
  if (dtype === 'U8') return Array.from(bytes);
  if (dtype === 'I8') return Array.from(new Int8Array(bytes.buffer));
  const view = new DataView(bytes.buffer);
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += 2) {
    const bits = view.getUint16(at, true);
    if (dtype === 'BF16') {
      const widened = new DataView(new ArrayBuffer(4));
      widened.setUint16(0, bits);
      values.push(widened.getFloat32(0));
    } else values.push(halfToNumber(bits));
  }
  return values;
}

/** IEEE 754 binary16, spelt out. */
export function halfToNumber(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * (fraction / 1024) * 2 ** -14;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
