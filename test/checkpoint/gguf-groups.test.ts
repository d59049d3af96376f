import { describe, expect, it } from 'vitest';
import { checkConversion, convert, convertToSafetensors, countWeights, FormatError, prune, type WeightCounts } from 'matmulfree';
import { parameters } from '../../src/architectures/blueprint.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { BLOCK_WEIGHTS, decodeTernaryRow, type TernaryBlockType } from '../../src/formats/ternary-blocks.js';
import { SOME_BACKENDS as BACKENDS } from '../support/backends.js';
import type { Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { decoderTensors, TINY_BITNET, TINY_LLAMA } from '../support/families.js';
import { encodeWeight, type Format } from '../support/group-blocks.js';
import { floatFolder, ggufFiles, ggufTensorName, packedFolder, type GgufOptions } from '../support/group-files.js';
import { gguf, type Entry } from '../support/gguf-files.js';
import { logitsOf, openFiles } from '../support/open-gguf.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { randomDecoder, randomQwen3, randomTriLm, SMALL_QWEN3, type TernaryModel } from '../support/ternary-models.js';

/* Ternary weights in GGUF files of others: a scale for each group of columns, or for a matrix, in types that our files do not have. */

const seed = freshSeed();

/** Every ternary weight of a checkpoint as floats, by its name in GGUF. */
async function weightsOf(checkpoint: Checkpoint): Promise<Record<string, Float32Array>> {
  const read: Record<string, Float32Array> = {};
  for (const { tensor, held } of parameters(checkpoint.blueprint)) {
    if (held !== 'ternary') continue;
    const [rows = 0, columns = 0] = tensor.shape;
    const values = new Float32Array(rows * columns);
    const group = tensor.isGrouped ? await checkpoint.groupOf!(tensor) : columns;
    const scales = new Float32Array(Math.ceil(columns / group) * rows);
    const trits = new Int8Array(rows * columns);
    const onRow = (row: number, own: Int8Array): void => trits.set(own.subarray(0, columns), row * columns);
    if (tensor.isGrouped) await checkpoint.readGrouped!(tensor, group, scales, onRow);
    else await checkpoint.readTernary(tensor, scales, onRow);
    for (let row = 0; row < rows; row++) {
      for (let j = 0; j < columns; j++) values[row * columns + j] = trits[row * columns + j]! * scales[Math.floor(j / group) * rows + row]!;
    }
    read[tensor.gguf] = values;
  }
  return read;
}

async function all<T>(each: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of each) list.push(one);
  return list;
}

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await all(pieces)));
}

function expectWeights(read: Record<string, Float32Array>, { tensors }: TernaryModel): void {
  const expected = new Map(Object.entries(tensors).map(([name, tensor]) => [ggufTensorName(name), tensor.values]));
  expect(Object.keys(read).length).toBeGreaterThan(6);
  for (const [name, values] of Object.entries(read)) {
    const differs = values.findIndex((value, i) => value !== expected.get(name)![i]);
    expect(differs, `${name}, element ${differs}: ${values[differs]} for ${expected.get(name)![differs]}`).toBe(-1);
  }
}

describe('qwen3, a scale for each row and group', () => {
  const cases: readonly { group: number; isBinary?: boolean; zeroGroups?: number; formats: readonly Format[] }[] = [
    { group: 32, formats: ['F16'] },
    { group: 64, zeroGroups: 20, formats: ['F16', 'Q2_0'] },
    { group: 128, formats: ['F32', 'Q2_0', 'Q2_0 old'] },
    { group: 128, isBinary: true, formats: ['Q1_0', 'PQ2_0'] },
    { group: 256, zeroGroups: 20, formats: ['TQ1_0', 'TQ2_0', 'PQ2_0'] },
  ];
  it.each(cases)(`in groups of $group: the same from $formats (seed ${seed})`, async ({ formats, ...shape }) => {
    const model = randomQwen3({ ...SMALL_QWEN3, hidden: 256, intermediate: 256, heads: 1, headDim: shape.group === 256 ? 256 : 128, ...shape }, seed);
    const expected = await logitsOf(floatFolder(model));
    for (const format of formats) {
      const files = ggufFiles(model, { format });
      expectWeights(await weightsOf(await openFiles(files)), model);
      expectSameBits(await logitsOf(files), expected);
    }
  });

  it('zeros may have any scale, negative ones turn the signs round', async () => {
    const model = randomQwen3({ ...SMALL_QWEN3, zeroGroups: 50 }, seed);
    for (const zeroScale of [1, -1]) expectSameBits(await logitsOf(ggufFiles(model, { format: 'Q2_0', zeroScale })), await logitsOf(floatFolder(model)));
    const name = 'blk.0.ffn_up.weight';
    const turned = ggufFiles(model, { format: 'PQ2_0', spoil: { tensor: name, d: -3 } });
    const read = (await weightsOf(await openFiles(turned)))[name]!;
    const { values } = model.tensors['model.layers.0.mlp.up_proj.weight']!;
    expect([...read.subarray(0, 128)]).toEqual([...values.subarray(0, 128)].map((value) => -3 * Math.sign(value) + 0));
  });

  it('a scale tensor is a factor of all groups', async () => {
    const model = randomQwen3(SMALL_QWEN3, seed);
    const edit: NonNullable<GgufOptions['edit']> = (file) => ({
      ...file, tensors: { ...file.tensors, 'blk.0.ffn_up.scale': { type: 'F32', shape: [1], bytes: new Uint8Array(Float32Array.of(0.25).buffer) } },
    });
    const name = 'blk.0.ffn_up.weight';
    for (const format of ['PQ2_0', 'F16'] as const) {
      const plain = (await weightsOf(await openFiles(ggufFiles(model, { format }))))[name]!;
      expect((await weightsOf(await openFiles(ggufFiles(model, { format, edit }))))[name]).toEqual(plain.map((value) => value / 4));
    }
  });

  it('rows may be padded with zeros, and with nothing else', async () => {
    const model = randomQwen3(SMALL_QWEN3, seed);
    const file = (format: 'TQ1_0' | 'TQ2_0', padding: number): Files => ggufFiles(model, {
      format: 'F16', metadata: { 'qwen3.ternary_row_alignment': ['u32', 256] },
      edit: (plan) => ({ ...plan, tensors: Object.fromEntries(Object.entries(plan.tensors!).map(([name, tensor]) => {
        const [rows = 0, columns] = tensor.shape;
        if (columns === undefined) return [name, tensor];
        const { values } = Object.entries(model.tensors).find(([hf]) => ggufTensorName(hf) === name)![1];
        const padded = Float32Array.from({ length: rows * 256 }, (_, i) => (i % 256 < 128 ? values[(i >> 8) * 128 + (i % 256)]! : 0));
        if (name === 'blk.0.ffn_up.weight') padded[5 * 256 + 200] = padding * Math.max(...padded.subarray(5 * 256, 6 * 256));
        return [name, encodeWeight(format, { shape: [rows, 256], values: padded })];
      })) }),
    });
    for (const format of ['TQ1_0', 'TQ2_0'] as const) {
      expectWeights(await weightsOf(await openFiles(file(format, 0))), model);
      await expect(logitsOf(file(format, 1))).rejects.toThrow(/"blk\.0\.ffn_up\.weight", row 5: the padding after column 128 is not zero/);
    }
  });

  it('floats that are not ternary in 32 columns are refused, by row and columns', async () => {
    const model = randomQwen3({ ...SMALL_QWEN3, group: 32 }, seed);
    const { shape, values } = model.tensors['model.layers.0.mlp.up_proj.weight']!;
    const other = values.slice();
    other[128 * 3 + 64] = 100;
    other[128 * 3 + 65] = 50;
    const files = ggufFiles({ ...model, tensors: { ...model.tensors, 'model.layers.0.mlp.up_proj.weight': { shape, values: other } } }, { format: 'F16' });
    await expect(logitsOf(files)).rejects.toThrow(/model\.gguf: tensor "blk\.0\.ffn_up\.weight" is not ternary: row 3, columns 64 to 95 hold 100 and 50/);
  });
});

describe('one scale a matrix', () => {
  const WIDE = { hidden: 128, intermediate: 128, layers: 1, heads: 4, kvHeads: 2, headDim: 32 };
  const models = [TINY_BITNET, TINY_LLAMA].map((shape) => randomDecoder({ ...shape, ...WIDE }, seed));
  const FORMATS = ['F16', 'I2_S', 'Q2_0', 'PQ2_0'] as const;

  it.each(FORMATS)('bitnet and llama, whose rows of queries and keys are in pairs, in %s: as packed safetensors', async (format) => {
    for (const model of models) {
      const files = ggufFiles(model, { format });
      expectWeights(await weightsOf(await openFiles(files)), model);
      expectSameBits(await logitsOf(files), await logitsOf(packedFolder(model)));
    }
  });

  const shards = randomTriLm({ ...TINY_LLAMA, layers: 1, hidden: 256, intermediate: 512, heads: 1, kvHeads: 1, headDim: 512 }, 2, seed);
  it.each(['TQ1_0', 'TQ2_0', 'Q2_0'] as const)('a llama whose groups have scales of their own is refused, in %s', async (format) => {
    await expect(logitsOf(ggufFiles(shards, { format }))).rejects.toThrow(/model\.gguf: tensor "blk\.0\.\w+\.weight", row 0: its blocks have different scales.*"qwen3".*TriLM/);
  });

  it('I2_S in layout B on request only, and neither is the other', async () => {
    const model = models[1]!;
    const files = ggufFiles(model, { format: 'I2_S ARM' });
    expectWeights(await weightsOf(await openFiles(files, 'B')), model);
    await expect(weightsOf(await openFiles(files)).then((read) => expectWeights(read, model))).rejects.toThrow();
    expectSameBits(await logitsOf(files, { i2sLayout: 'B' }), await logitsOf(packedFolder(model)));
    await expect(logitsOf(files, { i2sLayout: 'C' as 'B' })).rejects.toThrow('load: option i2sLayout is "C", not "A" or "B"');
  });

  it('… for all that reads files: they are converted, compared, counted and pruned as those in layout A are', async () => {
    const [a, b] = (['I2_S', 'I2_S ARM'] as const).map((format) => ggufFiles(models[1]!, { format })) as [Files, Files];
    const i2sLayout = 'B';
    expect(await bytesOf(convert(b, { i2sLayout }))).toEqual(await bytesOf(convert(a)));
    expect(await bytesOf(prune(b, { channelMixers: [0] }, { i2sLayout }))).toEqual(await bytesOf(prune(a, { channelMixers: [0] })));
    expect(await all(convertToSafetensors(b, { i2sLayout }))).toEqual(await all(convertToSafetensors(a)));
    const counts = await all<WeightCounts>(countWeights(b, { i2sLayout }));
    expect(counts).toEqual(await all(countWeights(a)));
    expect((await checkConversion(b, a, { i2sLayout }).catch((error: unknown) => error))).toBeInstanceOf(FormatError); // it is for both
    expect((await checkConversion(b, { 'model.gguf': await bytesOf(convert(a)) }, { i2sLayout })).tokens).toBeGreaterThan(0);
    for (const call of [convert, convertToSafetensors, countWeights]) {
      await expect(all<unknown>(call(b, { i2sLayout: 'C' as 'B' }))).rejects.toThrow(/^\w+: option i2sLayout is "C", not "A" or "B"/);
    }
  });

  it('a llama of floats is refused: it is no ternary model', async () => {
    const floats = decoderTensors({ ...TINY_LLAMA, ...WIDE }, seed);
    const tensors = Object.fromEntries(Object.entries(floats).map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }]));
    await expect(logitsOf(ggufFiles({ ...models[1]!, tensors }, { format: 'F32', tables: 'F32' }))).rejects.toThrow(/model\.gguf: tensor "blk\.0\.attn_\w+\.weight" is not ternary: .*a model of floats/);
  });

  it('float tables may be in blocks of such types', async () => {
    const [, model] = models as [TernaryModel, TernaryModel];
    const random = randomFrom(seed);
    const values = Float32Array.from({ length: 11 * 128 }, () => random.integer(0, 1) - 0.5);
    const table = (format: Format): Promise<Float32Array> => logitsOf(ggufFiles(model, {
      format: 'I2_S', edit: (plan) => ({ ...plan, tensors: { ...plan.tensors, 'token_embd.weight': encodeWeight(format, { shape: [11, 128], values }) } }),
    }));
    const expected = await table('F32');
    for (const format of ['Q1_0', 'Q2_0', 'PQ2_0', 'Q2_0 old'] as const) expectSameBits(await table(format), expected);
  });

  it('a split file is as the whole', async () => {
    for (const format of ['Q2_0 old', 'I2_S'] as const) {
      const parts: Record<string, Uint8Array> = {};
      const whole = ggufFiles(models[1]!, { format, edit: (plan) => {
        const tensors = Object.entries(plan.tensors!);
        [tensors.slice(0, 5), tensors.slice(5)].forEach((own, n) => {
          const split: Record<string, Entry> = { 'split.no': ['u16', n], 'split.count': ['u16', 2], 'split.tensors.count': ['i32', tensors.length] };
          parts[`m-0000${n + 1}-of-00002.gguf`] = gguf({ metadata: n === 0 ? { ...plan.metadata, ...split } : split, tensors: Object.fromEntries(own) });
        });
        return plan;
      } });
      expectSameBits(await logitsOf(parts), await logitsOf(whole));
    }
  });

  it.each([128, 256, 384])(`kernels get I2_S as blocks, rows of %i columns too (seed ${seed})`, async (intermediate) => {
    const model = randomDecoder({ ...TINY_BITNET, ...WIDE, intermediate }, seed);
    const files = ggufFiles(model, { format: 'I2_S' });
    const checkpoint = await openFiles(files);
    const read: Record<string, Float32Array> = {};
    for (const { tensor, held } of parameters(checkpoint.blueprint)) {
      if (held !== 'ternary' || tensor.ggufPairs !== undefined) continue;
      const [rows = 0, columns = 0] = tensor.shape;
      const scales = new Float32Array(rows);
      const trits = new Int8Array(Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
      const all = new Int8Array(rows * columns);
      let told = 0;
      const onBlocks = (first: number, count: number, type: TernaryBlockType, bytes: Uint8Array): boolean => {
        expect([type, first]).toEqual(['TQ2_0', told]);
        told += count;
        for (let row = 0; row < count; row++) {
          expect(decodeTernaryRow(type, bytes, (row * bytes.length) / count, trits)).toBe(1);
          expect(trits.subarray(columns).every((trit) => trit === 0)).toBe(true);
          all.set(trits.subarray(0, columns), (first + row) * columns);
        }
        return true;
      };
      await checkpoint.readTernary(tensor, scales, () => expect.unreachable(), { onBlocks });
      expect(told).toBe(rows);
      read[tensor.gguf] = Float32Array.from(all, (trit, i) => trit * scales[Math.floor(i / columns)]!);
    }
    expectWeights(read, model);
    // Packed folders as well.
    for (const each of [files, packedFolder(model)]) for (const { backend } of BACKENDS) expectSameBits(await logitsOf(each, { backend }), await logitsOf(packedFolder(model)));
  });

  it('convert makes files of ours of them', async () => {
    for (const model of models) {
      const parts: Uint8Array[] = [];
      for await (const part of convert(ggufFiles(model, { format: 'I2_S' }))) parts.push(part.slice());
      expectSameBits(await logitsOf({ 'ours.gguf': new Uint8Array(Buffer.concat(parts)) }), await logitsOf(packedFolder(model)));
    }
  });
});

describe('a code or scale that no weight has', () => {
  const qwen3 = randomQwen3(SMALL_QWEN3, 1);
  const wide = randomQwen3({ ...SMALL_QWEN3, hidden: 256, intermediate: 256, headDim: 128, group: 256 }, 1);
  const tensor = 'blk.0.attn_v.weight';
  it.each([['Q2_0', 2], ['PQ2_0', 1], ['Q2_0 old', 1], ['TQ2_0', 1]] as const)('in %s', async (format, rowBlocks) => {
    const model = format === 'TQ2_0' ? wide : qwen3;
    const file = (fault: object): Files => ggufFiles(model, { format, spoil: { tensor, block: 3 * rowBlocks, ...fault } });
    await expect(logitsOf(file({ code: 3 }))).rejects.toThrow(/^model\.gguf: tensor "blk\.0\.attn_v\.weight", row 3: column 0 holds the code 3/);
    for (const d of [NaN, Infinity]) await expect(logitsOf(file({ d }))).rejects.toThrow(/^model\.gguf: tensor "blk\.0\.attn_v\.weight", row 3: the scale of column 0 and on is (NaN|Infinity)/);
    await expect(logitsOf(file({ d: NaN }))).rejects.toBeInstanceOf(FormatError);
  });

  it('in packed folders', async () => {
    const model = randomDecoder({ ...TINY_BITNET, hidden: 128, intermediate: 128, heads: 4, headDim: 32 }, 1);
    const name = 'model.layers.0.self_attn.v_proj.weight';
    const files = packedFolder(model, ({ [name]: spoilt, ...others }) => ({ ...others, [name]: { ...spoilt!, values: Array.from(spoilt!.values, (byte, i) => (i === 3 * 128 + 5 ? byte | 0b1100 : byte)) } }));
    const row = model.tensors[name]!.shape[0]! / 4 + 3;
    for (const { backend } of BACKENDS) await expect(logitsOf(files, { backend })).rejects.toThrow(`v_proj.weight", row ${row}: holds a code that no weight has`);
  });

  it('in I2_S', async () => {
    const model = randomDecoder({ ...TINY_BITNET, hidden: 128, intermediate: 128, heads: 4, headDim: 32 }, 1);
    const file = (fault: object): Files => ggufFiles(model, { format: 'I2_S', spoil: { tensor, ...fault } });
    for (const { backend } of BACKENDS) await expect(logitsOf(file({ block: 2, code: 3 }), { backend })).rejects.toThrow(/"blk\.0\.attn_v\.weight", row 2: column 0 holds the code 3/);
    await expect(logitsOf(file({ d: NaN }))).rejects.toThrow(/"blk\.0\.attn_v\.weight", row 0: the scale .* is NaN/);
    await expect(logitsOf(ggufFiles(model, { format: 'I2_S', edit: ({ tensors, ...file }) => ({ ...file, tensors: { ...tensors, 'token_embd.weight': encodeWeight('I2_S', { shape: [11, 128], values: new Float32Array(11 * 128) }) } }) })))
      .rejects.toThrow(/"token_embd\.weight" is I2_S, a type for ternary weights/);
  });
});
