import { describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { comparePosition, maxDifference } from '../support/compare.js';
import { TINY_BITNET, TINY_LLAMA } from '../support/families.js';
import { encodeWeight, fits, spoil, type Format } from '../support/group-blocks.js';
import { floatFolder, packedFolder, packedTensors, torchFolder } from '../support/group-files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { runDecoderReference } from '../support/reference-decoder.js';
import { randomDecoder, randomQwen3, SMALL_QWEN3 } from '../support/ternary-models.js';

/* The models and files that other tests are made of: against bytes written out by hand, and against what the library read before. */

const hex = (bytes: Uint8Array, from = 0, to = bytes.length): string => Buffer.from(bytes.subarray(from, to)).toString('hex');
/** -1, 0, +1, +1, then zeros, times 1.5, which is 3e00 in float16. */
const weight = (columns: number): { shape: number[]; values: Float32Array } => {
  const values = new Float32Array(columns);
  values.set([-1.5, 0, 1.5, 1.5]);
  return { shape: [1, columns], values };
};

describe('blocks of groups', () => {
  it('are the bytes of the formats, by hand', () => {
    // Codes 0, 1, 2, 2 in bits 0-1, 2-3, 4-5, 6-7: 0xa4; four zeros: 0x55.
    expect(hex(encodeWeight('Q2_0', weight(64)).bytes)).toBe(`003ea4${'55'.repeat(15)}`);
    for (const format of ['Q2_0 old', 'PQ2_0'] as const) expect(hex(encodeWeight(format, weight(128)).bytes)).toBe(`003ea4${'55'.repeat(31)}`);
    // Weights 32 apart share a byte: each of the first four has a trit in its lowest bits, and three zeros.
    expect(hex(encodeWeight('TQ2_0', weight(256)).bytes)).toBe(`54555656${'55'.repeat(60)}003e`);
    // The first weights of a block of 128 are in the top bits of its bytes.
    expect(hex(encodeWeight('I2_S', weight(128)).bytes, 0, 36)).toBe(`15559595${'55'.repeat(28)}0000c03f`);
    expect(hex(encodeWeight('I2_S ARM', weight(128)).bytes, 0, 36)).toBe(`15559595${'55'.repeat(28)}0000c03f`);
    const binary = { shape: [1, 128], values: Float32Array.from({ length: 128 }, (_, j) => ([0, 3, 9].includes(j) ? 1.5 : -1.5)) };
    expect(hex(encodeWeight('Q1_0', binary).bytes)).toBe(`003e0902${'00'.repeat(14)}`);
    // 243 numbers of five trits: all zeros are 11111 in base 3, 121, ceil(121·256/243) = 128; 01111 is 40 → 43, 21111 is 202 → 213.
    expect(hex(encodeWeight('PTQ1_0', weight(128)).bytes)).toBe(`2b80d5d5${'80'.repeat(20)}7f7f003e`);
  });

  it('the layouts of I2_S differ where blocks of 64 and of 128 do', () => {
    const values = new Float32Array(128);
    values[16] = 1.5;
    expect(hex(encodeWeight('I2_S', { shape: [1, 128], values }).bytes, 16, 17)).toBe('95');
    expect(hex(encodeWeight('I2_S ARM', { shape: [1, 128], values }).bytes, 0, 1)).toBe('65');
  });

  it('say no to what would be lost, and spoil what they are told to', () => {
    const two = weight(256);
    two.values[200] = 0.5;
    expect((['Q2_0', 'PQ2_0', 'TQ2_0', 'Q1_0', 'I2_S', 'F16', 'BF16'] as const).filter((format) => fits(format, two))).toEqual(['Q2_0', 'PQ2_0', 'F16', 'BF16']);
    expect(() => encodeWeight('TQ2_0', two)).toThrow(/weight 200/);
    expect(() => encodeWeight('Q1_0', weight(128))).toThrow(/zero/);
    expect(() => encodeWeight('BF16', { shape: [1], values: [1 + 2 ** -9] })).toThrow(/bfloat16/);
    expect(() => encodeWeight('Q2_0', { shape: [1, 64], values: new Float32Array(64).fill(0.1) })).toThrow(/float16/);
    expect(hex(encodeWeight('Q2_0', { shape: [1, 64], values: new Float32Array(64) }, { zeroScale: -2 }).bytes, 0, 3)).toBe('00c055');
    expect(hex(spoil(encodeWeight('Q2_0', weight(64)), 'Q2_0', { code: 3, d: NaN }).bytes, 0, 3)).toBe('007ea7');
    expect(hex(spoil(encodeWeight('TQ2_0', weight(256)), 'TQ2_0', { code: 3, d: Infinity }).bytes, 64)).toBe('007c');
  });

  const seed = freshSeed();
  it(`codes and scales of random groups are in the bytes (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const { tensors } = randomQwen3({ ...SMALL_QWEN3, group: 256, hidden: 256, isBinary: true }, seed);
    const tensor = tensors['model.layers.0.self_attn.q_proj.weight']!;
    for (const [format, group, bytes, code] of [
      ['Q1_0', 128, 18, (block, j) => ((block[2 + (j >> 3)]! >> (j % 8)) & 1) * 2 - 1],
      ['Q2_0', 64, 18, (block, j) => ((block[2 + (j >> 2)]! >> (2 * (j % 4))) & 3) - 1],
      ['PQ2_0', 128, 34, (block, j) => ((block[2 + (j >> 2)]! >> (2 * (j % 4))) & 3) - 1],
      ['TQ2_0', 256, 66, (block, j) => ((block[(j >> 7) * 32 + (j % 32)]! >> (2 * ((j % 128) >> 5))) & 3) - 1],
    ] as [Format, number, number, (block: Uint8Array, j: number) => number][]) {
      const encoded = encodeWeight(format, tensor).bytes;
      for (let trial = 0; trial < 200; trial++) {
        const i = random.integer(0, tensor.values.length - 1);
        const block = encoded.subarray(Math.floor(i / group) * bytes, (Math.floor(i / group) + 1) * bytes);
        expect(code(block, i % group)).toBe(Math.sign(tensor.values[i]!));
      }
    }
  });
});

describe('packed checkpoints of random models', () => {
  for (const [name, shape] of [['BitNet', TINY_BITNET], ['Llama', { ...TINY_LLAMA, isTied: false }]] as const) {
    it(`${name}: the library gives what the reference gives`, async () => {
      const model = randomDecoder(shape);
      const ids = [1, 5, 3, 7, 7, 2];
      const lm = await MatMulFreeLM.load(packedFolder(model), { kvType: 'f32' });
      const logits = lm.forward(ids, lm.createState(), { all: true });
      const expected = runDecoderReference(packedTensors(model), model.config, ids);
      expected.forEach((row, t) => expect(comparePosition(logits.subarray(t * row.length, (t + 1) * row.length), row).kl).toBeLessThan(1e-6));
    });
  }

  it('safetensors and PyTorch hold the same floats', () => {
    const model = randomQwen3(SMALL_QWEN3);
    const [folder, torch] = [floatFolder(model)['model.safetensors']!, torchFolder(model)['pytorch_model.bin']!];
    const last = model.tensors['model.norm.weight']!.values; // of a tied model
    expect(maxDifference(new Uint8Array(folder.slice(-2 * last.length)), new Uint8Array(Buffer.from(torch).subarray(Buffer.from(torch).indexOf(Buffer.from(folder.slice(-2 * last.length)))).subarray(0, 2 * last.length)))).toBe(0);
  });
});
