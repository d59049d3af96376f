/** Added tokens: found in the text before anything else happens to it, leftmost and longest first. */
import type { Json } from './json.js';
import { wellFormed } from './byte-level.js';
import type { Normalizer } from './normalizer.js';
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

interface TrieNode {
  readonly next: Map<number, TrieNode>; // by UTF-16 unit
  token: AddedToken | undefined;
}

const ENDS_WITH_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /^\p{White_Space}$/u;

export class AddedTokens {
  readonly #normalizer: Normalizer;
  readonly #raw: TrieNode = newNode();
  readonly #normalized: TrieNode = newNode();
  readonly #special = new Set<number>();

  /** Reads `added_tokens` and adds them to the vocabulary. */
  constructor(json: Json, vocabulary: Vocabulary, normalizer: Normalizer) {
    this.#normalizer = normalizer;
    if (json.absent) return;
    const items = json.items();
    const isSpecial = (item: Json): boolean => item.key('special').boolean(false);
    // Where two tokens normalize to the same text the first one is found, and special ones come first.
    for (const item of [...items.filter(isSpecial), ...items.filter((other) => !isSpecial(other))]) {
      const token = readToken(item);
      if (token.content === '') continue;
      vocabulary.add(token.content, token.id, item);
      if (isSpecial(item)) this.#special.add(token.id);
      if (token.normalized) insert(this.#normalized, normalizer(token.content), token);
      else insert(this.#raw, token.content, token);
    }
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /**
   * Cuts a text at its added tokens and normalizes what lies between them: first at the tokens that are matched in the raw
   * text, then, in each normalized piece, at those that are matched in normalized form.
   */
  split(text: string): Piece[] {
    const pieces: Piece[] = [];
    for (const raw of cut({ text, id: undefined, atStart: true }, this.#raw)) {
      if (raw.id !== undefined) pieces.push(raw);
      else for (const piece of cut({ ...raw, text: this.#normalizer(raw.text) }, this.#normalized)) pieces.push(piece);
    }
    return pieces;
  }
}

function readToken(json: Json): AddedToken {
  const content = json.key('content').string();
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

function newNode(): TrieNode {
  return { next: new Map(), token: undefined };
}

function insert(root: TrieNode, text: string, token: AddedToken): void {
  if (text === '') return;
  let node = root;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    let next = node.next.get(unit);
    if (next === undefined) node.next.set(unit, (next = newNode()));
    node = next;
  }
  node.token ??= token;
}

/** The pieces of `piece` at the tokens of a trie; empty ones are left out. */
function cut(piece: Piece, root: TrieNode): Piece[] {
  const { text } = piece;
  if (root.next.size === 0) return text === '' ? [] : [piece];
  const out: Piece[] = [];
  const push = (start: number, end: number, id: number | undefined): void => {
    if (end > start) out.push({ text: text.slice(start, end), id, atStart: piece.atStart && start === 0 });
  };
  let done = 0;
  for (let at = 0; at < text.length; ) {
    const found = longestAt(text, at, root);
    if (found === undefined) {
      at++;
      continue;
    }
    const { token } = found;
    let start = at;
    let end = found.end;
    at = found.end; // the search goes on here even if the token takes the spaces behind it
    if (token.singleWord && (ENDS_WITH_WORD.test(lastChars(text, start)) || WORD.test(text.slice(end, end + 2)))) continue;
    if (token.stripLeft) while (start > done && SPACE.test(text[start - 1]!)) start--;
    if (token.stripRight) while (end < text.length && SPACE.test(text[end]!)) end++;
    push(done, start, undefined);
    push(start, end, token.id);
    done = end;
  }
  push(done, text.length, undefined);
  return out;
}

function longestAt(text: string, at: number, root: TrieNode): { token: AddedToken; end: number } | undefined {
  let found: { token: AddedToken; end: number } | undefined;
  let node = root.next.get(text.charCodeAt(at));
  for (let end = at + 1; node !== undefined; end++) {
    if (node.token !== undefined) found = { token: node.token, end };
    node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
  }
  return found;
}

/** Up to two units before `end`: enough to hold the last character. */
function lastChars(text: string, end: number): string {
  return text.slice(Math.max(0, end - 2), end);
}
