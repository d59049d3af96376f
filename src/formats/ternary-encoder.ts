import { TENSOR_TYPES } from './gguf.js';
import { BLOCK_WEIGHTS, TQ1_GROUPS, type TernaryBlockType } from './ternary-blocks.js';

const ONE_AS_F16 = 0x3c00;

/** Encodes `trits` (each -1, 0 or 1; length a multiple of 256) as blocks with d = 1 into `out` from `offset` on. */
export function encodeTernaryRow(type: TernaryBlockType, trits: Int8Array, out: Uint8Array, offset: number): void {
  const encode = type === 'TQ2_0' ? encodeTQ2 : encodeTQ1;
  const { blockBytes } = TENSOR_TYPES[type];
  for (let first = 0, at = offset; first < trits.length; first += BLOCK_WEIGHTS, at += blockBytes) {
    encode(trits, first, out, at);
    out[at + blockBytes - 2] = ONE_AS_F16 & 255;
    out[at + blockBytes - 1] = ONE_AS_F16 >> 8;
  }
}

function encodeTQ2(trits: Int8Array, first: number, out: Uint8Array, at: number): void {
  for (let half = 0; half < 2; half++) {
    for (let m = 0; m < 32; m++) {
      const p = first + 128 * half + m;
      out[at + 32 * half + m] =
        (trits[p]! + 1) | ((trits[p + 32]! + 1) << 2) | ((trits[p + 64]! + 1) << 4) | ((trits[p + 96]! + 1) << 6);
    }
  }
}

function encodeTQ1(trits: Int8Array, first: number, out: Uint8Array, at: number): void {
  for (const group of TQ1_GROUPS) {
    for (let m = 0; m < group.bytes; m++) {
      let value = 0;
      for (let n = 0; n < 5; n++) {
        // A group of four trits is shifted up, so that its first trit is in the same place as in a group of five.
        value = value * 3 + (n < group.trits ? trits[first + group.first + m + group.bytes * n]! + 1 : 0);
      }
      out[at + group.byte + m] = Math.ceil((value * 256) / 243);
    }
  }
}
