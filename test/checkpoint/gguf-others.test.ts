import { describe, expect, it } from 'vitest';
import { ConfigError, convert, FormatError, inspect, MatMulFreeLM, readGguf, sourceFromContent } from 'matmulfree';
import { filesFromMemory } from '../../src/formats/bytes.js';
import { LATE_TYPES } from '../../src/formats/ggml-types.js';
import { openGguf } from '../../src/formats/open-gguf.js';
import { twoBitLayout } from '../../src/formats/two-bit-layout.js';
import type { Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { TINY_BITNET } from '../support/families.js';
import { encodeWeight, type Format } from '../support/group-blocks.js';
import { ambiguousFiles, ggufFiles, packedFolder, type GgufOptions } from '../support/group-files.js';
import { gguf, type Entry, type TensorToWrite } from '../support/gguf-files.js';
import { logitsOf, openFiles } from '../support/open-gguf.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { randomDecoder, randomQwen3, SMALL_QWEN3 } from '../support/ternary-models.js';

/* GGUF files of others: layouts behind one number, what is refused by name, architectures. */

const seed = freshSeed();

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
  ] as const)('type %i of a %s', async (id, architecture, message) => {
    await expect(MatMulFreeLM.load(numbered(id, architecture))).rejects.toThrow(message);
    await expect(MatMulFreeLM.load(numbered(id, architecture))).rejects.toBeInstanceOf(FormatError);
    expect(String(message)).toContain((await inspect(numbered(id, architecture))).tensors[0]!.type);
  });

  it.each(['Q2_0', 'PQ2_0', 'F16'] as const)('rotated weights in %s', async (format) => {
    const files = ggufFiles(small, { format, metadata: { 'prism.hadamard.block_size': ['u32', 128] } });
    await expect(MatMulFreeLM.load(files)).rejects.toThrow(/model\.gguf.*rotated basis \(prism\.hadamard\.block_size\), which can be run in a "qwen35" model \(Bonsai 2\), but not in one of "qwen3"; take Ternary-Bonsai/);
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
    (await openFiles(files)).blueprint.switches.find((one) => one.name === name)!;
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
    expect((await openFiles(ggufFiles(model, { format: 'I2_S', edit }))).blueprint.config.vocabSize).toBe(11);
  });
});
