/** The BPE model: a word → ids. Characters become symbols (or bytes, or the unknown token), then pairs merge. */
import { show } from '../errors.js';
import { isChar, type Json } from './json.js';
import { forEachUtf8Byte } from './byte-level.js';
import { MAX_MERGES, Merger, PairTable } from './merges.js';
import type { TokenMap, Vocabulary } from './vocabulary.js';

/** Words up to this length (UTF-16 units) are remembered: long ones rarely come again. */
const CACHED_LENGTH = 48;
/** Bounds the memory of the cache to a few MB; when full it starts over. */
const CACHED_WORDS = 16_384;
/** Ids of a remembered word: three bytes a unit. More come only from affixes that are not in the vocabulary. */
const CACHED_IDS = 3 * CACHED_LENGTH;

/** Longest continuing_subword_prefix or end_of_word_suffix. Real ones have up to four characters; every symbol gets it. */
const MAX_AFFIX = 16;

export class BpeModel {
  readonly #tokens: Vocabulary;
  readonly #vocabulary: TokenMap; // without added tokens
  readonly #bytes: Int32Array | undefined; // [256] ids of <0x00>…<0xFF>, -1 where missing; undefined without byte_fallback
  readonly #unknown: number | undefined;
  readonly #fuseUnknown: boolean;
  readonly #ignoreMerges: boolean;
  readonly #prefix: string;
  readonly #suffix: string;
  readonly #table: PairTable;
  readonly #hasAffixes: boolean;
  readonly #merger: Merger;
  readonly #characters = new Map<number, number>(); // code point → id
  #crossings: PairTable | undefined; // character ids between which some merge may happen; made for the first long word
  readonly #cache = new Map<string, number[]>();

  /** `json` is the `model` entry, `tokens` its vocab. */
  constructor(json: Json, tokens: Vocabulary) {
    this.#tokens = tokens;
    this.#vocabulary = tokens.model;
    this.#fuseUnknown = json.key('fuse_unk').boolean(false);
    this.#ignoreMerges = json.key('ignore_merges').boolean(false);
    this.#prefix = readAffix(json.key('continuing_subword_prefix'));
    this.#suffix = readAffix(json.key('end_of_word_suffix'));
    this.#hasAffixes = this.#prefix + this.#suffix !== '';
    this.#unknown = this.#readUnknown(json.key('unk_token'));
    if (json.key('byte_fallback').boolean(false)) {
      this.#bytes = Int32Array.from({ length: 256 }, (_, byte) => this.#vocabulary.get(byteToken(byte)) ?? -1);
    }
    this.#vocabulary.forEach((id, token) => {
      if (isChar(token)) this.#characters.set(token.codePointAt(0)!, id);
    });
    this.#table = this.#readMerges(json.key('merges'));
    this.#merger = new Merger(this.#table);
  }

  /** Appends the ids of `word` (no lone surrogates) to `out`. */
  encode(word: string, out: number[]): void {
    if (word === '') return;
    const whole = this.#ignoreMerges ? this.#vocabulary.get(word) : undefined;
    if (whole !== undefined) out.push(whole);
    else if (word.length <= CACHED_LENGTH || this.#hasAffixes) this.#encodePart(word, out); // a symbol may not be just its character
    else this.#encodeInParts(word, (this.#crossings ??= this.#findCrossings()), out);
  }

  /**
   * No merge ever joins two characters that no merge has side by side where its halves meet, so a long word falls into parts
   * there that are independent: a whole Llama text, which is one word, comes apart into about its words.
   */
  #encodeInParts(word: string, crossings: PairTable, out: number[]): void {
    let start = 0;
    let left = -1;
    for (let i = 0; i < word.length; i++) {
      const code = word.codePointAt(i)!;
      const right = this.#characters.get(code) ?? -1;
      // Next to an unknown character a cut could separate unknowns that fuse.
      if (left >= 0 && right >= 0 && crossings.find(left, right) < 0) {
        this.#encodePart(word.slice(start, i), out);
        start = i;
      }
      left = right;
      if (code > 0xffff) i++;
    }
    this.#encodePart(word.slice(start), out);
  }

  #encodePart(part: string, out: number[]): void {
    let ids = this.#cache.get(part);
    if (ids === undefined) {
      this.#merger.merge(this.#symbols(part), (ids = []));
      if (part.length <= CACHED_LENGTH && ids.length <= CACHED_IDS) {
        if (this.#cache.size >= CACHED_WORDS) this.#cache.clear();
        this.#cache.set(part, ids);
      }
    }
    for (const id of ids) out.push(id);
  }

  /** The ids of the word's characters. The order in which unknowns are put out is the reference's. */
  #symbols(word: string): number[] {
    const symbols: number[] = [];
    let unknown = -1; // pending, so that the next one may fuse with it
    for (let i = 0; i < word.length; ) {
      const code = word.codePointAt(i)!;
      const length = code > 0xffff ? 2 : 1;
      let id: number | undefined;
      let text: string | undefined;
      if (!this.#hasAffixes) {
        id = this.#characters.get(code);
      } else {
        text = (i > 0 ? this.#prefix : '') + String.fromCodePoint(code) + (i + length === word.length ? this.#suffix : '');
        id = this.#vocabulary.get(text);
      }
      i += length;
      if (id !== undefined) {
        if (unknown >= 0) symbols.push(unknown);
        unknown = -1;
        symbols.push(id);
      } else if (!this.#pushBytes(text ?? String.fromCodePoint(code), symbols) && this.#unknown !== undefined) {
        if (unknown >= 0 && !this.#fuseUnknown) symbols.push(unknown);
        unknown = this.#unknown;
      }
    }
    if (unknown >= 0) symbols.push(unknown);
    return symbols;
  }

  /** Pushes the byte tokens of a character, if the vocabulary has all of them. */
  #pushBytes(text: string, symbols: number[]): boolean {
    const bytes = this.#bytes;
    if (bytes === undefined) return false;
    const before = symbols.length;
    let complete = true;
    forEachUtf8Byte(text, (byte) => {
      if (bytes[byte]! < 0) complete = false;
      symbols.push(bytes[byte]!);
    });
    if (!complete) symbols.length = before;
    return complete;
  }

  #readUnknown(json: Json): number | undefined {
    if (json.absent) return undefined;
    const id = this.#vocabulary.get(json.string());
    return id ?? json.fail(`${show(json.value)} is not in the vocabulary`);
  }

  /** Merges in the order of their ranks, from "a b" strings or [a, b] pairs. */
  #readMerges(json: Json): PairTable {
    const list = json.array();
    if (list.length > MAX_MERGES) json.fail(`${list.length} merges are more than the ${MAX_MERGES} this library takes`);
    const table = new PairTable(list.length);
    let rank = 0;
    let made = 0;
    list.forEach((merge, i) => {
      if (typeof merge === 'string' && merge.startsWith('#version')) return;
      const parts: unknown[] = typeof merge === 'string' ? cut(merge) : Array.isArray(merge) ? merge : [];
      const [left, right] = parts;
      if (parts.length !== 2 || typeof left !== 'string' || typeof right !== 'string') return json.at(i, merge).fail('expected "a b" or ["a", "b"]');
      if (!right.startsWith(this.#prefix)) json.at(i, null).fail(`${show(right)} does not begin with ${show(this.#prefix)}`);
      const id = (token: string): number => this.#vocabulary.get(token) ?? json.at(i, null).fail(`${show(token)} is not in the vocabulary`);
      const [a, b] = [id(left), id(right)];
      const rest = right.slice(this.#prefix.length);
      // Tokens mostly come in the order of their merges. To compare is faster than to join and look up.
      const next = this.#tokens.token(++made);
      if (next?.length !== left.length + rest.length || !next.startsWith(left) || !next.endsWith(rest)) made = id(left + rest);
      table.set(a, b, rank++, made);
    });
    return table;
  }

  #findCrossings(): PairTable {
    const crossings = new PairTable(this.#table.pairs);
    this.#table.forEach((left, right) => {
      const a = this.#characters.get(lastCodePoint(this.#tokens.token(left)!));
      const b = this.#characters.get(this.#tokens.token(right)!.codePointAt(0) ?? -1);
      if (a !== undefined && b !== undefined) crossings.set(a, b, 0, 0);
    });
    return crossings;
  }
}

function readAffix(json: Json): string {
  const affix = json.string('');
  return affix.length <= MAX_AFFIX ? affix : json.fail(`longer than ${MAX_AFFIX} characters`);
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

function lastCodePoint(text: string): number {
  const pair = text.length > 1 ? text.codePointAt(text.length - 2)! : -1;
  return pair > 0xffff ? pair : (text.codePointAt(text.length - 1) ?? -1);
}

/** The halves of a merge; none if it is no pair. */
function cut(merge: string): string[] {
  const space = merge.indexOf(' ');
  return space >= 0 && space === merge.lastIndexOf(' ') ? [merge.slice(0, space), merge.slice(space + 1)] : [];
}
