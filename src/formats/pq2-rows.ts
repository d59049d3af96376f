import { typeInfo } from './ggml-types.js';

/*
 * Blocks of PTQ1_0 as blocks of PQ2_0, which kernels take as they are: both have 128 weights and a scale. PTQ1_0 has the weights in stretches
 * (group-blocks.ts): digit n of byte m is column n · bytes + m, so that four bytes make a byte of PQ2_0, of four neighbours, for each digit.
 */

/** The digits of every byte, as PTQ1_0 has them: the first four a byte each, and the fifth. */
export interface Digits {
  readonly four: Uint32Array;
  readonly fifth: Uint8Array;
}

export function digitsOfBytes(): Digits {
  const digits = { four: new Uint32Array(256), fifth: new Uint8Array(256) };
  for (let value = 0; value < 256; value++) {
    let byte = value;
    for (let n = 0; n < 4; n++, byte = (3 * byte) & 255) digits.four[value]! |= ((3 * byte) >> 8) << (8 * n);
    digits.fifth[value] = (3 * byte) >> 8;
  }
  return digits;
}

/** @param bytes blocks of PTQ1_0. @returns as many of PQ2_0, in `into`, or in memory of their own where that is too small. */
export function pq2FromFives(bytes: Uint8Array, { four, fifth }: Digits, into: Uint8Array): Uint8Array {
  const [blockBytes, outBytes] = [typeInfo('PTQ1_0').blockBytes, typeInfo('PQ2_0').blockBytes];
  const length = (bytes.length / blockBytes) * outBytes;
  const out = into.length < length ? new Uint8Array(length) : into.subarray(0, length);
  for (let at = 0, to = 0; at < bytes.length; at += blockBytes, to += outBytes) {
    out[to] = bytes[at + blockBytes - 2]!;
    out[to + 1] = bytes[at + blockBytes - 1]!;
    for (let quad = 0; quad < 6; quad++) {
      // 16 bytes, and then 8: bytes of PQ2_0 are 4 apart from digit to digit, and then 2.
      const step = quad < 4 ? 4 : 2;
      const place = to + quad + (quad < 4 ? 2 : 18);
      const from = at + 4 * quad;
      const a = bytes[from]!;
      const b = bytes[from + 1]!;
      const c = bytes[from + 2]!;
      const d = bytes[from + 3]!;
      const codes = four[a]! | (four[b]! << 2) | (four[c]! << 4) | (four[d]! << 6);
      out[place] = codes;
      out[place + step] = codes >>> 8;
      out[place + 2 * step] = codes >>> 16;
      out[place + 3 * step] = codes >>> 24;
      out[place + 4 * step] = fifth[a]! | (fifth[b]! << 2) | (fifth[c]! << 4) | (fifth[d]! << 6);
    }
    // Two bytes of four digits: pairs of neighbours.
    const codes = four[bytes[at + 24]!]! | (four[bytes[at + 25]!]! << 2);
    out[to + 32] = codes | (codes >>> 4);
    out[to + 33] = (codes >>> 16) | (codes >>> 20);
  }
  return out;
}
