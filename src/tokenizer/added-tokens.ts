/** Added tokens: found in the text before anything else happens to it, leftmost and longest first. */
import type { Json } from './json.js';
import { wellFormed } from './byte-level.js';
import { Growth } from './growth.js';
import { needed, type TextParts } from './text-parts.js';
import type { Normalizer } from './normalizer.js';
import type { TextStart } from './text-start.js';
import { TokenTree } from './token-tree.js';
import type { CharacterTest } from './unicode.js';
import type { Vocabulary } from './vocabulary.js';

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly singleWord: boolean;
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
  readonly normalized: boolean;
}

/** A piece of the text: an added token, or (id undefined) text between them, normalized. */
export interface Piece {
  readonly text: string;
  readonly id: number | undefined;
  readonly atStart: boolean;
}

/** Longest content, in UTF-16 units, normalized or not. Real ones are below 150; a search may go this far at every position. */
const MAX_CONTENT = 1024;

const SPACE = /^\p{White_Space}$/u;

export class AddedTokens {
  readonly #normalizer: Normalizer;
  readonly #raw = new TokenTree<AddedToken>();
  readonly #normalized = new TokenTree<AddedToken>();
  readonly #special = new Set<number>();
  readonly contents: string[] = [];

  readonly #isWord: CharacterTest;

  /** Reads `added_tokens` and adds them to the vocabulary. */
  constructor(json: Json, vocabulary: Vocabulary, normalizer: Normalizer, parts: TextParts | undefined) {
    this.#normalizer = normalizer;
    this.#isWord = (code) => needed(parts, json).unicode.isWord(code);
    if (json.absent) return;
    const items = json.items();
    const growth = new Growth();
    const isSpecial = (item: Json): boolean => item.key('special').boolean(false);
    // Where two tokens normalize to the same text the first one is found, and special ones come first.
    for (const item of [...items.filter(isSpecial), ...items.filter((other) => !isSpecial(other))]) {
      const token = readToken(item);
      if (token.content === '') continue;
      vocabulary.add(token.content, token.id, item);
      this.contents.push(token.content);
      if (isSpecial(item)) this.#special.add(token.id);
      if (!token.normalized) {
        this.#raw.insert(token.content, token);
        continue;
      }
      growth.feed(token.content.length);
      const normalized = normalizer(token.content, growth);
      if (normalized.length > MAX_CONTENT) item.key('content').fail(`longer than ${MAX_CONTENT} characters once normalized`);
      this.#normalized.insert(normalized, token);
    }
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /**
   * Cuts a text at its added tokens and normalizes what lies between them: first at the tokens that are matched in the raw
   * text, then, in each normalized piece, at those that are matched in normalized form. `start` is kept up.
   */
  split(text: string, growth: Growth, start: TextStart): Piece[] {
    const pieces: Piece[] = [];
    for (const raw of this.#cut({ text, id: undefined, atStart: true }, this.#raw)) {
      if (raw.id !== undefined) pieces.push(raw);
      else for (const piece of this.#cut({ ...raw, text: this.#normalizer(raw.text, growth, raw.atStart ? start : undefined) }, this.#normalized)) pieces.push(piece);
    }
    return pieces;
  }

  /** The pieces of `piece` at the tokens of a trie; empty ones are left out. */
  #cut(piece: Piece, tokens: TokenTree<AddedToken>): Piece[] {
    const { text } = piece;
    if (tokens.empty) return text === '' ? [] : [piece];
    const out: Piece[] = [];
    const push = (start: number, end: number, id: number | undefined): void => {
      if (end > start) out.push({ text: text.slice(start, end), id, atStart: piece.atStart && start === 0 });
    };
    let done = 0;
    let spacesEnd = 0; // where the spaces end that were looked through last
    for (let at = 0; at < text.length; ) {
      const found = tokens.longestAt(text, at);
      if (found === undefined) {
        at++;
        continue;
      }
      const token = found.value;
      let start = at;
      let end = found.end;
      at = found.end; // the search goes on here even if the token takes the spaces behind it
      if (token.singleWord && (this.#isWordAt(text, lastChar(text, start)) || this.#isWordAt(text, end))) continue;
      if (token.stripLeft) {
        while (start > done && SPACE.test(text[start - 1]!)) start--;
        start = Math.max(start, done); // the spaces may be the token before's already, and this token among them
      }
      if (token.stripRight) {
        // A token that is a space itself comes again within the spaces it took: looking through them each time would be quadratic.
        if (end >= spacesEnd) for (spacesEnd = end; spacesEnd < text.length && SPACE.test(text[spacesEnd]!); ) spacesEnd++;
        end = spacesEnd;
      }
      push(done, start, undefined);
      push(start, end, token.id);
      done = Math.max(start, end);
    }
    push(done, text.length, undefined);
    return out;
  }

  #isWordAt(text: string, at: number): boolean {
    const code = text.codePointAt(at);
    return code !== undefined && this.#isWord(code);
  }
}

function readToken(json: Json): AddedToken {
  const content = json.key('content').string();
  if (content.length > MAX_CONTENT) json.key('content').fail(`longer than ${MAX_CONTENT} characters`);
  if (content !== wellFormed(content)) json.key('content').fail('has half a surrogate pair');
  return {
    id: json.key('id').id(),
    content,
    singleWord: json.key('single_word').boolean(false),
    stripLeft: json.key('lstrip').boolean(false),
    stripRight: json.key('rstrip').boolean(false),
    normalized: json.key('normalized').boolean(!json.key('special').boolean(false)),
  };
}

/** Where the character before `end` begins; -1 if there is none. */
function lastChar(text: string, end: number): number {
  return end > 1 && text.codePointAt(end - 2)! > 0xffff ? end - 2 : end - 1;
}
