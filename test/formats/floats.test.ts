import { describe, expect, it } from 'vitest';
import { convertExactly, decodeFloats, exactFloat16, float16ToNumber, isPlainlyFinite, smallestExactType } from '../../src/formats/floats.js';
import { halfToNumber } from '../support/files.js';
import { expectSameBits } from '../support/compare.js';

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;
const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

describe('float16', () => {
  it('decodes every bit pattern, and finds it again', () => {
    const out = new Float32Array(65536);
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    decodeFloats('F16', bytesOf(all), 0, 65536, out);
    for (let bits = 0; bits < 65536; bits++) {
      const expected = halfToNumber(bits);
      expect(Object.is(out[bits], expected) && Object.is(float16ToNumber(bits), expected), `bits ${bits}`).toBe(true);
      expect(exactFloat16(bitsOf(expected)), `value ${expected}`).toBe(Number.isNaN(expected) ? -1 : bits);
    }
  });

  it('knows what it cannot hold', () => {
    for (const value of [1 / 3, 65505, 65520, 65536, 1e6, 3e38, 2 ** -25, 2 ** -100, 1e-45, 2 ** -14 + 2 ** -26, 2 ** -23 + 2 ** -25, 2049, -4097, NaN]) {
      expect(exactFloat16(bitsOf(value)), String(value)).toBe(-1);
    }
  });
});

describe('decodeFloats', () => {
  it('reads bfloat16 and float32 from any byte offset and element', () => {
    const values = Float32Array.of(1, -2.5, 0, 3.3895e38, 1e-40, -0);
    const file = new Uint8Array(1 + values.byteLength);
    file.set(bytesOf(values), 1);
    const out = new Float32Array(4);
    decodeFloats('F32', file.subarray(1), 2, 4, out);
    expectSameBits(out, values.slice(2));
    const upper = new Uint8Array(1 + 12);
    new Uint32Array(values.buffer).forEach((bits, i) => {
      upper[1 + 2 * i] = bits >>> 16;
      upper[2 + 2 * i] = bits >>> 24;
    });
    decodeFloats('BF16', upper.subarray(1), 1, 2, out);
    expect([out[0], out[1]]).toEqual([-2.5, 0]);
  });
});

describe('a quick look for what is not finite', () => {
  it.each(['F16', 'BF16'] as const)('tells every %s number, in either half of a word', (type) => {
    const value = new Float32Array(1);
    const wrong: number[] = [];
    for (let bits = 0; bits < 65536; bits++) {
      decodeFloats(type, bytesOf(Uint16Array.of(bits)), 0, 1, value);
      for (const halves of [[bits, 0], [0, bits], [bits, 0x8001], [0x7001, bits]]) {
        if (isPlainlyFinite(type, bytesOf(Uint16Array.of(0, 0, ...halves, 0, 0))) !== Number.isFinite(value[0])) wrong.push(bits);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('tells F32 numbers', () => {
    for (const value of [0, -0, 1, -3.4028234663852886e38, 3.4028234663852886e38, 1e-45, NaN, Infinity, -Infinity]) {
      expect(isPlainlyFinite('F32', bytesOf(Float32Array.of(1, value, -1))), String(value)).toBe(Number.isFinite(value));
    }
    expect(isPlainlyFinite('F32', bytesOf(Uint32Array.of(0xff800001)))).toBe(false);
    expect(isPlainlyFinite('F32', new Uint8Array(0))).toBe(true);
  });
});

describe('storing exactly', () => {
  const cases: [string, number[], 'F16' | 'BF16' | 'F32'][] = [
    ['small halves', [0.5, -3, 1024, 2 ** -24], 'F16'],
    ['wide range, few bits', [1e30, 2 ** -100, 1.5].map((v) => Math.fround(v)).map((v) => {
      const bits = new Uint32Array(Float32Array.of(v).buffer);
      bits[0]! &= 0xffff0000;
      return new Float32Array(bits.buffer)[0]!;
    }), 'BF16'],
    ['full precision', [1 / 3, 1e30], 'F32'],
  ];
  it.each(cases)('%s', (_name, numbers, type) => {
    const values = Float32Array.from({ length: 70000 }, (_, i) => numbers[i % numbers.length]!);
    expect(smallestExactType('F32', bytesOf(values))).toBe(type);
    const stored = convertExactly('F32', bytesOf(values), type);
    const back = new Float32Array(values.length);
    decodeFloats(type, stored, 0, values.length, back);
    expectSameBits(back, values);
  });
  it('goes from bfloat16 to float16 and float32 without loss', () => {
    const bf16 = Uint16Array.of(0x3f80, 0xbfc0, 0x0000, 0x4300);
    expect(smallestExactType('BF16', bytesOf(bf16))).toBe('F16');
    expect([...new Uint16Array(convertExactly('BF16', bytesOf(bf16), 'F16').buffer)].map(halfToNumber)).toEqual([1, -1.5, 0, 128]);
    expect([...new Float32Array(convertExactly('BF16', bytesOf(bf16), 'F32').buffer)]).toEqual([1, -1.5, 0, 128]);
  });
});
