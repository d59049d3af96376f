import { describe, expect, it } from 'vitest';
import { fixture, random, tiny, tokensOf } from './helpers.js';
import { cpuMs } from '../support/cpu.js';
import { tokenizerOf } from '../support/tokenizer.js';

/** Merges the best-ranked leftmost pair, again and again: the definition, quadratic. */
function naive(symbols: string[], merges: [string, string][]): string[] {
  const ranks = new Map(merges.map(([a, b], rank) => [`${a} ${b}`, rank]));
  const word = [...symbols];
  for (;;) {
    let best = Infinity;
    let at = -1;
    for (let i = 0; i + 1 < word.length; i++) {
      const rank = ranks.get(`${word[i]} ${word[i + 1]}`) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (at < 0) return word;
    word.splice(at, 2, word[at]! + word[at + 1]!);
  }
}

/** Random merges over a small alphabet, each of tokens that exist by then. */
function randomMerges(alphabet: string[], count: number, next: () => number): { tokens: string[]; merges: [string, string][] } {
  const tokens = [...alphabet];
  const merges: [string, string][] = [];
  for (let i = 0; i < count; i++) {
    const pick = (): string => tokens[Math.floor(next() * tokens.length)]!;
    const [a, b] = [pick(), pick()];
    if (merges.some(([x, y]) => x === a && y === b) || a.length + b.length > 12) continue;
    merges.push([a, b]);
    if (!tokens.includes(a + b)) tokens.push(a + b);
  }
  return { tokens, merges };
}

describe('merging', () => {
  it('agrees with the definition on random vocabularies and words', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const next = random(seed);
      const alphabet = [...'abcdé😀'].slice(0, 2 + (seed % 5));
      const { tokens, merges } = randomMerges(alphabet, 5 + (seed % 40), next);
      const tokenizer = tiny(tokens, merges);
      for (let round = 0; round < 8; round++) {
        const length = Math.floor(next() ** 2 * 300);
        const word = Array.from({ length }, () => alphabet[Math.floor(next() * alphabet.length)]!);
        expect(tokensOf(tokenizer, word.join('')), `seed ${seed} round ${round}`).toEqual(naive(word, merges));
      }
    }
  });

  it('agrees with the definition on the real Llama merges', () => {
    const file = fixture<{ model: { merges: [string, string][] } }>('llama.tokenizer.json');
    const tokenizer = tokenizerOf(file);
    const seed = 99;
    const next = random(seed);
    for (let round = 0; round < 12; round++) {
      const text = Array.from({ length: 150 }, () => 'etaoin shrdlu,.'[Math.floor(next() * 15)]).join('');
      const word = [...`▁${text.replaceAll(' ', '▁')}`];
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(ids.map((id) => tokenizer.idToToken(id)), `seed ${seed} round ${round}`).toEqual(naive(word, file.model.merges));
    }
  });

  it('takes merges as strings and as pairs', () => {
    const tokens = ['a', 'b', 'c', 'ab', 'abc'];
    for (const merges of [['#version: 0.2', 'a b', 'ab c'], [['a', 'b'], ['ab', 'c']]]) {
      expect(tokensOf(tiny(tokens, merges), 'abcab')).toEqual(['abc', 'ab']);
    }
    // A pair can hold what a string cannot: a token with a space.
    expect(tokensOf(tiny([' ', 'a', ' a'], [[' ', 'a']]), 'a a')).toEqual(['a', ' a']);
  });

  it('lets a pair that is listed twice have its last rank', () => {
    expect(tokensOf(tiny(['a', 'b', 'c', 'ab', 'bc'], ['a b', 'b c', 'a b']), 'abc')).toEqual(['a', 'bc']);
  });

  it('merges a run from the left', () => {
    expect(tokensOf(tiny(['a', 'aa'], ['a a']), 'aaaaa')).toEqual(['aa', 'aa', 'a']);
  });
});

describe('long words', () => {
  it('needs no quadratic time for 100,000 characters in one word', () => {
    const next = random(5);
    const word = Array.from({ length: 100_000 }, () => 'etaoinshrdlu'[Math.floor(next() * 12)]).join('');
    const began = cpuMs();
    for (const name of ['gpt2', 'llama3', 'llama']) {
      const tokenizer = tokenizerOf(fixture(`${name}.tokenizer.json`));
      for (const text of [word, 'a'.repeat(100_000), ' '.repeat(100_000), '😀'.repeat(25_000)]) {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }
    }
    expect(cpuMs() - began).toBeLessThan(20_000);
  });

  it('merges a long run that never falls into parts', () => {
    const tokens = ['a'];
    const merges: [string, string][] = [];
    for (let token = 'a'; tokens.length < 15; token += token) {
      merges.push([token, token]);
      tokens.push(token + token);
    }
    const ids = tiny(tokens, merges).encode('a'.repeat(300_001));
    const lengths = ids.map((id) => tokens[id]!.length);
    expect(lengths.reduce((sum, length) => sum + length)).toBe(300_001);
    expect(lengths.slice(0, 18)).toEqual(Array.from({ length: 18 }, () => 2 ** 14));
    expect(lengths.slice(18).every((length, i, all) => i === 0 || length < all[i - 1]!)).toBe(true);
  });

  it('gives the same for a word in a long text as on its own', () => {
    const tokenizer = tokenizerOf(fixture('llama.tokenizer.json'));
    const words = ['Once', 'upon', 'a', 'time,', 'there', 'was', 'Ǆ', '🎈', 'girl'];
    const apart = words.flatMap((word) => tokenizer.encode(word, { addSpecialTokens: false }));
    expect(tokenizer.encode(words.join(' ').repeat(1), { addSpecialTokens: false })).toEqual(apart);
  });
});

describe('characters the vocabulary lacks', () => {
  it('drops them without an unknown token', () => {
    expect(tokensOf(tiny(['a', 'b']), 'axb')).toEqual(['a', 'b']);
  });

  it('puts the unknown token, fused or one each', () => {
    const model = { unk_token: '<unk>' };
    expect(tokensOf(tiny(['<unk>', 'a'], [], { model }), 'xxaxx')).toEqual(['<unk>', '<unk>', 'a', '<unk>', '<unk>']);
    expect(tokensOf(tiny(['<unk>', 'a'], [], { model: { ...model, fuse_unk: true } }), 'xxaxx')).toEqual(['<unk>', 'a', '<unk>']);
  });

  it('fuses unknowns in a word long enough to be cut into parts', () => {
    const model = { unk_token: '<unk>', fuse_unk: true };
    const tokenizer = tiny(['<unk>', 'a', 'b', 'ab'], ['a b'], { model });
    expect(tokensOf(tokenizer, `${'ab'.repeat(30)}${'x'.repeat(70)}ba`)).toEqual([...Array<string>(30).fill('ab'), '<unk>', 'b', 'a']);
  });

  it('falls back to bytes, all or none of a character', () => {
    const model = { unk_token: '<unk>', byte_fallback: true };
    const tokenizer = tiny(['<unk>', 'a', '<0xC3>', '<0xA9>', '<0x0A>'], [], { model });
    expect(tokensOf(tokenizer, 'aé\n')).toEqual(['a', '<0xC3>', '<0xA9>', '<0x0A>']);
    expect(tokensOf(tokenizer, 'aü')).toEqual(['a', '<unk>']);
    // The reference holds an unknown back until the next known character or the end: bytes overtake it.
    expect(tokensOf(tokenizer, 'üéa')).toEqual(['<0xC3>', '<0xA9>', '<unk>', 'a']);
  });

  it('lets byte tokens take part in merges with characters on both sides, in long words too', () => {
    const merges = [['a', '<0xC3>'], ['<0xA9>', 'a'], ['a<0xC3>', '<0xA9>a']];
    const tokens = ['a', '<0xC3>', '<0xA9>', 'a<0xC3>', '<0xA9>a', 'a<0xC3><0xA9>a'];
    const tokenizer = tiny(tokens, merges, { model: { byte_fallback: true } });
    expect(tokensOf(tokenizer, 'aéa')).toEqual(['a<0xC3><0xA9>a']);
    expect(tokensOf(tokenizer, 'aéa'.repeat(40))).toEqual(Array(40).fill('a<0xC3><0xA9>a'));
  });
});

describe('model options', () => {
  it('ignore_merges takes a whole word that is in the vocabulary', () => {
    const tokens = ['a', 'b', 'c', 'bc', 'abc'];
    expect(tokensOf(tiny(tokens, ['b c']), 'abc')).toEqual(['a', 'bc']);
    expect(tokensOf(tiny(tokens, ['b c'], { model: { ignore_merges: true } }), 'abc')).toEqual(['abc']);
  });

  it('continuing_subword_prefix', () => {
    const model = { continuing_subword_prefix: '##' };
    const tokenizer = tiny(['a', '##b', '##c', 'ab', 'abc'], [['a', '##b'], ['ab', '##c']], { model });
    expect(tokensOf(tokenizer, 'abc')).toEqual(['abc']);
    expect(tokensOf(tokenizer, 'abcb')).toEqual(['abc', '##b']);
    expect(tokensOf(tokenizer, `abc${'b'.repeat(100)}`)).toEqual(['abc', ...Array<string>(100).fill('##b')]);
  });

  it('end_of_word_suffix', () => {
    const model = { end_of_word_suffix: '</w>' };
    const pre_tokenizer = { type: 'WhitespaceSplit' };
    const tokenizer = tiny(['a', 'b', 'b</w>', 'ab</w>', 'a</w>'], [['a', 'b</w>']], { model, pre_tokenizer });
    expect(tokensOf(tokenizer, 'ab a bab')).toEqual(['ab</w>', 'a</w>', 'b', 'ab</w>']);
  });

  it('reads files without a model type, and ignores dropout', () => {
    expect(tokenizerOf({ model: { vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], dropout: 0.5 } }).encode('ab')).toEqual([2]);
  });

  it('has nothing odd about __proto__ and its kind', () => {
    const vocab = JSON.parse('{"__proto__": 0, "constructor": 1, "a": 2, "toString": 3}') as unknown;
    const tokenizer = tokenizerOf({ model: { type: 'BPE', vocab, merges: [] } });
    expect([tokenizer.vocabSize, tokenizer.tokenToId('__proto__'), tokenizer.idToToken(1)]).toEqual([4, 0, 'constructor']);
    expect([tokenizer.tokenToId('hasOwnProperty'), tokenizer.tokenToId('valueOf')]).toEqual([undefined, undefined]);
    expect(tokenizer.encode('a')).toEqual([2]);
  });
});
