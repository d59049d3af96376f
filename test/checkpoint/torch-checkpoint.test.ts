import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, convert, FormatError, MatMulFreeLM, readSafetensorsHeader, readTensor, readTorchTensors, sourceFromContent, SourceError, type ModelSource } from 'matmulfree';
import { assemble, configJson, json, randomTensors, safetensors, TINY, type Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { fixture, readTensors } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { denseStrides, Pickle, torchFile, torchFromFloats, zipFile, type TorchStorage, type TorchTensor } from '../support/torch-file.js';

const file = (path: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(fixture(`models/${path}`)));

/** Logits of every position, and the digest of all weights. */
async function outcome(source: ModelSource, ids = Array.from({ length: 24 }, (_, i) => (i * 7) % 11)): Promise<{ logits: Float32Array; fingerprint: string }> {
  const lm = await MatMulFreeLM.load(source);
  return { logits: lm.forward(ids, lm.createState(), { all: true }), fingerprint: lm.info().fingerprint };
}

async function expectSame(a: ModelSource, b: ModelSource, ids?: number[]): Promise<void> {
  const [first, second] = [await outcome(a, ids), await outcome(b, ids)];
  expectSameBits(first.logits, second.logits);
  expect(first.fingerprint).toBe(second.fingerprint);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

const TYPES: Record<string, string> = { F64: 'DoubleStorage', F32: 'FloatStorage', F16: 'HalfStorage', BF16: 'BFloat16Storage', I64: 'LongStorage' };

interface RawTensor { readonly dtype: string; readonly shape: readonly number[]; readonly bytes: Uint8Array }

/** The tensors of a safetensors file, as they are stored. */
async function rawTensors(bytes: Uint8Array): Promise<Record<string, RawTensor>> {
  const entries = await readSafetensorsHeader(sourceFromContent('copy', bytes));
  return Object.fromEntries([...entries].map(([name, { dtype, shape, offset, byteLength }]) =>
    [name, { dtype, shape, bytes: bytes.slice(offset, offset + byteLength) }]));
}

const rawFloats = (tensors: ReturnType<typeof randomTensors>): Record<string, RawTensor> => Object.fromEntries(Object.entries(tensors)
  .map(([name, { shape, values }]) => [name, { dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) }]));

/** As `torch.save` would store them, each in a storage of its own. */
function torchOf(tensors: Record<string, RawTensor>): Uint8Array<ArrayBuffer> {
  const views: Record<string, TorchTensor> = {};
  const storages: Record<string, TorchStorage> = {};
  Object.entries(tensors).forEach(([name, { dtype, shape, bytes }], i) => {
    views[name] = { storage: String(i), shape };
    storages[i] = { type: TYPES[dtype]!, bytes };
  });
  return torchFile(views, storages, { root: 'OrderedDict' });
}

describe('the file that PyTorch wrote', () => {
  it('gives the same bits as a safetensors copy of it', async () => {
    const bin = file('f16-bin/pytorch_model.bin');
    const source = sourceFromContent('pytorch_model.bin', bin);
    const header: Record<string, unknown> = {};
    const data: Uint8Array[] = [];
    let end = 0;
    for (const [name, entry] of await readTorchTensors(source)) {
      expect(entry.dtype).toBe('F16');
      header[name] = { dtype: entry.dtype, shape: entry.shape, data_offsets: [end, end + entry.byteLength] };
      data.push(await readTensor(name, { ...entry, source }));
      end += entry.byteLength;
    }
    const copy = { 'config.json': file('f16-bin/config.json'), 'model.safetensors': assemble(JSON.stringify(header), Buffer.concat(data)) };
    const ids = Array.from(readTensors(fixture('models/f16-bin/golden.safetensors'))['input_ids']!.values);
    await expectSame(fixture('models/f16-bin'), copy, ids);
    expect(await collect(convert(fixture('models/f16-bin'), { name: 'x' }))).toEqual(await collect(convert(copy, { name: 'x' })));
  });
  it('loads however it is handed over, and under another name', async () => {
    const config = file('f16-bin/config.json');
    const bin = file('f16-bin/pytorch_model.bin');
    const { fingerprint } = await outcome(fixture('models/f16-bin'));
    const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
    try {
      await Promise.all([writeFile(join(folder, 'config.json'), config), writeFile(join(folder, 'pytorch_model (1).bin'), bin), writeFile(join(folder, 'training_args.bin'), 'x')]);
      const sources: ModelSource[] = [
        { 'config.json': config, 'pytorch_model.bin': bin },
        new Map([['config.json', new Blob([config])], ['pytorch_model.bin', new Blob([bin])]]),
        [new File([bin], 'model.bin'), new File([config], 'config.json')],
        folder,
      ];
      for (const source of sources) expect((await outcome(source)).fingerprint).toBe(fingerprint);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
  it('is refused, whatever is cut off', async () => {
    const bin = file('f16-bin/pytorch_model.bin');
    for (const length of [0, 1, 4, 100, 4000, 100_000, bin.length - 100, bin.length - 22, bin.length - 1]) {
      const load = MatMulFreeLM.load({ 'config.json': file('f16-bin/config.json'), 'pytorch_model.bin': bin.slice(0, length) });
      await expect(load).rejects.toThrow(FormatError);
      await expect(load).rejects.toThrow(/^pytorch_model\.bin: /);
    }
  });
});

describe('the same model', () => {
  const tensors = randomTensors(TINY, 5);
  const good: Files = { 'config.json': json(configJson(TINY)), 'model.safetensors': safetensors(tensors) };
  const withBin = (bytes: Uint8Array): Files => ({ 'config.json': good['config.json']!, 'pytorch_model.bin': bytes });

  it('in float32, float64 and bfloat16', async () => {
    await expectSame(good, withBin(torchFromFloats(tensors)));
    const doubles = Object.fromEntries(Object.entries(tensors).map(([name, { shape, values }]) =>
      [name, { dtype: 'F64', shape, bytes: new Uint8Array(Float64Array.from(values).buffer) }]));
    await expectSame(good, withBin(torchOf(doubles)));

    const config = file('bf16-sharded/config.json');
    const shards = await Promise.all([1, 2, 3].map((n) => rawTensors(file(`bf16-sharded/model-0000${n}-of-00003.safetensors`))));
    const whole = Object.assign({}, ...shards) as Record<string, RawTensor>;
    expect(new Set(Object.values(whole).map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    await expectSame(fixture('models/bf16-sharded'), { 'config.json': config, 'pytorch_model.bin': torchOf(whole) });
  });

  it('in shards', async () => {
    const shards = await Promise.all([1, 2, 3].map((n) => rawTensors(file(`bf16-sharded/model-0000${n}-of-00003.safetensors`))));
    const names = shards.map((_, i) => `pytorch_model-0000${i + 1}-of-00003.bin`);
    const files: Files = {
      'config.json': file('bf16-sharded/config.json'),
      ...Object.fromEntries(shards.map((shard, i) => [names[i]!, torchOf(shard)])),
      'pytorch_model.bin.index.json': json({
        metadata: { total_size: 1 }, weight_map: Object.fromEntries(shards.flatMap((shard, i) => Object.keys(shard).map((name) => [name, names[i]]))),
      }),
    };
    await expectSame(fixture('models/bf16-sharded'), files);
    const missing = { ...files };
    delete missing[names[1]!];
    await expect(MatMulFreeLM.load(missing)).rejects.toThrow(/shard "pytorch_model-00002-of-00003\.bin", named in pytorch_model\.bin\.index\.json, is missing/);
    for (const path of ['../secret.bin', '/etc/passwd', 'a/b.bin', 'a\\b.bin', '..', 'C:x', '']) {
      const index = json({ weight_map: { 'lm_head.weight': path } });
      await expect(MatMulFreeLM.load({ ...files, 'pytorch_model.bin.index.json': index })).rejects.toThrow(/not a plain file name/);
    }
    const swapped = { ...files, [names[0]!]: files[names[2]!]! };
    await expect(MatMulFreeLM.load(swapped)).rejects.toThrow(/is in "pytorch_model-00001-of-00003\.bin" too/);
  });

  const seed = freshSeed();
  it(`in one storage that all tensors share, some of them transposed (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const raw = rawFloats(tensors);
    const views: Record<string, TorchTensor> = {};
    const values: number[] = [];
    for (const [name, { shape, bytes }] of Object.entries(raw).sort(() => random.unit() - 0.5)) {
      for (let gap = random.integer(0, 5); gap > 0; gap--) values.push(NaN); // is in no tensor
      const offset = values.length;
      const source = new Float32Array(bytes.buffer);
      const transpose = shape.length === 2 && random.unit() < 0.5;
      const [rows = 1, columns = 1] = shape;
      for (let i = 0; i < source.length; i++) values.push(source[transpose ? (i % rows) * columns + Math.floor(i / rows) : i]!);
      views[name] = { storage: 'all', shape, offset, strides: transpose ? [1, rows] : denseStrides(shape), parameter: random.unit() < 0.5 };
    }
    const bin = torchFile(views, { all: { type: 'FloatStorage', bytes: new Uint8Array(Float32Array.from(values).buffer) } });
    await expectSame(good, withBin(bin));
  });

  it('as slices of wider rows, and with tied weights', async () => {
    const config = { hidden: 12, intermediate: 20, layers: 2, vocab: 11, lowerBounds: false };
    const tied = randomTensors(config, 6);
    tied['lm_head.weight'] = tied['model.embeddings.weight']!;
    const head = tied['lm_head.weight'];
    const wide = new Float32Array(11 * 15).fill(NaN);
    for (let row = 0; row < 11; row++) wide.set(Array.from(head.values).slice(row * 12, row * 12 + 12), row * 15 + 2);
    const views: Record<string, TorchTensor> = {};
    const storages: Record<string, TorchStorage> = { wide: { type: 'FloatStorage', bytes: new Uint8Array(wide.buffer) } };
    for (const [name, { dtype: _, shape, bytes }] of Object.entries(rawFloats(tied))) {
      const shared = tied[name] === head;
      views[name] = shared ? { storage: 'wide', shape, offset: 2, strides: [15, 1] } : { storage: name, shape };
      if (!shared) storages[name] = { type: 'FloatStorage', bytes };
    }
    const configFile = json(configJson(config));
    await expectSame({ 'config.json': configFile, 'model.safetensors': safetensors(tied) }, { 'config.json': configFile, 'pytorch_model.bin': torchFile(views, storages) });
  });

  it('comes from safetensors where there are both, and from a GGUF file before a .bin of another name', async () => {
    const rubbish = new Uint8Array(9);
    await expectSame(good, { ...good, 'pytorch_model.bin': rubbish, 'pytorch_model.bin.index.json': rubbish });
    const gguf = await collect(convert(good));
    await expectSame(good, { 'config.json': good['config.json']!, 'model.gguf': gguf, 'optimizer.bin': rubbish });
    await expectSame(good, { ...withBin(torchFromFloats(tensors)), 'model.gguf': rubbish });
  });
});

describe('refused', () => {
  const tensors = randomTensors(TINY, 1);
  const load = (bytes: Uint8Array, more: Files = {}): Promise<unknown> =>
    MatMulFreeLM.load({ 'config.json': json(configJson(TINY)), 'pytorch_model.bin': bytes, ...more });

  it('a program in place of a model', async () => {
    const pickle = new Pickle().global('builtins', 'exec').text('import os').op('\x85R').stop();
    const error = await load(zipFile([{ name: 'a/data.pkl', bytes: pickle }])).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    expect(String(error)).toMatch(/pytorch_model\.bin: data\.pkl, byte 2: asks for "builtins\.exec"/);
  });
  it('tensors that are missing, too many, of another shape', async () => {
    const { 'lm_head.norm.weight': _, ...fewer } = tensors;
    await expect(load(torchFromFloats(fewer))).rejects.toThrow(/"lm_head\.norm\.weight" \[12\] is missing/);
    await expect(load(torchFromFloats({ ...tensors, extra: { shape: [1], values: [1] } }))).rejects.toThrow(ConfigError);
    await expect(load(torchFromFloats({ ...tensors, 'lm_head.weight': { shape: [12, 11], values: tensors['lm_head.weight']!.values } }))).rejects.toThrow(/has shape \[12,11\]/);
  });
  it('numbers that are not finite, also after rounding, and whole numbers', async () => {
    const spoilt = (dtype: string, bytes: Uint8Array): Promise<unknown> => load(torchOf({ ...rawFloats(tensors), 'model.norm.weight': { dtype, shape: [12], bytes } }));
    await expect(spoilt('F32', new Uint8Array(Float32Array.from({ length: 12 }, () => NaN).buffer))).rejects.toThrow(/pytorch_model\.bin: tensor "model\.norm\.weight" holds NaN/);
    await expect(spoilt('F64', new Uint8Array(Float64Array.from({ length: 12 }, () => 1e39).buffer))).rejects.toThrow(/holds Infinity/);
    await expect(spoilt('I64', new Uint8Array(96))).rejects.toThrow(/dtype I64; weights must be F64, F32, F16 or BF16/);
  });
  it('folders without weights, or with several files that could be them', async () => {
    const config = json(configJson(TINY));
    const bin = torchFromFloats(tensors);
    const message = /nor pytorch_model\.bin/;
    await expect(MatMulFreeLM.load({ 'config.json': config, 'training_args.bin': bin })).rejects.toThrow(message);
    await expect(MatMulFreeLM.load({ 'config.json': config, 'a.bin': bin, 'b.bin': bin })).rejects.toThrow(message);
    await expect(MatMulFreeLM.load({ 'config.json': config, 'a.bin': bin, 'b.bin': bin })).rejects.toThrow(SourceError);
    await expect(MatMulFreeLM.load({ 'pytorch_model.bin': bin })).rejects.toThrow(/loaded by its folder/);
  });
  it('a broken index', async () => {
    const files = { 'config.json': json(configJson(TINY)), 'pytorch_model.bin.index.json': json('{}') };
    await expect(MatMulFreeLM.load(files)).rejects.toThrow(/pytorch_model\.bin\.index\.json: "weight_map" is missing/);
    const polluted = json('{"weight_map": {"__proto__": "pytorch_model.bin", "a": {"toString": 1}}}');
    await expect(MatMulFreeLM.load({ ...files, 'pytorch_model.bin.index.json': polluted })).rejects.toThrow(/tensor "a" names an object/);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
