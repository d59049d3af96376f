/** Added tokens: found in the text before anything else happens to it, leftmost and longest first. */
import type { Json } from './json.js';
import { wellFormed } from './byte-level.js';
import { Growth } from './growth.js';
import type { Normalizer } from './normalizer.js';
import { TokenTree } from './token-tree.js';
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

const ENDS_WITH_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /^\p{White_Space}$/u;

export class AddedTokens {
  readonly #normalizer: Normalizer;
  readonly #raw = new TokenTree<AddedToken>();
  readonly #normalized = new TokenTree<AddedToken>();
  readonly #special = new Set<number>();

  /** Reads `added_tokens` and adds them to the vocabulary. */
  constructor(json: Json, vocabulary: Vocabulary, normalizer: Normalizer) {
    this.#normalizer = normalizer;
    if (json.absent) return;
    const items = json.items();
    const growth = new Growth();
    const isSpecial = (item: Json): boolean => item.key('special').boolean(false);
    // Where two tokens normalize to the same text the first one is found, and special ones come first.
    for (const item of [...items.filter(isSpecial), ...items.filter((other) => !isSpecial(other))]) {
      const token = readToken(item);
      if (token.content === '') continue;
      vocabulary.add(token.content, token.id, item);
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
   * text, then, in each normalized piece, at those that are matched in normalized form. `continues`: see `Normalizer`.
   */
  split(text: string, growth: Growth, continues = false): Piece[] {
    const pieces: Piece[] = [];
    for (const raw of cut({ text, id: undefined, atStart: true }, this.#raw)) {
      if (raw.id !== undefined) pieces.push(raw);
      else for (const piece of cut({ ...raw, text: this.#normalizer(raw.text, growth, continues && raw.atStart) }, this.#normalized)) pieces.push(piece);
    }
    return pieces;
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

/** The pieces of `piece` at the tokens of a trie; empty ones are left out. */
function cut(piece: Piece, tokens: TokenTree<AddedToken>): Piece[] {
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
    if (token.singleWord && (ENDS_WITH_WORD.test(lastChars(text, start)) || WORD.test(text.slice(end, end + 2)))) continue;
    if (token.stripLeft) while (start > done && SPACE.test(text[start - 1]!)) start--;
    if (token.stripRight) {
      // A token that is a space itself comes again within the spaces it took: looking through them each time would be quadratic.
      if (end >= spacesEnd) for (spacesEnd = end; spacesEnd < text.length && SPACE.test(text[spacesEnd]!); ) spacesEnd++;
      end = spacesEnd;
    }
    push(done, start, undefined);
    push(start, end, token.id);
    done = end;
  }
  push(done, text.length, undefined);
  return out;
}

/** Up to two units before `end`: enough to hold the last character. */
function lastChars(text: string, end: number): string {
  return text.slice(Math.max(0, end - 2), end);
}
