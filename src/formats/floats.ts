/** Floating-point element types of tensors, and their conversion to float32. */
export type FloatType = 'F32' | 'F16' | 'BF16';

export const FLOAT_BYTES: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

/**
 * Decodes `count` little-endian floats that start at element `first` of `bytes` into `out[0..count)`.
 * float16 and bfloat16 widen to float32 without rounding.
 */
export function decodeFloats(type: FloatType, bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  if (type === 'F32') decodeF32(bytes, first, count, out);
  else if (type === 'BF16') decodeBF16(bytes, first, count, out);
  else decodeF16(bytes, first, count, out);
}

function decodeF32(bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  const start = bytes.byteOffset + first * 4;
  // Copying bytes into place needs no alignment of the source; every platform that runs JavaScript today is little-endian.
  new Uint8Array(out.buffer, out.byteOffset, count * 4).set(new Uint8Array(bytes.buffer, start, count * 4));
}

function decodeBF16(bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  for (let i = 0, p = first * 2; i < count; i++, p += 2) bits[i] = (bytes[p]! << 16) | (bytes[p + 1]! << 24);
}

function decodeF16(bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  for (let i = 0, p = first * 2; i < count; i++, p += 2) out[i] = float16ToNumber(bytes[p]! | (bytes[p + 1]! << 8));
}

/** The value of an IEEE 754 binary16 bit pattern. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The binary16 bit pattern of a number that binary16 holds exactly, or -1 when it does not (NaN included). */
export function exactFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Infinity) return sign | 0x7c00;
  if (magnitude < 2 ** -14) {
    const fraction = magnitude * 2 ** 24;
    return Number.isInteger(fraction) ? sign | fraction : -1;
  }
  if (!(magnitude <= 65504)) return -1;
  const exponent = Math.floor(Math.log2(magnitude));
  const fraction = magnitude * 2 ** (10 - exponent);
  return Number.isInteger(fraction) ? sign | ((exponent + 15) << 10) | (fraction - 1024) : -1;
}

/**
 * Encodes floats in the smallest of F16, BF16 and F32 that loses nothing (F16 before BF16: more readers know it).
 * @returns the type and its little-endian bytes.
 */
export function encodeExactly(values: Float32Array): { type: FloatType; bytes: Uint8Array } {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const half = new Uint16Array(values.length);
  let exact = true;
  for (let i = 0; i < values.length && exact; i++) {
    const encoded = exactFloat16(values[i]!);
    if (encoded < 0) exact = false;
    half[i] = encoded;
  }
  if (exact) return { type: 'F16', bytes: new Uint8Array(half.buffer) };
  if (bits.every((b) => (b & 0xffff) === 0)) {
    for (let i = 0; i < bits.length; i++) half[i] = bits[i]! >>> 16;
    return { type: 'BF16', bytes: new Uint8Array(half.buffer) };
  }
  return { type: 'F32', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** Index of the first NaN or infinity in `values[0..count)`, or -1. */
export function firstNonFinite(values: Float32Array, count: number): number {
  for (let i = 0; i < count; i++) if (!Number.isFinite(values[i]!)) return i;
  return -1;
}
