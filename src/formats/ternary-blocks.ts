import { float16ToNumber } from './floats.js';
import { TENSOR_TYPES } from './gguf.js';

/**
 * ggml's ternary block types: 256 weights in 66 bytes (TQ2_0, 2 bits each) or 54 bytes (TQ1_0, five to a byte).
 * Each block ends in a float16 scale `d`. Layouts: ggml's reference quantiser, `quantize_row_tq1_0_ref` and `_tq2_0_ref`.
 */
export type TernaryBlockType = 'TQ1_0' | 'TQ2_0';

export function isTernaryBlock(type: string): type is TernaryBlockType {
  return type === 'TQ1_0' || type === 'TQ2_0';
}

export const BLOCK_WEIGHTS = 256;

/** Bytes of a row of `weights` weights, a multiple of 256. */
export function ternaryRowBytes(type: TernaryBlockType, weights: number): number {
  return (weights / BLOCK_WEIGHTS) * TENSOR_TYPES[type].blockBytes;
}

/**
 * Decodes `out.length` weights (a multiple of 256) from the blocks at `offset`. Blocks of zeros may have any scale (ggml's
 * quantiser gives them 0), and what has the scale 0 is zero.
 * @returns the scale all other blocks of the row share, or NaN when they differ or when a TQ2_0 code is 3, which no weight has.
 */
export function decodeTernaryRow(type: TernaryBlockType, bytes: Uint8Array, offset: number, out: Int8Array): number {
  const decode = type === 'TQ2_0' ? decodeTQ2 : decodeTQ1;
  const { blockBytes } = TENSOR_TYPES[type];
  const d = scaleBits(bytes, offset + blockBytes);
  let valid = true;
  let uniform = (d & 0x7fff) !== 0;
  for (let first = 0, at = offset; first < out.length; first += BLOCK_WEIGHTS, at += blockBytes) {
    valid = decode(bytes, at, out, first) && valid;
    uniform &&= scaleBits(bytes, at + blockBytes) === d;
  }
  if (!valid) return NaN;
  return uniform ? float16ToNumber(d) : sharedScale(bytes, offset, blockBytes, out);
}

/** The scale of the block at `offset`. */
export function blockScale(type: TernaryBlockType, bytes: Uint8Array, offset: number): number {
  return float16ToNumber(scaleBits(bytes, offset + TENSOR_TYPES[type].blockBytes));
}

function scaleBits(bytes: Uint8Array, blockEnd: number): number {
  return bytes[blockEnd - 2]! | (bytes[blockEnd - 1]! << 8);
}

/** The scale of the blocks that hold anything but zeros; weights with the scale 0 become zeros. */
function sharedScale(bytes: Uint8Array, offset: number, blockBytes: number, trits: Int8Array): number {
  let shared = 0;
  for (let first = 0, at = offset; first < trits.length; first += BLOCK_WEIGHTS, at += blockBytes) {
    const scale = float16ToNumber(scaleBits(bytes, at + blockBytes));
    if (!Number.isFinite(scale)) return NaN;
    const block = trits.subarray(first, first + BLOCK_WEIGHTS);
    if (scale === 0) block.fill(0);
    else if (block.every((trit) => trit === 0)) continue;
    else if (shared === 0) shared = scale;
    else if (scale !== shared) return NaN;
  }
  return shared;
}

function decodeTQ2(bytes: Uint8Array, at: number, out: Int8Array, first: number): boolean {
  let threes = 0;
  for (let half = 0; half < 2; half++) {
    for (let m = 0; m < 32; m++) {
      const code = bytes[at + 32 * half + m]!;
      const p = first + 128 * half + m;
      threes |= code & (code >> 1) & 0x55;
      out[p] = (code & 3) - 1;
      out[p + 32] = ((code >> 2) & 3) - 1;
      out[p + 64] = ((code >> 4) & 3) - 1;
      out[p + 96] = (code >> 6) - 1;
    }
  }
  return threes === 0;
}

/** The three byte groups of a TQ1_0 block: `bytes` bytes hold weights `first + m + bytes·n`, n < `trits`. */
export const TQ1_GROUPS = [
  { byte: 0, bytes: 32, first: 0, trits: 5 },
  { byte: 32, bytes: 16, first: 160, trits: 5 },
  { byte: 48, bytes: 4, first: 240, trits: 4 },
] as const;

function decodeTQ1(bytes: Uint8Array, at: number, out: Int8Array, first: number): boolean {
  for (const group of TQ1_GROUPS) {
    for (let m = 0; m < group.bytes; m++) {
      let code = bytes[at + group.byte + m]!;
      for (let n = 0; n < group.trits; n++) {
        out[first + group.first + m + group.bytes * n] = ((code * 3) >> 8) - 1;
        code = (code * 3) & 255;
      }
    }
  }
  return true;
}
