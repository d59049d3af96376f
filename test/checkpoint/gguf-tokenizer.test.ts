import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { convert, MatMulFreeLM, readGguf, sourceFromContent, TokenizerError, type GgufMetadata, type Tokenizer } from 'matmulfree';
import { json, randomTensors, TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED, fixture, HAS_SHARED, shared, SHARED_NOTE } from '../support/files.js';
import { gguf, modelMetadata, modelTensors, type Entry } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';

interface Vector { text: string; ids: number[]; no_special: number[]; decoded: string; decoded_keep: string }
interface TokenizerJson {
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges: [string, string][] };
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const seed = freshSeed();
const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6;

/** A model of `vocab` tokens whose file has these keys for its tokenizer. */
async function tokenizerOf(metadata: Record<string, Entry>, vocab: number): Promise<Tokenizer> {
  const config = { ...TINY, hidden: 1, intermediate: 1, layers: 1, vocab };
  const tensors = modelTensors(randomTensors(config, 1));
  const lm = await MatMulFreeLM.load(gguf({ metadata: { ...modelMetadata(config), ...metadata }, tensors }));
  return lm.tokenizer;
}

/** What a converter makes of a tokenizer.json: the tokens in order, and their types. */
function tokensAndTypes({ added_tokens: added, model: { vocab } }: TokenizerJson): { tokens: string[]; types: number[] } {
  const tokens: string[] = [];
  const types: number[] = [];
  for (const [token, id] of Object.entries(vocab)) [tokens[id], types[id]] = [token, /^<0x..>$/.test(token) ? BYTE : NORMAL];
  for (const { id, content, special } of added) {
    tokens[id] = content;
    types[id] = content === '<unk>' ? UNKNOWN : special ? CONTROL : USER_DEFINED;
  }
  return { tokens, types };
}

function llamaKeys(file: TokenizerJson): Record<string, Entry> {
  const { tokens, types } = tokensAndTypes(file);
  const rank = new Map(file.model.merges.map(([left, right], n) => [left + right, n]));
  return {
    'tokenizer.ggml.model': ['string', 'llama'], 'tokenizer.ggml.tokens': [['string'], tokens], 'tokenizer.ggml.token_type': [['i32'], types],
    'tokenizer.ggml.scores': [['f32'], tokens.map((token) => (rank.has(token) ? -rank.get(token)! : -1e9))],
    'tokenizer.ggml.bos_token_id': ['u32', 1], 'tokenizer.ggml.eos_token_id': ['u32', 2],
  };
}

function gpt2Keys(file: TokenizerJson, pre: string | undefined): Record<string, Entry> {
  const { tokens, types } = tokensAndTypes(file);
  return {
    'tokenizer.ggml.model': ['string', 'gpt2'], 'tokenizer.ggml.tokens': [['string'], tokens], 'tokenizer.ggml.token_type': [['i32'], types],
    'tokenizer.ggml.merges': [['string'], file.model.merges.map((pair) => pair.join(' '))],
    ...(pre === undefined ? {} : { 'tokenizer.ggml.pre': ['string', pre] as const }),
  };
}

/** Words of the vocabulary in new orders, cut and run together, with odd spaces: text that no merge list was made from. */
function* texts(tokens: readonly string[], count: number, clean: (token: string) => string): Generator<string> {
  const random = randomFrom(seed);
  for (let n = 0; n < count; n++) {
    let text = '';
    for (let i = random.integer(1, 12); i > 0; i--) {
      const token = clean(tokens[random.integer(0, tokens.length - 1)]!);
      text += random.unit() < 0.5 ? token : token.slice(0, random.integer(0, token.length));
      if (random.unit() < 0.1) text += [' ', '  ', '\n', '\t', 'é', '漢', '🙂', '\u0301', '42', "'s"][random.integer(0, 9)]!;
    }
    yield text;
  }
}

describe('"llama": SentencePiece BPE with scores', () => {
  const file = readJson<TokenizerJson>(fixture('tokenizers/llama.tokenizer.json'));

  it('gives the vectors of the tokenizer.json', async () => {
    const tokenizer = await tokenizerOf(llamaKeys(file), 4096);
    for (const { text, ids, no_special, decoded, decoded_keep } of readJson<Vector[]>(fixture('tokenizers/llama.vectors.json'))) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(no_special);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decoded_keep);
    }
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([1, 2]);
  });

  it(`encodes as the tokenizer.json does, other texts too (seed ${seed})`, async () => {
    const tokenizer = await tokenizerOf(llamaKeys(file), 4096);
    const { tokenizer: reference } = await MatMulFreeLM.load(EMBEDDED);
    const { tokens } = tokensAndTypes(file);
    for (const text of texts(tokens, 5000, (token) => token.replaceAll('▁', ' '))) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(reference.encode(text));
  });

  it.skipIf(!HAS_SHARED)(`encodes all validation stories as the tokenizer.json does${SHARED_NOTE}`, async () => {
    const tokenizer = await tokenizerOf(llamaKeys(file), 4096);
    const { tokenizer: reference } = await MatMulFreeLM.load(shared('models/tinystories-9m/'));
    for (const ids of readJson<number[][]>(shared('goldens/tinystories-9m/validation-stories.json'))) {
      const text = reference.decode(ids);
      expect(tokenizer.encode(text)).toEqual(reference.encode(text));
    }
  });

  it('also from the keys that convert writes', async () => {
    const { metadata } = await readGguf(sourceFromContent('embedded', readFileSync(EMBEDDED)));
    const entry = (key: string): Entry => {
      const value = metadata.get(key)!;
      return (value.type === 'array' ? [[value.of], value.value] : [value.type, value.value]) as unknown as Entry;
    };
    const keys = [...metadata.keys()].filter((key) => key.startsWith('tokenizer.ggml.'));
    expect(keys).toContain('tokenizer.ggml.add_space_prefix');
    const tokenizer = await tokenizerOf(Object.fromEntries(keys.map((key) => [key, entry(key)])), 4096);
    for (const { text, ids } of readJson<Vector[]>(fixture('tokenizers/llama.vectors.json'))) expect(tokenizer.encode(text)).toEqual(ids);
  });

  const small = (more: Record<string, Entry> = {}): Record<string, Entry> => ({
    'tokenizer.ggml.model': ['string', 'llama'],
    'tokenizer.ggml.tokens': [['string'], ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', 'ba', 'aba', '<0xC3>', '<0xA9>', '<|x|>', 'b|', 'bb']],
    'tokenizer.ggml.token_type': [['i32'], [UNKNOWN, CONTROL, CONTROL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, BYTE, BYTE, CONTROL, USER_DEFINED, UNUSED]],
    'tokenizer.ggml.scores': [['f32'], [0, 0, 0, -9, -8, -7, -2, -1, -3, 0, 0, 0, 0, 5]],
    ...more,
  });

  it('merges the pair of the highest score first, and the leftmost of equals', async () => {
    const tokenizer = await tokenizerOf(small({ 'tokenizer.ggml.add_bos_token': ['bool', false] }), 14);
    const tokens = (text: string): string[] => tokenizer.encode(text).map((id) => tokenizer.idToToken(id)!);
    expect(tokens('aba')).toEqual(['▁', 'aba']); // b+a first, then a+ba: no way leads past it
    expect(tokens('abab')).toEqual(['▁', 'aba', 'b']);
    expect(tokens('bab')).toEqual(['▁', 'ba', 'b']);
    expect(tokens('abb')).toEqual(['▁', 'ab', 'b']); // not the unused bb
  });

  it('byte tokens, unknown ones, control and user-defined ones, and a prefix after each of them', async () => {
    const tokenizer = await tokenizerOf(small(), 14);
    const tokens = (text: string): string[] => tokenizer.encode(text).map((id) => tokenizer.idToToken(id)!);
    expect(tokens('é')).toEqual(['<s>', '▁', '<0xC3>', '<0xA9>']);
    expect(tokens('ê')).toEqual(['<s>', '▁', '<unk>']);
    expect(tokens('a<|x|>a')).toEqual(['<s>', '▁', 'a', '<|x|>', '▁', 'a']);
    expect(tokens('ab|a')).toEqual(['<s>', '▁', 'a', 'b|', '▁', 'a']);
    expect(tokenizer.isSpecial(11)).toBe(true);
    expect(tokenizer.isSpecial(12)).toBe(false);
    expect(tokenizer.decode([1, 3, 4, 9, 10, 12, 13])).toBe('aéb|bb');
  });

  it('add_space_prefix, add_bos_token, add_eos_token', async () => {
    const no: Entry = ['bool', false];
    const yes: Entry = ['bool', true];
    const keys = { 'tokenizer.ggml.add_space_prefix': no, 'tokenizer.ggml.add_bos_token': no, 'tokenizer.ggml.add_eos_token': yes, 'tokenizer.ggml.eos_token_id': ['u32', 2] as const };
    const tokenizer = await tokenizerOf(small(keys), 14);
    expect(tokenizer.encode('a b')).toEqual([4, 3, 5, 2]);
    expect(tokenizer.decode([3, 4])).toBe(' a');
    expect((await tokenizerOf(small({ 'tokenizer.ggml.bos_token_id': ['u32', 11] }), 14)).encode('a')).toEqual([11, 3, 4]);
  });

  const list = (length: number, token: (n: number) => string): Entry => [['string'], Array.from({ length }, (_, n) => token(n))];
  it.each([
    ['another kind', { 'tokenizer.ggml.model': ['string', 't5'] }, /tokenizer\.ggml\.model is "t5"/],
    ['no tokens', { 'tokenizer.ggml.tokens': ['u32', 3] }, /tokens must be a list of strings, it is 3/],
    ['too few types', { 'tokenizer.ggml.token_type': [['i32'], [1]] }, /token_type has 1 entries for 14 tokens/],
    ['too few scores', { 'tokenizer.ggml.scores': [['f32'], [1]] }, /scores has 1 entries for 14 tokens/],
    ['scores that are no numbers', { 'tokenizer.ggml.scores': [['f32'], [NaN, ...new Array<number>(13).fill(0)]] }, /scores must be a list of numbers/],
    ['more tokens than the model has', { 'tokenizer.ggml.tokens': list(15, (n) => `t${n}`) }, /has 15 tokens, but the model has a vocabulary of 14/],
    ['a token twice', { 'tokenizer.ggml.tokens': list(14, (n) => `t${n % 12}`) }, /has "t0" twice, as 0 and 12/],
    ['a BOS that is no token', { 'tokenizer.ggml.bos_token_id': ['u32', 14] }, /bos_token_id is 14, not the id of one of 14 tokens/],
    ['a flag that is none', { 'tokenizer.ggml.add_bos_token': ['u32', 1] }, /add_bos_token is 1, not true or false/],
    ['tokens that are far too long', { 'tokenizer.ggml.tokens': list(14, (n) => 'x'.repeat(12_000) + n), 'tokenizer.ggml.token_type': [['i32'], new Array<number>(14).fill(NORMAL)] }, /too long for the merges/],
  ] as [string, Record<string, Entry>, RegExp][])('refuses %s', async (_name, more, message) => {
    const error: unknown = await tokenizerOf(small(more), 14).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TokenizerError);
    expect(String(error)).toMatch(message);
    expect(String(error)).toMatch(/model\.gguf: /);
  });

  it('without a tokenizer takes ids, and "no_vocab" is none', async () => {
    await expect(tokenizerOf({}, 14)).rejects.toThrow(/^model\.gguf: has no tokenizer, so it takes token ids only$/);
    await expect(tokenizerOf({ 'tokenizer.ggml.model': ['string', 'no_vocab'] }, 14)).rejects.toThrow(/no tokenizer/);
  });

  it('takes a token named __proto__ for a token', async () => {
    const tokens = ['<unk>', '<s>', '</s>', '▁', '_', 'p', '__', '__p', 'r', 'o', 'ro', '__pro', '__proto__', 't'];
    const keys = small({ 'tokenizer.ggml.tokens': [['string'], tokens], 'tokenizer.ggml.token_type': [['i32'], tokens.map((_, id) => (id === 0 ? UNKNOWN : id === 12 ? USER_DEFINED : NORMAL))] });
    expect((await tokenizerOf(keys, 14)).encode('t__proto__', { addSpecialTokens: false })).toEqual([3, 13, 12]);
  });
});

describe('"gpt2": byte-level BPE with merges', () => {
  it.each([['gpt2', undefined], ['gpt2', 'gpt-2'], ['llama3', 'dbrx'], ['llama3', 'llama-bpe']] as const)('%s with pre %s gives the vectors of the tokenizer.json', async (name, pre) => {
    const file = readJson<TokenizerJson>(fixture(`tokenizers/${name}.tokenizer.json`));
    const tokenizer = await tokenizerOf(gpt2Keys(file, pre), 3003);
    for (const { text, ids, no_special, decoded, decoded_keep } of readJson<Vector[]>(fixture(`tokenizers/${name}.vectors.json`))) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(no_special ?? ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decoded_keep);
    }
  });

  const file = readJson<TokenizerJson>(fixture('tokenizers/llama3.tokenizer.json'));
  const words = (tokenizer: Tokenizer, text: string): string[] => tokenizer.encode(text, { addSpecialTokens: false }).map((id) => tokenizer.idToToken(id)!);

  it('pre decides how digits fall apart', async () => {
    const joined = { ...file, model: { vocab: { ...file.model.vocab, '12': 3003, '123': 3004, '1234': 3005 }, merges: [...file.model.merges, ['1', '2'], ['12', '3'], ['123', '4']] as [string, string][] } };
    const of = async (pre: string): Promise<string[]> => words(await tokenizerOf(gpt2Keys(joined, pre), 3006), '1234');
    expect(await of('gpt-2')).toEqual(['1234']);
    expect(await of('llama-bpe')).toEqual(['123', '4']);
    expect(await of('default')).toEqual(['123', '4']);
    for (const pre of ['qwen2', 'starcoder', 'smollm', 'stablelm2']) expect(await of(pre), pre).toEqual(['1', '2', '3', '4']);
  });

  it('llama-bpe starts with BOS unless told otherwise, and takes a whole token where merges would not lead to it', async () => {
    const bos: Record<string, Entry> = { 'tokenizer.ggml.bos_token_id': ['u32', 3001] };
    const tokenizer = await tokenizerOf({ ...gpt2Keys(file, 'llama-bpe'), ...bos }, 3003);
    expect(tokenizer.encode('The')[0]).toBe(3001);
    const without = await tokenizerOf({ ...gpt2Keys(file, 'llama-bpe'), ...bos, 'tokenizer.ggml.add_bos_token': ['bool', false] }, 3003);
    expect(without.encode('The')).toEqual(tokenizer.encode('The').slice(1));
    const extra = { ...file, model: { ...file.model, vocab: { ...file.model.vocab, qzqz: 3003 } } };
    expect(words(await tokenizerOf(gpt2Keys(extra, 'llama-bpe'), 3004), 'qzqz')).toEqual(['qzqz']);
    expect(words(await tokenizerOf(gpt2Keys(extra, 'dbrx'), 3004), 'qzqz').length).toBeGreaterThan(1);
  });

  it.each([
    [{ 'tokenizer.ggml.pre': ['string', 'exotic'] }, /tokenizer\.ggml\.pre is "exotic"; this library knows gpt-2, /],
    [{ 'tokenizer.ggml.merges': ['u32', 1] }, /merges must be a list of strings/],
    [{ 'tokenizer.ggml.merges': [['string'], ['ab']] }, /merges has "ab", which is no pair/],
    [{ 'tokenizer.ggml.merges': [['string'], ['qq zz']] }, /tokenizer\.ggml\.\*.*merges\[0\].*"qq" is not in the vocabulary/],
  ] as [Record<string, Entry>, RegExp][])('refuses %j', async (more, message) => {
    const error: unknown = await tokenizerOf({ ...gpt2Keys(file, 'llama-bpe'), ...more }, 3003).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TokenizerError);
    expect(String(error)).toMatch(message);
  });
});

describe('what convert writes for other readers', () => {
  const metadataOf = async (tokenizer: unknown, vocab: number): Promise<GgufMetadata> => {
    const files = { ...tinyCheckpoint({ ...TINY, hidden: 1, intermediate: 1, layers: 1, vocab }), 'tokenizer.json': json(tokenizer) };
    const parts: Uint8Array[] = [];
    for await (const part of convert(files)) parts.push(part);
    return (await readGguf(sourceFromContent('x', new Uint8Array(Buffer.concat(parts))))).metadata;
  };

  it.each([['gpt2', 'gpt-2', false], ['llama3', 'dbrx', false], ['llama', 'default', true]] as const)('%s: pre %s, add_bos %s', async (name, pre, addBos) => {
    const metadata = await metadataOf(readJson(fixture(`tokenizers/${name}.tokenizer.json`)), name === 'llama' ? 4096 : 3003);
    expect(metadata.get('tokenizer.ggml.pre')).toEqual({ type: 'string', value: pre });
    expect(metadata.get('tokenizer.ggml.add_bos_token')).toEqual({ type: 'bool', value: addBos });
    expect(metadata.get('tokenizer.ggml.add_eos_token')).toEqual({ type: 'bool', value: false });
    expect(metadata.get('general.type')).toEqual({ type: 'string', value: 'model' });
  });

  it('from a file without a tokenizer.json: one that tokenizes as that file does', async () => {
    const file = readJson<TokenizerJson>(fixture('tokenizers/gpt2.tokenizer.json'));
    const config = { ...TINY, hidden: 1, intermediate: 1, layers: 1, vocab: 3003 };
    const source = gguf({ metadata: { ...modelMetadata(config), ...gpt2Keys(file, 'gpt-2') }, tensors: modelTensors(randomTensors(config, 1)) });
    const parts: Uint8Array[] = [];
    for await (const part of convert(source)) parts.push(part);
    const bytes = new Uint8Array(Buffer.concat(parts));
    const { metadata } = await readGguf(sourceFromContent('x', bytes));
    for (const [key, [, value]] of Object.entries(gpt2Keys(file, 'gpt-2'))) expect(metadata.get(key)?.value, key).toEqual(value);
    const { tokenizer } = await MatMulFreeLM.load(bytes);
    for (const { text, ids } of readJson<Vector[]>(fixture('tokenizers/gpt2.vectors.json'))) expect(tokenizer.encode(text)).toEqual(ids);
  });

  it('merges without the first line of a merges.txt, whose pairs another reader would miscount', async () => {
    const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
    const vocab = { a: 0, b: 1, '#': 2, ab: 3, aba: 4 };
    for (const more of [{}, { byte_fallback: true }]) {
      const written = async (first: string[]): Promise<GgufMetadata> =>
        metadataOf({ model: { type: 'BPE', vocab, merges: [...first, 'a b', 'ab a'], ...more }, pre_tokenizer: byteLevel }, 11);
      expect([...(await written(['#version: 0.2']))].filter(([key]) => /ggml/.test(key))).toEqual(
        [...(await written([]))].filter(([key]) => /ggml/.test(key)));
      expect((await written(['#version: 0.2'])).get('tokenizer.ggml.merges')?.value).toEqual('byte_fallback' in more ? undefined : ['a b', 'ab a']);
    }
    const pairs = await metadataOf({ model: { type: 'BPE', vocab: { '#version:': 0, x: 1, '#version:x': 2 }, merges: [['#version:', 'x']] }, pre_tokenizer: byteLevel }, 11);
    expect(pairs.get('tokenizer.ggml.merges')?.value).toEqual(['#version: x']);
  });

  it('names no pre that it has no name for', async () => {
    const file = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, pre_tokenizer: { type: 'Split', pattern: { Regex: 'a+' }, behavior: 'Isolated' } };
    const metadata = await metadataOf(file, 11);
    expect(metadata.has('tokenizer.ggml.pre')).toBe(false);
    expect(metadata.get('tokenizer.ggml.token_type')?.value).toEqual([NORMAL, ...new Array<number>(10).fill(UNUSED)]);
  });
});
