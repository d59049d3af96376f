import { describe, expect, it } from 'vitest';
import { convert, MatMulFreeLM, Tokenizer, type GgufMetadata, type GgufValue } from 'matmulfree';
import { tokenizerFromGguf } from '../../src/checkpoint/gguf-tokenizer.js';
import { randomTensors, TINY } from '../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors, type Entry } from '../support/gguf-files.js';
import { freshSeed, randomFrom } from '../support/random.js';

const [NORMAL, CONTROL, UNUSED] = [1, 3, 5];
const seed = freshSeed();

/** Byte-level keys of a vocabulary of letters, with `merges` in order and what they make, and then `more` tokens. */
function keysOf(merges: readonly [string, string][], more: Record<string, number>, letters = 'abcd '): { keys: Record<string, Entry>; tokens: string[]; types: number[] } {
  const tokens = [...letters, ...new Set(merges.map((pair) => pair.join('')))];
  const types = [...tokens.map(() => NORMAL), ...Object.values(more)];
  tokens.push(...Object.keys(more));
  return {
    tokens, types,
    keys: {
      'tokenizer.ggml.model': ['string', 'gpt2'], 'tokenizer.ggml.pre': ['string', 'gpt-2'], 'tokenizer.ggml.tokens': [['string'], tokens],
      'tokenizer.ggml.token_type': [['i32'], types], 'tokenizer.ggml.merges': [['string'], merges.map((pair) => pair.join(' '))],
    },
  };
}

const asMetadata = (keys: Record<string, Entry>): GgufMetadata =>
  new Map(Object.entries(keys).map(([key, [type, value]]) => [key, (typeof type === 'string' ? { type, value } : { type: 'array', of: type[0], value }) as GgufValue]));

interface TokenizerFile { model: { vocab: Record<string, number>; merges: unknown[] } }

describe('a tokenizer of tokenizer.ggml.* keys', () => {
  it(`does what its text says (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 20; round++) {
      const merges: [string, string][] = [];
      const pool = [...'abcd'];
      for (let n = 0; n < 40; n++) {
        const pair = [0, 1].map(() => pool[random.integer(0, pool.length - 1)]!) as [string, string];
        if (pair.join('').length > 9 || merges.some((other) => other.join(' ') === pair.join(' '))) continue; // one text may be made in two ways
        merges.push(pair);
        pool.push(pair.join(''));
      }
      const { keys, tokens } = keysOf(merges, { '<|end|>': CONTROL, '[PAD1]': UNUSED, '[PAD2]': UNUSED });
      const made = tokenizerFromGguf('model.gguf', asMetadata(keys), tokens.length)!;
      const file = JSON.parse(made.tokenizer) as TokenizerFile;
      expect(file.model.merges).toEqual(merges);
      expect(Object.entries(file.model.vocab)).toEqual(tokens.slice(0, -2).map((token, id) => [token, id]));
      const [direct, parsed] = [await Tokenizer.fromJSON(made.tokenizerJson), await Tokenizer.fromJSON(file)];
      expect(direct.vocabSize).toBe(parsed.vocabSize);
      for (let n = 0; n < 20; n++) {
        const text = Array.from({ length: random.integer(1, 80) }, () => 'abcdabcdabcd<|end|>'.slice(random.integer(0, 12)).slice(0, random.integer(1, 7))).join('');
        expect(direct.encode(text), text).toEqual(parsed.encode(text));
      }
    }
  });

  it('merges with spaces and number signs, and unused tokens with and without a merge', async () => {
    const merges: [string, string][] = [['a', 'b'], [' ', 'ab'], ['#version', 'a'], ['c', 'd'], ['a', 'b c']];
    const { keys, tokens } = keysOf(merges, { '#version': NORMAL, 'b c': NORMAL, 'ef': UNUSED });
    const types = keys['tokenizer.ggml.token_type']![1] as number[];
    types[tokens.indexOf('cd')] = UNUSED;
    const made = tokenizerFromGguf('model.gguf', asMetadata(keys), tokens.length)!;
    const file = JSON.parse(made.tokenizer) as TokenizerFile;
    expect(file.model.merges).toEqual(merges);
    expect(Object.keys(file.model.vocab).sort()).toEqual(tokens.filter((token) => token !== 'ef').sort());
    for (const json of [made.tokenizerJson, file]) {
      const tokenizer = await Tokenizer.fromJSON(json);
      expect(tokenizer.encode('ab')).toEqual([tokens.indexOf('ab')]);
      expect(tokenizer.encode('cd')).toEqual([tokens.indexOf('cd')]);
      expect(tokenizer.tokenToId('ef')).toBeUndefined();
    }
  });
});

describe('the ends of a text, of a turn and of a message', () => {
  const { keys, tokens } = keysOf([['a', 'b']], { '<|end|>': CONTROL, '<|eot_id|>': CONTROL, '<|eom_id|>': CONTROL });
  const config = { ...TINY, vocab: tokens.length };
  const [eos, eot, eom] = ['<|end|>', '<|eot_id|>', '<|eom_id|>'].map((token) => tokens.indexOf(token)) as [number, number, number];
  const fileWith = (ids: Record<string, number>, more: Record<string, Entry> = {}): Uint8Array => {
    const ends = Object.entries(ids).map(([end, id]): [string, Entry] => [`tokenizer.ggml.${end}_token_id`, ['u32', id]]);
    return gguf({ metadata: { ...modelMetadata(config), ...keys, ...Object.fromEntries(ends), ...more }, tensors: modelTensors(randomTensors(config, 1)) });
  };
  const endsOf = async (file: Uint8Array): Promise<readonly number[]> => (await MatMulFreeLM.load(file)).config.eosTokenIds;

  it.each<[string, Record<string, number>, number[]]>([
    ['all three', { eom, eot, eos }, [eos, eot, eom]],
    ['the same id twice', { eos, eot: eos }, [eos]],
    ['that of a turn alone', { eot }, [eot]],
    ['none', {}, []],
    ['ids that no token has, as llama.cpp passes over them', { eos, eot: 2 ** 32 - 1, eom: tokens.length }, [eos]],
  ])('%s', async (_, ids, expected) => {
    expect(await endsOf(fileWith(ids))).toEqual(expected);
  });

  it('but what generation_config says comes first, and convert keeps them all', async () => {
    const own = fileWith({ eos, eot }, { 'matmulfree.generation_config.json': ['string', JSON.stringify({ eos_token_id: eom })] });
    expect(await endsOf(own)).toEqual([eom]);
    const parts: Uint8Array[] = [];
    for await (const part of convert(fileWith({ eos, eot, eom }))) parts.push(part);
    const converted = Buffer.concat(parts);
    expect(await endsOf(new Uint8Array(converted))).toEqual([eos, eot, eom]);
  });
});
