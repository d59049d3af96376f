import { describe, expect, it } from 'vitest';
import { convert, MatMulFreeLM, readGguf, sourceFromContent, TokenizerError, Tokenizer, type GgufMetadata, type GgufValue } from 'matmulfree';
import { tokenizerFromGguf } from '../../src/checkpoint/gguf-tokenizer.js';
import { json, randomTensors, TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors, type Entry } from '../support/gguf-files.js';
import { freshSeed } from '../support/random.js';
import { ggufKeys, KINDS, naiveDecode, naiveEncode, ROWS_MORE, TEXTS, texts, tokenizerJson, wellFormed } from '../support/tokenizer-families.js';

/* Each as a tokenizer.json, as the GGUF keys that llama.cpp's converter writes, and as those that ours writes, against the naive encoder. */

const UNUSED = 5;

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
    for (const text of texts(seed, 250)) {
      const expected = naiveEncode(kind, ids, wellFormed(text));
      for (const [way, tokenizer] of ways) expect(tokenizer.encode(text), `${way}: ${JSON.stringify(text)}`).toEqual(expected);
    }
  });

  it('decodes what it encodes; special tokens are hidden, others that were added are not', () => {
    for (const [way, tokenizer] of ways) {
      for (const text of texts(seed, 40)) {
        const whole = kind.nfc ? naiveDecode(kind, wellFormed(text)) : wellFormed(text);
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

  it('an unused token that merges lead to is a token', async () => {
    const keys = ggufKeys(KINDS['Qwen3']!, tokens, ids);
    const types = [...(keys['tokenizer.ggml.token_type']![1] as number[])];
    types[ids.get('hello')!] = UNUSED;
    types[ids.get('a')!] = UNUSED;
    const tokenizer = await fromKeys({ ...keys, 'tokenizer.ggml.token_type': [['i32'], types] }, tokens.length + ROWS_MORE);
    expect(tokenizer.encode('hello a')).toEqual(['hello', '\u0120', 'a'].map((token) => ids.get(token)));
  });

  it('several EOS ids of a model stay several when it is converted, and end a text', async () => {
    const eos = [ids.get('<|eot_id|>')!, ids.get('<|end_of_text|>')!];
    const parts: Uint8Array[] = [];
    for await (const part of convert({ ...tinyCheckpoint(sizes(tokens.length), 1, { bos_token_id: bos, eos_token_id: eos }), 'tokenizer.json': json(file) })) parts.push(part);
    expect((await MatMulFreeLM.load(new Uint8Array(Buffer.concat(parts)), { backend: 'scalar' })).config.eosTokenIds).toEqual(eos);
  });

  it('convert tells of the BOS that the tokenizer adds where the configuration names none', async () => {
    const keys = await convertedKeys(file, tokens.length, { bos_token_id: null });
    expect(keys['tokenizer.ggml.bos_token_id']).toEqual(['u32', bos]);
    const tokenizer = await fromKeys(keys, tokens.length);
    for (const text of TEXTS) expect(tokenizer.encode(text), text).toEqual(naiveEncode(KINDS['Llama 3']!, ids, text));
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
