import { decodeFloats, float16ToNumber, isFloatType, type FloatType } from './floats.js';
import { typeInfo } from './ggml-types.js';
import type { GgufTensorType } from './gguf.js';
import { rowDecoder } from './group-blocks.js';

/** Whether a type is of numbers, not ternary. */
export function isFloats(type: GgufTensorType): type is FloatType | 'Q8_0' {
  return isFloatType(type) || type === 'Q8_0';
}

/**
 * Decodes `count` elements of a GGUF tensor from element `first` on into `out[0..count)`; both are whole blocks of the type, which is not
 * I2_S. A code that no weight has gives NaN.
 */
export function decodeGgufFloats(type: GgufTensorType, bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  if (type === 'Q8_0') return decodeQ8(bytes, first, count, out);
  if (isFloats(type)) return decodeFloats(type, bytes, first, count, out);
  const { blockSize, blockBytes } = typeInfo(type);
  const { decode } = rowDecoder(type, blockSize);
  const trits = new Int8Array(blockSize);
  const scale = new Float32Array(1);
  for (let i = 0, at = (first / blockSize) * blockBytes; i < count; i += blockSize, at += blockBytes) {
    const isTernary = decode(bytes, at, trits, scale) < 0;
    for (let j = 0; j < blockSize; j++) out[i + j] = isTernary ? scale[0]! * trits[j]! : NaN;
  }
}

function decodeQ8(bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  const { blockSize, blockBytes } = typeInfo('Q8_0');
  for (let i = 0, at = (first / blockSize) * blockBytes; i < count; i += blockSize, at += blockBytes) {
    // The scale, then 32 signed bytes. The products have at most 18 bits: exact.
    const scale = float16ToNumber(bytes[at]! | (bytes[at + 1]! << 8));
    for (let j = 0; j < blockSize; j++) out[i + j] = scale * ((bytes[at + 2 + j]! << 24) >> 24);
  }
}
