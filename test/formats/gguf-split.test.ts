import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convert, FormatError, inspect, MatMulFreeLM, SourceError, type ModelSource } from 'matmulfree';
import { json, randomTensors, TINY, type Files } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { gguf, modelMetadata, modelTensors, type Entry, type TensorToWrite } from '../support/gguf-files.js';

const TENSORS = modelTensors(randomTensors(TINY, 7));
const WHOLE = gguf({ metadata: modelMetadata(TINY), tensors: TENSORS });
const nameOf = (n: number, count: number, stem = 'tiny'): string => `${stem}-${String(n).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;

/** As gguf-split writes: metadata in the first part, the tensors shared out. `edit` may change a part's keys or tensors. */
function split(count: number, edit: (part: { keys: Record<string, Entry>; tensors: Record<string, TensorToWrite> }, n: number) => void = () => {}): Files {
  const entries = Object.entries(TENSORS);
  const each = Math.ceil(entries.length / count);
  const files: Files = {};
  for (let n = 1; n <= count; n++) {
    const keys: Record<string, Entry> = {
      ...(n === 1 ? modelMetadata(TINY) : {}),
      'split.no': ['u16', n - 1], 'split.count': ['u16', count], 'split.tensors.count': ['i32', entries.length],
    };
    const part = { keys, tensors: Object.fromEntries(entries.slice((n - 1) * each, n * each)) };
    edit(part, n);
    files[nameOf(n, count)] = gguf({ alignment: n === 2 ? 64 : 32, metadata: part.keys, tensors: part.tensors });
  }
  return files;
}
const without = (files: Files, ...names: string[]): Files => Object.fromEntries(Object.entries(files).filter(([name]) => !names.includes(name)));

async function logits(source: ModelSource): Promise<Float32Array> {
  const lm = await MatMulFreeLM.load(source);
  return lm.forward([1, 2, 3], lm.createState(), { all: true });
}

let folder: string;
beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'matmulfree-')); });
afterAll(() => rm(folder, { recursive: true }));
async function onDisk(name: string, files: Files): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(path, file), bytes);
  return path;
}

it('a split model gives what the whole file gives: by its folder, any of its parts, Files', async () => {
  const expected = await logits(WHOLE);
  for (const count of [1, 2, 3]) {
    const files = split(count);
    const path = await onDisk(`parts-${count}`, files);
    expectSameBits(await logits(path), expected);
    for (const name of Object.keys(files)) expectSameBits(await logits(join(path, name)), expected);
    expectSameBits(await logits(files), expected);
    expectSameBits(await logits(Object.entries(files).map(([name, bytes]) => new File([bytes as Uint8Array<ArrayBuffer>], name))), expected);
  }
});

it('the first part may have no tensors', async () => {
  const files = split(3, (part, n) => {
    if (n === 1) part.tensors = {};
    if (n === 2) part.tensors = Object.fromEntries(Object.entries(TENSORS).slice(0, Math.ceil(Object.keys(TENSORS).length / 3) * 2));
  });
  expectSameBits(await logits(files), await logits(WHOLE));
});

it('a model beside its configuration, and a whole file with the name of a part', async () => {
  expectSameBits(await logits({ ...split(2), 'config.json': json({}), 'tokenizer.json': json({}) }), await logits(WHOLE));
  expectSameBits(await logits({ [nameOf(1, 2)]: WHOLE }), await logits(WHOLE));
  expectSameBits(await logits({ [nameOf(2, 2)]: WHOLE }), await logits(WHOLE));
});

it('converts to what the whole file converts to', async () => {
  const converted = async (source: ModelSource): Promise<Buffer> => {
    const parts: Uint8Array[] = [];
    for await (const part of convert(source, { name: 'tiny' })) parts.push(part);
    return Buffer.concat(parts);
  };
  expect((await converted(split(3))).equals(await converted(WHOLE))).toBe(true);
});

it('two models in a folder: one has to be named', async () => {
  const two = { ...split(2), 'other.gguf': WHOLE };
  await expect(logits(two)).rejects.toThrow(SourceError);
  await expect(logits(two)).rejects.toThrow(/name one of its \.gguf models/);
  const path = await onDisk('two', two);
  expectSameBits(await logits(join(path, nameOf(2, 2))), await logits(WHOLE));
});

describe('what is wrong with a part is said', () => {
  const three = split(3);
  const renamed = (from: number, to: string): Files => ({ ...without(three, nameOf(from, 3)), [to]: three[nameOf(from, 3)]! });
  const key = (which: number, name: string, entry: Entry): Files => split(3, (part, n) => { if (n === which) part.keys[name] = entry; });
  it.each([
    ['the first is missing', without(three, nameOf(1, 3)), /"tiny-00001-of-00003\.gguf", part 1 of 3, is missing/],
    ['another is missing', without(three, nameOf(2, 3)), /"tiny-00002-of-00003\.gguf", part 2 of 3, is missing/],
    ['a lone part', { 'model.gguf': three[nameOf(2, 3)]! }, /model\.gguf: is one of 3 parts.*its name must end in -0000N-of-00003\.gguf/],
    ['a part of a model of another count', { [nameOf(1, 2)]: three[nameOf(1, 3)]! }, /is one of 3 parts/],
    ['parts exchanged', { ...three, [nameOf(2, 3)]: three[nameOf(3, 3)]!, [nameOf(3, 3)]: three[nameOf(2, 3)]! }, /tiny-00002-of-00003\.gguf: has split\.no 2 and split\.count 3, not 1 and 3/],
    ['a part that is a whole file', { ...three, [nameOf(3, 3)]: WHOLE }, /has split\.no none and split\.count none, not 2 and 3/],
    ['a tensor twice', split(3, (part, n) => { if (n === 3) part.tensors['token_embd.weight'] = TENSORS['token_embd.weight']!; }), /tiny-00003-of-00003\.gguf: tensor "token_embd\.weight" is in "tiny-00001-of-00003\.gguf" too/],
    ['tensors missing', split(3, (part, n) => { if (n === 3) part.tensors = {}; }), /split\.tensors\.count is \d+, but the parts have \d+/],
    ['a count that is none', key(1, 'split.count', ['f32', 1.5]), /split\.count is 1\.5, not a count/],
    ['a negative count', key(1, 'split.count', ['i32', -1]), /split\.count is -1, not a count/],
    ['a count beyond reason', { 'm-00001-of-60000.gguf': gguf({ metadata: { 'split.count': ['u16', 60000] } }) }, /split\.count is 60000, more than 512/],
    ['a part cut short', { ...three, [nameOf(2, 3)]: three[nameOf(2, 3)]!.slice(0, -64) }, /^FormatError: tiny-00002-of-00003\.gguf: tensor/],
    ['a part of nothing', { ...three, [nameOf(3, 3)]: new Uint8Array(0) }, /tiny-00003-of-00003\.gguf: the file ends at byte 0/],
    ['a part under another name', renamed(2, 'tiny-2.gguf'), /name one of its \.gguf models/],
  ] as [string, Files, RegExp][])('%s', async (_name, files, message) => {
    const error: unknown = await logits(files).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(message);
    expect(error instanceof FormatError || error instanceof SourceError).toBe(true);
  });

  it('and inspect says the same', async () => {
    await expect(inspect(without(three, nameOf(2, 3)))).rejects.toThrow(/part 2 of 3, is missing/);
  });
});

it('parts are looked for beside the one that is named, nowhere else', async () => {
  const parts = split(2);
  const path = await onDisk('inside', { [nameOf(1, 2)]: parts[nameOf(1, 2)]! });
  await writeFile(join(folder, nameOf(2, 2)), parts[nameOf(2, 2)]!);
  await expect(logits(path)).rejects.toThrow(/part 2 of 2, is missing/);
  await expect(logits({ [`../${nameOf(1, 2)}`]: parts[nameOf(1, 2)]! })).rejects.toThrow(/part 2 of 2, is missing/);
});
