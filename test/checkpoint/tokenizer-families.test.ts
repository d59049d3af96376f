import { describe, expect, it } from 'vitest';
import { convert, MatMulFreeLM, readGguf, sourceFromContent, TokenizerError, Tokenizer, type GgufMetadata, type GgufValue } from 'matmulfree';
import { tokenizerFromGguf } from '../../src/checkpoint/gguf-tokenizer.js';
import { json, randomTensors, TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors, type Entry } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';

/*
 * The tokenizers of the published ternary transformers, in small: Qwen3 (Bonsai), Llama 3 (BitNet b1.58 2B4T), Falcon 3 and Falcon-E,
 * GPT-NeoX (TriLM). Each as a tokenizer.json, as the GGUF keys that llama.cpp's converter writes, and as those that ours writes; all
 * three against an encoder that is written here, character by character, from the description of the patterns.
 */

interface Added { readonly content: string; readonly special: boolean; readonly normalized?: boolean }
interface Kind {
  readonly pre: string;
  readonly nfc: boolean;
  /** Digits that stay together; undefined: the pattern of GPT-2. */
  readonly digits: number | undefined;
  readonly ignoreMerges: boolean;
  /** Before the vocabulary and behind it. */
  readonly first: readonly Added[];
  readonly last: readonly Added[];
  readonly bos?: string;
  readonly addsBos?: boolean;
  readonly addsEos?: boolean;
  readonly eos: string;
}

const special = (content: string): Added => ({ content, special: true });
const plain = (content: string): Added => ({ content, special: false });
const QWEN_ADDED: readonly Added[] = [
  ...['endoftext', 'im_start', 'im_end', 'object_ref_start', 'object_ref_end', 'box_start', 'box_end', 'quad_start', 'quad_end', 'vision_start', 'vision_end',
    'vision_pad', 'image_pad', 'video_pad'].map((name) => special(`<|${name}|>`)),
  plain('<tool_call>'), plain('</tool_call>'),
  ...['fim_prefix', 'fim_middle', 'fim_suffix', 'fim_pad', 'repo_name', 'file_sep'].map((name) => plain(`<|${name}|>`)),
  ...['<tool_response>', '</tool_response>', '<think>', '</think>'].map(plain),
];
const LLAMA3_ADDED = ['begin_of_text', 'end_of_text', 'start_header_id', 'end_header_id', 'eot_id'].map((name) => special(`<|${name}|>`));
const FALCON_ADDED = ['>>TITLE<<', '>>ABSTRACT<<', '<|startoftext|>', '<|endoftext|>', '<|system|>', '<|user|>', '<|assistant|>'].map(special);

const KINDS: Record<string, Kind> = {
  'Qwen3': { pre: 'qwen2', nfc: true, digits: 1, ignoreMerges: false, first: [], last: QWEN_ADDED, eos: '<|im_end|>' },
  'Llama 3': { pre: 'llama-bpe', nfc: false, digits: 3, ignoreMerges: true, first: [], last: LLAMA3_ADDED, bos: '<|begin_of_text|>', addsBos: true, eos: '<|eot_id|>' },
  'Falcon 3, BOS = EOS and none in front': { pre: 'falcon3', nfc: false, digits: 3, ignoreMerges: true, first: FALCON_ADDED, last: [], bos: '<|endoftext|>', eos: '<|endoftext|>' },
  'Falcon 3, BOS = EOS in front': { pre: 'falcon3', nfc: false, digits: 3, ignoreMerges: true, first: FALCON_ADDED, last: [], bos: '<|endoftext|>', addsBos: true, eos: '<|endoftext|>' },
  'Falcon-E': { pre: 'falcon_e', nfc: false, digits: 3, ignoreMerges: true, first: FALCON_ADDED, last: [special('<|im_start|>'), special('<|im_end|>')], bos: '>>ABSTRACT<<', eos: '<|endoftext|>' },
  'GPT-NeoX': {
    pre: 'olmo', nfc: true, digits: undefined, ignoreMerges: false, first: [special('<|endoftext|>'), special('<|padding|>')],
    last: [6, 4, 3, 2].map((count) => ({ content: ' '.repeat(count), special: false, normalized: true })), bos: '<|endoftext|>', eos: '<|endoftext|>',
  },
  'GPT-NeoX, BOS = EOS at the end': { pre: 'olmo', nfc: true, digits: undefined, ignoreMerges: false, first: [special('<|endoftext|>')], last: [], bos: '<|endoftext|>', addsEos: true, eos: '<|endoftext|>' },
};

const WORDS = [
  'the', ' the', ' don', "'t", "'ll", "'LL", "'Re", 'hello', ' hello', '12', '123', '1234', '\r\n', '\n\n', '  ', '   ', ' \n', '!!', '?!\n', ' (', 'é', 'école', ' école', '한', '글', '\u1112\u1161', 'ø', '😀', '👍🏽',
  'Straße', '½', '٣', ' 42', '\t\t', '\u00a0', '\u3000', '漢字', 'qzq',
];
/** A word that is a token but that no merge leads to. */
const WHOLE = ' zebra';

const encoder = new TextEncoder();
/** GPT-2's alphabet: printable bytes stand for themselves, the others from U+0100 on. */
const ALPHABET = (() => {
  const isPrintable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();
const toAlphabet = (text: string): string => [...encoder.encode(text)].map((byte) => ALPHABET[byte]!).join('');

const MERGES: [string, string][] = [];
for (const word of WORDS.map(toAlphabet)) {
  for (let n = 1; n < word.length; n++) {
    const pair: [string, string] = [word.slice(0, n), word[n]!];
    if (!MERGES.some(([left, right]) => left === pair[0] && right === pair[1])) MERGES.push(pair);
  }
}
const RANKS = new Map(MERGES.map((pair, rank) => [pair.join(' '), rank]));

function tokenizerJson(kind: Kind): { file: Record<string, unknown>; tokens: string[]; ids: Map<string, number> } {
  const own = [...ALPHABET, ...new Set(MERGES.map((pair) => pair.join(''))), toAlphabet(WHOLE)];
  const tokens = [...kind.first.map(({ content }) => content), ...own, ...kind.last.map(({ content }) => content)];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const added = [...kind.first, ...kind.last].map(({ content, special: isSpecial, normalized = false }) => (
    { id: ids.get(content)!, content, single_word: false, lstrip: false, rstrip: false, normalized, special: isSpecial }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: kind.digits === undefined };
  const number = kind.digits === 1 ? '\\p{N}' : '\\p{N}{1,3}';
  const Regex = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${number}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
  const around = [...(kind.addsBos ? [{ SpecialToken: { id: kind.bos, type_id: 0 } }] : []), { Sequence: { id: 'A', type_id: 0 } },
    ...(kind.addsEos ? [{ SpecialToken: { id: kind.eos, type_id: 0 } }] : [])];
  const specials = [kind.bos, kind.eos].filter((token) => token !== undefined).map((token) => [token, { id: token, ids: [ids.get(token)], tokens: [token] }] as const);
  const file = {
    version: '1.0', truncation: null, padding: null, added_tokens: added, normalizer: kind.nfc ? { type: 'NFC' } : null,
    pre_tokenizer: kind.digits === undefined ? byteLevel
      : { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false }, byteLevel] },
    post_processor: kind.addsBos || kind.addsEos
      ? { type: 'Sequence', processors: [{ ...byteLevel, use_regex: true }, { type: 'TemplateProcessing', single: around, pair: around, special_tokens: Object.fromEntries(specials) }] }
      : { ...byteLevel, use_regex: true },
    decoder: { ...byteLevel, add_prefix_space: true, use_regex: true },
    model: {
      type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false,
      ignore_merges: kind.ignoreMerges, vocab: Object.fromEntries(own.map((token) => [token, ids.get(token)!])), merges: MERGES,
    },
  };
  return { file, tokens, ids };
}

// ——— The encoder that all are compared with.

const isLetter = (char: string | undefined): boolean => char !== undefined && /^\p{L}$/u.test(char);
const isNumber = (char: string | undefined): boolean => char !== undefined && /^\p{N}$/u.test(char);
const isSpace = (char: string | undefined): boolean => char !== undefined && /^\p{White_Space}$/u.test(char);
const isBreak = (char: string | undefined): boolean => char === '\r' || char === '\n';
const isOther = (char: string | undefined): boolean => char !== undefined && !isLetter(char) && !isNumber(char) && !isSpace(char);

/** How many of `chars` from `at` on are such, `most` at most. */
function run(chars: readonly string[], at: number, is: (char: string) => boolean, most = Infinity): number {
  let count = 0;
  while (count < most && at + count < chars.length && is(chars[at + count]!)) count++;
  return count;
}

function contraction(chars: readonly string[], at: number, anyCase: boolean): number {
  if (chars[at] !== "'") return 0;
  const lower = (text: string): string => (anyCase ? text.toLowerCase().replaceAll('ſ', 's') : text); // ſ folds to s
  const end = ['s', 't', 're', 've', 'm', 'll', 'd'].find((letters) => lower(chars.slice(at + 1, at + 1 + letters.length).join('')) === letters);
  return end === undefined ? 0 : 1 + end.length;
}

/** What `\s+(?!\S)|\s+` takes: all but the last space before a word. */
function spaces(chars: readonly string[], at: number): number {
  const count = run(chars, at, isSpace);
  return count > 1 && at + count < chars.length ? count - 1 : count;
}

function wordLength(chars: readonly string[], at: number, digits: number | undefined): number {
  const char = chars[at]!;
  const blank = char === ' ' ? 1 : 0;
  const found = contraction(chars, at, digits !== undefined);
  if (found > 0) return found;
  if (digits === undefined) {
    for (const is of [isLetter, isNumber, isOther]) {
      const count = run(chars, at + blank, is);
      if (count > 0) return blank + count;
    }
    return spaces(chars, at);
  }
  const before = isBreak(char) || isLetter(char) || isNumber(char) ? 0 : 1;
  const letters = run(chars, at + before, isLetter);
  if (letters > 0) return before + letters;
  if (isNumber(char)) return run(chars, at, isNumber, digits);
  const others = run(chars, at + blank, isOther);
  if (others > 0) return blank + others + run(chars, at + blank + others, isBreak);
  const count = run(chars, at, isSpace);
  for (let n = count; n > 0; n--) if (isBreak(chars[at + n - 1])) return n; // \s*[\r\n]+ : up to the last break
  return spaces(chars, at);
}

function mergeWord(word: string, ids: ReadonlyMap<string, number>, ignoreMerges: boolean): number[] {
  if (ignoreMerges && ids.has(word)) return [ids.get(word)!];
  const parts = [...word];
  for (;;) {
    let best = -1;
    let bestRank = Infinity;
    for (let n = 0; n + 1 < parts.length; n++) {
      const rank = RANKS.get(`${parts[n]} ${parts[n + 1]}`) ?? Infinity;
      if (rank < bestRank) [best, bestRank] = [n, rank];
    }
    if (best < 0) return parts.map((part) => ids.get(part)!);
    parts.splice(best, 2, parts[best]! + parts[best + 1]!);
  }
}

function naiveEncode(kind: Kind, ids: ReadonlyMap<string, number>, text: string): number[] {
  const out: number[] = [];
  const contents = [...kind.first, ...kind.last].map(({ content }) => content).sort((a, b) => b.length - a.length);
  const flush = (piece: string): void => {
    const chars = [...(kind.nfc ? piece.normalize('NFC') : piece)];
    for (let at = 0, length: number; at < chars.length; at += length) {
      length = wordLength(chars, at, kind.digits);
      out.push(...mergeWord(toAlphabet(chars.slice(at, at + length).join('')), ids, kind.ignoreMerges));
    }
  };
  let start = 0;
  for (let at = 0; at < text.length; ) {
    const added = contents.find((content) => text.startsWith(content, at));
    if (added === undefined) at++;
    else {
      flush(text.slice(start, at));
      out.push(ids.get(added)!);
      start = at += added.length;
    }
  }
  flush(text.slice(start));
  return [...(kind.addsBos ? [ids.get(kind.bos!)!] : []), ...out, ...(kind.addsEos ? [ids.get(kind.eos)!] : [])];
}

// ——— Texts.

const PIECES = [
  ...WORDS, WHOLE, "'s", "'S", "'T", "'rE", "'VE", "'m", "'D", "'ſ", '’s', "'", ' ', '  ', '     ', '\n', '\r', '\r\n\r\n', '\n \n', ' \r\n ', '\t', '\u0085', '\u2028', '\u2003', '\u200b', '\ufeff', '\v', '\f',
  'e\u0301', 'e\u0323\u0302', 'e\u0302\u0323', 'a\u0315\u0300\u05ae\u0062', '\u0344', '\u212b', '\u1112\u1161\u11ab', '\u1112\u1161', '\uac00\u11a8', 'ﬁ', 'ǅ', 'ß', '1', '12', '12345', '٣٤٥٦', '②', 'Ⅷ', '½⅓', '𝟘𝟙',
  '😀', '👨‍👩‍👧', '🇩🇪', '👍🏽', '...', '?!', '--', '(', ')', '$1,234.50', 'x_y', 'ﷺ', 'नमस्ते', 'สวัสดี', '漢', '𠀀', '\ud800', '<', '|>', '<|', '<|im_end|>', '<think>', '</think>', '<|endoftext|>', '<|eot_id|>', '>>TITLE<<',
];
const TEXTS = [
  '', ' ', 'Hello world, this is a test.', "I'm sure they'LL say it's 12345 o'clock, DON'T you?", 'a  b\n\n  c \r\n\r\n d\t\te   ', '  \n  \n  x', 'x   ', '\u3000\u3000x', 'ten 1000000 and 3.14159', 'é e\u0301 ḗ e\u0304\u0301',
  '한글 \u1112\u1161\u11ab\u1100\u1173\u11af', '<think>\n\n</think>\n\nhi<|im_end|>\n', 'a<|endoftext|>b', 'if x:\n    y = 1\n      z', '!!!\r\n\r\n??', `a${WHOLE}${WHOLE}s`,
];

function* texts(seed: number, count: number): Generator<string> {
  yield* TEXTS;
  const random = randomFrom(seed);
  for (let n = 0; n < count; n++) yield Array.from({ length: random.integer(1, 9) }, () => PIECES[random.integer(0, PIECES.length - 1)]!).join('');
}

// ——— The three ways in which a tokenizer comes.

const ROWS_MORE = 5;
const NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5;

/** As llama.cpp's converter writes them: rows that no token has are `[PAD…]`. */
function ggufKeys(kind: Kind, tokens: readonly string[], ids: ReadonlyMap<string, number>): Record<string, Entry> {
  const types = tokens.map((token) => {
    const added = [...kind.first, ...kind.last].find(({ content }) => content === token);
    return added === undefined ? NORMAL : added.special ? CONTROL : USER_DEFINED;
  });
  const padding = Array.from({ length: ROWS_MORE - 2 }, (_, n) => `[PAD${tokens.length + n}]`); // the model has two rows more than the file has tokens
  return {
    'tokenizer.ggml.model': ['string', 'gpt2'], 'tokenizer.ggml.pre': ['string', kind.pre],
    'tokenizer.ggml.tokens': [['string'], [...tokens, ...padding]], 'tokenizer.ggml.token_type': [['i32'], [...types, ...padding.map(() => UNUSED)]],
    'tokenizer.ggml.merges': [['string'], MERGES.map((pair) => pair.join(' '))],
    'tokenizer.ggml.eos_token_id': ['u32', ids.get(kind.eos)!], ...(kind.bos === undefined ? {} : { 'tokenizer.ggml.bos_token_id': ['u32', ids.get(kind.bos)!] }),
    'tokenizer.ggml.add_bos_token': ['bool', kind.addsBos === true], ...(kind.addsEos ? { 'tokenizer.ggml.add_eos_token': ['bool', true] } : {}),
  };
}

const sizes = (vocab: number): typeof TINY => ({ ...TINY, hidden: 1, intermediate: 1, layers: 1, vocab });

async function fromKeys(keys: Record<string, Entry>, vocab: number): Promise<Tokenizer> {
  const tensors = modelTensors(randomTensors(sizes(vocab), 1));
  return (await MatMulFreeLM.load(gguf({ metadata: { ...modelMetadata(sizes(vocab)), ...keys }, tensors }), { backend: 'scalar' })).tokenizer;
}

/** The keys that `convert` writes, but for the tokenizer.json itself. */
async function convertedKeys(file: unknown, vocab: number, config: Record<string, unknown>): Promise<Record<string, Entry>> {
  const parts: Uint8Array[] = [];
  for await (const part of convert({ ...tinyCheckpoint(sizes(vocab), 1, config), 'tokenizer.json': json(file) })) parts.push(part);
  const { metadata } = await readGguf(sourceFromContent('x', new Uint8Array(Buffer.concat(parts))));
  const kept = [...metadata].filter(([key]) => /tokenizer\./.test(key) && key !== 'tokenizer.huggingface.json');
  return Object.fromEntries(kept.map(([key, value]) => [key, (value.type === 'array' ? [[value.of], value.value] : [value.type, value.value]) as unknown as Entry]));
}

describe.each(Object.entries(KINDS))('%s', async (_name, kind) => {
  const seed = freshSeed();
  const { file, tokens, ids } = tokenizerJson(kind);
  const rows = tokens.length + ROWS_MORE;
  const fromJson = await Tokenizer.fromJSON(file);
  const config = { bos_token_id: kind.bos === undefined ? null : ids.get(kind.bos), eos_token_id: ids.get(kind.eos) };
  const ways: [string, Tokenizer][] = [
    ['tokenizer.json', fromJson],
    ['GGUF keys', await fromKeys(ggufKeys(kind, tokens, ids), rows)],
    ['the keys that convert writes', await fromKeys(await convertedKeys(file, rows, config), rows)],
  ];

  it(`gives the same ids from everything that it comes in (seed ${seed})`, () => {
    for (const text of texts(seed, 400)) {
      const expected = naiveEncode(kind, ids, text.toWellFormed());
      for (const [way, tokenizer] of ways) expect(tokenizer.encode(text), `${way}: ${JSON.stringify(text)}`).toEqual(expected);
    }
  });

  it('decodes what it encodes; special tokens are hidden, others that were added are not', () => {
    for (const [way, tokenizer] of ways) {
      for (const text of texts(seed, 100)) {
        const whole = kind.nfc ? naiveDecode(kind, text.toWellFormed()) : text.toWellFormed();
        expect(tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }), { skipSpecialTokens: false }), way).toBe(whole);
      }
      for (const { content, special: isSpecial } of [...kind.first, ...kind.last]) {
        expect(tokenizer.tokenToId(content), `${way}: ${content}`).toBe(ids.get(content));
        expect(tokenizer.isSpecial(ids.get(content)!), `${way}: ${content}`).toBe(isSpecial);
        expect(tokenizer.decode([ids.get(content)!]), `${way}: ${content}`).toBe(isSpecial ? '' : content);
      }
    }
  });

  it('has no tokens for the rows that fill up the vocabulary', () => {
    for (const [way, tokenizer] of ways) {
      expect(tokenizer.vocabSize, way).toBe(tokens.length);
      expect(tokenizer.idToToken(tokens.length), way).toBeUndefined();
    }
  });
});

/** NFC, but for the added tokens. */
function naiveDecode(kind: Kind, text: string): string {
  const contents = [...kind.first, ...kind.last].map(({ content }) => content.replace(/[|]/g, '\\$&')).sort((a, b) => b.length - a.length);
  return text.split(new RegExp(`(${contents.join('|')})`, 'u')).map((piece) => piece.normalize('NFC')).join('');
}

describe('what tokenizer.ggml.* leaves open', () => {
  const { file, tokens, ids } = tokenizerJson(KINDS['Llama 3']!);
  const bos = ids.get('<|begin_of_text|>')!;

  /** As llama.cpp's converter writes a file of `count` tokens, the last of them unused, without `pre`. */
  async function withoutPre(architecture: string, count: number): Promise<Tokenizer> {
    const { 'tokenizer.ggml.pre': _, 'tokenizer.ggml.add_bos_token': __, ...keys } = ggufKeys(KINDS['Llama 3']!, tokens, ids);
    const padding = Array.from({ length: count - tokens.length }, (_each, n) => `<|reserved_special_token_${n}|>`);
    const types = keys['tokenizer.ggml.token_type']![1] as number[];
    const metadata = new Map<string, GgufValue>(Object.entries(keys).map(([key, [type, value]]) => (
      [key, (typeof type === 'string' ? { type, value } : { type: 'array', of: type[0], value }) as GgufValue])));
    metadata.set('general.architecture', { type: 'string', value: architecture });
    metadata.set('tokenizer.ggml.tokens', { type: 'array', of: 'string', value: [...tokens, ...padding] });
    metadata.set('tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: [...types.slice(0, tokens.length), ...padding.map(() => UNUSED)] });
    const { tokenizer } = tokenizerFromGguf('model.gguf', metadata as GgufMetadata, count)!;
    return Tokenizer.fromJSON(JSON.parse(tokenizer));
  }

  it.each(['bitnet', 'bitnet-25', 'bitnet-b1.58'])('a %s file of 128,256 tokens without pre has the tokenizer of Llama 3', async (architecture) => {
    const tokenizer = await withoutPre(architecture, 128_256);
    for (const text of TEXTS) expect(tokenizer.encode(text), text).toEqual(naiveEncode(KINDS['Llama 3']!, ids, text));
  });

  it.each([['llama', 128_256], ['bitnet', 1000]] as const)('a %s file of %d tokens without pre has that of GPT-2', async (architecture, count) => {
    const tokenizer = await withoutPre(architecture, count);
    const kind = { ...KINDS['Llama 3']!, digits: undefined, ignoreMerges: false, addsBos: false };
    for (const text of TEXTS) expect(tokenizer.encode(text), text).toEqual(naiveEncode(kind, ids, text));
  });

  it('add_bos_token: absent means what the pre says, false and true what they say; without a BOS there is none', async () => {
    const all = ggufKeys(KINDS['Llama 3']!, tokens, ids);
    const { 'tokenizer.ggml.add_bos_token': _, ...absent } = all;
    const { 'tokenizer.ggml.bos_token_id': __, ...without } = absent;
    const begins = async (keys: Record<string, Entry>): Promise<boolean> => (await fromKeys(keys, tokens.length + ROWS_MORE)).encode('x')[0] === bos;
    expect(await begins(absent)).toBe(true);
    expect(await begins({ ...absent, 'tokenizer.ggml.pre': ['string', 'qwen2'] })).toBe(false);
    expect(await begins({ ...absent, 'tokenizer.ggml.pre': ['string', 'qwen2'], 'tokenizer.ggml.add_bos_token': ['bool', true] })).toBe(true);
    expect(await begins({ ...all, 'tokenizer.ggml.add_bos_token': ['bool', false] })).toBe(false);
    expect(await begins(without)).toBe(false);
  });

  it('a pre that is not known is refused by name', async () => {
    const keys: Record<string, Entry> = { ...ggufKeys(KINDS['Llama 3']!, tokens, ids), 'tokenizer.ggml.pre': ['string', 'falcon-x'] };
    const error: unknown = await fromKeys(keys, tokens.length + ROWS_MORE).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TokenizerError);
    expect(String(error)).toMatch(/model\.gguf: metadata key tokenizer\.ggml\.pre is "falcon-x"; this library knows .*falcon_e/);
  });

  it('several EOS ids of a model stay several when it is converted, and end a text', async () => {
    const eos = [ids.get('<|eot_id|>')!, ids.get('<|end_of_text|>')!];
    const parts: Uint8Array[] = [];
    for await (const part of convert({ ...tinyCheckpoint(sizes(tokens.length), 1, { bos_token_id: bos, eos_token_id: eos }), 'tokenizer.json': json(file) })) parts.push(part);
    expect((await MatMulFreeLM.load(new Uint8Array(Buffer.concat(parts)), { backend: 'scalar' })).config.eosTokenIds).toEqual(eos);
  });

  it.each([
    ['NFC where the pre has none', 'Llama 3', { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }] } }, true],
    ['none where the pre has NFC', 'GPT-NeoX', { normalizer: null }, false],
    ['none, with one digit at a time', 'Qwen3', { normalizer: null }, false],
  ] as const)('convert tells of the normalizer: %s', async (_name, name, more, nfc) => {
    const kind = { ...KINDS[name]!, nfc };
    const made = tokenizerJson(kind);
    const keys = await convertedKeys({ ...made.file, ...more }, made.tokens.length, { bos_token_id: kind.bos === undefined ? null : made.ids.get(kind.bos) });
    const tokenizer = await fromKeys(keys, made.tokens.length);
    for (const text of TEXTS) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(naiveEncode(kind, made.ids, text));
    const wrong = fromKeys({ ...keys, 'matmulfree.tokenizer.normalizer': ['string', 'NFD'] }, made.tokens.length);
    await expect(wrong).rejects.toThrow(/matmulfree\.tokenizer\.normalizer is "NFD", not "NFC" or "none"/);
  });
});
