import { describe, expect, it } from 'vitest';
import { MatMulFreeLM, type ModelSource } from 'matmulfree';
import { parameters } from '../../src/architectures/blueprint.js';
import { rowDecoder } from '../../src/formats/group-blocks.js';
import type { GroupBlockType } from '../../src/kernels/kernels.js';
import { FASTEST } from '../support/backends.js';
import { json } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { cpuMs } from '../support/cpu.js';
import { HAS_SHARED, SHARED_NOTE } from '../support/files.js';
import type { Format } from '../support/group-blocks.js';
import { openFiles } from '../support/open-gguf.js';
import { qwen35Folder, qwen35Gguf, randomQwen35, rotatedGolden, TINY_QWEN35, TINY_ROTATED, type Qwen35GgufOptions, type Rotation, type TinyQwen35 } from '../support/qwen35.js';
import { freshSeed } from '../support/random.js';
import type { TernaryModel } from '../support/ternary-models.js';

const seed = freshSeed();
const IDS = [1, 5, 3, 9, 2, 2, 7, 10, 4];

interface Ran {
  readonly logits: Float32Array;
  readonly fingerprint: string;
  readonly switches: readonly { readonly name: string; readonly value: string }[];
}

async function run(files: ModelSource): Promise<Ran> {
  const { backend } = FASTEST;
  const lm = await MatMulFreeLM.load(files, { backend, threads: 1 });
  const { fingerprint, switches } = lm.info();
  const ran = { logits: lm.forward(IDS, lm.createState(), { all: true }), fingerprint, switches };
  lm.dispose();
  return ran;
}

async function expectSame(files: ModelSource, expected: Ran): Promise<Ran> {
  const found = await run(files);
  expectSameBits(found.logits, expected.logits);
  expect(found.fingerprint).toBe(expected.fingerprint);
  return found;
}

/** Wide enough for blocks of 128; a value head is as wide as a group, so that heads may change places in the columns of ssm_out. */
const WIDE: TinyQwen35 = { ...TINY_QWEN35, hidden: 128, intermediate: 256, layers: 'LLA', headDim: 64, heads: 2, kvHeads: 1, keyHeads: 2, valueHeads: 6, keyDim: 16, valueDim: 128, group: 128 };
const prismOf = ({ config }: TernaryModel): Rotation => config['prism_hadamard'] as Rotation;
/** With other keys of its rotation. */
function changed(model: TernaryModel, change: (prism: Rotation) => Partial<Rotation>): TernaryModel {
  return { ...model, config: { ...model.config, prism_hadamard: { ...prismOf(model), ...change(prismOf(model)) } } };
}

const FORMATS = ['Q2_0', 'Q2_0 old', 'PQ2_0', 'PTQ1_0', 'F16'] as const satisfies readonly Format[];

describe(`a GGUF file is the model of the Hugging Face folder (seed ${seed})`, () => {
  it.each(FORMATS)('in %s, heads in tiled order', async (format) => {
    const model = randomQwen35(WIDE, seed);
    await expectSame(qwen35Gguf(model, { format }), await run(qwen35Folder(model)));
  });

  it.each(FORMATS)('in %s, rotated, the columns of ssm_out in grouped order', async (format) => {
    const model = randomQwen35({ ...WIDE, isTied: false, block: 128 }, seed);
    await expectSame(qwen35Gguf(model, { format }), await run(qwen35Folder(model)));
  });

  it.each(['Q2_0', 'PQ2_0', 'PTQ1_0'] as const)('in %s, kernels get heads in tiled order by the block, each where it belongs', async (format) => {
    const checkpoint = await openFiles(qwen35Gguf(randomQwen35(WIDE, seed), { format }));
    const tiled = parameters(checkpoint.blueprint).filter(({ tensor }) => tensor.isGrouped && tensor.ggufTiles);
    expect(tiled.length).toBeGreaterThan(1);
    for (const { tensor } of tiled) {
      const [rows = 0, columns = 0] = tensor.shape;
      const group = await checkpoint.groupOf!(tensor);
      const scales = new Float32Array(rows * (columns / group));
      const expected: number[][] = [];
      await checkpoint.readGrouped!(tensor, group, scales, (row, trits) => { expected[row] = [...trits.subarray(0, columns)]; });
      const found: number[][] = [];
      const onGroups = (first: number, count: number, type: GroupBlockType, bytes: Uint8Array): boolean => {
        if (count % 32 !== 0) return false;
        const { rowBytes, step, decode } = rowDecoder(type, columns);
        for (let n = 0; n < count; n++) {
          const [trits, own] = [new Int8Array(columns), new Float32Array(columns / step)];
          expect(decode(bytes, n * rowBytes, trits, own)).toBe(-1);
          found[first + n] = [...trits];
        }
        return true;
      };
      const rest: number[] = [];
      await checkpoint.readGrouped!(tensor, group, scales, (row, trits) => {
        rest.push(row);
        found[row] = [...trits.subarray(0, columns)];
      }, { onGroups });
      expect(found).toEqual(expected);
      expect(rest.length, tensor.gguf).toBeLessThan(rows / 2);
    }
  });

  it('rotated, with a head that is the table of the embeddings (version 2)', async () => {
    const tied = randomQwen35({ ...WIDE, block: 64 }, seed);
    await expectSame(qwen35Gguf(tied, { format: 'PQ2_0' }), await run(qwen35Folder(tied)));
  });

  it('rotated, but for one ssm_out, whose columns are tiled as in every file (PrismML groups those that it rotates, and no others)', async () => {
    const model = changed(randomQwen35({ ...WIDE, block: 64 }, seed), ({ weight_names: names }) => ({ weight_names: names.filter((name) => name !== 'blk.0.ssm_out.weight') }));
    await expectSame(qwen35Gguf(model, { format: 'PQ2_0' }), await run(qwen35Folder(model)));
  });

  it('rotated without ssm_out, with tiled columns: gdn_v_grouped is for nothing', async () => {
    for (const grouped of [true, false]) {
      const model = changed(randomQwen35({ ...WIDE, heads: 12, block: 64 }, seed), ({ weight_names: names }) => ({ weight_names: names.filter((name) => !name.includes('ssm_out')), gdn_v_grouped: grouped }));
      await expectSame(qwen35Gguf(model, { format: 'PQ2_0' }), await run(qwen35Folder(model)));
    }
  });

  it('a folder has no other order: without gdn_v_grouped it is the same', async () => {
    const model = randomQwen35({ ...WIDE, block: 64 }, seed);
    await expectSame(qwen35Folder(changed(model, () => ({ gdn_v_grouped: false }))), await run(qwen35Folder(model)));
  });

  it('rotated in part: signs for the width of the embeddings alone', async () => {
    const model = randomQwen35({ ...WIDE, isTied: false, block: 64 }, seed);
    const all = prismOf(model);
    const part = changed(model, () => ({
      weight_names: all.weight_names.filter((name) => name.includes('ffn_down')), sign_widths: all.sign_widths.slice(0, 2), sign_values: all.sign_values.slice(0, WIDE.hidden + WIDE.intermediate),
    }));
    await expectSame(qwen35Gguf(part, { format: 'PQ2_0' }), await run(qwen35Folder(part)));
  });

  it('rotated, layers that are left out too', async () => {
    const model = randomQwen35({ ...WIDE, isTied: false, block: 128 }, seed);
    const metadata: Qwen35GgufOptions['metadata'] = {
      'qwen35.block_count': ['u32', 5], 'qwen35.nextn_predict_layers': ['u32', 2],
      'prism.hadamard.weight_names': [['string'], [...prismOf(model).weight_names, 'blk.3.attn_q.weight', 'blk.4.ffn_down.weight']],
    };
    await expectSame(qwen35Gguf(model, { format: 'PQ2_0', metadata, edit: (tensors) => { tensors['blk.4.ffn_down.weight'] = tensors['blk.2.ffn_down.weight']!; } }), await run(qwen35Folder(model)));
  });

  it('with groups that are narrower than a head, and wider', async () => {
    for (const [valueDim, group] of [[128, 32], [32, 64], [8, 128]] as const) {
      const model = randomQwen35({ ...WIDE, valueDim, valueHeads: valueDim === 128 ? 2 : 512 / valueDim / 2, hidden: 128, group }, seed);
      const files = qwen35Gguf(model, { format: 'F16' });
      const expected = await run(qwen35Folder(model));
      // A group in the columns of ssm_out that has heads with several scales is none.
      if (valueDim % 32 === 0) await expectSame(files, expected);
    }
  });

  it('with the layers of a head that guesses several tokens, which are left out by name', async () => {
    const model = randomQwen35(WIDE, seed);
    const files = qwen35Gguf(model, {
      format: 'Q2_0', metadata: { 'qwen35.block_count': ['u32', 4], 'qwen35.nextn_predict_layers': ['u32', 1] },
      edit: (tensors) => { tensors['blk.3.nextn.eh_proj.weight'] = tensors['blk.2.ffn_norm.weight'] ?? tensors['output_norm.weight']!; },
    });
    const { switches } = await expectSame(files, await run(qwen35Folder(model)));
    expect(switches).toContainEqual(expect.objectContaining({ name: 'left out', value: expect.stringContaining('MTP') as string }));
  });
});

describe('Qwen3_5ForConditionalGeneration', () => {
  it('is its text; tensors of vision are left out by name, others are refused', async () => {
    const inside = randomQwen35({ ...TINY_QWEN35, isInside: true }, seed);
    const vision = { 'model.visual.patch_embed.proj.weight': { shape: [4, 4], values: new Float32Array(16) }, 'mtp.norm.weight': { shape: [4], values: new Float32Array(4) } };
    const { switches } = await expectSame(qwen35Folder({ ...inside, tensors: { ...inside.tensors, ...vision } }), await run(qwen35Folder(randomQwen35(TINY_QWEN35, seed))));
    expect(switches.filter(({ name }) => name === 'left out').map(({ value }) => value)).toEqual([expect.stringContaining('model.visual.*'), expect.stringContaining('MTP')]);
    const stray = { ...inside, tensors: { ...inside.tensors, 'model.audio.proj.weight': vision['mtp.norm.weight'] } };
    await expect(MatMulFreeLM.load(qwen35Folder(stray))).rejects.toThrow(/"model\.audio\.proj\.weight" does not belong/);
  });
});

describe('what cannot be run right is refused by name', () => {
  const rotated = randomQwen35({ ...WIDE, isTied: false, block: 128 });
  const tied = randomQwen35({ ...WIDE, block: 128 });
  const prism = prismOf(rotated);
  const signs = (change: (values: number[]) => number[]): Qwen35GgufOptions['metadata'] => ({
    'prism.hadamard.sign_values': [['i32'], change(Array.from(prism.sign_values, (sign) => (sign === '-' ? -1 : 1)))],
  });
  const file = (metadata: Qwen35GgufOptions['metadata'] = {}, model = rotated): Promise<MatMulFreeLM> => MatMulFreeLM.load(qwen35Gguf(model, { format: 'PQ2_0', metadata }), { backend: 'scalar' });

  it('but these files are right', async () => {
    (await file()).dispose();
    (await file({}, tied)).dispose();
  });

  it.each<[string, Qwen35GgufOptions['metadata'], RegExp]>([
    ['version 2', { 'prism.hadamard.version': ['u32', 2] }, /prism\.hadamard\.version is 2/],
    ['version 3', { 'prism.hadamard.version': ['u32', 3] }, /prism\.hadamard\.version is 3; only 1 and 2/],
    ['no version', { 'prism.hadamard.version': undefined }, /prism\.hadamard\.version is missing/],
    ['a shared head beside one of its own', { 'prism.hadamard.version': ['u32', 2], 'prism.hadamard.tied_output': ['bool', true] }, /version is 2, which is for a head that is the table/],
    ['tied_output with version 1', { 'prism.hadamard.tied_output': ['bool', true] }, /prism\.hadamard\.tied_output is true/],
    ['a block that does not divide', { 'prism.hadamard.block_size': ['u32', 256] }, /prism\.hadamard\.block_size is 256, which does not divide the 128 columns of "blk\.0\./],
    ['a block that is no power of two', { 'prism.hadamard.block_size': ['u32', 96] }, /prism\.hadamard\.block_size is 96, not a power of two/],
    ['no block', { 'prism.hadamard.block_size': undefined }, /prism\.hadamard\.block_size is missing/],
    ['no widths', { 'prism.hadamard.sign_widths': undefined }, /prism\.hadamard\.sign_widths is missing/],
    ['a width that is missing', { 'prism.hadamard.sign_widths': [['i32'], [128, 256]] }, /prism\.hadamard\.sign_values has \d+ signs; sign_widths \(128, 256\) ask for 384/],
    ['a width that is missing, with its signs', { 'prism.hadamard.sign_widths': [['i32'], [128, 256]], ...signs((values) => values.slice(0, 384)) }, /prism\.hadamard\.sign_widths has no 768, the columns of "blk\.0\.ssm_out\.weight"/],
    ['a sign that is none', signs((values) => values.map((sign, n) => (n === 5 ? 0 : sign))), /prism\.hadamard\.sign_values has 0 at 5; a sign is 1 or -1/],
    ['a sign too few', signs((values) => values.slice(1)), /prism\.hadamard\.sign_values has \d+ signs/],
    ['no signs', { 'prism.hadamard.sign_values': undefined }, /prism\.hadamard\.sign_values is missing/],
    ['signs that are not asked for', { 'prism.hadamard.sign_mode': ['string', 'identity'] }, /prism\.hadamard\.sign_widths is there, but sign_mode is "identity"/],
    ['another transform', { 'prism.hadamard.transform': ['string', 'haar'] }, /prism\.hadamard\.transform is "haar"; only "normalized-sylvester-walsh-hadamard"/],
    ['another axis', { 'prism.hadamard.axis': ['string', 'rows'] }, /prism\.hadamard\.axis is "rows"/],
    ['another sign mode', { 'prism.hadamard.sign_mode': ['string', 'seed'] }, /prism\.hadamard\.sign_mode is "seed"; only "explicit" and "identity"/],
    ['a key that nobody knows', { 'prism.hadamard.sign_seed': ['u32', 7] }, /prism\.hadamard\.sign_seed is 7, a key that is not understood/],
    ['a name that is no weight', { 'prism.hadamard.weight_names': [['string'], [...prism.weight_names, 'blk.0.ssm_alpha.weight']] }, /prism\.hadamard\.weight_names has "blk\.0\.ssm_alpha\.weight", which is no ternary weight/],
    ['no names', { 'prism.hadamard.weight_names': undefined }, /prism\.hadamard\.weight_names is missing/],
    ['another table that is brought back', { 'prism.hadamard.inverse_weight_names': [['string'], ['output.weight']] }, /prism\.hadamard\.inverse_weight_names has "output\.weight"/],
    ['heads in another order before they were rotated', { 'prism.hadamard.gdn_v_grouped': ['bool', false] }, /prism\.hadamard\.gdn_v_grouped is false, but "blk\.0\.ssm_out\.weight" is rotated; only true/],
    ['no word of the order of heads', { 'prism.hadamard.gdn_v_grouped': undefined }, /prism\.hadamard\.gdn_v_grouped is false, but "blk\.0\.ssm_out\.weight" is rotated; only true/],
    ['an order of heads that is no flag', { 'prism.hadamard.gdn_v_grouped': ['u32', 1] }, /prism\.hadamard\.gdn_v_grouped is 1; only true and false/],
    ['a convolution of other length', { 'qwen35.ssm.conv_kernel': ['u32', 3] }, /linear_conv_kernel_dim is 3; only a convolution of 4/],
    ['value heads that key heads do not divide', { 'qwen35.ssm.group_count': ['u32', 4] }, /linear_num_value_heads is 6, not a multiple of linear_num_key_heads, 4/],
  ])('%s', async (_what, metadata, message) => {
    await expect(file(metadata)).rejects.toThrow(message);
    const error = await file(metadata).catch((thrown: unknown) => thrown) as Error;
    expect(error.message).toMatch(/^model\.gguf/);
    expect(error.message).not.toContain('\n');
  });

  it('signs as tensors, without the keys that say what they are for', async () => {
    const model = randomQwen35(TINY_ROTATED);
    const { prism_hadamard: _, ...config } = model.config;
    const stray = { config, tensors: { ...model.tensors, 'prism.signs.64': { shape: [64], values: new Float32Array(64).fill(1) } } };
    await expect(MatMulFreeLM.load(qwen35Folder(stray))).rejects.toThrow(/"prism\.signs\.64" does not belong/);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no gate', { attn_output_gate: false }, /attn_output_gate is false/],
    ['layers of a third kind', { layer_types: ['linear_attention', 'sliding_attention', 'linear_attention'] }, /layer_types is .*"linear_attention" or "full_attention" for each of 3 layers/],
    ...[true, 5, 'identity', []].map((value): [string, Record<string, unknown>, RegExp] => [`a rotation that is ${JSON.stringify(value)}`, { prism_hadamard: value }, /prism_hadamard is .*, not an object/]),
    ['a rotation of which nothing is told', { prism_hadamard: {} }, /prism_hadamard\.version is missing/],
    ['MLX', { quantization: { bits: 2 } }, /quantization is .*MLX/],
    ['a head of an odd width', { linear_key_head_dim: 6 }, /linear_key_head_dim is 6, not a multiple of 4/],
  ])('%s', async (_what, extra, message) => {
    await expect(MatMulFreeLM.load(qwen35Folder(randomQwen35(TINY_QWEN35, 1, extra)))).rejects.toThrow(message);
  });

  it('objects that say they are long, in place of lists', async () => {
    const model = randomQwen35(TINY_ROTATED);
    const rotation = model.config['prism_hadamard'] as Record<string, unknown>;
    for (const [key, message] of [['sign_widths', /sign_widths is missing/], ['sign_values', /sign_values is missing/], ['weight_names', /weight_names is not a list of names/]] as const) {
      const config = json({ ...model.config, prism_hadamard: { ...rotation, [key]: { length: 3e8 } } });
      const began = cpuMs();
      await expect(MatMulFreeLM.load({ ...qwen35Folder(model), 'config.json': config }), key).rejects.toThrow(message);
      expect(cpuMs() - began, key).toBeLessThan(1000); // an array of so many takes several seconds, and gigabytes
    }
  });
});

it('what is computed otherwise has another fingerprint: states of one are not for the other', async () => {
  const model = randomQwen35(TINY_ROTATED);
  const rope = { rope_theta: 10_000, rope_type: 'default', partial_rotary_factor: 0.5 };
  const others = [model, { ...model, config: { ...model.config, rope_parameters: rope } }, changed(model, ({ weight_names: names }) => ({ weight_names: names.slice(1) })), changed(model, () => ({ inverse_weight_names: [] }))];
  const prints = await Promise.all(others.map(async (other) => (await run(qwen35Folder(other))).fingerprint));
  expect(new Set(prints).size).toBe(others.length);
});

it('a model without attention has texts of any length', async () => {
  await run(qwen35Folder(randomQwen35({ ...TINY_QWEN35, layers: 'LL', positions: 4 })));
  await expect(run(qwen35Folder(randomQwen35({ ...TINY_QWEN35, positions: 4 })))).rejects.toThrow(/4/);
});

describe.skipIf(!HAS_SHARED)(`the rotated golden model${SHARED_NOTE}`, () => {
  it.each(FORMATS.filter((format) => format !== 'Q2_0 old'))('is the same in %s', async (format) => {
    const model = rotatedGolden();
    const small = IDS.map((id) => id + 20);
    const of = async (files: ModelSource): Promise<Float32Array> => {
      const lm = await MatMulFreeLM.load(files, { backend: FASTEST.backend, threads: 1 });
      const logits = lm.forward(small, lm.createState(), { all: true });
      lm.dispose();
      return logits;
    };
    expectSameBits(await of(qwen35Gguf(model, { format })), await of(qwen35Folder(model)));
  });
});
