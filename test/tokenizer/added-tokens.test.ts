import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { tiny } from './helpers.js';

const LETTERS = [...'abcABCmn éÉ!'];

interface Flags {
  special?: boolean;
  single_word?: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
  normalized?: boolean;
}

/** A tokenizer of single characters with one added token (or several), ids from 100 on. */
function withAdded(contents: string | string[], flags: Flags = {}, rest: Record<string, unknown> = {}): Tokenizer {
  const added_tokens = [contents].flat().map((content, i) => ({ id: 100 + i, content, normalized: false, ...flags }));
  return tiny(LETTERS, [], { added_tokens, ...rest });
}

/** The text pieces, added tokens as [n]. */
function show(tokenizer: Tokenizer, text: string): string {
  return tokenizer.encode(text).map((id) => (id >= 100 ? `[${id - 100}]` : tokenizer.idToToken(id))).join('');
}

describe('added tokens', () => {
  it('are found anywhere, with ids beyond the vocabulary', () => {
    const tokenizer = withAdded('<x>');
    expect(show(tokenizer, 'a<x>b<x><x>')).toBe('a[0]b[0][0]');
    expect(tokenizer.vocabSize).toBe(101);
    expect(tokenizer.tokenToId('<x>')).toBe(100);
  });

  it('leftmost first, then longest', () => {
    const tokenizer = withAdded(['ab', 'abc', 'bcc', 'cn']);
    expect(show(tokenizer, 'abccn')).toBe('[1][3]');
    expect(show(tokenizer, 'abb')).toBe('[0]b');
    expect(show(tokenizer, 'bcc')).toBe('[2]');
  });

  it('single_word: not next to a word character', () => {
    const tokenizer = withAdded('mm', { single_word: true });
    expect(show(tokenizer, 'mm amm mma !mm! mm')).toBe('[0] amm mma ![0]! [0]');
    expect(show(tokenizer, 'émm mmé')).toBe('émm mmé');
    expect(show(withAdded('<x>', { single_word: true }), 'a<x>')).toBe('a');
  });

  it('lstrip and rstrip take the spaces around', () => {
    expect(show(withAdded('<x>', { lstrip: true }), 'a  <x>  b')).toBe('a[0]  b');
    expect(show(withAdded('<x>', { rstrip: true }), 'a  <x>  b')).toBe('a  [0]b');
    expect(show(withAdded('<x>', { lstrip: true, rstrip: true }), ' <x>\u2003\u0085<x> b')).toBe('[0][0]b');
  });

  it('normalized tokens are matched in normalized text, others in the raw text', () => {
    const rest = { normalizer: { type: 'Lowercase' } };
    expect(show(withAdded('ABC', { normalized: true }, rest), 'abcABCAbc')).toBe('[0][0][0]');
    expect(show(withAdded('ABC', { normalized: false }, rest), 'abcABC')).toBe('abc[0]');
  });

  it('raw tokens come before normalized ones, even where those begin earlier', () => {
    const added_tokens = [
      { id: 100, content: 'ab', normalized: true },
      { id: 101, content: 'bc', normalized: false },
    ];
    expect(show(tiny(LETTERS, [], { added_tokens }), 'abcab')).toBe('a[1][0]');
  });

  it('that normalize alike: the special one is found, then the first', () => {
    const rest = { normalizer: { type: 'Lowercase' } };
    expect(show(withAdded(['ABC', 'abc'], { normalized: true }, rest), 'aBc')).toBe('[0]');
    const added_tokens = [
      { id: 100, content: 'ABC', normalized: true },
      { id: 101, content: 'abc', normalized: true, special: true },
    ];
    expect(show(tiny(LETTERS, [], { added_tokens, ...rest }), 'aBc')).toBe('[1]');
  });

  it('normalize every piece on its own', () => {
    const rest = { normalizer: { type: 'Prepend', prepend: '!' } };
    expect(show(withAdded('<x>', {}, rest), 'a<x>b')).toBe('!a[0]!b');
  });

  it('special tokens are normalized only if they say so', () => {
    const rest = { normalizer: { type: 'Lowercase' } };
    const tokenizer = (special: boolean): Tokenizer => tiny(LETTERS, [], { added_tokens: [{ id: 100, content: 'ABC', special }], ...rest });
    expect(show(tokenizer(true), 'abc')).toBe('abc');
    expect(show(tokenizer(false), 'abc')).toBe('[0]');
  });

  it('may be in the vocabulary already, and an empty one is nothing', () => {
    const tokenizer = tiny(LETTERS, [], { added_tokens: [{ id: 0, content: 'a', special: true }, { id: 50, content: '' }] });
    expect(tokenizer.isSpecial(0)).toBe(true);
    expect(tokenizer.vocabSize).toBe(LETTERS.length);
  });

  it('are not skipped in decoding unless special', () => {
    const text = (special: boolean, skipSpecialTokens?: boolean): string =>
      withAdded('<x>', { special }, { decoder: { type: 'Fuse' } }).decode([0, 100, 1], { skipSpecialTokens });
    expect(text(true)).toBe('ab');
    expect(text(true, false)).toBe('a<x>b');
    expect(text(false)).toBe('a<x>b');
  });

  it('finds a token in characters beyond the BMP', () => {
    expect(show(withAdded('😀'), 'a😀😁b')).toBe('a[0]b');
  });
});
