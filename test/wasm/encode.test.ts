import { describe, expect, it } from 'vitest';
import { float32Bytes, nameBytes, sectionBytes, signedLeb, TYPE_CODES, unsignedLeb, vectorBytes } from '../../src/wasm/encode.js';
import { freshSeed, randomFrom } from '../support/random.js';

/** LEB128 as the specification defines its value (§5.2.2), in big integers. */
function decodeLeb(bytes: readonly number[], signed: boolean): { value: bigint; length: number } {
  let value = 0n;
  for (const [n, byte] of bytes.entries()) {
    value += BigInt(byte & 0x7f) << BigInt(7 * n);
    if (byte & 0x80) continue;
    if (signed && byte & 0x40) value -= 1n << BigInt(7 * (n + 1));
    return { value, length: n + 1 };
  }
  throw new Error('the last byte says that another one follows');
}

/** The fewest groups of seven bits that hold the value, from its definition. */
function shortest(value: bigint, signed: boolean): number {
  for (let length = 1; ; length++) {
    const bits = BigInt(7 * length);
    const [min, max] = signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
    if (value >= min && value <= max) return length;
  }
}

function checkLeb(value: number, signed: boolean): void {
  const bytes = signed ? signedLeb(value) : unsignedLeb(value);
  const decoded = decodeLeb(bytes, signed);
  const right = bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)
    && decoded.value === BigInt(value) && decoded.length === bytes.length && bytes.length === shortest(BigInt(value), signed);
  if (!right) expect.fail(`${value} is written as ${bytes.join()}: ${decoded.value} in ${decoded.length} bytes`);
}

const POWERS = Array.from({ length: 53 }, (_, n) => 2 ** n);
const EDGES = [0, 63, 64, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, ...POWERS.flatMap((p) => [p - 1, p, p + 1])];

describe('LEB128', () => {
  // DWARF 4, §7.6, figures 22 and 23, and the examples that go with the WebAssembly specification.
  it.each([
    [0, [0x00]], [2, [0x02]], [127, [0x7f]], [128, [0x80, 0x01]], [129, [0x81, 0x01]], [130, [0x82, 0x01]], [12857, [0xb9, 0x64]],
    [624485, [0xe5, 0x8e, 0x26]], [2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('writes %i unsigned as known', (value, bytes) => expect(unsignedLeb(value)).toEqual(bytes));

  it.each([
    [0, [0x00]], [2, [0x02]], [-2, [0x7e]], [63, [0x3f]], [64, [0xc0, 0x00]], [-64, [0x40]], [-65, [0xbf, 0x7f]], [127, [0xff, 0x00]],
    [-127, [0x81, 0x7f]], [128, [0x80, 0x01]], [-128, [0x80, 0x7f]], [129, [0x81, 0x01]], [-129, [0xff, 0x7e]],
    [-123456, [0xc0, 0xbb, 0x78]], [-(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x78]], [-1, [0x7f]],
  ])('writes %i signed as known', (value, bytes) => expect(signedLeb(value)).toEqual(bytes));

  it('goes back and forth at the edges, in as few bytes as there can be', () => {
    for (const value of EDGES.filter((edge) => edge <= Number.MAX_SAFE_INTEGER)) {
      checkLeb(value, false);
      checkLeb(value, true);
      if (value !== 0) checkLeb(-value, true);
    }
  });

  const seed = freshSeed();
  it(`goes back and forth with random numbers of every size (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let n = 0; n < 4000; n++) {
      const value = Math.floor(random.unit() * 2 ** random.integer(1, 53));
      checkLeb(value, false);
      checkLeb(value, true);
      if (value !== 0) checkLeb(-value, true);
    }
  });
});

describe('the parts of a module', () => {
  it.each([
    [0, [0, 0, 0, 0]], [-0, [0, 0, 0, 0x80]], [1, [0, 0, 0x80, 0x3f]], [-2, [0, 0, 0, 0xc0]], [Infinity, [0, 0, 0x80, 0x7f]],
    [-Infinity, [0, 0, 0x80, 0xff]], [NaN, [0, 0, 0xc0, 0x7f]], [2 ** -149, [1, 0, 0, 0]], [0.1, [0xcd, 0xcc, 0xcc, 0x3d]],
  ])('float32 %d is its four IEEE 754 bytes, lowest first', (value, bytes) => expect(float32Bytes(value)).toEqual(bytes));

  it('a name is its length and its characters', () => {
    expect(nameBytes('env')).toEqual([3, 0x65, 0x6e, 0x76]);
    expect(nameBytes('')).toEqual([0]);
    expect(nameBytes('x'.repeat(200)).slice(0, 3)).toEqual([0xc8, 0x01, 0x78]);
  });

  it('a vector is its number of items, not of bytes', () => {
    expect(vectorBytes([])).toEqual([0]);
    expect(vectorBytes([[1, 2], [], [3]])).toEqual([3, 1, 2, 3]);
    const many = vectorBytes(Array.from({ length: 300 }, () => [7]));
    expect(many.slice(0, 3)).toEqual([0xac, 0x02, 7]);
    expect(many.length).toBe(302);
  });

  it('a section is its id, its length in bytes and its content', () => {
    expect(sectionBytes(10, [])).toEqual([10, 0]);
    expect(sectionBytes(3, [9, 8])).toEqual([3, 2, 9, 8]);
    const long = sectionBytes(1, new Array<number>(128).fill(5));
    expect(long.slice(0, 4)).toEqual([1, 0x80, 0x01, 5]);
    expect(long.length).toBe(131);
  });

  it('value types have the codes of the specification', () => {
    expect(TYPE_CODES).toEqual({ i32: 0x7f, i64: 0x7e, f32: 0x7d, v128: 0x7b });
  });
});
