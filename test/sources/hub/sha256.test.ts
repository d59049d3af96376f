import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSha256 } from '../../../src/sources/hub/sha256.js';
import { freshSeed, randomFrom } from '../../support/random.js';
import { bytesOf } from './setup.js';

describe('SHA-256', () => {
  it('of the standard\'s examples', () => {
    const hash = (text: string): string => {
      const hasher = createSha256();
      hasher.update(new TextEncoder().encode(text));
      return hasher.hex();
    };
    expect(hash('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(hash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(hash('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')).toBe('248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1');
  });

  const seed = freshSeed();
  it(`as node:crypto, for all lengths around the blocks and any pieces (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const bytes = bytesOf(1000, seed);
    for (let length = 0; length <= 200; length++) {
      const hasher = createSha256();
      for (let at = 0; at < length; ) {
        const end = Math.min(length, at + random.integer(0, 90));
        hasher.update(bytes.subarray(at, end));
        at = end;
      }
      expect(hasher.hex(), `${length} bytes`).toBe(createHash('sha256').update(bytes.subarray(0, length)).digest('hex'));
    }
  });
});
