import { describe, expect, it } from 'vitest';
import { ArgumentError } from 'matmulfree';
import { compileRegex } from '../../src/constrain/compile.js';
import { freshSeed } from '../support/random.js';
import { accepts, bytesAlone, randomOf } from './helpers.js';
import { randomRegex } from './random-regexes.js';

const tokenizer = bytesAlone();

function matches(pattern: string, text: string): boolean {
  return accepts(compileRegex(pattern, tokenizer), tokenizer, text);
}

describe('regular expressions', () => {
  const seed = freshSeed();

  it(`mean what they mean in JavaScript (seed ${seed})`, () => {
    const random = randomOf(seed);
    const letters = ['a', 'b', 'c', '7', ' ', '.', '-', 'é', '日', '"', '{', '\\', '\n', '😀', 'A', 'ÿ', '\u00a0'];
    let matched = 0;
    for (let run = 0; run < 400; run++) {
      const pattern = randomRegex(random, 2);
      const constraint = compileRegex(pattern, tokenizer);
      const expected = new RegExp(`^(?:${pattern})$`, 'u');
      for (let n = 0; n < 12; n++) {
        const text = Array.from({ length: random.integer(0, 5) }, () => letters[random.integer(0, letters.length - 1)]!).join('');
        const isMatch = expected.test(text);
        matched += Number(isMatch);
        expect(accepts(constraint, tokenizer, text), `${pattern} and ${JSON.stringify(text)}`).toBe(isMatch);
      }
    }
    expect(matched).toBeGreaterThan(50);
  });

  it.each([
    ['abc', ['abc'], ['', 'ab', 'abcd']],
    ['^a|b$', ['a', 'b'], ['ab', '']],
    ['^(?:^a$|b)$', ['a', 'b'], ['ab']],
    ['^$', [''], ['a']],
    ['', [''], ['a']],
    ['a{2}', ['aa'], ['a', 'aaa']],
    ['a{2,}', ['aa', 'aaaaa'], ['a']],
    ['a{1,3}?', ['a', 'aaa'], ['', 'aaaa']],
    ['(?:a*)*', ['', 'aaa'], ['b']],
    ['(a|b)+?c', ['abac', 'c'.padStart(9, 'b')], ['c']],
    ['(?<year>\\d{4})-(?P<month>\\d\\d)', ['2024-01'], ['24-1']],
    ['a{,', ['a{,'], ['a']],
    ['{"a": \\d}', ['{"a": 1}'], ['{"a": x}']],
    ['.', ['é', '😀', '"'], ['\n', '\r', '\u2028', 'xx']],
    ['[^]', ['\n', '😀'], ['']],
    ['[\\]a^-]', [']', 'a', '^', '-'], ['b', '\\']],
    ['[a\\-z]', ['-', 'a'], ['b']],
    ['[\\b]', ['\b'], ['b']],
    ['\\cA\\0\\x41\\u{1F600}\\ud83d\\ude00\\t\\/', ['\u0001\0A😀😀\t/'], ['A']],
    ['[\\u{1F600}-\\u{1F64F}é]+', ['😀🙏é'], ['a', '😀x']],
    ['[^a-z\\d]', ['A', '日', '\n'], ['a', '5']],
    ['[\\D5]', ['x', '5'], ['6']],
    ['\\p{Lu}\\P{Lu}', ['Éé', 'Ω1'], ['éé', 'É']],
    ['[\\p{Script=Greek}\\p{N}]+', ['αβ9٣'], ['a']],
    ['\\p{Emoji_Presentation}', ['😀'], ['x', '日']],
  ] as const)('%s', (pattern, good, bad) => {
    for (const text of good) expect(matches(pattern, text), text).toBe(true);
    for (const text of bad) expect(matches(pattern, text), text).toBe(false);
  });

  it('knows properties for every character as the engine does', () => {
    for (const name of ['L', 'Nd', 'White_Space', 'Script=Han', 'ASCII', 'Noncharacter_Code_Point']) {
      const constraint = compileRegex(`\\p{${name}}`, tokenizer);
      const expected = new RegExp(`^\\p{${name}}$`, 'u');
      for (let code = 0; code < 0x110000; code += code < 0x3000 ? 97 : 1009) {
        if (code >= 0xd800 && code < 0xe000) continue;
        const char = String.fromCodePoint(code);
        expect(accepts(constraint, tokenizer, char), `${name} U+${code.toString(16)}`).toBe(expected.test(char));
      }
    }
  });

  it.each([
    ['a(?=b)', /has a look-ahead, which is not supported, at offset 1/],
    ['a(?!b)', /has a look-ahead, which is not supported, at offset 1/],
    ['(?<=a)b', /has a look-behind, which is not supported, at offset 0/],
    ['(?<!a)b', /has a look-behind, which is not supported, at offset 0/],
    ['(?i:a)', /has a group of options, which is not supported, at offset 0/],
    ['(?>a)', /an atomic group/],
    ['(a)\\1', /has a back-reference, which is not supported, at offset 3/],
    ['(?<n>a)\\k<n>', /has a back-reference, which is not supported, at offset 7/],
    ['\\bword', /has a word boundary, which is not supported, at offset 0/],
    ['a^b', /has \^ at offset 1, which is not an edge/],
    ['(?:^a)*', /has \^ at offset 3, which is not an edge/],
    ['a$b', /has \$ at offset 1/],
    ['^*', /a quantifier behind an anchor at offset 0/],
    ['*a', /a quantifier with nothing before it at offset 0/],
    ['a**', /a quantifier behind a quantifier at offset 1/],
    ['a++', /a quantifier behind a quantifier at offset 1/],
    ['a{3,2}', /the interval \{3,2\} at offset 1/],
    ['a{,2}', /write \{0,n\} at offset 1/],
    ['(a', /an unclosed group at offset 0/],
    ['a)', /an unmatched \) at offset 1/],
    ['[a', /an unclosed class at offset 0/],
    ['[]a]', /no text that the tokenizer can write matches "\[\]a\]"/],
    ['[\\d-x]', /a range with a class at one end at offset 1/],
    ['[z-a]', /whose ends are in the wrong order at offset 1/],
    ['\\', /an unexpected end at offset 1/],
    ['\\x4', /an incomplete escape at offset 0/],
    ['\\u{110000}', /an escape that is no character at offset 0/],
    ['\\ud800', /an escape that is no character at offset 0/],
    ['\ud800', /half a surrogate pair at offset 0/],
    ['\\q', /the escape \\q, which is not supported, at offset 0/],
    ['\\p{Nonsense}', /the property Nonsense, which this engine does not know, at offset 0/],
    ['\\pL', /an incomplete property at offset 0/],
    ['a{99999999999}', /at least 99999999999 is more than any text holds/],
  ])('refuses %j by name and place', (pattern, message) => {
    expect(() => compileRegex(pattern, tokenizer)).toThrow(ArgumentError);
    expect(() => compileRegex(pattern, tokenizer)).toThrow(message);
  });

  it('refuses what is too much of something', () => {
    const scripts = 'Han Greek Latin Cyrillic Thai Arabic Hebrew Lao Khmer Tamil Telugu Bengali Hangul Hiragana Katakana Mongolian Tibetan';
    expect(() => compileRegex('a'.repeat(20_000), tokenizer)).toThrow(/longer than 16384 characters/);
    expect(() => compileRegex(`${'('.repeat(200)}a${')'.repeat(200)}`, tokenizer)).toThrow(/groups nested deeper than 100/);
    expect(() => compileRegex(scripts.split(' ').map((name) => `\\p{Script=${name}}`).join(''), tokenizer)).toThrow(/more than 16 different properties/);
  });

  it('refuses what is no string', () => {
    expect(() => compileRegex(/a/ as unknown as string, tokenizer)).toThrow(/^constraint: regex is an object, not a string$/);
  });
});
