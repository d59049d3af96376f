import { expect, it } from 'vitest';
import { rowDecoder } from '../../src/formats/group-blocks.js';
import { digitsOfBytes, pq2FromFives } from '../../src/formats/pq2-rows.js';
import { encodeWeight } from '../support/group-blocks.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();

it(`blocks of PTQ1_0 are those of PQ2_0 with the same weights (seed ${seed})`, () => {
  const random = randomFrom(seed);
  const scales = Array.from({ length: 12 }, () => random.integer(1, 50) / 64);
  const weight = { shape: [3, 512], values: Float32Array.from({ length: 3 * 512 }, (_, i) => random.integer(-1, 1) * scales[i >> 7]!) };
  const [fives, twos] = (['PTQ1_0', 'PQ2_0'] as const).map((format) => encodeWeight(format, weight).bytes) as [Uint8Array, Uint8Array];
  const digits = digitsOfBytes();
  const whole = pq2FromFives(fives, digits, new Uint8Array(0));
  expect(whole).toEqual(twos);
  // Less at once goes into the same memory.
  const first = pq2FromFives(fives.subarray(0, fives.length / 3), digits, whole);
  expect(first.buffer).toBe(whole.buffer);
  expect(first).toEqual(twos.subarray(0, twos.length / 3));
});

it('every byte, of those that no encoder writes too, has the digits that rows are decoded to', () => {
  const fives = new Uint8Array(28 * 10);
  for (let n = 0; n < 260; n++) fives[28 * Math.floor(n / 26) + (n % 26)] = n;
  const trits = (type: 'PTQ1_0' | 'PQ2_0', bytes: Uint8Array): Int8Array => {
    const out = new Int8Array(1280);
    expect(rowDecoder(type, 1280).decode(bytes, 0, out, new Float32Array(10))).toBe(-1);
    return out;
  };
  expect(trits('PQ2_0', pq2FromFives(fives, digitsOfBytes(), new Uint8Array(0)))).toEqual(trits('PTQ1_0', fives));
});
