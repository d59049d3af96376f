import { readFileSync } from 'node:fs';
import { Json } from '../../src/tokenizer/json.js';
import { Tokenizer, type TokenizerOptions } from '../../src/tokenizer/tokenizer.js';
import { tokenizerOf } from '../support/tokenizer.js';

export interface Vector {
  text: string;
  ids: number[];
  no_special?: number[];
  decoded: string;
  decoded_keep: string;
}

export function fixture<T = unknown>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/tokenizers/${name}`, import.meta.url), 'utf8')) as T;
}

export function json(value: unknown): Json {
  return new Json(value, 'tokenizer.json');
}

/** A vocabulary of the given tokens, ids in order. */
export function vocabOf(tokens: string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

/** A tokenizer over characters and merges; every other part of the file can be given. */
export function tiny(tokens: string[], merges: unknown[] = [], rest: Record<string, unknown> = {}, options?: TokenizerOptions): Tokenizer {
  const { model, ...top } = rest;
  return tokenizerOf({ ...top, model: { type: 'BPE', vocab: vocabOf(tokens), merges, ...(model as object | undefined) } }, options);
}

/** The tokens of a text, as strings. */
export function tokensOf(tokenizer: Tokenizer, text: string): string[] {
  return tokenizer.encode(text).map((id) => tokenizer.idToToken(id) ?? '?');
}

/** mulberry32: the same sequence everywhere for a seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
