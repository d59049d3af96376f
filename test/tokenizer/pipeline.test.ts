import { describe, expect, it } from 'vitest';
import { buildNormalizer } from '../../src/tokenizer/normalizer.js';
import { buildPostProcessor } from '../../src/tokenizer/post-processor.js';
import { buildPreTokenizer } from '../../src/tokenizer/pre-tokenizer.js';
import { json, tiny, tokensOf } from './helpers.js';
import { PARTS } from '../support/tokenizer.js';

const normalize = (config: unknown, text: string): string => buildNormalizer(json(config), PARTS)(text);
const words = (config: unknown, text: string): string[] => buildPreTokenizer(json(config), PARTS)([{ text, atStart: true }]).map((word) => word.text);

describe('normalizers', () => {
  it.each<[string, unknown, string, string]>([
    ['none', null, ' A ', ' A '],
    ['Prepend', { type: 'Prepend', prepend: '▁' }, 'a', '▁a'],
    ['Prepend to nothing', { type: 'Prepend', prepend: '▁' }, '', ''],
    ['Replace a string', { type: 'Replace', pattern: { String: '.' }, content: '$&' }, 'a.b.', 'a$&b$&'],
    ['Replace a regex', { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, 'a\u0085 \tb', 'a b'],
    ['Replace empty matches', { type: 'Replace', pattern: { Regex: 'b*' }, content: '-' }, 'abb😀', '-a-😀-'],
    ['Replace the empty string', { type: 'Replace', pattern: { String: '' }, content: '-' }, 'a😀', '-a-😀-'],
    ['NFC', { type: 'NFC' }, 'e\u0301', 'é'],
    ['NFD', { type: 'NFD' }, 'é', 'e\u0301'],
    ['NFKC', { type: 'NFKC' }, 'ﬁ½', 'fi1⁄2'],
    ['NFKD', { type: 'NFKD' }, 'ﬁé', 'fie\u0301'],
    ['Lowercase', { type: 'Lowercase' }, 'ÀΣİΑΣ', 'àσi\u0307ασ'],
    ['Strip left', { type: 'Strip', strip_left: true, strip_right: false }, ' \u00a0a ', 'a '],
    ['Strip both', { type: 'Strip', strip_left: true, strip_right: true }, '  a b\t\n', 'a b'],
    ['Strip all', { type: 'Strip', strip_left: true, strip_right: true }, '   ', ''],
    ['Strip behind a character of two bytes', { type: 'Strip', strip_left: false, strip_right: true }, 'é   ', 'é'],
    ['StripAccents', { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] }, 'Café', 'Cafe'],
    ['Sequence, in order', { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: ' ' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] }, 'a b', '▁a▁b'],
  ])('%s', (_, config, text, expected) => {
    expect(normalize(config, text)).toBe(expected);
  });
});

describe('Split', () => {
  const split = (behavior: string, text: string, invert = false, pattern: unknown = { String: '-' }): string[] =>
    words({ type: 'Split', pattern, behavior, invert }, text);

  it.each<[string, string[]]>([
    ['Removed', ['the', 'final', 'countdown']],
    ['Isolated', ['the', '-', 'final', '-', '-', 'countdown']],
    ['MergedWithPrevious', ['the-', 'final-', '-', 'countdown']],
    ['MergedWithNext', ['the', '-final', '-', '-countdown']],
    ['Contiguous', ['the', '-', 'final', '--', 'countdown']],
  ])('%s', (behavior, expected) => {
    expect(split(behavior, 'the-final--countdown')).toEqual(expected);
  });

  it.each<[string, string[], string[]]>([
    ['Removed', ['a'], []],
    ['Isolated', ['-', '-', 'a', '-'], ['-', '-']],
    ['MergedWithPrevious', ['-', '-', 'a-'], ['-', '-']],
    ['MergedWithNext', ['-', '-a', '-'], ['-', '-']],
    ['Contiguous', ['--', 'a', '-'], ['--']],
  ])('%s at the ends', (behavior, ends, only) => {
    expect(split(behavior, '--a-')).toEqual(ends);
    expect(split(behavior, '--')).toEqual(only);
    expect(split(behavior, 'abc')).toEqual(['abc']);
    expect(split(behavior, '')).toEqual([]);
  });

  it('inverts: matches are kept, the rest are delimiters', () => {
    const pattern = { Regex: '\\w+|[^\\w\\s]+' };
    const text = 'How are you doing?';
    expect(split('Removed', text, true, pattern)).toEqual(['How', 'are', 'you', 'doing', '?']);
    expect(split('Isolated', text, true, pattern)).toEqual(['How', ' ', 'are', ' ', 'you', ' ', 'doing', '?']);
    expect(split('MergedWithPrevious', text, true, pattern)).toEqual(['How ', 'are ', 'you ', 'doing', '?']);
    expect(split('MergedWithNext', text, true, pattern)).toEqual(['How', ' are', ' you', ' doing', '?']);
    expect(split('Contiguous', text, true, pattern)).toEqual(['How', ' ', 'are', ' ', 'you', ' ', 'doing?']);
  });

  it('cuts between all characters at an empty pattern', () => {
    expect(split('Isolated', 'a😀b', false, { String: '' })).toEqual(['a', '😀', 'b']);
  });

  it('takes a string pattern literally', () => {
    expect(split('Isolated', 'a.b+', false, { String: '.' })).toEqual(['a', '.', 'b+']);
  });
});

describe('other pre-tokenizers', () => {
  it.each<[string, unknown, string, string[]]>([
    ['none', null, 'a b', ['a b']],
    ['Digits', { type: 'Digits', individual_digits: false }, 'a12٣½b3', ['a', '12٣½', 'b', '3']],
    ['Digits, one each', { type: 'Digits', individual_digits: true }, 'a12b', ['a', '1', '2', 'b']],
    ['Punctuation', { type: 'Punctuation' }, 'a,b$«c»', ['a', ',', 'b', '$', '«', 'c', '»']],
    ['Punctuation, contiguous', { type: 'Punctuation', behavior: 'Contiguous' }, 'a?!b', ['a', '?!', 'b']],
    ['Whitespace', { type: 'Whitespace' }, "Hey  man's é_1\u200d!?", ['Hey', 'man', "'", 's', 'é_1\u200d', '!?']],
    ['WhitespaceSplit', { type: 'WhitespaceSplit' }, ' Hey,\u0085you\ufeff ', ['Hey,', 'you\ufeff']],
    ['Metaspace', { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }, 'Hey   friend!', ['▁Hey', '▁', '▁', '▁friend!']],
    ['Metaspace, whole', { type: 'Metaspace', replacement: '▁', split: false }, 'a b', ['▁a▁b']],
    ['Metaspace, never', { type: 'Metaspace', replacement: '_', prepend_scheme: 'never' }, 'a b', ['a', '_b']],
    ['Metaspace, there already', { type: 'Metaspace', replacement: '▁' }, ' a', ['▁a']],
    ['Metaspace, legacy yes', { type: 'Metaspace', replacement: '▁', add_prefix_space: true }, 'a', ['▁a']],
    ['Metaspace, legacy no', { type: 'Metaspace', replacement: '▁', add_prefix_space: false }, 'a', ['a']],
    ['ByteLevel', { type: 'ByteLevel', add_prefix_space: false }, "it's  12é\n", ['it', "'s", 'Ġ', 'Ġ12', 'Ã©', 'Ċ']],
    ['ByteLevel, prefix', { type: 'ByteLevel', add_prefix_space: true }, 'a b', ['Ġa', 'Ġb']],
    ['ByteLevel, prefix there already', { type: 'ByteLevel', add_prefix_space: true }, ' a', ['Ġa']],
    ['ByteLevel, whole', { type: 'ByteLevel', add_prefix_space: false, use_regex: false }, 'a b', ['aĠb']],
    ['Sequence', { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Digits', individual_digits: true }] }, 'a1 2b', ['a', '1', '2', 'b']],
    ['Metaspace first, behind a split', { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' }] }, 'a b', ['▁a', 'b']],
    ['Metaspace first, text begins with a space', { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' }] }, ' a b', ['a', 'b']],
  ])('%s', (_, config, text, expected) => {
    expect(words(config, text)).toEqual(expected);
  });

  it('Metaspace first and added tokens: only a text that begins the input', () => {
    const tokens = ['<s>', 'a', '▁', '▁a'];
    const added_tokens = [{ id: 0, content: '<s>', special: true }];
    const with_ = (prepend_scheme: string, text: string): string[] =>
      tokensOf(tiny(tokens, [['▁', 'a']], { added_tokens, pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme } }), text);
    expect(with_('first', 'a<s>a')).toEqual(['▁a', '<s>', 'a']);
    expect(with_('first', '<s>a')).toEqual(['<s>', 'a']);
    expect(with_('always', '<s>a')).toEqual(['<s>', '▁a']);
    expect(with_('never', 'a<s>a')).toEqual(['a', '<s>', 'a']);
  });
});

describe('post-processors', () => {
  const known = (id: number): boolean => id < 10;
  const template = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
    special_tokens: { '<s>': { id: '<s>', ids: [1, 3] }, '</s>': { id: '</s>', ids: [2] } },
  };

  it('TemplateProcessing, ByteLevel, Sequence', () => {
    expect(buildPostProcessor(json(template), known)([7, 8])).toEqual([1, 3, 7, 8, 2]);
    expect(buildPostProcessor(json({ type: 'ByteLevel' }), known)([7])).toEqual([7]);
    expect(buildPostProcessor(json({ type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] }), known)([7])).toEqual([1, 3, 7, 2]);
  });

  it('is left out on request', () => {
    const tokenizer = tiny(['a', '<s>', '</s>', 'x'], [], { post_processor: template });
    expect(tokenizer.encode('a')).toEqual([1, 3, 0, 2]);
    expect(tokenizer.encode('a', { addSpecialTokens: false })).toEqual([0]);
  });
});
