import { it } from 'vitest';
import { TokenizerError } from 'matmulfree';
import { parseJsonObject } from '../../src/formats/bytes.js';
import { byteAlphabet } from '../../src/tokenizer/byte-alphabet.js';
import { expectNoPollution, fuzz, mutate, mutateJson, pick, type Random } from '../support/fuzz.js';
import { tokenizerOf } from '../support/tokenizer.js';

const split = (Regex: string, behavior = 'Isolated', invert = false): unknown => ({ type: 'Split', pattern: { Regex }, behavior, invert });
const replace = (pattern: unknown, content: string): unknown => ({ type: 'Replace', pattern, content });
const sequence = (key: string, list: unknown[]): unknown => ({ type: 'Sequence', [key]: list });

const PATTERNS = [
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  '[\\p{P}\\$\\+<=>\\^~\\|]+', '(?>a|b)++|[[:alpha:]&&[^b]]', '(?<=a)b|(?<!c)d|\\bx\\B', '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{M}]*[\\p{Ll}\\p{M}]+(?i:\'s)?', 'a{2,}|.{0,3}', '(?m:.)(?i)é?',
  '\\p{L}(?:\\p{M}*(?: \\p{L}\\p{M}*)*)+', '', ' ', '^|$|\\A|\\z',
];
const NORMALIZERS = [
  ...['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents'].map((type) => ({ type })), { type: 'Strip', strip_left: true, strip_right: true }, { type: 'Prepend', prepend: '▁' },
  replace({ String: ' ' }, '▁'), replace({ Regex: ' {2,}' }, ' '), replace({ String: '' }, 'ab'), replace({ Regex: 'a' }, 'aa'),
];
const PRE_TOKENIZERS = [
  { type: 'ByteLevel', add_prefix_space: true, use_regex: true }, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
  { type: 'Digits', individual_digits: true }, { type: 'Punctuation', behavior: 'MergedWithNext' }, { type: 'Whitespace' }, { type: 'WhitespaceSplit' },
  ...PATTERNS.map((pattern) => split(pattern)), split('a+', 'Contiguous', true), split('\\s', 'MergedWithPrevious'),
];
const DECODERS = [
  { type: 'ByteLevel' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 1 }, replace({ String: '▁' }, ' '), replace({ Regex: 'a+' }, 'bb'),
  { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }, { type: 'BPEDecoder', suffix: '</w>' },
];
const template = {
  type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [],
  special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
};
const added = (id: number, content: string, flags: object = {}): unknown => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags });
const SPARE = [...NORMALIZERS, ...PRE_TOKENIZERS, ...DECODERS, template, added(7, ' ', { rstrip: true }), added(300, 'ab', { normalized: true, special: false }), ...PATTERNS, 'a b', ['a', 'b']];

const BYTES = byteAlphabet();
const WORDS = ['ab', 'abc', 'Ġa', 'Ġab', 'bb'];
const BASES: Record<string, unknown>[] = [
  {
    version: '1.0', truncation: null, padding: null, added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>', { single_word: true, lstrip: true })],
    normalizer: sequence('normalizers', [{ type: 'Prepend', prepend: '▁' }, replace({ String: ' ' }, '▁')]), pre_tokenizer: null, post_processor: template,
    decoder: sequence('decoders', [replace({ String: '▁' }, ' '), { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }]),
    model: {
      type: 'BPE', dropout: null, unk_token: '<unk>', continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true,
      vocab: Object.fromEntries(['<unk>', '<s>', '</s>', '<0xC3>', '<0xA9>', '▁', 'a', 'b', 'c', '▁a', 'ab', '▁ab'].map((token, id) => [token, id])), merges: ['▁ a', 'a b', '▁a b', '▁ ab'],
    },
  },
  {
    added_tokens: [added(300, '<|end|>')], normalizer: { type: 'NFC' }, pre_tokenizer: sequence('pretokenizers', [split(PATTERNS[1]!), PRE_TOKENIZERS[1]]), post_processor: { type: 'ByteLevel', trim_offsets: false },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', ignore_merges: true, vocab: Object.fromEntries([...BYTES, ...WORDS].map((token, id) => [token, id])), merges: [['a', 'b'], ['ab', 'c'], ['Ġ', 'a'], ['Ġa', 'b'], ['b', 'b']] },
  },
  {
    added_tokens: [added(20, ' x', { rstrip: true, normalized: true, special: false })], normalizer: sequence('normalizers', NORMALIZERS.slice(2, 9)), pre_tokenizer: sequence('pretokenizers', PRE_TOKENIZERS.slice(2, 7)),
    post_processor: sequence('processors', [template, { type: 'ByteLevel' }]), decoder: sequence('decoders', DECODERS),
    model: { vocab: { a: 0, b: 2, '@@b': 3, 'ab': 4, 'b</w>': 5, '<s>': 1 }, continuing_subword_prefix: '@@', end_of_word_suffix: '</w>', unk_token: 'a', merges: ['#version: 0.2', 'a @@b'] },
  },
];
const CONFIG = { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false }, add_bos_token: true };

const TEXTS = [
  'ab abc  Abba\'s 12345 <s>x</s> é\u0301 漢字 😀!\r\n\n  end ', ' x x  x'.repeat(20), 'a'.repeat(300), `${' '.repeat(100)}b`, '\ud800\udfff\ud83d', '\ufdfa\u0130ßſ'.repeat(5), '',
  '__proto__ constructor', '\u0301'.repeat(50),
];

interface Input {
  readonly tokenizer: Uint8Array;
  readonly config: Uint8Array;
}

/** A pattern put together from pieces of known ones, inside of groups now and then. */
function pattern(random: Random): string {
  const pieces = PATTERNS.flatMap((text) => text.split('|')).filter((text) => text.length > 0);
  const some = Array.from({ length: random.integer(1, 4) }, () => pick(random, pieces));
  const text = some.map((piece) => pick(random, [piece, piece, `(?:${piece})`, `(?:${piece})${pick(random, ['?', '+', '*', '{2}', '{1,3}'])}`, `(?=${piece})`])).join(pick(random, ['|', '|', '']));
  return random.unit() < 0.5 ? text : new TextDecoder().decode(mutate(new TextEncoder().encode(text), random));
}

fuzz<Input>({
  kind: 'tokenizer.json files, what loads encodes and decodes, and they', inputs: 1500, endings: 40,
  size: ({ tokenizer, config }) => tokenizer.length + config.length + 4000,
  make(random) {
    const base = pick(random, BASES);
    const spoilt = random.unit() < 0.3 ? { ...base, [pick(random, ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'])]: pick(random, SPARE) } : base;
    const value = random.unit() < 0.15 ? { ...spoilt, pre_tokenizer: split(pattern(random), pick(random, ['Isolated', 'Removed', 'MergedWithNext'])) } : spoilt;
    return {
      tokenizer: random.unit() < 0.1 ? mutate(new TextEncoder().encode(JSON.stringify(value)), random) : mutateJson(value, random, SPARE),
      config: random.unit() < 0.9 ? new TextEncoder().encode(JSON.stringify(CONFIG)) : mutateJson(CONFIG, random),
    };
  },
  async use({ tokenizer: bytes, config }, n) {
    const parse = (file: string, text: Uint8Array): unknown => parseJsonObject(file, new TextDecoder().decode(text));
    const tokenizer = tokenizerOf(parse('tokenizer.json', bytes), { config: parse('tokenizer_config.json', config) });
    const failures: unknown[] = [];
    for (const text of n % 10 === 0 ? TEXTS : [TEXTS[0]!, TEXTS[n % TEXTS.length]!]) {
      try {
        const ids = tokenizer.encode(text);
        for (const id of ids) if (tokenizer.idToToken(id) === undefined) throw new Error(`encode gives ${id}, which is no token`);
        tokenizer.decode(ids, { skipSpecialTokens: false });
        const stream = tokenizer.createDecodeStream();
        for (const id of ids) stream.push(id);
        stream.flush();
      } catch (error) {
        if (!(error instanceof TokenizerError)) throw error;
        failures.push(error); // a text that would grow too much
      }
    }
    if (failures.length > 0) throw failures[0];
  },
});

it('keys of the prototype did nothing', expectNoPollution);
