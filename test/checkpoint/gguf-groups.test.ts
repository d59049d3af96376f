import { describe, expect, it } from 'vitest';
import { ConfigError, convert, FormatError, inspect, MatMulFreeLM, readGguf, sourceFromContent } from 'matmulfree';
import { parameters } from '../../src/architectures/blueprint.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openGgufCheckpoint } from '../../src/checkpoint/gguf-checkpoint.js';
import { filesFromMemory } from '../../src/formats/bytes.js';
import { LATE_TYPES } from '../../src/formats/ggml-types.js';
import type { I2SLayout } from '../../src/formats/group-blocks.js';
import { openGguf } from '../../src/formats/open-gguf.js';
import { twoBitLayout } from '../../src/formats/two-bit-layout.js';
import type { Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { decoderTensors, TINY_BITNET, TINY_LLAMA } from '../support/families.js';
import { encodeWeight, type Format } from '../support/group-blocks.js';
import { ambiguousFiles, floatFolder, ggufFiles, ggufTensorName, packedFolder, type GgufOptions } from '../support/group-files.js';
import { gguf, type Entry, type TensorToWrite } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { randomDecoder, randomQwen3, randomTriLm, SMALL_QWEN3, type TernaryModel } from '../support/ternary-models.js';

/* Ternary models of others in GGUF: types with a scale for each group of columns, layouts behind one number, architectures. */

const seed = freshSeed();
const IDS = [1, 5, 3, 7, 7, 2];

async function logitsOf(files: Files): Promise<Float32Array> {
  const lm = await MatMulFreeLM.load(files, { backend: 'scalar' });
  const logits = lm.forward(IDS, lm.createState(), { all: true }).slice();
  lm.dispose();
  return logits;
}

const open = async (files: Files, layout?: I2SLayout): Promise<Checkpoint> =>
  openGgufCheckpoint(await openGguf(filesFromMemory('m', new Map(Object.entries(files))), Object.keys(files)[0]!), undefined, layout);

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
      expectWeights(await weightsOf(await open(files)), model);
      expectSameBits(await logitsOf(files), expected);
    }
  });

  it('zeros may have any scale, negative ones turn the signs round', async () => {
    const model = randomQwen3({ ...SMALL_QWEN3, zeroGroups: 50 }, seed);
    for (const zeroScale of [1, -1]) expectSameBits(await logitsOf(ggufFiles(model, { format: 'Q2_0', zeroScale })), await logitsOf(floatFolder(model)));
    const name = 'blk.0.ffn_up.weight';
    const turned = ggufFiles(model, { format: 'PQ2_0', spoil: { tensor: name, d: -3 } });
    const read = (await weightsOf(await open(turned)))[name]!;
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
      const plain = (await weightsOf(await open(ggufFiles(model, { format }))))[name]!;
      expect((await weightsOf(await open(ggufFiles(model, { format, edit }))))[name]).toEqual(plain.map((value) => value / 4));
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
      expectWeights(await weightsOf(await open(file(format, 0))), model);
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
      expectWeights(await weightsOf(await open(files)), model);
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
    expectWeights(await weightsOf(await open(files, 'B')), model);
    await expect(weightsOf(await open(files)).then((read) => expectWeights(read, model))).rejects.toThrow();
    const lm = await MatMulFreeLM.load(files, { backend: 'scalar', i2sLayout: 'B' });
    expectSameBits(lm.forward(IDS, lm.createState(), { all: true }), await logitsOf(packedFolder(model)));
    lm.dispose();
    await expect(MatMulFreeLM.load(files, { i2sLayout: 'C' as 'B' })).rejects.toThrow('load: option i2sLayout is "C", not "A" or "B"');
  });

  it('a llama of floats is refused: it is no ternary model', async () => {
    const floats = decoderTensors({ ...TINY_LLAMA, ...WIDE }, seed);
    const tensors = Object.fromEntries(Object.entries(floats).map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }]));
    await expect(logitsOf(ggufFiles({ ...models[1]!, tensors }, { format: 'F32', tables: 'F32' }))).rejects.toThrow(/model\.gguf: tensor "blk\.0\.attn_\w+\.weight" is not ternary: .*a model of floats/);
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

  it('in I2_S', async () => {
    const model = randomDecoder({ ...TINY_BITNET, hidden: 128, intermediate: 128, heads: 4, headDim: 32 }, 1);
    const file = (fault: object): Files => ggufFiles(model, { format: 'I2_S', spoil: { tensor, ...fault } });
    await expect(logitsOf(file({ block: 2, code: 3 }))).rejects.toThrow(/"blk\.0\.attn_v\.weight", row 2: column 0 holds the code 3/);
    await expect(logitsOf(file({ d: NaN }))).rejects.toThrow(/"blk\.0\.attn_v\.weight", row 0: the scale .* is NaN/);
    await expect(logitsOf(ggufFiles(model, { format: 'I2_S', edit: ({ tensors, ...file }) => ({ ...file, tensors: { ...tensors, 'token_embd.weight': encodeWeight('I2_S', { shape: [11, 128], values: new Float32Array(11 * 128) }) } }) })))
      .rejects.toThrow(/"token_embd\.weight" is I2_S, a type for ternary weights/);
  });
});

describe('the two types of number 42', () => {
  const types = async (file: Uint8Array): Promise<string[]> => [...(await readGguf(sourceFromContent('m.gguf', file))).tensors.values()].map(({ type }) => type);
  const tensorOf = (format: Format, shape: number[]): TensorToWrite => encodeWeight(format, { shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
  const file = (tensors: Record<string, TensorToWrite>, metadata: Record<string, Entry> = {}): Uint8Array => gguf({ metadata: { 'general.architecture': ['string', 'qwen3'], ...metadata }, tensors });

  it('are told apart by the places of the tensors, or by the end of the file', async () => {
    for (const [format, type] of [['Q2_0', 'Q2_0'], ['Q2_0 old', 'PQ2_0']] as const) {
      const between = { a: tensorOf(format, [4, 512]), n: tensorOf('F32', [7]), b: tensorOf(format, [1, 128]), c: tensorOf('PQ2_0', [1, 128]) };
      expect(await types(file(between))).toEqual([type, 'F32', type, 'PQ2_0']);
      const alone = file({ a: tensorOf(format, [4, 512]) });
      expect(await types(alone)).toEqual([type]);
      expect((await inspect({ 'm.gguf': alone })).tensors).toMatchObject([{ type, bytes: type === 'Q2_0' ? 32 * 18 : 16 * 34 }]);
      // The padding at the end may be left out; then 136 and 144 bytes differ, which end alike with it.
      const padded = file({ n: tensorOf('F32', [8]), a: tensorOf(format, [1, 512]) });
      await expect(types(padded)).rejects.toThrow(/m\.gguf: has tensors of the ggml type 42, .*both fit/);
      expect(await types(padded.slice(0, padded.length - (type === 'Q2_0' ? 16 : 24)))).toEqual(['F32', type]);
    }
  });

  /** bonsai.md §2.4: where `blk.0.attn_k` begins in files of Ternary Bonsai. */
  it.each([
    ['1.7B', 2048, false, 87_369_536, 'Q2_0'], ['1.7B', 2048, false, 82_516_128, 'PQ2_0'], ['4B', 2560, false, 109_211_936, 'Q2_0'], ['4B', 2560, false, 103_145_184, 'PQ2_0'],
    ['8B', 4096, true, 349_461_760, 'Q2_0'], ['8B', 4096, true, 330_048_128, 'PQ2_0'],
  ] as const)('Ternary Bonsai %s of %i, with a head of its own: %s, attn_k at %i: %s', (_name, hidden, hasHead, at, type) => {
    const table = (151_669 * hidden / 128) * (type === 'Q2_0' ? 36 : 34);
    const padded = Math.ceil(table / 32) * 32;
    const norm = hasHead ? padded : 0;
    const infos = [
      ...(hasHead ? [{ name: 'output.weight', shape: [151_669, hidden], id: 42, offset: 0 }] : []), { name: 'output_norm.weight', shape: [hidden], id: 0, offset: norm },
      { name: 'token_embd.weight', shape: [151_669, hidden], id: 42, offset: norm + 4 * hidden }, { name: 'blk.0.attn_k.weight', shape: [1024, hidden], id: 42, offset: at },
      { name: 'blk.0.attn_k_norm.weight', shape: [128], id: 0, offset: at + (1024 * hidden / 128) * (type === 'Q2_0' ? 36 : 34) },
    ];
    expect(norm + 4 * hidden + padded).toBe(at);
    const source = { ...sourceFromContent('m.gguf', new Uint8Array()), size: 2 ** 32 };
    expect(twoBitLayout({ source, version: 3, metadata: new Map(), alignment: 32, dataStart: 5_945_120, infos }, LATE_TYPES)).toBe(type);
  });

  it('rows that only one of them divides are of that one', async () => {
    expect(await types(file({ a: tensorOf('Q2_0', [1, 64]) }))).toEqual(['Q2_0']);
  });

  it('each part of a split file tells by itself', async () => {
    const whole = { a: tensorOf('Q2_0 old', [4, 512]), b: tensorOf('Q2_0 old', [8, 512]) };
    const part = (n: number, tensors: Record<string, TensorToWrite>): Uint8Array =>
      file(tensors, { 'split.no': ['u16', n], 'split.count': ['u16', 2], 'split.tensors.count': ['i32', 2] });
    const files = { 'm-00001-of-00002.gguf': part(0, { a: whole.a }), 'm-00002-of-00002.gguf': part(1, { b: whole.b }) };
    const opened = await openGguf(filesFromMemory('m', new Map(Object.entries(files))), 'm-00001-of-00002.gguf');
    expect([...opened.tensors.values()].map(({ type, byteLength }) => [type, byteLength])).toEqual([['PQ2_0', 16 * 34], ['PQ2_0', 32 * 34]]);
  });

  it('neither, both, and other makers of the number are refused, and listed', async () => {
    const odd: TensorToWrite = { type: 'F32', typeNumber: 42, shape: [4, 256], bytes: new Uint8Array(4 * 42) }; // as STQ1_0 is said to be
    await expect(types(file({ a: odd, n: tensorOf('F32', [8]) }))).rejects.toThrow(/42, .*neither fits/);
    for (const format of ['Q2_0', 'Q2_0 old'] as const) {
      const files = ambiguousFiles(format);
      await expect(MatMulFreeLM.load(files)).rejects.toThrow(/model\.gguf: .*both fit.*PQ2_0/);
      expect((await inspect(files)).tensors.map(({ type }) => type)).toContain('Q2_0');
    }
    for (const mark of [{ 'general.quantization_version': ['string', 'TQ2_0_G128'] }, { 'oxibonsai.quant_format': ['string', 'x'] }] as Record<string, Entry>[]) {
      await expect(types(file({ a: tensorOf('Q2_0 old', [4, 512]) }, mark))).rejects.toThrow(/OxiBonsai.*Ternary-Bonsai/);
    }
  });
});

describe('what cannot be read is refused by name', () => {
  const small = randomQwen3(SMALL_QWEN3, 1);
  const numbered = (typeNumber: number, architecture: string): Files => ({
    'm.gguf': gguf({ metadata: { 'general.architecture': ['string', architecture] }, tensors: { w: { type: 'F32', typeNumber, shape: [256], bytes: new Uint8Array(256) } } }),
  });
  it.each([
    [38, 'llama', /TL1, of bitnet\.cpp, made for one machine; convert the original/], [39, 'bitnet-b1.58', /TL2, of bitnet\.cpp, made for one machine/],
    [39, 'llama', /MXFP4, which is not read; write the file with types out of F32, .*Q2_0/], [40, 'qwen3', /NVFP4, or an early Q1_0/],
    [143, 'qwen35', /PTQ1_0, weights in a rotated basis .* cannot be run yet; take Ternary-Bonsai \(without 2\)/],
  ] as const)('type %i of a %s', async (id, architecture, message) => {
    await expect(MatMulFreeLM.load(numbered(id, architecture))).rejects.toThrow(message);
    await expect(MatMulFreeLM.load(numbered(id, architecture))).rejects.toBeInstanceOf(FormatError);
    expect(String(message)).toContain((await inspect(numbered(id, architecture))).tensors[0]!.type);
  });

  it.each(['Q2_0', 'PQ2_0', 'F16'] as const)('rotated weights in %s', async (format) => {
    const files = ggufFiles(small, { format, metadata: { 'prism.hadamard.block_size': ['u32', 128] } });
    await expect(MatMulFreeLM.load(files)).rejects.toThrow(/model\.gguf.*rotated basis \(prism\.hadamard\.block_size; Bonsai 2\).*take Ternary-Bonsai/);
    await expect(convert(files)[Symbol.asyncIterator]().next()).rejects.toThrow(/rotated/);
  });

  it('a table of frequencies, values of another width, a head turned in part', async () => {
    const edit: NonNullable<GgufOptions['edit']> = (file) => ({ ...file, tensors: { ...file.tensors, 'rope_freqs.weight': encodeWeight('F32', { shape: [32], values: new Float32Array(32).fill(1) }) } });
    await expect(logitsOf(ggufFiles(small, { format: 'Q2_0', edit }))).rejects.toThrow(/rope_freqs\.weight is there/);
    await expect(logitsOf(ggufFiles(small, { format: 'Q2_0', metadata: { 'qwen3.attention.value_length': ['u32', 32] } }))).rejects.toThrow(/value_length is 32 and a head 64/);
    await expect(logitsOf(ggufFiles(small, { format: 'Q2_0', metadata: { 'qwen3.rope.dimension_count': ['u32', 32] } }))).rejects.toThrow(ConfigError);
  });
});

describe('architectures', () => {
  const switchOf = async (files: Files, name: string): Promise<{ value: string; why: string }> =>
    (await open(files)).blueprint.switches.find((one) => one.name === name)!;
  const shape = { ...TINY_BITNET, hidden: 128, intermediate: 128, layers: 1, heads: 4, headDim: 32 };

  it('a bitnet\'s activation goes with its name where nothing says it', async () => {
    const model = randomDecoder(shape, seed);
    const expected = { relu2: await logitsOf(packedFolder(model)), silu: await logitsOf(packedFolder(randomDecoder({ ...shape, activation: 'silu' }, seed))) };
    for (const [architecture, activation] of [['bitnet-b1.58', 'relu2'], ['bitnet-25', 'relu2'], ['bitnet', 'silu']] as const) {
      const files = ggufFiles(model, { format: 'I2_S', architecture });
      expect(await switchOf(files, 'activation')).toEqual({ name: 'activation', value: activation, why: `no hidden_activation; general.architecture is "${architecture}"` });
      expectSameBits(await logitsOf(files), expected[activation]);
    }
    const said = ggufFiles(model, { format: 'I2_S', architecture: 'bitnet', metadata: { 'bitnet.hidden_activation': ['string', 'relu2'] } });
    expectSameBits(await logitsOf(said), expected.relu2);
    expect(await switchOf(said, 'activation')).toMatchObject({ why: 'hidden_act' });
  });

  it('a bitnet of the sizes of 2B4T is relu² by any name', async () => {
    const sizes = { 'block_count': 30, 'embedding_length': 2560, 'feed_forward_length': 6912, 'vocab_size': 128256, 'context_length': 4096, 'attention.head_count': 20, 'attention.head_count_kv': 5, 'rope.dimension_count': 128 };
    const metadata = Object.fromEntries(Object.entries(sizes).map(([key, value]) => [`bitnet.${key}`, ['u32', value] as Entry]));
    const { bitnet } = await import('../../src/architectures/bitnet.js');
    const { blueprintFromMetadata } = await import('../../src/checkpoint/gguf-metadata.js');
    const file = gguf({ metadata: { 'general.architecture': ['string', 'bitnet'], ...metadata, 'bitnet.attention.layer_norm_rms_epsilon': ['f32', 1e-5], 'bitnet.rope.scaling.type': ['string', 'linear'], 'bitnet.rope.scaling.factor': ['f32', 1] } });
    const blueprint = await blueprintFromMetadata('m', (await readGguf(sourceFromContent('m', file))).metadata, {}, new Map());
    expect(blueprint.architecture).toBe(bitnet.architecture);
    expect(blueprint.switches.find(({ name }) => name === 'activation')).toMatchObject({ value: 'relu2', why: expect.stringMatching(/sizes of BitNet b1\.58 2B4T/) });
  });

  it('a bitnet\'s output.weight is ignored, and the switches say so', async () => {
    const model = randomDecoder({ ...shape, isTied: true }, seed);
    const head = randomFrom(seed);
    const edit: NonNullable<GgufOptions['edit']> = (file) => ({
      ...file, tensors: { ...file.tensors, 'output.weight': encodeWeight('F32', { shape: [11, 128], values: Float32Array.from({ length: 11 * 128 }, () => head.normal()) }) },
    });
    expectSameBits(await logitsOf(ggufFiles(model, { format: 'I2_S', edit })), await logitsOf(packedFolder(model)));
    expect(await switchOf(ggufFiles(model, { format: 'I2_S', edit }), 'head')).toMatchObject({ value: 'the table of the embeddings', why: expect.stringMatching(/output\.weight is there, and is ignored/) });
  });

  it('the vocabulary is as large as the embeddings where no key says it', async () => {
    const model = randomDecoder(shape, seed);
    const edit: NonNullable<GgufOptions['edit']> = ({ metadata: { 'bitnet-b1.58.vocab_size': _, ...metadata }, ...file }) => ({ ...file, metadata });
    expect((await open(ggufFiles(model, { format: 'I2_S', edit }))).blueprint.config.vocabSize).toBe(11);
  });
});
