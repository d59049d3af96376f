import { describe, expect, it } from 'vitest';
import { decodeTernaryRow, ternaryRowBytes, type TernaryBlockType } from '../../src/formats/ternary-blocks.js';
import { encodeTernaryRow } from '../../src/formats/ternary-encoder.js';
import { freshSeed, randomFrom } from '../support/random.js';

/** Weight `index` of a block, by the sentences of the format's description. */
function weightOf(type: TernaryBlockType, block: Uint8Array, index: number): number {
  if (type === 'TQ2_0') {
    const half = Math.floor(index / 128);
    const byte = block[32 * half + (index % 32)]!;
    const n = Math.floor((index % 128) / 32);
    return Math.floor(byte / 4 ** n) % 4 - 1;
  }
  const [byte, n] =
    index < 160 ? [block[index % 32]!, Math.floor(index / 32)]
    : index < 240 ? [block[32 + ((index - 160) % 16)]!, Math.floor((index - 160) / 16)]
    : [block[48 + ((index - 240) % 4)]!, Math.floor((index - 240) / 4)];
  return Math.floor((((byte * 3 ** n) % 256) * 3) / 256) - 1;
}

describe.each(['TQ1_0', 'TQ2_0'] as const)('%s', (type) => {
  const seed = freshSeed();
  const blockBytes = ternaryRowBytes(type, 256);

  it('has blocks as long as the format says', () => expect(blockBytes).toBe(type === 'TQ1_0' ? 54 : 66));

  it(`stores weights where the format says (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const trits = Int8Array.from({ length: 768 }, () => random.integer(-1, 1));
    const bytes = new Uint8Array(5 + 3 * blockBytes);
    encodeTernaryRow(type, trits, bytes, 5);
    for (let i = 0; i < 768; i++) {
      const start = 5 + Math.floor(i / 256) * blockBytes;
      expect(weightOf(type, bytes.subarray(start, start + blockBytes), i % 256)).toBe(trits[i]);
    }
    for (let block = 0; block < 3; block++) expect([...bytes.slice(5 + block * blockBytes + blockBytes - 2)].slice(0, 2)).toEqual([0, 0x3c]);
    const back = new Int8Array(768);
    expect(decodeTernaryRow(type, bytes, 5, back)).toBe(1);
    expect(back).toEqual(trits);
  });

  it('tells the scale that all blocks share, or that there is none', () => {
    const bytes = new Uint8Array(2 * blockBytes);
    encodeTernaryRow(type, new Int8Array(512).fill(-1), bytes, 0);
    bytes[blockBytes - 1] = bytes[2 * blockBytes - 1] = 0x38;
    expect(decodeTernaryRow(type, bytes, 0, new Int8Array(512))).toBe(0.5);
    bytes[blockBytes - 1] = 0x3c;
    expect(decodeTernaryRow(type, bytes, 0, new Int8Array(512))).toBeNaN();
  });

  it('does not ask blocks of zeros for their scale, and makes zeros of what has the scale 0', () => {
    const bytes = new Uint8Array(2 * blockBytes);
    encodeTernaryRow(type, new Int8Array(512).fill(1, 300, 400), bytes, 0);
    const trits = new Int8Array(512);
    bytes[blockBytes - 1] = 0x44;
    expect(decodeTernaryRow(type, bytes, 0, trits)).toBe(1);
    bytes[blockBytes - 1] = bytes[2 * blockBytes - 1] = 0;
    expect(decodeTernaryRow(type, bytes, 0, trits)).toBe(0);
    expect(trits).toEqual(new Int8Array(512));
  });
});

it('TQ2_0 refuses the code 3', () => {
  const bytes = new Uint8Array(66);
  encodeTernaryRow('TQ2_0', new Int8Array(256), bytes, 0);
  bytes[40]! |= 0b11 << 4;
  expect(decodeTernaryRow('TQ2_0', bytes, 0, new Int8Array(256))).toBeNaN();
});
