import { decodeFloats, float16ToNumber } from './floats.js';
import { TENSOR_TYPES, type GgufTensorType } from './gguf.js';
import { BLOCK_WEIGHTS, decodeTernaryRow } from './ternary-blocks.js';

/**
 * Decodes `count` elements of a GGUF tensor from element `first` on into `out[0..count)`; both are whole blocks of the type.
 * A TQ2_0 code that no weight has gives NaN.
 */
export function decodeGgufFloats(type: GgufTensorType, bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  if (type === 'F32' || type === 'F16' || type === 'BF16') return decodeFloats(type, bytes, first, count, out);
  const { blockSize, blockBytes } = TENSOR_TYPES[type];
  const trits = new Int8Array(BLOCK_WEIGHTS);
  for (let i = 0, at = (first / blockSize) * blockBytes; i < count; i += blockSize, at += blockBytes) {
    if (type === 'Q8_0') {
      // The scale, then 32 signed bytes. The products have at most 18 bits: exact.
      const scale = float16ToNumber(bytes[at]! | (bytes[at + 1]! << 8));
      for (let j = 0; j < blockSize; j++) out[i + j] = scale * ((bytes[at + 2 + j]! << 24) >> 24);
    } else {
      const scale = decodeTernaryRow(type, bytes, at, trits);
      for (let j = 0; j < blockSize; j++) out[i + j] = scale * trits[j]!;
    }
  }
}
