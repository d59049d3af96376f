import { describe, expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { fixture, random, tiny, tokensOf } from './helpers.js';
import { tokenizerOf } from '../support/tokenizer.js';

const seed = freshSeed();

describe.each(['llama', 'gpt2', 'llama3'])('text that goes on from an earlier one (%s)', (name) => {
  const tokenizer = tokenizerOf(fixture(`${name}.tokenizer.json`));

  it(`decodes to the two texts joined (seed ${seed})`, () => {
    const next = random(seed);
    const words = ['a', ' cat', 'ing', ' ', '  ', '\n', '.', ',', 'é', '日本', '🙂', ' the', "'s", '1', '\t', 'Ω'];
    const text = (): string => Array.from({ length: 1 + Math.floor(next() * 5) }, () => words[Math.floor(next() * words.length)]!).join('');
    for (let n = 0; n < 300; n++) {
      const [first, second] = [text(), text()];
      const ids = [...tokenizer.encode(`x${first}`), ...tokenizer.encode(second, { addSpecialTokens: false, continues: true })];
      expect(tokenizer.decode(ids)).toBe(`x${first}${second}`);
    }
  });
});

it.each<[string, Record<string, unknown>, string[], string[]]>([
  ['Prepend', { normalizer: { type: 'Prepend', prepend: '▁' } }, ['▁', 'a'], ['a']],
  ['Metaspace, always', { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' } }, ['▁', 'a'], ['a']],
  ['Metaspace, first', { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' } }, ['▁', 'a'], ['a']],
  ['Metaspace, never', { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' } }, ['a'], ['a']],
  ['ByteLevel', { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }, ['Ġ', 'a'], ['a']],
])('gets no prefix: %s', (_name, parts, alone, continued) => {
  const tokenizer = tiny(['▁', 'Ġ', 'a', '<x>'], [], { ...parts, added_tokens: [{ id: 3, content: '<x>', special: true }] });
  expect(tokensOf(tokenizer, 'a')).toEqual(alone);
  const ids = tokenizer.encode('a', { continues: true });
  expect(ids.map((id) => tokenizer.idToToken(id))).toEqual(continued);
  // Behind an added token the text begins anew, as ever.
  const behind = tokenizer.encode('<x>a', { continues: true });
  expect(behind).toEqual(tokenizer.encode('<x>a'));
});
