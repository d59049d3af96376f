import { float16ToNumber, type FloatType } from './floats.js';

/** The largest float16. */
const MAX_HALF = 65504;

/** Rounding of float32 numbers to shorter types, half to even. */
export interface Rounding {
  /** The bits of the nearest float16; what is too large becomes the largest. */
  toHalf(value: number): number;
  /** The number that a tensor of `type` holds. */
  round(type: FloatType, value: number): number;
}

export function createRounding(): Rounding {
  const word = new Float32Array(1);
  const bits = new Uint32Array(word.buffer);

  function toHalf(value: number): number {
    word[0] = value;
    const sign = (bits[0]! >>> 16) & 0x8000;
    const magnitude = Math.min(Math.abs(word[0]), MAX_HALF);
    // Below 2⁻¹⁴ float16 has a fixed step of 2⁻²⁴: so has float32 around ½.
    const isSmall = magnitude < 2 ** -14;
    word[0] = isSmall ? magnitude + 0.5 : magnitude;
    const odd = (bits[0]! >>> 13) & 1;
    return sign | (isSmall ? bits[0]! - 0x3f000000 : (bits[0]! + 0xfff + odd - 0x38000000) >>> 13);
  }

  return {
    toHalf,
    round(type, value) {
      if (type === 'F16') return float16ToNumber(toHalf(value));
      word[0] = value;
      if (type === 'BF16') bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
      return word[0];
    },
  };
}
