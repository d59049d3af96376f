import { describe, expect, it } from 'vitest';
import { FormatError, sourceFromContent } from 'matmulfree';
import { readZipDirectory, zipDataOffset } from '../../src/formats/zip.js';
import { zipFile, type ZipFields, type ZipInput, type ZipOptions } from '../support/torch-file.js';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const FILES: ZipInput[] = [
  { name: 'top/data.pkl', bytes: text('pickle') }, { name: 'top/data/0', bytes: text('a longer storage') },
  { name: 'top/empty', bytes: text('') }, { name: 'top/ünï', bytes: text('x') },
];

/** Name → content, read the way the library does. */
async function unzip(file: Uint8Array): Promise<Record<string, string>> {
  const source = sourceFromContent('test.bin', file);
  const contents: Record<string, string> = {};
  for (const [name, entry] of await readZipDirectory(source)) {
    const offset = await zipDataOffset(source, entry);
    contents[name] = new TextDecoder().decode(file.subarray(offset, offset + entry.byteLength));
  }
  return contents;
}

async function refuses(file: Uint8Array, message: RegExp): Promise<void> {
  const error = await unzip(file).then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/^test\.bin/);
}

describe('zip archives', () => {
  const kinds: ZipOptions[] = (['none', 'records', 'entries'] as const).flatMap((zip64) =>
    [true, false].flatMap((descriptors) => [64, 1].map((align) => ({ zip64, descriptors, align }))));
  it.each(kinds)('are read: zip64 $zip64, descriptors $descriptors, aligned to $align', async (options) => {
    expect(await unzip(zipFile(FILES, options))).toEqual({
      'top/data.pkl': 'pickle', 'top/data/0': 'a longer storage', 'top/empty': '', 'top/ünï': 'x',
    });
  });
  it('may hold nothing, and folders', async () => {
    expect(await unzip(zipFile([]))).toEqual({});
    expect(await unzip(zipFile([{ name: 'top/', bytes: text('') }]))).toEqual({ 'top/': '' });
  });
  it('is refused when it is cut anywhere', async () => {
    for (const zip64 of ['none', 'records', 'entries'] as const) {
      const file = zipFile(FILES, { zip64 });
      for (let length = 0; length < file.length; length++) await refuses(file.subarray(0, length), /truncated/);
    }
  });

  /** The second entry with other fields in the directory, or in front of its data. */
  const lying = (directory?: Partial<ZipFields>, local?: Partial<ZipFields>, options?: ZipOptions): Uint8Array =>
    zipFile(FILES.map((file, i) => (i === 1 ? { ...file, directory, local } : file)), options);

  it.each([
    ['../data', '/etc/passwd', 'a//b', 'a/./b', '..', '.', '', 'a\\b', 'C:x', 'c:/x', 'a\0b', 'a\nb', 'top/data/../../x', '/'],
  ].flat())('a name that is no plain path is refused: %j', (name) => refuses(lying({ name }, { name }), /not a plain path/));
  it('a name that is not UTF-8', async () => {
    const file = lying();
    file[Buffer.from(file).lastIndexOf('top/data/0') + 3] = 0xff;
    await refuses(file, /zip entry 2 of 4: its name: is not valid UTF-8/);
  });
  it('one name twice', () => refuses(lying({ name: 'top/empty' }, { name: 'top/empty' }), /"top\/empty" occurs twice/));
  it('compression', () => refuses(lying({ method: 8 }), /entry 2 of 4, "top\/data\/0": is compressed or encrypted.*torch\.save/));
  it('compression that only the header in front of the data admits', () => refuses(lying({}, { method: 8 }), /does not agree/));
  it('encryption', async () => {
    for (const flags of [1, 0x40, 0x2000]) {
      await refuses(lying({ flags }), /is compressed or encrypted/);
      await refuses(lying({}, { flags }), /does not agree/);
    }
  });
  it('another name in front of the data', async () => {
    await refuses(lying({}, { name: 'top/data/1' }), /"top\/data\/0": the header at byte \d+ does not agree/);
    await refuses(lying({}, { name: 'top/data/00' }), /does not agree/);
  });
  it('another size in front of the data', () => refuses(lying({}, { size: 15 }, { descriptors: false }), /does not agree/));
  it('sizes that disagree', async () => {
    await refuses(lying({ stored: 15 }), /is compressed/);
  });
  it('data over what comes next, or beyond the file', async () => {
    await refuses(lying({ size: 17 + 128, stored: 17 + 128 }), /overlap what begins at byte 224/);
    await refuses(lying({ size: 2 ** 40, stored: 2 ** 40 }, {}, { zip64: 'entries' }), /overlap/);
    await refuses(lying({ size: 2 ** 63, stored: 2 ** 63 }, {}, { zip64: 'entries' }), /overlap/);
    await refuses(lying({ offset: 2 ** 63 }, {}, { zip64: 'entries' }), /overlap what begins at byte/);
    await refuses(lying({ offset: 2 ** 31 }), /overlap what begins at byte/);
  });
  it('two entries in one place', () => refuses(lying({ offset: 0, size: 6, stored: 6 }), /overlap/));
  it('an entry inside the data of another', async () => {
    const inner = zipFile([{ name: 'top/x', bytes: text('evil') }], { align: 1, zip64: 'none' });
    const file = zipFile([{ name: 'top/outer', bytes: inner }, { name: 'top/x', bytes: text('good'), directory: { offset: 39 } }], { align: 1 });
    await refuses(file, /overlap/);
  });
  it('data that its header pushes into the next entry', async () => {
    const file = zipFile(FILES, { align: 1, zip64: 'none', descriptors: false });
    file[28] = 60; // length of the first extra field
    await refuses(file, /"top\/data\.pkl": the header at byte 0 does not agree/);
  });
  it('no header where the directory says', () => refuses(lying({ offset: 65 }), /header at byte 65 does not agree/));

  it('end records that lie', async () => {
    for (const zip64 of ['none', 'records'] as const) {
      await refuses(zipFile(FILES, { zip64, end: { count: 3 } }), /belong to no entry|contradict/);
      await refuses(zipFile(FILES, { zip64, end: { count: 5 } }), /there is no entry|contradict/);
      await refuses(zipFile(FILES, { zip64, end: { length: 10 } }), /contradict/);
      await refuses(zipFile(FILES, { zip64, end: { offset: 1 } }), /contradict/);
      await refuses(zipFile(FILES, { zip64, end: { disk: 1 } }), /contradict/);
      await refuses(zipFile(FILES, { zip64, end: { here: 3 } }), /contradict/);
      await refuses(zipFile(FILES, { zip64, end: { comment: 'hi' } }), /does not end with the end record/);
    }
    await refuses(zipFile(FILES, { zip64: 'none', end: { count: 0xffff } }), /has 65535 entries/);
    for (const lie of [{ count: 3 }, { length: 1 }, { offset: 0 }, { offset: 2 ** 60 }]) {
      await refuses(zipFile(FILES, { zip64: 'records', end64: lie }), /contradict/);
      await refuses(zipFile(FILES, { zip64: 'entries', end64: lie }), /belong to no entry|contradict/);
    }
    await refuses(zipFile(FILES, { end64: { at: 5 } }), /contradict/);
    await refuses(zipFile(FILES, { end64: { at: 2 ** 63 } }), /contradict/);
    await refuses(zipFile(FILES, { end64: { size: 45 } }), /contradict/);
  });
  it('more entries than any model has', () =>
    refuses(zipFile(Array.from({ length: 16_385 }, (_, i) => ({ name: `${i}`, bytes: text('') })), { align: 1 }), /has 16385 entries/));
});
