import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FormatError, inspect, SourceError } from 'matmulfree';
import { json, safetensors, tinyCheckpoint, type Files } from '../support/checkpoints.js';
import { fixture } from '../support/files.js';
import { gguf } from '../support/gguf-files.js';
import { cli } from '../support/run.js';

/** Of no model that this library runs. */
const file = (version = 3): Uint8Array => gguf({
  version,
  metadata: {
    'general.architecture': ['string', 'llama'], 'a.count': ['u32', 7], 'a.list': [['f32'], [1, 2, 3, 4, 5, 6]],
    'a.text': ['string', 'x'.repeat(100)], 'evil\u001b[2J\nkey': ['bool', true], ['__proto__']: ['i8', -1],
  },
  tensors: {
    w: { type: 'Q8_0', shape: [3, 64], bytes: new Uint8Array(3 * 2 * 34) },
    v: { type: 'F32', shape: [5], bytes: new Uint8Array(20) },
  },
});

describe('inspect', () => {
  it.each([2, 3])('GGUF version %i, of any architecture', async (version) => {
    const info = await inspect({ 'some.gguf': file(version) });
    expect(info).toMatchObject({ name: 'some.gguf', format: `GGUF v${version}`, files: [{ name: 'some.gguf', bytes: file().length }] });
    expect(info.metadata.get('a.count')).toEqual({ type: 'u32', value: 7 });
    expect(info.metadata.get('a.list')).toEqual({ type: 'array of f32', value: [1, 2, 3, 4, 5, 6] });
    expect(info.tensors).toEqual([
      { name: 'w', type: 'Q8_0', shape: [3, 64], bytes: 204, file: 'some.gguf' }, { name: 'v', type: 'F32', shape: [5], bytes: 20, file: 'some.gguf' },
    ]);
  });

  it('a folder of safetensors, in one file or shards, and one file by itself', async () => {
    const shards = await inspect(fixture('models/bf16-sharded'));
    expect(shards).toMatchObject({ format: 'safetensors' });
    expect(shards.files.map(({ name }) => name)).toEqual([1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`));
    expect(shards.metadata.get('hidden_size')).toEqual({ type: 'number', value: 128 });
    expect(shards.tensors.find(({ name }) => name === 'lm_head.norm.weight')).toEqual(
      { name: 'lm_head.norm.weight', type: 'BF16', shape: [128], bytes: 256, file: 'model-00001-of-00003.safetensors' });
    const single = await inspect(fixture('models/no-lower-bound'));
    expect(single.tensors.find(({ name }) => name === 'model.norm.weight')).toMatchObject({ shape: [80], file: 'model.safetensors' });
    const alone = await inspect(fixture('models/no-lower-bound/model.safetensors'));
    expect(alone.tensors).toEqual(single.tensors);
    expect([...alone.metadata]).toEqual([['__metadata__.format', { type: 'string', value: 'pt' }]]);
    expect((await inspect({ 'x.safetensors': safetensors({ t: { shape: [2, 1], values: [1, 2] } }) })).tensors).toEqual(
      [{ name: 't', type: 'F32', shape: [2, 1], bytes: 8, file: 'x.safetensors' }]);
  });

  it('what safetensors files say under __metadata__, each thing once', async () => {
    const shard = (tensor: string, metadata: unknown): Uint8Array => safetensors(
      { [tensor]: { shape: [1], values: [1] } }, (header) => { header['__metadata__'] = metadata as never; });
    const alone = await inspect({ 'x.safetensors': shard('t', { format: 'pt', ['__proto__']: 'no' }) });
    expect([...alone.metadata]).toEqual([
      ['__metadata__.format', { type: 'string', value: 'pt' }], ['__metadata__.__proto__', { type: 'string', value: 'no' }],
    ]);
    expect(alone.tensors).toHaveLength(1);
    const [a, b] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;
    const folder = {
      'config.json': json({ layers: 2 }), 'model.safetensors.index.json': json({ weight_map: { t: a, u: b } }),
      [a]: shard('t', { format: 'pt', part: '1' }), [b]: shard('u', { format: 'pt', part: '2' }),
    };
    expect([...(await inspect(folder)).metadata]).toEqual([
      ['layers', { type: 'number', value: 2 }], ['__metadata__.format', { type: 'string', value: 'pt' }],
      ['__metadata__.part', { type: 'string', value: '1' }], [`${b}: __metadata__.part`, { type: 'string', value: '2' }],
    ]);
    expect((await inspect({ 'x.safetensors': shard('t', null) })).metadata.size).toBe(0); // as if it were not there
    for (const bad of [5, [], { a: 1 }, { a: { b: 'c' } }]) {
      const failure = inspect({ 'x.safetensors': shard('t', bad) });
      await expect(failure).rejects.toThrow('x.safetensors: __metadata__ in the header must be an object of texts');
      await expect(failure).rejects.toBeInstanceOf(FormatError);
    }
  });

  it.each([
    ['nothing of the kind', { 'notes.txt': new Uint8Array(9) }, SourceError, /notes|is no GGUF, safetensors or PyTorch file/],
    ['several models', { 'a.gguf': file(), 'b.gguf': file() }, SourceError, /several \.gguf models: name one/],
    ['a broken file', { 'a.gguf': file().slice(0, 90) }, FormatError, /a\.gguf: the file ends at byte 90/],
  ] as [string, Files, new () => Error, RegExp][])('refuses %s', async (_name, files, kind, message) => {
    await expect(inspect(files)).rejects.toThrow(kind);
    await expect(inspect(files)).rejects.toThrow(message);
  });

  it('does not look at the folder of a file of another kind', () =>
    expect(inspect(fixture('models/no-lower-bound/config.json'))).rejects.toThrow(SourceError));
});

describe('matmulfree info PATH', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
    await writeFile(join(folder, 'some.gguf'), file());
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('as tables, safe for a terminal', async () => {
    const { code, stdout, stderr } = await cli('info', join(folder, 'some.gguf'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^some\.gguf: GGUF v3, 6\d\d B\n\n6 metadata keys\n/);
    expect(stdout).toMatch(/\n {2}a\.count +u32 +7\n {2}a\.list +array of f32 +\[1, 2, 3, 4, …\] \(6\)\n/);
    expect(stdout).toMatch(/a\.text +string +"x{60}"… \(100 characters\)/);
    expect(stdout).toMatch(/evil \[2J key/);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toMatch(/\n2 tensors, 224 B\n {2}w {2}Q8_0 {2}\[3, 64\] {2}204\n {2}v {2}F32 {3}\[5\] {6}20\n$/);
  });

  it('as JSON', async () => {
    const { stdout } = await cli('info', join(folder, 'some.gguf'), '--json');
    const report = JSON.parse(stdout) as { metadata: Record<string, unknown>; tensors: unknown[] };
    expect(report.metadata['a.count']).toEqual({ type: 'u32', value: 7 });
    expect(report.metadata['a.list']).toEqual({ type: 'array of f32', length: 6, value: [1, 2, 3, 4] });
    expect(Object.getOwnPropertyDescriptor(report.metadata, '__proto__')?.value).toEqual({ type: 'i8', value: -1 });
    expect(report.metadata['a.text']).toEqual({ type: 'string', length: 100, value: 'x'.repeat(60) });
    expect(report.tensors[1]).toEqual({ name: 'v', type: 'F32', shape: [5], bytes: 20, file: 'some.gguf' });
  });

  it('a value nested deeper than any stack, shortly', async () => {
    const model = join(folder, 'deep');
    await mkdir(model);
    for (const [name, bytes] of Object.entries(tinyCheckpoint())) await writeFile(join(model, name), bytes);
    const nested = (open: string, close: string): string => open.repeat(200_000) + '1' + close.repeat(200_000);
    await writeFile(join(model, 'config.json'), `{"list": ${nested('[', ']')}, "object": ${nested('{"a":', '}')}, "flat": {"b": [1, {"c": 2}]}}`);
    const { code, stdout, stderr } = await cli('info', model);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/\n {2}list +list +\[{8}"…"\]{8}\n {2}object +object +(\{"a":){8}"…"\}{8}\n {2}flat +object +\{"b":\[1,\{"c":2\}\]\}\n/);
    const { metadata } = JSON.parse((await cli('info', model, '--json')).stdout) as { metadata: Record<string, unknown> };
    expect(metadata['flat']).toEqual({ type: 'object', value: { b: [1, { c: 2 }] } });
  });

  it('names the shards of a folder', async () => {
    const { stdout } = await cli('info', fixture('models/bf16-sharded'));
    expect(stdout).toMatch(/: safetensors, 1\.5 MB in 3 files\n\n {2}model-00001-of-00003\.safetensors +139 kB\n/);
    expect(stdout).toMatch(/lm_head\.norm\.weight +BF16 +\[128\] +256 +model-00001-of-00003\.safetensors\n/);
  });

  it.each([
    [['info', 'a', 'b'], 2, /one PATH/], [['info', 'a', '--model', 'b'], 2, /not both/], [['info', 'no/such'], 1, /no such file or folder/],
  ] as [string[], number, RegExp][])('%j exits with %i', async (args, code, message) => {
    const run = await cli(...args);
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toMatch(message);
  });
});

it('a checkpoint in memory can be inspected as it can be loaded', async () => {
  expect((await inspect(tinyCheckpoint())).tensors.length).toBeGreaterThan(20);
});
