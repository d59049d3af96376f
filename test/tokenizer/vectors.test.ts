import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../src/errors.js';
import { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { fixture, random, type Vector } from './helpers.js';

const HALF_CHARACTER = /\p{Cs}|\ufffd/u;

describe.each(['gpt2', 'llama3', 'llama'])('%s, against the reference library', async (name) => {
  const vectors = fixture<Vector[]>(`${name}.vectors.json`);
  const tokenizer = await Tokenizer.fromJSON(fixture(`${name}.tokenizer.json`));

  it('encodes', () => {
    for (const { text, ids, no_special } of vectors) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      if (no_special !== undefined) expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(no_special);
    }
  });

  it('decodes', () => {
    for (const { text, ids, decoded, decoded_keep } of vectors) {
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
      expect(tokenizer.decode(Int32Array.from(ids), { skipSpecialTokens: false })).toBe(decoded_keep);
    }
  });

  it('streams what it decodes, never half a character', () => {
    for (const { ids, decoded, decoded_keep } of vectors) {
      for (const skipSpecialTokens of [true, false]) {
        const stream = tokenizer.createDecodeStream({ skipSpecialTokens });
        const pieces = ids.map((id) => stream.push(id));
        const whole = skipSpecialTokens ? decoded : decoded_keep;
        if (!HALF_CHARACTER.test(whole)) for (const piece of pieces) expect(piece).not.toMatch(HALF_CHARACTER);
        expect(pieces.join('') + stream.flush()).toBe(whole);
      }
    }
  });

  it('streams the continuation of a prompt', () => {
    const next = random(11);
    for (const { ids, decoded } of vectors) {
      const cut = Math.floor(next() * (ids.length + 1));
      const stream = tokenizer.createDecodeStream({ prompt: ids.slice(0, cut) });
      const continued = ids.slice(cut).map((id) => stream.push(id)).join('') + stream.flush();
      const shown = tokenizer.createDecodeStream();
      const before = ids.slice(0, cut).map((id) => shown.push(id)).join('');
      expect(before + continued).toBe(decoded);
    }
  });

  it('encodes the same again, from its cache', () => {
    for (const { text, ids } of vectors.slice(0, 40)) expect(tokenizer.encode(text)).toEqual(ids);
  });

  it('takes lone surrogates as U+FFFD', () => {
    expect(tokenizer.encode('a\ud800b\udc00')).toEqual(tokenizer.encode('a\ufffdb\ufffd'));
  });

  it('refuses ids it does not have', () => {
    for (const id of [tokenizer.vocabSize, -1, 1.5, NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(ArgumentError);
      expect(() => tokenizer.createDecodeStream().push(id)).toThrow(ArgumentError);
      expect(() => tokenizer.createDecodeStream({ prompt: [id] })).toThrow(ArgumentError);
    }
  });

  it('encodes nothing to nothing but special tokens', () => {
    expect(tokenizer.encode('', { addSpecialTokens: false })).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });
});

describe('Llama', async () => {
  const tokenizer = await Tokenizer.fromJSON(fixture('llama.tokenizer.json'), { config: fixture('llama.tokenizer_config.json') });

  it('knows its sizes and special tokens', () => {
    expect(tokenizer.vocabSize).toBe(4096);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([1, 2]);
    expect(tokenizer.idToToken(2)).toBe('</s>');
    expect(tokenizer.tokenToId('</s>')).toBe(2);
    expect([tokenizer.tokenToId('no such token'), tokenizer.idToToken(4096)]).toEqual([undefined, undefined]);
    expect([0, 1, 2, 3].map((id) => tokenizer.isSpecial(id))).toEqual([true, true, true, false]);
  });

  it('has no bos or eos without a configuration, and reads {content} forms', async () => {
    const json = fixture('llama.tokenizer.json');
    expect((await Tokenizer.fromJSON(json)).bosTokenId).toBeUndefined();
    const config = { bos_token: { content: '<s>', lstrip: false }, eos_token: null };
    expect((await Tokenizer.fromJSON(json, { config })).bosTokenId).toBe(1);
    expect((await Tokenizer.fromJSON(json, { config })).eosTokenId).toBeUndefined();
    expect((await Tokenizer.fromJSON(json, { config: { bos_token: '<none>' } })).bosTokenId).toBeUndefined();
  });

  it('strips the leading space once a text, not after a prompt', () => {
    const ids = tokenizer.encode('One day', { addSpecialTokens: false });
    expect(tokenizer.decode(ids)).toBe('One day');
    const stream = tokenizer.createDecodeStream({ prompt: tokenizer.encode('Once') });
    expect(ids.map((id) => stream.push(id)).join('')).toBe(' One day');
    const afterBos = tokenizer.createDecodeStream({ prompt: [1] });
    expect(ids.map((id) => afterBos.push(id)).join('')).toBe('One day');
  });

  it('gives out an emoji of byte tokens with its last byte', () => {
    const ids = [0xf0, 0x9f, 0x98, 0x80].map((byte) => tokenizer.tokenToId(`<0x${byte.toString(16).toUpperCase()}>`)!);
    const stream = tokenizer.createDecodeStream();
    expect(ids.map((id) => stream.push(id))).toEqual(['', '', '', '😀']);
    expect(stream.flush()).toBe('');
    const cut = tokenizer.createDecodeStream();
    expect(ids.slice(0, 3).map((id) => cut.push(id)).join('')).toBe('');
    expect(cut.flush()).toBe('\ufffd'.repeat(3));
    expect(tokenizer.decode(ids.slice(0, 3))).toBe('\ufffd'.repeat(3));
  });
});

it('streams a prompt that ends within a character', async () => {
  const tokenizer = await Tokenizer.fromJSON(fixture('gpt2.tokenizer.json'));
  const ids = tokenizer.encode('😀');
  expect(ids.length).toBeGreaterThan(1);
  const stream = tokenizer.createDecodeStream({ prompt: ids.slice(0, -1) });
  expect(stream.push(ids.at(-1)!)).toBe('😀');
});

it('keeps a byte order mark', async () => {
  for (const name of ['gpt2', 'llama3', 'llama']) {
    const tokenizer = await Tokenizer.fromJSON(fixture(`${name}.tokenizer.json`));
    expect(tokenizer.decode(tokenizer.encode('\ufeffhi \ufeff'))).toBe('\ufeffhi \ufeff');
  }
});

it('round-trips random text (byte-level)', async () => {
  const tokenizer = await Tokenizer.fromJSON(fixture('gpt2.tokenizer.json'));
  const seed = 20240607;
  const next = random(seed);
  for (let round = 0; round < 200; round++) {
    const codes = Array.from({ length: 40 }, () => Math.floor(next() ** 4 * 0x110000)).filter((code) => code < 0xd800 || code > 0xdfff);
    const text = String.fromCodePoint(...codes);
    expect(tokenizer.decode(tokenizer.encode(text), { skipSpecialTokens: false }), `seed ${seed} round ${round}`).toBe(text);
  }
});
