import { float16ToNumber } from './floats.js';
import type { LateTensorType } from './gguf.js';
import { typeInfo } from './ggml-types.js';
import { BLOCK_WEIGHTS, blockScale, decodeTernaryRow, isTernaryBlock, type TernaryBlockType } from './ternary-blocks.js';

/*
 * Rows of ternary weights in blocks that have a scale each, or one for the whole tensor (I2_S). Layouts: ggml-common.h and
 * ggml-quants.c for Q1_0 and Q2_0, PrismML's fork of them for PQ2_0 and PTQ1_0, bitnet.cpp's ggml-bitnet-mad.cpp for I2_S.
 */

export type GroupType = LateTensorType | TernaryBlockType;

/**
 * I2_S in blocks of 128 weights (A), or of 64 (B), as bitnet.cpp quantised on ARM processors since November 2025; no file says which
 * (ternary-transformers.md §4.4).
 */
export type I2SLayout = 'A' | 'B';

export interface RowDecoder {
  /** Columns that share a scale. */
  readonly step: number;
  readonly rowBytes: number;
  /**
   * Decodes the row at `at` of `bytes` into trits [columns], four bytes aligned, and scales [columns / step].
   * @returns the first column with a code that no ternary weight has, or -1.
   */
  decode(bytes: Uint8Array, at: number, trits: Int8Array, scales: Float32Array): number;
}

/** @param columns whole blocks. @param tensor of I2_S: its scale, which is not in the rows, and its layout. */
export function rowDecoder(type: GroupType, columns: number, tensor: { readonly scale: number; readonly layout: I2SLayout } = { scale: 1, layout: 'A' }): RowDecoder {
  if (type === 'I2_S') return plainCodes(columns, tensor.scale, tensor.layout === 'A' ? 32 : 16);
  if (isTernaryBlock(type)) return ternaryBlocks(type, columns);
  if (type === 'PTQ1_0') return fiveToAByte(columns);
  return scaleFirst(columns, typeInfo(type), type === 'Q1_0' ? ONE_BIT : TWO_BITS);
}

/** Weights of a byte, first in the lowest bits. */
interface Coding {
  readonly perByte: number;
  /** Of a code. */
  readonly trit: (code: number) => number;
}

const ONE_BIT: Coding = { perByte: 8, trit: (code) => 2 * code - 1 };
const TWO_BITS: Coding = { perByte: 4, trit: (code) => code - 1 };

/** Blocks of a float16 scale and then bytes of neighbours. */
function scaleFirst(columns: number, { blockSize, blockBytes }: { readonly blockSize: number; readonly blockBytes: number }, coding: Coding): RowDecoder {
  const { perByte } = coding;
  const words = wordsOfBytes(coding);
  const perWord = perByte / 4; // words of four trits for a byte: 1 or 2
  const rowBytes = (columns / blockSize) * blockBytes;
  return {
    step: blockSize, rowBytes,
    decode(bytes, at, trits, scales) {
      const out = new Uint32Array(trits.buffer, trits.byteOffset, columns / 4);
      let threes = 0;
      let to = 0;
      for (let block = 0, from = at; from < at + rowBytes; block++, from += blockBytes) {
        scales[block] = float16ToNumber(bytes[from]! | (bytes[from + 1]! << 8));
        const end = from + blockBytes;
        if (perWord === 1) {
          for (let p = from + 2; p < end; p++) {
            const byte = bytes[p]!;
            threes |= byte & (byte >> 1);
            out[to++] = words[byte]!;
          }
        } else {
          for (let p = from + 2; p < end; p++) {
            const word = 2 * bytes[p]!;
            out[to++] = words[word]!;
            out[to++] = words[word + 1]!;
          }
        }
      }
      return threes & 0x55 ? firstAbove(trits, columns) : -1;
    },
  };
}

/** The trits of every byte, four to a word. */
function wordsOfBytes({ perByte, trit }: Coding): Uint32Array {
  const bits = 8 / perByte;
  const trits = Int8Array.from({ length: 256 * perByte }, (_, i) => trit((Math.floor(i / perByte) >> (bits * (i % perByte))) & ((1 << bits) - 1)));
  return new Uint32Array(trits.buffer);
}

/** I2_S: byte m of a block holds the weights m, m + stride, m + 2 · stride and m + 3 · stride, first in the top bits. */
function plainCodes(columns: number, scale: number, stride: 16 | 32): RowDecoder {
  const rowBytes = columns / 4;
  return {
    step: columns, rowBytes,
    decode(bytes, at, trits, scales) {
      scales[0] = scale;
      let threes = 0;
      for (let block = at, to = 0; block < at + rowBytes; block += stride, to += 4 * stride) {
        for (let m = 0; m < stride; m++) {
          const byte = bytes[block + m]!;
          threes |= byte & (byte >> 1);
          trits[to + m] = (byte >> 6) - 1;
          trits[to + m + stride] = ((byte >> 4) & 3) - 1;
          trits[to + m + 2 * stride] = ((byte >> 2) & 3) - 1;
          trits[to + m + 3 * stride] = (byte & 3) - 1;
        }
      }
      return threes & 0x55 ? firstAbove(trits, columns) : -1;
    },
  };
}

function ternaryBlocks(type: TernaryBlockType, columns: number): RowDecoder {
  const { blockBytes } = typeInfo(type);
  return {
    step: BLOCK_WEIGHTS, rowBytes: (columns / BLOCK_WEIGHTS) * blockBytes,
    decode(bytes, at, trits, scales) {
      let isTernary = true;
      for (let block = 0, from = at; block < columns / BLOCK_WEIGHTS; block++, from += blockBytes) {
        const first = block * BLOCK_WEIGHTS;
        const shared = decodeTernaryRow(type, bytes, from, trits.subarray(first, first + BLOCK_WEIGHTS));
        isTernary &&= !Number.isNaN(shared);
        scales[block] = blockScale(type, bytes, from);
      }
      return isTernary ? -1 : firstAbove(trits, columns);
    },
  };
}

/** PTQ1_0: weights as TQ1_0 has them, five to a byte in 24 bytes, in stretches of 16 and 8, four in two more, and then the scale (bonsai.md §2.5). */
function fiveToAByte(columns: number): RowDecoder {
  const { blockSize, blockBytes } = typeInfo('PTQ1_0');
  const rowBytes = (columns / blockSize) * blockBytes;
  const stretches = [{ from: 0, bytes: 16, digits: 5 }, { from: 16, bytes: 8, digits: 5 }, { from: 24, bytes: 2, digits: 4 }];
  return {
    step: blockSize, rowBytes,
    decode(bytes, at, trits, scales) {
      let to = 0;
      for (let block = 0, from = at; from < at + rowBytes; block++, from += blockBytes) {
        for (const { from: first, bytes: count, digits } of stretches) {
          for (let m = 0; m < count; m++) {
            let byte = bytes[from + first + m]!;
            for (let n = 0; n < digits; n++, byte = (3 * byte) & 255) trits[to + n * count + m] = ((3 * byte) >> 8) - 1;
          }
          to += count * digits;
        }
        scales[block] = float16ToNumber(bytes[from + blockBytes - 2]! | (bytes[from + blockBytes - 1]! << 8));
      }
      return -1;
    },
  };
}

/** The first column of code 3, which has been decoded as 2; -1 if there is none. */
function firstAbove(trits: Int8Array, columns: number): number {
  for (let j = 0; j < columns; j++) if (trits[j]! > 1) return j;
  return -1;
}
