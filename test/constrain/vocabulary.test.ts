import { describe, expect, it } from 'vitest';
import { ArgumentError, Tokenizer } from 'matmulfree';
import { has } from '../../src/constrain/code-points.js';
import { compileChoices, compileRegex } from '../../src/constrain/compile.js';
import { vocabularyOf } from '../../src/constrain/vocabulary.js';
import { findWritable } from '../../src/constrain/writable.js';
import { freshSeed } from '../support/random.js';
import { build, bytesAlone, generate, idsOf, randomOf, tokenizers, type Random } from './helpers.js';
import { tokenizerOf } from '../support/tokenizer.js';

const decode = (bytes: readonly number[]): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
};

describe.each(tokenizers())('the tokens of a tokenizer, $name', ({ tokenizer, prompt }) => {
  const seed = freshSeed();
  const vocabulary = vocabularyOf(tokenizer, []);

  /** Tokens at random, as far as they can be well-formed together. */
  function sequence(random: Random, first: ReadonlyMap<number, Uint8Array>): { ids: number[]; bytes: number[] } {
    const ids: number[] = [];
    const bytes: number[] = [];
    const rest = [...vocabulary.tokens.bytesOf];
    const begin = [...first];
    for (let tries = 0; tries < 60; tries++) {
      const from = ids.length === 0 ? begin : rest;
      const [id, own] = from[random.integer(0, from.length - 1)]!;
      const shown = new TextDecoder().decode(Uint8Array.from([...bytes, ...own]));
      if (shown.slice(0, -1).includes('\ufffd')) continue; // malformed before its end
      ids.push(id);
      bytes.push(...own);
    }
    while (decode(bytes) === undefined) bytes.splice(-(vocabulary.tokens.bytesOf.get(ids.pop()!) ?? []).length);
    return { ids, bytes };
  }

  it(`write together what each of them writes (seed ${seed})`, () => {
    const random = randomOf(seed);
    for (let run = 0; run < 30; run++) {
      const { ids, bytes } = sequence(random, vocabulary.tokens.bytesOf);
      const stream = tokenizer.createDecodeStream({ prompt });
      const text = ids.map((id) => stream.push(id)).join('') + stream.flush();
      expect(text, ids.join()).toBe(decode(bytes));
    }
  });

  it(`also at the very beginning of a text (seed ${seed})`, () => {
    const random = randomOf(seed);
    const first = vocabulary.firstTokens().bytesOf;
    expect(vocabulary.hasText(prompt)).toBe(true);
    expect(vocabulary.hasText([])).toBe(false);
    for (let run = 0; run < 30; run++) {
      const { ids, bytes } = sequence(random, first);
      if (ids.length === 0) continue;
      const stream = tokenizer.createDecodeStream();
      const text = ids.map((id) => stream.push(id)).join('') + stream.flush();
      expect(text, ids.join()).toBe(decode(bytes));
    }
  });

  it('are all there but those that say nothing', () => {
    let missing = 0;
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      if (vocabulary.tokens.bytesOf.has(id)) continue;
      missing++;
      expect(tokenizer.isSpecial(id) || tokenizer.idToToken(id) === undefined, tokenizer.idToToken(id)).toBe(true);
    }
    expect(missing).toBeGreaterThan(0);
  });
});

describe('writable characters', () => {
  const seed = freshSeed();

  it(`are those whose bytes are tokens, in any pieces (seed ${seed})`, () => {
    const random = randomOf(seed);
    const codes = [0x41, 0xe9, 0xea, 0x7ff, 0x800, 0x20ac, 0x20ad, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x1f600, 0x1f601, 0x10ffff];
    const all = codes.map((code) => [...new TextEncoder().encode(String.fromCodePoint(code))]);
    const bytes = [...new Set(all.flat())];
    let writables = 0;
    for (let run = 0; run < 300; run++) {
      const tokens: Uint8Array[] = [];
      for (const byte of bytes) if (random.unit() < 0.5) tokens.push(Uint8Array.of(byte));
      for (const own of all) if (random.unit() < 0.3) tokens.push(Uint8Array.from(own.slice(random.integer(0, own.length - 1), random.integer(1, own.length))));
      if (run % 10 === 0) for (let byte = 0x80; byte < 0xc0; byte++) tokens.push(Uint8Array.of(byte));
      const { writable } = findWritable(tokens);
      const pieces = tokens.map((token) => token.join());
      for (const [i, own] of all.entries()) {
        const canReach = [true];
        for (let to = 1; to <= own.length; to++) {
          canReach[to] = own.some((_, from) => from < to && canReach[from] === true && pieces.includes(own.slice(from, to).join()));
        }
        writables += Number(canReach[own.length]);
        expect(has(writable!, codes[i]!), `U+${codes[i]!.toString(16)} with ${pieces.join(' ')}`).toBe(canReach[own.length]);
      }
    }
    expect(writables).toBeGreaterThan(200);
  });

  it('are all where every byte is a token', () => {
    const { writable, continuations } = vocabularyOf(bytesAlone(), []);
    for (const code of [0, 0x7f, 0x80, 0xffff, 0x10ffff]) expect(has(writable, code)).toBe(true);
    expect(continuations).toBeUndefined();
  });
});

describe('tokenizers of other kinds', () => {
  const merges = (decoder: Record<string, unknown> | undefined, tokens: string[]): Tokenizer => build(tokens, decoder ? { decoder } : {});

  it('whose text comes out late, or with spaces between, are refused or left without words', () => {
    const late = merges({ type: 'BPEDecoder', suffix: '</w>' }, ['a</w>', 'b', 'b</w>']);
    expect(() => compileRegex('a', late)).toThrow(ArgumentError);
    expect(() => compileRegex('a', late)).toThrow(/no token whose text comes out as soon as it is pushed/);
    const spaced = merges(undefined, ['a', 'b']);
    expect(() => compileChoices(['a'], spaced)).toThrow('choices has "a", which the tokenizer cannot write');
  });

  it('that strip the end never write a space that may be lost', () => {
    const stripped = merges({ type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 0, stop: 1 }] }, ['a', ' ', 'a ', ' a']);
    const constraint = compileRegex('(?:a| a)+', stripped);
    for (let n = 0; n < 10; n++) {
      const { text } = generate(constraint, stripped, [0], randomOf(n), 20);
      expect(text).toMatch(/^(?:a| a)+$/);
    }
    expect(idsOf(constraint.start([0]).mask)).toEqual([0]); // a space would need a token of its own
  });

  it('with bytes that do not come out as characters are used without them', () => {
    // Marks become spaces behind the bytes here: the bytes of a mark would be a space.
    const decoder = { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Replace', pattern: { String: '▁' }, content: ' ' }] };
    const tokens = ['a', '▁', ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)];
    const constraint = compileRegex('.', merges(decoder, tokens));
    const ids = idsOf(constraint.start([0]).mask);
    expect(ids).toContain(tokens.indexOf('<0x41>'));
    expect(ids).not.toContain(tokens.indexOf('<0xE2>'));
    expect(() => compileChoices(['▁'], merges(decoder, tokens))).toThrow(/cannot write/);
  });

  it('with holes among the ids', () => {
    const tokenizer = tokenizerOf({ model: { type: 'BPE', vocab: { a: 3, b: 100, c: 31, d: 32 }, merges: [] }, decoder: { type: 'Fuse' } });
    expect(idsOf(compileRegex('[a-d]', tokenizer).start([3]).mask)).toEqual([3, 31, 32, 100]);
  });

  it('at the beginning of a text, write what comes out there', () => {
    const { tokenizer } = tokenizers().find(({ name }) => name === 'llama')!;
    const constraint = compileChoices(['the'], tokenizer);
    const token = (name: string): number => tokenizer.tokenToId(name)!;
    const behind = idsOf(constraint.start([token('a')]).mask);
    const first = idsOf(constraint.start([token('<s>')]).mask);
    expect(behind).not.toContain(token('▁the'));
    expect(first).toContain(token('▁the'));
    expect(constraint.start().next(token('▁the')).complete).toBe(true);
    expect(first).toContain(token('▁')); // writes nothing, but ends the beginning
    expect(idsOf(constraint.start().next(token('▁')).mask)).toEqual(behind);
  });
});
