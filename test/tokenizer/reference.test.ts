/** Corners in which a tokenizer easily differs from the reference. What is expected was found out with Rust's tokenizers 0.23.2, unless it says otherwise. */
import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { byteAlphabet } from '../../src/tokenizer/byte-alphabet.js';
import { tiny, tokensOf } from './helpers.js';

const BYTES = byteAlphabet();
const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
const split = (Regex: string): unknown => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const sequence = (key: string, ...list: unknown[]): unknown => ({ type: 'Sequence', [key]: list });
const added = (contents: readonly string[], flags: object = {}): unknown => contents.map((content, i) => ({ id: 256 + i, content, normalized: false, ...flags }));

describe('added tokens of a byte-level tokenizer come back as they are (the reference takes their letters for bytes)', () => {
  const words = ['čau', 'žádný', 'ÀÉ', 'naïve', 'größe', 'łódź', 'œuvre', 'ĠĠx', '日本', 'plain', 'éÃ', '©©', '😀'];
  const build = (decoder: unknown, special = false): Tokenizer => tiny(BYTES, [], { added_tokens: added(words, { special }), pre_tokenizer: BYTE_LEVEL, decoder });

  it.each<[string, unknown]>([
    ['ByteLevel', BYTE_LEVEL], ['in a Sequence', sequence('decoders', BYTE_LEVEL)], ['behind Fuse', sequence('decoders', { type: 'Fuse' }, BYTE_LEVEL)],
    ['behind Replace', sequence('decoders', { type: 'Replace', pattern: { String: '~' }, content: ' ' }, BYTE_LEVEL)],
  ])('%s', (_, decoder) => {
    for (const special of [false, true]) for (const word of words) {
      const tokenizer = build(decoder, special);
      const text = `a ${word} é${word}`;
      const ids = tokenizer.encode(text);
      expect(ids.filter((id) => id >= 256)).toHaveLength(2);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text);
      const stream = tokenizer.createDecodeStream({ skipSpecialTokens: false });
      expect(ids.map((id) => stream.push(id)).join('') + stream.flush()).toBe(text);
    }
  });

  it('and end a character that is not whole', () => {
    const tokenizer = build(BYTE_LEVEL);
    const size = 256 + words.indexOf('größe');
    expect(tokenizer.decode([0xc3, size, 0xa9])).toBe('\ufffdgröße\ufffd');
    expect(tokenizer.decode([0xc3, 256 + words.indexOf('©©')])).toBe('\ufffd©©');
  });
});

describe('added tokens that are white space themselves', () => {
  const ids = (contents: readonly string[], flags: object, text: string): string => tiny(['a', 'b', ' '], [], { added_tokens: added(contents, flags) }).encode(text).join(' ');
  it.each<[string[], object, string, string]>([
    [['\n\n'], { lstrip: true, rstrip: true }, 'a\n\nb', '0 256 1'],
    [['\n\n'], { lstrip: true, rstrip: true }, 'a\n\n\n\nb', '0 256 1'],
    [['\n\n'], { lstrip: true, rstrip: true }, 'a\n\n \n\n\n\nb', '0 256 1'],
    [['\n\n'], { lstrip: true, rstrip: true }, ' \n\n\n\n \n', '256'],
    [['\n'], { lstrip: true, rstrip: true }, 'a \n\nb\n', '0 256 1 256'],
    [['\n'], { lstrip: true }, 'a \n\nb', '0 256 256 1'],
    [['\n'], { rstrip: true }, 'a\n\nb', '0 256 256 1'],
  ])('%j %j in %j', (contents, flags, text, expected) => {
    expect(ids(contents, flags, text)).toBe(expected);
  });
});

describe('Metaspace, first: only before what stood at the very beginning', () => {
  const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true };
  const replace = (pattern: unknown, content: string): unknown => ({ type: 'Replace', pattern, content });
  const strip = { type: 'Strip', strip_left: true, strip_right: true };
  const prepend = { type: 'Prepend', prepend: 'x' };
  const chars = [...'▁Hiabxe\u0301-'];
  it.each<[string, unknown, string, string]>([
    ['Strip', strip, 'Hi', '▁Hi'], ['Strip', strip, ' Hi', 'Hi'], ['Strip', strip, 'Hi ', '▁Hi'],
    ['Strip, Prepend', sequence('normalizers', strip, prepend), ' Hi', 'xHi'], ['Prepend, Strip', sequence('normalizers', prepend, strip), ' Hi', '▁x▁Hi'],
    ['Replace by nothing', replace({ String: ' ' }, ''), ' Hi', 'Hi'], ['Replace by nothing, elsewhere', replace({ String: 'H' }, ''), 'aHi', '▁ai'],
    ['Replace what was put in front', sequence('normalizers', prepend, replace({ String: 'x' }, '')), 'Hi', '▁Hi'],
    ['Replace one by one', replace({ String: ' ' }, 'x'), '  Hi', '▁xxHi'], ['Replace two by one', replace({ Regex: ' +' }, 'x'), '  Hi', 'xHi'], ['Replace one by two', replace({ Regex: ' +' }, 'xx'), ' Hi', '▁xxHi'],
    ['Replace nothing', replace({ Regex: '^' }, 'x'), ' Hi', '▁x▁Hi'], ['StripAccents', { type: 'StripAccents' }, '\u0301a', 'a'], ['StripAccents', { type: 'StripAccents' }, 'a\u0301', '▁a'],
    ['NFD', { type: 'NFD' }, 'é', '▁e\u0301'],
  ])('%s', (_, normalizer, text, expected) => {
    expect(tokensOf(tiny(chars, [], { normalizer, pre_tokenizer: METASPACE }), text).join('')).toBe(expected);
  });

  it('a text that goes on gets no mark, whatever was taken away', () => {
    for (const prepend_scheme of ['first', 'always']) {
      const tokenizer = tiny(chars, [], { normalizer: strip, pre_tokenizer: { ...METASPACE, prepend_scheme } });
      expect(tokenizer.encode(' Hi', { continues: true }).map((id) => tokenizer.idToToken(id)).join('')).toBe('Hi');
    }
  });
});

describe('patterns', () => {
  const cut = (pattern: string, text: string): string => {
    const chars = [...new Set(text)];
    return tokensOf(tiny(chars.flatMap((char) => [char, `${char}|`]), [], { pre_tokenizer: split(pattern), model: { end_of_word_suffix: '|' } }), text).join('');
  };

  it.each<[string, string, string]>([
    ['\\w+', 'x²-a', 'x²|-|a|'], ['\\w+|[^\\w\\s]+', '1½ a', '1½| |a|'], ['\\w+', '1½', '1½|'], ['[\\w]+', 'x²', 'x|²|'], ['\\b', 'x²-', 'x²|-|'], ['\\B', 'x²-', 'x|²-|'],
    ['\\W+', '²-', '²|-|'], ['[\\W]+', 'a²-', 'a|²-|'], ['[^\\w]+', 'a²-', 'a|²-|'], ['\\p{Word}+', 'x¹-', 'x¹|-|'], ['[[:word:]]+', 'x¾', 'x|¾|'], ['\\p{^Word}+', '¼-', '¼|-|'],
    // what is repeated and is nothing ends the repetition
    ['(?:|a)+', 'aab', 'a|a|b|'], ['(?:a??)*', 'aa', 'a|a|'],
    // a quantifier behind an interval
    ['a{2}+', 'aaaaa', 'aaaa|a|'], ['a{2}?', 'aaaa', 'aa|aa|'], ['(?:a|bb){2}?', 'abbabb', 'abb|abb|'],
    // what is kept does not depend on what comes behind it
    ['(?>.??)\\S{2}', 'a\nbc', 'a\n|bc|'], ['(?>a|ab)c', 'abc', 'abc|'],
  ])('%s', (pattern, text, expected) => {
    expect(cut(pattern, text)).toBe(expected);
  });

  it('that match nothing never match within a character', () => {
    const tokenizer = (pattern: string): Tokenizer => tiny(BYTES, [], { pre_tokenizer: sequence('pretokenizers', split(pattern), BYTE_LEVEL), decoder: BYTE_LEVEL });
    for (const pattern of ['(?<!\\p{L})', '(?!\\d)', '\\B', '\\b', '\\z', '\\A', '(?<!\\s)(?!\\s)', '$', '^', '', '(?<=.)', '(?<!.)', '(?:)', 'x*', '(?=.)']) {
      for (const text of ['a😀b', '😀', '😀\n', '12😀34', '𝔘x', '👨‍👩‍👧‍👦']) {
        const ids = tokenizer(pattern).encode(text);
        expect(ids, `${pattern} in ${text}`).toEqual([...new TextEncoder().encode(text)]);
      }
    }
    const string = tiny(BYTES, [], { pre_tokenizer: sequence('pretokenizers', { type: 'Split', pattern: { String: '' }, behavior: 'Isolated' }, BYTE_LEVEL) });
    expect(string.encode('a😀b')).toEqual([...new TextEncoder().encode('a😀b')]);
    const half = tiny(BYTES, [], { pre_tokenizer: sequence('pretokenizers', { type: 'Split', pattern: { String: '\ude00' }, behavior: 'Removed' }, BYTE_LEVEL) });
    expect(half.encode('a😀b')).toEqual([...new TextEncoder().encode('a😀b')]);
  });
});

it('Strip takes trailing spaces behind any characters', () => {
  for (const text of ['abc', 'é', '漢字', '日本語', 'aé', '😀']) {
    const tokenizer = tiny([...new Set(`${text} \u3000\t`)], [], { normalizer: { type: 'Strip', strip_left: true, strip_right: true } });
    for (const spaced of [`${text}  `, `${text}\u3000\t`, `\u3000 ${text} `]) expect(tokenizer.encode(spaced)).toEqual(tokenizer.encode(text));
  }
});
