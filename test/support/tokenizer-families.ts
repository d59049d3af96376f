import type { Entry } from './gguf-files.js';
import { randomFrom } from './random.js';

/*
 * The tokenizers of the published ternary transformers, in small: Qwen3 (Bonsai), Llama 3 (BitNet b1.58 2B4T), Falcon 3 and Falcon-E,
 * GPT-NeoX (TriLM). As a tokenizer.json, as the GGUF keys that llama.cpp's converter writes, and as an encoder written character by
 * character from the description of the patterns.
 */

interface Added { readonly content: string; readonly special: boolean; readonly normalized?: boolean }
export interface Kind {
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

export const KINDS: Record<string, Kind> = {
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

export function tokenizerJson(kind: Kind): { file: Record<string, unknown>; tokens: string[]; ids: Map<string, number> } {
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

/** Half a surrogate pair becomes U+FFFD. */
export const wellFormed = (text: string): string => Buffer.from(text).toString();

export function naiveEncode(kind: Kind, ids: ReadonlyMap<string, number>, text: string): number[] {
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

/** NFC, but for the added tokens. */
export function naiveDecode(kind: Kind, text: string): string {
  const contents = [...kind.first, ...kind.last].map(({ content }) => content.replace(/[|]/g, '\\$&')).sort((a, b) => b.length - a.length);
  return text.split(new RegExp(`(${contents.join('|')})`, 'u')).map((piece) => piece.normalize('NFC')).join('');
}

const PIECES = [
  ...WORDS, WHOLE, "'s", "'S", "'T", "'rE", "'VE", "'m", "'D", "'ſ", '’s', "'", ' ', '  ', '     ', '\n', '\r', '\r\n\r\n', '\n \n', ' \r\n ', '\t', '\u0085', '\u2028', '\u2003', '\u200b', '\ufeff', '\v', '\f',
  'e\u0301', 'e\u0323\u0302', 'e\u0302\u0323', 'a\u0315\u0300\u05ae\u0062', '\u0344', '\u212b', '\u1112\u1161\u11ab', '\u1112\u1161', '\uac00\u11a8', 'ﬁ', 'ǅ', 'ß', '1', '12', '12345', '٣٤٥٦', '②', 'Ⅷ', '½⅓', '𝟘𝟙',
  '😀', '👨‍👩‍👧', '🇩🇪', '👍🏽', '...', '?!', '--', '(', ')', '$1,234.50', 'x_y', 'ﷺ', 'नमस्ते', 'สวัสดี', '漢', '𠀀', '\ud800', '<', '|>', '<|', '<|im_end|>', '<think>', '</think>', '<|endoftext|>', '<|eot_id|>', '>>TITLE<<',
];
export const TEXTS = [
  '', ' ', 'Hello world, this is a test.', "I'm sure they'LL say it's 12345 o'clock, DON'T you?", 'a  b\n\n  c \r\n\r\n d\t\te   ', '  \n  \n  x', 'x   ', '\u3000\u3000x', 'ten 1000000 and 3.14159', 'é e\u0301 ḗ e\u0304\u0301',
  '한글 \u1112\u1161\u11ab\u1100\u1173\u11af', '<think>\n\n</think>\n\nhi<|im_end|>\n', 'a<|endoftext|>b', 'if x:\n    y = 1\n      z', '!!!\r\n\r\n??', `a${WHOLE}${WHOLE}s`,
];

export function* texts(seed: number, count: number): Generator<string> {
  yield* TEXTS;
  const random = randomFrom(seed);
  for (let n = 0; n < count; n++) yield Array.from({ length: random.integer(1, 9) }, () => PIECES[random.integer(0, PIECES.length - 1)]!).join('');
}

export const ROWS_MORE = 5;
const NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5;

/** As llama.cpp's converter writes them: rows that no token has are `[PAD…]`. */
export function ggufKeys(kind: Kind, tokens: readonly string[], ids: ReadonlyMap<string, number>): Record<string, Entry> {
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
