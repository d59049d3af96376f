import { describe, expect, it } from 'vitest';
import { buildNormalizer } from '../../src/tokenizer/normalizer.js';
import { buildPreTokenizer } from '../../src/tokenizer/pre-tokenizer.js';
import { PARTS } from '../support/tokenizer.js';
import { json } from './helpers.js';

/** Number and hash of the characters that Rust's tokenizers 0.23.2 has in a set, and of what it makes of all characters: whatever Unicode version the engine has. */
const SETS: Record<string, readonly [number, number]> = {
  '\\p{L}': [70402, 1594346886], '\\p{N}': [1911, 3238422675], '\\p{M}': [2501, 1098694125], '\\p{P}': [855, 1288780437], '\\p{S}': [8514, 2824934263],
  '\\p{Ll}': [2258, 2131669043], '\\w': [74045, 2696038268], '[[:alpha:]]': [72133, 84395495], '\\h': [22, 2860741899],
};
const PRE_TOKENIZERS: Record<string, readonly [number, number]> = { Digits: [1924, 1116905937], Punctuation: [726, 3340104531], Whitespace: [59054, 229726900] };
const NORMALIZERS: Record<string, readonly [number, number]> = {
  NFC: [399434, 1080352450], NFD: [422649, 168823819], NFKC: [400770, 889680522],
  NFKD: [424557, 1009397936], Lowercase: [399361, 3162736300], StripAccents: [264143, 2806971509],
};

/** The planes 0, 1 and what there is of 14; all of 2 and 3 is Chinese. */
const CODES: number[] = [];
for (let code = 0; code < 0xe1000; code = code === 0x1ffff ? 0xe0000 : code + 1) if (code < 0xd800 || code > 0xdfff) CODES.push(code);

function hashOf(codes: Iterable<number>): [number, number] {
  let [count, hash] = [0, 0];
  for (const code of codes) {
    count++;
    hash = (Math.imul(hash, 31) + code) >>> 0;
  }
  return [count, hash];
}

function* codesOf(text: string): Iterable<number> {
  for (const char of text) yield char.codePointAt(0)!;
}

const ALL = CODES.map((code) => String.fromCodePoint(code)).join('');

describe('sets of characters', () => {
  it.each(Object.entries(SETS))('%s', (pattern, expected) => {
    const found: number[] = [];
    PARTS.compileRegex(json(pattern))(ALL, (start) => found.push(ALL.codePointAt(start)!));
    expect(hashOf(found)).toEqual(expected);
  });
});

it('Chinese characters of Unicode 16 and no newer ones are letters', () => {
  const found: number[] = [];
  const codes = [0x2a6df, 0x2a6e0, 0x2b739, 0x2b73a, 0x2cea1, 0x2cea2, 0x2ebe0, 0x2ebe1, 0x2ebf0, 0x2ee5d, 0x2ee5e, 0x31350, 0x323af, 0x323b0, 0x33479];
  PARTS.compileRegex(json('(?=\\p{L})\\p{Han}'))(String.fromCodePoint(...codes), (start) => found.push(codes[start / 2]!));
  expect(found).toEqual([0x2a6df, 0x2b739, 0x2cea1, 0x2ebe0, 0x2ebf0, 0x2ee5d, 0x31350, 0x323af]);
});

describe('characters that a pre-tokenizer isolates', () => {
  it.each(Object.entries(PRE_TOKENIZERS))('%s', (type, expected) => {
    const words = buildPreTokenizer(json({ type, individual_digits: true }), PARTS)([{ text: `a${CODES.filter((code) => code !== 97).map((code) => `${String.fromCodePoint(code)}a`).join('')}`, atStart: true }]);
    expect(hashOf(words.flatMap(({ text }) => (text !== 'a' && [...text].length === 1 ? [text.codePointAt(0)!] : [])))).toEqual(expected);
  });
});

describe('what normalizers make of every character', () => {
  it.each(Object.entries(NORMALIZERS))('%s', (type, expected) => {
    const normalize = buildNormalizer(json({ type }), PARTS);
    expect(hashOf(codesOf(CODES.map((code) => normalize(`a${String.fromCodePoint(code)}\u0327`)).join('')))).toEqual(expected);
  });
});

it('characters that only some engines know are nothing to the reference where it does not know them', () => {
  const normalize = (type: string, text: string): string => buildNormalizer(json({ type }), PARTS)(text);
  // The era Reiwa, of 2019; a superscript and an outlined letter of Unicode 14 and 16; a mark of Unicode 11 between two older ones out of order.
  expect(['\u32ff', '\ua7f2', '\u{1ccd6}'].map((text) => normalize('NFKC', text))).toEqual(['\u32ff', '\ua7f2', '\u{1ccd6}']);
  expect(normalize('NFD', '\u00e9\u09fe\u0301\u0316x\u0301\u0316')).toBe('e\u0301\u09fe\u0316\u0301x\u0316\u0301');
  expect(normalize('NFC', 'e\u09fe\u0301')).toBe('e\u09fe\u0301');
  expect(normalize('StripAccents', 'a\u0301\u0d3b\u0ebax')).toBe('a\u0d3b\u0ebax');
  expect(normalize('Lowercase', 'A\ua7cb\ua7da\u1c89\u{10d50}\u0391\u03a3')).toBe('a\u0264\ua7db\u1c8a\u{10d70}\u03b1\u03c3');
  // Unassigned in Unicode 17: no engine may know it.
  expect(normalize('Lowercase', '\u{1057b}A')).toBe('\u{1057b}a');
});
