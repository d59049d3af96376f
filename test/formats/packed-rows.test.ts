import { describe, expect, it } from 'vitest';
import { readSafetensorsHeader, sourceFromContent } from 'matmulfree';
import { packedRows, packRow, unpackRow } from '../../src/formats/packed-rows.js';
import { writeSafetensors } from '../../src/formats/safetensors-writer.js';
import { freshSeed, randomFrom } from '../support/random.js';

function unpack(bytes: Uint8Array, rows: number, columns: number): number[][] {
  return Array.from({ length: rows }, (_, row) => {
    const trits = new Int8Array(columns);
    expect(unpackRow(bytes, row, rows, columns, trits)).toBe(true);
    return [...trits];
  });
}

describe('packed rows', () => {
  it('are those of the example that transformers documents unpack_weights with', () => {
    const bytes = Uint8Array.of(0b10100001, 0b00011000, 0b10010000, 0b00001010);
    const expected = [[0, -1], [-1, 1], [-1, 1], [-1, 1], [1, 0], [0, -1], [1, -1], [1, -1]];
    expect(unpack(bytes, 8, 2)).toEqual(expected);
    const packed = new Uint8Array(4);
    expected.forEach((row, n) => packRow(Int8Array.from(row), n, 8, 2, packed));
    expect(packed).toEqual(bytes);
  });

  const seed = freshSeed();
  it(`of any height come back (seed ${seed})`, () => {
    const random = randomFrom(seed);
    for (let rows = 1; rows <= 13; rows++) {
      const columns = random.integer(1, 9);
      const weight = Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.integer(-1, 1)));
      const bytes = new Uint8Array(packedRows(rows) * columns);
      weight.forEach((row, n) => packRow(Int8Array.from(row), n, rows, columns, bytes));
      expect(unpack(bytes, rows, columns)).toEqual(weight);
      expect(packedRows(rows) * 4 - rows).toBeLessThan(4);
    }
  });

  it('a code of 3 is told', () => {
    const trits = new Int8Array(2);
    expect([0, 1, 2, 3].map((row) => unpackRow(Uint8Array.of(0, 0b00110000), row, 4, 2, trits))).toEqual([true, true, false, true]);
  });
});

describe('writing safetensors', () => {
  it('keeps every tensor aligned, whatever their sizes', async () => {
    const sizes: [string, string, number][] = [['a', 'U8', 3], ['b', 'F32', 1], ['c', 'F16', 3], ['d', 'F64', 2], ['e', 'U8', 16], ['f', 'F32', 5], ['__proto__', 'BF16', 1]];
    const tensors = sizes.map(([name, type, count], n) => ({
      name, type, shape: [count], bytes: async () => new Uint8Array(count * ({ U8: 1, F16: 2, BF16: 2, F32: 4, F64: 8 })[type]!).fill(n + 1),
    }));
    const parts: Uint8Array[] = [];
    for await (const part of writeSafetensors(tensors, { format: 'pt' })) parts.push(part);
    const file = new Uint8Array(Buffer.concat(parts));
    const entries = await readSafetensorsHeader(sourceFromContent('w', file));
    expect(entries.size).toBe(7);
    for (const [n, [name, type, count]] of sizes.entries()) {
      const { dtype, shape, offset, byteLength } = entries.get(name)!;
      expect({ dtype, shape }).toEqual({ dtype: type, shape: [count] });
      expect(offset % (byteLength / count), name).toBe(0);
      expect(new Set(file.subarray(offset, offset + byteLength))).toEqual(new Set([n + 1]));
    }
  });

  it('refuses data of another length, and types that the format does not know', async () => {
    const write = async (type: string): Promise<void> => {
      for await (const _ of writeSafetensors([{ name: 't', type, shape: [2], bytes: async () => new Uint8Array(7) }], {})) void _;
    };
    await expect(write('F32')).rejects.toThrow('tensor "t" has 7 bytes, not 8');
    await expect(write('TQ1_0')).rejects.toThrow('"t" has the type TQ1_0');
  });
});
