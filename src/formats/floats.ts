/** Floating-point element types of tensors, and their conversion to float32. */
export type FloatType = 'F32' | 'F16' | 'BF16';

export const FLOAT_BYTES: Readonly<Record<FloatType, number>> = { F32: 4, F16: 2, BF16: 2 };

export function isFloatType(type: string): type is FloatType {
  return type in FLOAT_BYTES;
}

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
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  for (let i = 0, p = first * 2; i < count; i++, p += 2) bits[i] = float16ToFloat32Bits(bytes[p]! | (bytes[p + 1]! << 8));
}

/** Rounds little-endian float64 numbers to float32, to the nearest, as `tensor.float()` does in PyTorch. */
export function roundF64(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(bytes.length / 8);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat64(i * 8, true);
  return new Uint8Array(values.buffer);
}

/** The float32 bit pattern of a binary16 bit pattern: the same value. */
export function float16ToFloat32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal half is a normal float32: shift its leading one out, lowering the exponent by as much.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** The value of a binary16 bit pattern. */
export function float16ToNumber(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction / 2 ** 24 : ((1024 + fraction) * (1 << exponent)) / 2 ** 25);
}

/** The binary16 bit pattern of the same value as a float32 bit pattern, or -1 when there is none (NaN included). */
export function exactFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 255) - 112; // biased as in binary16
  const fraction = bits & 0x7fffff;
  if ((bits & 0x7fffffff) === 0) return sign;
  if (exponent === 143) return fraction === 0 ? sign | 0x7c00 : -1;
  if (exponent >= 31) return -1;
  if (exponent > 0) return fraction & 0x1fff ? -1 : sign | (exponent << 10) | (fraction >> 13);
  // Subnormal in binary16: 24 bits of significand, of which the last 14 - exponent must be zero.
  const drop = 14 - exponent;
  const significand = fraction | 0x800000;
  if (drop > 23 || significand & ((1 << drop) - 1)) return -1;
  return sign | (significand >> drop);
}

/** Elements decoded at a time when a large tensor is looked through or converted. */
const CHUNK = 65536;

/**
 * The smallest of F16, BF16 and F32 that holds every value of a tensor exactly; F16 before BF16, because more readers know it.
 * @param bytes little-endian elements of `type`.
 */
export function smallestExactType(type: FloatType, bytes: Uint8Array): FloatType {
  if (type === 'F16') return type;
  const count = bytes.length / FLOAT_BYTES[type];
  const values = new Float32Array(Math.min(count, CHUNK));
  const bits = new Uint32Array(values.buffer);
  let fitsF16 = true;
  let fitsBF16 = true;
  for (let first = 0; first < count && (fitsF16 || fitsBF16); first += CHUNK) {
    const n = Math.min(CHUNK, count - first);
    decodeFloats(type, bytes, first, n, values);
    for (let i = 0; i < n && fitsF16; i++) fitsF16 = exactFloat16(bits[i]!) >= 0;
    for (let i = 0; i < n && fitsBF16; i++) fitsBF16 = (bits[i]! & 0xffff) === 0;
  }
  return fitsF16 ? 'F16' : fitsBF16 ? 'BF16' : 'F32';
}

/** Converts a tensor to another type that holds it exactly (see `smallestExactType`). */
export function convertExactly(from: FloatType, bytes: Uint8Array, to: FloatType): Uint8Array {
  if (from === to) return bytes;
  const count = bytes.length / FLOAT_BYTES[from];
  const result = new Uint8Array(count * FLOAT_BYTES[to]);
  if (to === 'F32') {
    decodeFloats(from, bytes, 0, count, new Float32Array(result.buffer));
    return result;
  }
  const halves = new Uint16Array(result.buffer);
  const values = new Float32Array(Math.min(count, CHUNK));
  const bits = new Uint32Array(values.buffer);
  for (let first = 0; first < count; first += CHUNK) {
    const n = Math.min(CHUNK, count - first);
    decodeFloats(from, bytes, first, n, values);
    for (let i = 0; i < n; i++) halves[first + i] = to === 'F16' ? exactFloat16(bits[i]!) : bits[i]! >>> 16;
  }
  return result;
}

/** For two elements in 32 bits, or one: all bits of an exponent, and its lowest. */
const EXPONENTS: Readonly<Record<FloatType, readonly [all: number, lowest: number]>> = {
  F32: [0x7f800000, 0x00800000], F16: [0x7c007c00, 0x04000400], BF16: [0x7f807f80, 0x00800080],
};

/** Whether no element is a NaN or an infinity: a quick look at the exponents. False also for bytes that lie askew in memory. */
export function isPlainlyFinite(type: FloatType, bytes: Uint8Array): boolean {
  if (bytes.byteOffset % 4 !== 0 || bytes.length % 4 !== 0) return false;
  const [all, lowest] = EXPONENTS[type];
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  // All ones and one more carry over into the sign's place, which is 0 before.
  let carries = 0;
  for (let i = 0; i < words.length; i++) carries |= ((words[i]! & all) + lowest) | 0;
  return (carries & (type === 'F32' ? 0x80000000 : 0x80008000)) === 0;
}

/** Index of the first NaN or infinity in `values[0..count)`, or -1. */
export function firstNonFinite(values: Float32Array, count: number): number {
  for (let i = 0; i < count; i++) if (!Number.isFinite(values[i]!)) return i;
  return -1;
}
