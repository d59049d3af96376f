import { expect, it } from 'vitest';
import { FormatError, readGguf, sourceFromContent } from 'matmulfree';
import { gguf, type Entry } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';

/* String arrays of headers that are larger than what is read first. */

const PADDING = 'x'.repeat(70_000);
const read = async (bytes: Uint8Array): Promise<readonly unknown[]> => {
  const { metadata } = await readGguf(sourceFromContent('big.gguf', bytes));
  return metadata.get('texts')!.value as readonly unknown[];
};
const file = (texts: readonly string[], more: Record<string, Entry> = {}): Uint8Array => gguf({ metadata: { padding: ['string', PADDING], texts: [['string'], texts], ...more } });
const refusal = (bytes: Uint8Array): Promise<string> => read(bytes).then(() => 'read', (error: unknown) => (error instanceof FormatError ? error.message : String(error)));

const seed = freshSeed();

it(`holds every text as it was written (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const chars = ['a', ' ', '\0', '\x7f', '\x80', 'é', 'Ġ', '\u07ff', '\u0800', '漢', '\ufeff', '\uffff', '\u{10000}', '🙂', '\u{10ffff}'];
  const text = (): string => Array.from({ length: random.integer(0, 9) }, () => chars[random.integer(0, chars.length - 1)]!).join('');
  for (const count of [0, 1, 2, 5000]) {
    const texts = Array.from({ length: count }, text);
    expect(await read(file(texts, { 'other.key': ['u32', 7] }))).toEqual(texts);
  }
  const long = ['', 'é'.repeat(100_000), '', '\ufeff\ufeff', 'ab'];
  expect(await read(file(long))).toEqual(long);
});

it('is longer than each of the stretches that are read of it', async () => {
  const texts = Array.from({ length: 200_000 }, (_, n) => `Ġ${n}`); // 3 MB
  expect((await read(file(texts))).join() === texts.join()).toBe(true);
});

/** `texts` as Latin-1, so that each character is a byte. */
function withBytes(texts: readonly string[]): { bytes: Uint8Array; ends: number[] } {
  const bytes = file(texts);
  let at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('\x05\0\0\0\0\0\0\0texts', 'latin1') + 13 + 16;
  const ends = texts.map((text) => {
    bytes.set(Buffer.from(text, 'latin1'), at + 8);
    return (at += 8 + text.length);
  });
  return { bytes, ends };
}

it.each([
  ['a byte that no character has', ['ab', 'c?d', 'e'], 1, '\xff'],
  ['half a character', ['ab', 'c?', 'e'], 1, '\xc3'],
  ['the other half', ['ab', 'c', '?e'], 2, '\xa9'],
  ['a surrogate', ['ab', '???', 'e'], 1, '\xed\xa0\x80'],
  ['an overlong form', ['??'], 0, '\xc0\x80'],
])('refuses %s, and says where', async (_, texts, wrong, broken) => {
  const { bytes, ends } = withBytes(texts);
  const first = ends[wrong]! - texts[wrong]!.length + texts[wrong]!.indexOf('?');
  bytes.set(Buffer.from(broken, 'latin1'), first);
  expect(await refusal(bytes)).toBe(`big.gguf: metadata key "texts" holds text that is not valid UTF-8 (near byte ${ends[wrong]})`);
});

it('refuses a character that is cut in two by the end of a text', async () => {
  const { bytes, ends } = withBytes(['a?', '?b']);
  bytes[ends[0]! - 1] = 0xc3;
  bytes[ends[1]! - 2] = 0xa9;
  expect(await refusal(bytes)).toBe(`big.gguf: metadata key "texts" holds text that is not valid UTF-8 (near byte ${ends[0]})`);
});

it('refuses lengths that are absurd or longer than the file, and a file that ends in between', async () => {
  const { bytes, ends } = withBytes(['ab', 'cd', 'ef']);
  const changed = (at: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    copy[at] = value;
    return copy;
  };
  expect(await refusal(changed(ends[0]! + 7, 0x80))).toMatch(/^big\.gguf: metadata key "texts" holds the absurd number \d+ \(near byte \d+\)$/);
  for (const at of [2, 3, 4, 5]) expect(await refusal(changed(ends[0]! + at, 0x7f)), `byte ${at}`).toBe(`big.gguf: the file ends at byte ${bytes.length}, inside metadata key "texts" (truncated download?)`);
  for (const end of [ends[0]!, ends[0]! + 3, ends[1]! - 1, ends[2]! - 1]) {
    expect(await refusal(bytes.slice(0, end))).toBe(`big.gguf: the file ends at byte ${end}, inside metadata key "texts" (truncated download?)`);
  }
  // What is wrong before the end is told of first.
  const broken = changed(ends[0]! - 1, 0xff).slice(0, ends[1]! - 1);
  expect(await refusal(broken)).toBe(`big.gguf: metadata key "texts" holds text that is not valid UTF-8 (near byte ${ends[0]})`);
});
