import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FormatError, readTensor, readTorchTensors, sourceFromContent, type ByteSource, type TensorEntry } from 'matmulfree';
import { fixture } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { denseStrides, Pickle, torchFile, torchPickle, zipFile, type TorchOptions, type TorchStorage, type TorchTensor } from '../support/torch-file.js';

const floats = (values: readonly number[]): TorchStorage => ({ type: 'FloatStorage', bytes: new Uint8Array(Float32Array.from(values).buffer) });
const counting = (n: number): TorchStorage => floats(Array.from({ length: n }, (_, i) => i));
const open = (file: Uint8Array): ByteSource => sourceFromContent('m.bin', file);

async function read(file: Uint8Array): Promise<Record<string, number[]>> {
  const source = open(file);
  const values: Record<string, number[]> = {};
  for (const [name, entry] of await readTorchTensors(source)) {
    const bytes = await readTensor(name, { ...entry, source });
    expect(bytes.length).toBe(entry.byteLength);
    values[name] = [...new Float32Array(bytes.slice().buffer)];
  }
  return values;
}

async function refuses(file: Uint8Array, message: RegExp): Promise<void> {
  const error = await read(file).then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/^m\.bin.{1,300}$/);
}

describe('the writer of these tests', () => {
  it('writes the pickle that PyTorch wrote, byte for byte', () => {
    const real = readFileSync(fixture('models/f16-bin/pytorch_model.bin'));
    // In that file each tensor has a storage of its own. Shapes and names are read off with a regular expression.
    const pickle = real.subarray(64, real.indexOf(Buffer.from('504b0708', 'hex')));
    const tensors: Record<string, TorchTensor> = {};
    const storages: Record<string, TorchStorage> = {};
    const config = JSON.parse(readFileSync(fixture('models/f16-bin/config.json'), 'utf8')) as { hidden_size: number; vocab_size: number };
    const { hidden_size: D, vocab_size: V } = config;
    [...pickle.toString('latin1').matchAll(/X(.)\0\0\0((?:model|lm_head)[\w.]*)/gs)].forEach(([, length, rest], i) => {
      const name = rest!.slice(0, length!.charCodeAt(0));
      const norm = /norm\.weight$/.test(name);
      const shape = norm ? [/down_proj/.test(name) ? 256 : D]
        : /embeddings|lm_head/.test(name) ? [V, D] : /bounds/.test(name) ? [2, D]
        : /gate_proj/.test(name) ? [512, D] : /down_proj/.test(name) ? [D, 256] : [D, D];
      const count = shape.reduce((product, n) => product * n, 1);
      tensors[name] = { storage: String(i), shape };
      storages[i] = { type: 'HalfStorage', bytes: new Uint8Array(count * 2) };
    });
    expect(Object.keys(tensors)).toHaveLength(35);
    expect(Buffer.compare(torchPickle(tensors, storages), pickle)).toBe(0);
  });
});

describe('reading', () => {
  const storages = { 0: counting(24), 1: floats([0.5, -1]) };
  const tensors: Record<string, TorchTensor> = {
    whole: { storage: '0', shape: [4, 6] },
    tied: { storage: '0', shape: [4, 6] },
    parameter: { storage: '1', shape: [2], parameter: true },
    part: { storage: '0', offset: 5, shape: [2, 3] },
    transposed: { storage: '0', shape: [6, 4], strides: [1, 6] },
    column: { storage: '0', offset: 2, shape: [4], strides: [6] },
    block: { storage: '0', offset: 7, shape: [2, 3], strides: [6, 1] },
    cube: { storage: '0', shape: [2, 3, 4], strides: [1, 2, 6] },
    one: { storage: '0', offset: 23, shape: [1, 1], strides: [77, 99] }, // strides of single elements mean nothing
    scalar: { storage: '1', offset: 1, shape: [] },
    none: { storage: '0', shape: [0, 5] },
    flags: { storage: '1', shape: [2], metadata: undefined },
  };
  const all = Array.from({ length: 24 }, (_, i) => i);
  const expected = {
    whole: all, tied: all, parameter: [0.5, -1], part: [5, 6, 7, 8, 9, 10],
    transposed: Array.from({ length: 24 }, (_, i) => Math.floor(i / 4) + (i % 4) * 6),
    column: [2, 8, 14, 20], block: [7, 8, 9, 13, 14, 15],
    cube: Array.from({ length: 24 }, (_, i) => Math.floor(i / 12) + (Math.floor(i / 4) % 3) * 2 + (i % 4) * 6),
    one: [23], scalar: [-1], none: [], flags: [0.5, -1],
  };
  const options: TorchOptions[] = [
    {}, { root: 'OrderedDict' }, { top: 'archive' }, { top: 'Ünï mödel v1.0' }, { byteorder: undefined }, { zip: { zip64: 'none' } },
    { zip: { zip64: 'entries' } }, { zip: { descriptors: false, align: 1 } }, { zip: { zip64: 'entries', descriptors: false } },
  ];
  it.each(options)('views of shared storages, with offsets and strides: %j', async (option) => {
    const file = torchFile(tensors, storages, option);
    expect(await read(file)).toEqual(expected);
    const scattered = [...(await readTorchTensors(open(file)))].filter(([, { strides }]) => strides).map(([name]) => name);
    expect(scattered).toEqual(['transposed', 'column', 'block', 'cube']); // the others are read as they lie
  });

  const seed = freshSeed();
  it(`permuted and sliced views at random (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 200; round++) {
      const dims = random.integer(1, 5);
      const full = Array.from({ length: dims }, () => random.integer(1, 5));
      const count = full.reduce((product, n) => product * n, 1);
      const order = full.map((_, d) => d).sort(() => random.unit() - 0.5);
      const dense = denseStrides(full);
      const begin = full.map((n) => random.integer(0, n - 1));
      const shape = order.map((d) => random.integer(1, full[d]! - begin[d]!));
      const strides = order.map((d) => dense[d]!);
      const offset = begin.reduce((sum, b, d) => sum + b * dense[d]!, 0);
      // Each element by its indices: the definition of a strided view.
      const values = Array.from({ length: shape.reduce((product, n) => product * n, 1) }, (_, i) => {
        let rest = i;
        let at = offset;
        for (let d = dims - 1; d >= 0; d--) {
          at += (rest % shape[d]!) * strides[d]!;
          rest = Math.floor(rest / shape[d]!);
        }
        return at;
      });
      // The bulk keeps the file large enough for the bound on scattered views.
      const file = torchFile({ v: { storage: '0', offset, shape, strides } }, { 0: counting(count) });
      expect(await read(file), JSON.stringify({ full, shape, strides, offset })).toEqual({ v: values });
    }
  });

  it.each([['DoubleStorage', 'F64', 8], ['FloatStorage', 'F32', 4], ['HalfStorage', 'F16', 2], ['BFloat16Storage', 'BF16', 2], ['LongStorage', 'I64', 8], ['ByteStorage', 'U8', 1]])(
    '%s, transposed', async (type, dtype, size) => {
      const bytes = Uint8Array.from({ length: 6 * size }, (_, i) => i);
      const file = torchFile({ t: { storage: 'k', shape: [3, 2], strides: [1, 3] } }, { k: { type, bytes } });
      const entry = (await readTorchTensors(open(file))).get('t')!;
      expect(entry).toMatchObject({ dtype, shape: [3, 2], strides: [1, 3], byteLength: 6 * size });
      const expectedBytes = [0, 3, 1, 4, 2, 5].flatMap((i) => [...bytes.slice(i * size, (i + 1) * size)]);
      expect([...(await readTensor('t', { ...entry, source: open(file) }))]).toEqual(expectedBytes);
    });

  it('of a large file only what is needed, with sizes and offsets beyond 4 GB', async () => {
    // A sparse file: 6 GB of zeros stand in the middle, between the storages.
    const hole = 6 * 2 ** 30;
    const storageAt = hole + 4096;
    const pickle = torchPickle({ t: { storage: '0', offset: 2 ** 30, shape: [2] } }, { 0: { type: 'FloatStorage', bytes: new Uint8Array(0), elements: 2 ** 31 } });
    const first = zipFile([{ name: 'x/data.pkl', bytes: pickle }], { descriptors: false });
    const last = zipFile([
      { name: 'x/data.pkl', bytes: pickle, directory: { offset: 0 } },
      { name: 'x/data/0', bytes: new Uint8Array(0), directory: { offset: storageAt, size: 2 ** 33, stored: 2 ** 33 } },
    ], { zip64: 'entries', align: 1 });
    const lastAt = storageAt + 2 ** 33 + 1024;
    const directoryAt = Buffer.from(last).indexOf(Buffer.from('504b0102', 'hex'));
    const view = new DataView(last.buffer);
    view.setBigUint64(last.length - 22 - 20 - 56 + 48, BigInt(lastAt + directoryAt), true);
    view.setBigUint64(last.length - 22 - 20 + 8, BigInt(lastAt + last.length - 22 - 20 - 56), true);
    const header = zipFile([{ name: 'x/data/0', bytes: Uint8Array.of() }], { align: 1 }).slice(0, 38);
    const value = new Uint8Array(Float32Array.of(7, 8).buffer);
    const pieces: [number, Uint8Array][] = [[0, first], [storageAt, header], [storageAt + 38 + 4 * 2 ** 30, value], [lastAt, last]];
    let bytesRead = 0;
    const source: ByteSource = {
      name: 'huge.bin',
      size: lastAt + last.length,
      async read(offset, length) {
        bytesRead += length;
        const out = new Uint8Array(length);
        for (const [at, bytes] of pieces) {
          for (let i = Math.max(0, offset - at); i < bytes.length && at + i < offset + length; i++) out[at + i - offset] = bytes[i]!;
        }
        return out;
      },
      close: async () => {},
    };
    const entry = (await readTorchTensors(source)).get('t')!;
    expect(entry.offset).toBe(storageAt + 38 + 4 * 2 ** 30);
    expect([...new Float32Array((await readTensor('t', { ...entry, source })).buffer)]).toEqual([7, 8]);
    expect(bytesRead).toBeLessThan(4096);
  });
});

describe('refused', () => {
  const one = (tensor: Partial<TorchTensor>, storage: Partial<TorchStorage> = {}, options?: TorchOptions): Uint8Array =>
    torchFile({ 't.weight': { storage: '0', shape: [2, 3], ...tensor } }, { 0: { ...counting(6), ...storage } }, options);
  const withPickle = (pickle: Uint8Array): Uint8Array => one({}, {}, { edit: (entries) => [{ name: 'pytorch_model/data.pkl', bytes: pickle }, ...entries.slice(1)] });

  it('nothing that is good', async () => expect(await read(one({}))).toEqual({ 't.weight': [0, 1, 2, 3, 4, 5] }));
  it('files of another kind', async () => {
    await refuses(new Uint8Array(0), /not a PyTorch checkpoint/);
    await refuses(Uint8Array.of(0x50, 0x4b), /not a PyTorch checkpoint/);
    await refuses(new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'), /is a Git LFS pointer/);
    // The magic number that PyTorch before 1.6 begins with, pickled.
    const old = Uint8Array.from(Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'));
    await refuses(old, /written by PyTorch before 1\.6.*torch\.save/);
    await refuses(zipFile([{ name: 'code/model.py', bytes: old }]), /has 0 files <folder>\/data\.pkl/);
    await refuses(one({}, {}, { edit: (entries) => [...entries, { name: 'other/data.pkl', bytes: old }] }), /has 2 files/);
  });
  it('big-endian and unknown byte orders', async () => {
    await refuses(one({}, {}, { byteorder: 'big' }), /byteorder is "big"/);
    await refuses(one({}, {}, { byteorder: '' }), /byteorder is ""/);
    await refuses(one({}, {}, { byteorder: 'little'.repeat(99) }), /has 594 bytes, more than the 16/);
  });
  it('storages that are not there, or of another size', async () => {
    await refuses(one({}, {}, { edit: (entries) => entries.filter(({ name }) => !name.endsWith('/0')) }), /"t\.weight": its storage "0" of 6 F32 elements is not in the archive/);
    await refuses(one({}, { elements: 7 }), /of 7 F32 elements has 24 bytes/);
    await refuses(one({}, { elements: 2 ** 40 }), /has 24 bytes/);
    await refuses(one({}, { type: 'HalfStorage', elements: 6 }), /of 6 F16 elements has 24 bytes/);
  });
  it('a second claim on a storage, larger than the first', async () => {
    const p = new Pickle();
    p.op('}').op('(');
    for (const [name, elements] of [['a', 6], ['b', 6000]] as const) {
      p.text(name).global('torch._utils', '_rebuild_tensor_v2').tuple(
        () => p.tuple(() => p.text('storage'), () => p.global('torch', 'FloatStorage'), () => p.text('0'), () => p.text('cpu'), () => p.int(elements)).op('Q'),
        () => p.int(0), () => p.ints([elements]), () => p.ints([1]), () => p.bool(false), () => p.orderedDict(),
      ).op('R');
    }
    await refuses(withPickle(p.op('u').stop()), /tensor "b": its storage "0" of 6000 F32 elements has 24 bytes/);
  });
  it.each(['../../etc/passwd', '0/../0', '/0', 'C:0', '__proto__', 'constructor', ''])('a storage key that is a trick: %j', (key) =>
    refuses(torchFile({ t: { storage: key, shape: [6] } }, { 0: counting(6), [key]: counting(6) }, { edit: (entries) => entries.filter(({ name }) => /data\.pkl|data\/0$/.test(name)) }),
      /is not in the archive/));
  it('views beyond their storage', async () => {
    await refuses(one({ shape: [2, 4] }), /ends at element 8 of storage "0", which has 6/);
    await refuses(one({ offset: 1 }), /ends at element 7/);
    await refuses(one({ offset: 2 ** 40 }), /ends at element/);
    await refuses(one({ strides: [4, 1] }), /ends at element 7/);
    await refuses(one({ shape: [2 ** 40, 2 ** 40, 2 ** 40] }), /ends at element/);
    await refuses(one({ strides: [2 ** 40, 2 ** 40] }), /ends at element/);
  });
  it('views that repeat elements: a few bytes would become a great many', async () => {
    await refuses(one({ shape: [2 ** 20, 2 ** 20], strides: [0, 0] }), /repeats elements \(strides \[0,0\]\)/);
    await refuses(one({ shape: [3, 3], strides: [1, 1] }), /repeats elements/);
  });
  it('many views of one storage: the same', async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`t${i}`, { storage: '0', shape: [100_000] }]));
    await refuses(torchFile(many, { 0: counting(100_000) }), /the tensors up to this one take \d+ bytes, the file has \d+/);
    const scattered = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`t${i}`, { storage: '0', offset: i, shape: [2], strides: [90_000] }]));
    await refuses(torchFile(scattered, { 0: counting(100_000) }), /the tensors up to this one take/);
  });
  it('crooked views', async () => {
    await refuses(one({ offset: -1 }), /data\.pkl, byte \d+: a tensor is not made of/);
    await refuses(one({ shape: [-2, -3] }), /a tensor is not made of/);
    await refuses(one({ strides: [-3, 1] }), /a tensor is not made of/);
    await refuses(one({ strides: [1] }), /a tensor is not made of/);
    await refuses(one({ shape: Array.from({ length: 9 }, () => 1), strides: Array.from({ length: 9 }, () => 1) }), /a tensor is not made of/);
    await refuses(one({ metadata: 'neg' }), /a tensor is not made of/);
  });
  it('storages of unknown types', () => refuses(one({}, { type: 'ComplexFloatStorage', elements: 3 }), /asks for "torch\.ComplexFloatStorage"/));
  it('calls of what is no function, with what is no argument', async () => {
    const p = (): Pickle => new Pickle();
    await refuses(withPickle(p().global('torch', 'FloatStorage').op(')R').stop()), /a call that is not that of a tensor/);
    await refuses(withPickle(p().text('os.system').op(')R').stop()), /a call that is not that of a tensor/);
    await refuses(withPickle(p().op('N').op(')R').stop()), /a call that is not that of a tensor/);
    await refuses(withPickle(p().global('torch._utils', '_rebuild_tensor_v2').op(')R').stop()), /a tensor is not made of/);
    await refuses(withPickle(p().global('torch._utils', '_rebuild_parameter').op(')R').stop()), /a call that is not that of a tensor/);
    await refuses(withPickle(p().global('torch._utils', '_rebuild_parameter').tuple(() => p()).op('R').stop()), /needs a value/);
    await refuses(withPickle(p().global('collections', 'OrderedDict').op('(NtR').stop()), /a call that is not that of/);
    await refuses(withPickle(p().global('collections', 'OrderedDict').op('N').stop()), /left over/);
    for (const id of [p().op('NQ'), p().op(')Q'), p().text('storage').op('Q'), p().global('torch', 'FloatStorage').op('Q')]) {
      await refuses(withPickle(id.stop()), /persistent id is not that of a storage/);
    }
  });
  it('what is no dictionary of tensors', async () => {
    await refuses(withPickle(new Pickle().op('N').stop()), /holds no dictionary of tensors/);
    await refuses(withPickle(new Pickle().global('torch', 'FloatStorage').stop()), /holds no dictionary/);
    await refuses(withPickle(new Pickle().op('}').text('epoch').int(3).op('s').stop()), /"epoch" is not a tensor.*state_dict/);
    await refuses(withPickle(new Pickle().op('}').text('state_dict').op('}').op('s').stop()), /"state_dict" is not a tensor/);
    await refuses(withPickle(new Pickle().op('}').text('x'.repeat(1e5)).op('N').op('s').stop()), /"x{80}…" is not a tensor/);
  });
  it('a program, without executing it', () =>
    refuses(withPickle(new Pickle().global('os', 'system').text('touch /tmp/owned').op('\x85R').stop()), /data\.pkl, byte 2: asks for "os\.system".*nothing was executed/));
  it('a pickle longer than any', () => refuses(withPickle(new Uint8Array(16 * 1024 * 1024 + 1)), /data\.pkl" has 16777217 bytes, more than/));
  it('a scattered view too wide to hold', async () => {
    const entry: TensorEntry = { dtype: 'F32', shape: [2, 2], strides: [1, 2 ** 28], offset: 0, byteLength: 16 };
    const source: ByteSource = { name: 'm.bin', size: 2 ** 40, read: () => Promise.reject(new Error('read')), close: async () => {} };
    await expect(readTensor('m.bin: tensor "t"', { ...entry, source })).rejects.toThrow(/^m\.bin: tensor "t" lies scattered over 1073741832 bytes/);
  });
});
