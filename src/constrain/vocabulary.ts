/**
 * The tokens of a tokenizer as the bytes of text that they write, found out by decoding them: what counts is what a decode
 * stream gives out. A token that says nothing, is special, or whose text depends on what comes after it, is left out.
 */
import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.js';
import { byteAlphabetInverse } from '../tokenizer/byte-alphabet.js';
import { ANY, type CodeSet } from './code-points.js';
import { refuse } from './refuse.js';
import { buildTokenTrie, type TokenTrie } from './token-trie.js';
import { findWritable } from './writable.js';

/** Longer tokens are never needed, and rarely meant. */
const MAX_TOKEN_BYTES = 512;

/** Characters whose bytes are tried out: a common one, and the mark that many decoders make a space. */
const PROBES = [[0xe2, 0x82, 0xac], [0xe2, 0x96, 0x81]];

export interface Vocabulary {
  /** Ids are below this. */
  readonly size: number;
  /** Tokens behind other text. */
  readonly tokens: TokenTrie;
  /** Tokens at the very beginning of a text, where some decoders drop a space. */
  readonly firstTokens: () => TokenTrie;
  /** Whether a text has begun with these ids: special ones write nothing. */
  readonly hasText: (ids: ArrayLike<number>) => boolean;
  /** The characters that can be written. */
  readonly writable: CodeSet;
  /** Tokens that end a character, or go on within one: by bytes; undefined when there is one for every byte. */
  readonly continuations: readonly Uint8Array[] | undefined;
  /** The characters of Unicode properties that patterns have asked for, which take long to find: kept here for the next. */
  readonly properties: Map<string, CodeSet>;
}

/** Pure functions of a tokenizer, too slow to do again for every constraint: 0.3 s for 128,000 tokens. */
const known = new WeakMap<Tokenizer, { readonly key: string; readonly vocabulary: Vocabulary }>();

/** @param eosTokenIds never part of an output, special or not. */
export function vocabularyOf(tokenizer: Tokenizer, eosTokenIds: readonly number[]): Vocabulary {
  const key = eosTokenIds.join();
  let entry = known.get(tokenizer);
  if (entry?.key !== key) known.set(tokenizer, (entry = { key, vocabulary: readVocabulary(tokenizer, eosTokenIds) }));
  return entry.vocabulary;
}

function readVocabulary(tokenizer: Tokenizer, eosTokenIds: readonly number[]): Vocabulary {
  const ends = new Set([...eosTokenIds, tokenizer.eosTokenId]);
  const ids: number[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (tokenizer.idToToken(id) !== undefined && !tokenizer.isSpecial(id) && !ends.has(id)) ids.push(id);
  }
  const mark = findMark(tokenizer, ids);
  const spell = new Speller(tokenizer, mark);
  const stream = tokenizer.createDecodeStream({ prompt: [mark.id] });
  const texts = new Map<number, Uint8Array>();
  for (const id of ids) {
    const bytes = spell.bytes(id, stream);
    if (bytes && bytes.length <= MAX_TOKEN_BYTES) texts.set(id, bytes);
  }
  const single = new Map<number, number>(); // ids of tokens that are one byte
  for (const [id, bytes] of texts) if (bytes.length === 1) single.set(bytes[0]!, id);
  if (!PROBES.every((bytes) => writesBytes(tokenizer, mark, single, bytes))) {
    for (const [id, bytes] of texts) if (!isWellFormed(bytes)) texts.delete(id);
  }
  const { writable, continuations } = findWritable(texts.values());
  let firstTokens: TokenTrie | undefined;
  return {
    size: tokenizer.vocabSize,
    tokens: buildTokenTrie(texts),
    firstTokens: () => (firstTokens ??= buildTokenTrie(spell.atStart(texts))),
    hasText: (prompt) => Array.prototype.some.call(prompt, (id: number) => tokenizer.idToToken(id) !== undefined && !tokenizer.isSpecial(id)),
    writable: writable ?? ANY,
    continuations,
    properties: new Map(),
  };
}

/** A token of plain text, behind which others are looked at. */
interface Mark {
  readonly id: number;
  readonly text: string;
}

function findMark(tokenizer: Tokenizer, ids: readonly number[]): Mark {
  const letters = Array.from('aeotins01', (letter) => tokenizer.tokenToId(letter)).filter((id) => id !== undefined && ids.includes(id)) as number[];
  for (const id of [...letters, ...ids]) {
    const stream = tokenizer.createDecodeStream({ prompt: [id] });
    const text = stream.push(id);
    if (text !== '' && !text.includes('\ufffd') && stream.push(id) === text && stream.flush() === '') return { id, text };
  }
  return refuse('this tokenizer has no token whose text comes out as soon as it is pushed, so an output cannot be constrained token by token');
}

class Speller {
  private readonly tokenizer: Tokenizer;
  private readonly mark: Mark;
  private readonly alphabet = byteAlphabetInverse();
  private readonly encoder = new TextEncoder();

  constructor(tokenizer: Tokenizer, mark: Mark) {
    this.tokenizer = tokenizer;
    this.mark = mark;
  }

  /** The bytes that a token writes behind other text; undefined when it has none, or only later. */
  bytes(id: number, stream: DecodeStream): Uint8Array | undefined {
    const now = stream.push(id);
    const after = stream.push(this.mark.id);
    const text = this.upToMark(now + after);
    if (text === undefined || text === '') return undefined;
    if (text.includes('\ufffd')) {
      const bytes = this.rawBytes(this.tokenizer.idToToken(id)!);
      if (bytes && decodes(bytes, text)) return bytes;
    }
    return now === text ? this.encoder.encode(text) : undefined;
  }

  /** The tokens as they are at the very beginning of a text. One may write nothing there: it only ends the beginning. */
  atStart(texts: ReadonlyMap<number, Uint8Array>): Map<number, Uint8Array> {
    const first = new Map<number, Uint8Array>();
    const silent: number[] = [];
    let canary: { id: number; text: string } | undefined; // tells whether a text has begun
    for (const [id, bytes] of texts) {
      if (!isWellFormed(bytes)) {
        first.set(id, bytes);
        continue;
      }
      const stream = this.tokenizer.createDecodeStream();
      const now = stream.push(id);
      const text = this.upToMark(now + stream.push(this.mark.id));
      if (text === undefined || text !== now) continue;
      const later = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      if (text === '') silent.push(id);
      else first.set(id, this.encoder.encode(text));
      if (text !== later) canary ??= { id, text: later };
    }
    for (const id of silent) {
      if (canary && this.tokenizer.createDecodeStream({ prompt: [id] }).push(canary.id) === canary.text) first.set(id, new Uint8Array());
    }
    return first;
  }

  private upToMark(text: string): string | undefined {
    return text.endsWith(this.mark.text) ? text.slice(0, text.length - this.mark.text.length) : undefined;
  }

  /** The bytes of a token that does not write whole characters. */
  private rawBytes(token: string): Uint8Array | undefined {
    if (/^<0x[0-9A-Fa-f]{2}>$/.test(token)) return Uint8Array.of(parseInt(token.slice(3, 5), 16));
    const bytes = Array.from(token, (char) => this.alphabet.get(char.charCodeAt(0)));
    return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
  }
}

function decodes(bytes: Uint8Array, text: string): boolean {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === text;
}

function isWellFormed(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether tokens of single bytes, if there are any for these, come out as their character. */
function writesBytes(tokenizer: Tokenizer, mark: Mark, single: ReadonlyMap<number, number>, bytes: readonly number[]): boolean {
  const ids = bytes.map((byte) => single.get(byte));
  if (ids.includes(undefined)) return true;
  const stream = tokenizer.createDecodeStream({ prompt: [mark.id] });
  return decodes(Uint8Array.from(bytes), ids.map((id) => stream.push(id!)).join(''));
}
