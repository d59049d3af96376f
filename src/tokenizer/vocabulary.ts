/** token ↔ id, of the model's vocabulary and the added tokens together. */
import { show } from '../errors.js';
import { isTokenId, MAX_TOKEN_ID, type Json } from './json.js';

/** Longest token of a vocabulary, in UTF-16 units. Real ones are runs of up to some hundred; decoding gives one for every id. */
const MAX_TOKEN_LENGTH = 2 ** 14;

export class Vocabulary {
  /** The model's own tokens: added ones take no part in BPE. */
  readonly model: ReadonlyMap<string, number>;
  readonly #added = new Map<string, number>();
  readonly #tokens = new Map<number, string>();
  #size = 0;

  /** Reads `model.vocab`. Messages are built only for an entry that is wrong: there may be hundreds of thousands. */
  constructor(vocab: Json) {
    const model = new Map<string, number>();
    for (const [token, id] of Object.entries(vocab.object())) {
      if (token.length > MAX_TOKEN_LENGTH) vocab.fail(`the token ${show(token)} is longer than ${MAX_TOKEN_LENGTH} characters`);
      if (!isTokenId(id)) vocab.fail(`the id of ${show(token)} is not an integer from 0 to ${MAX_TOKEN_ID}`);
      this.#claim(id, token, vocab);
      model.set(token, id);
    }
    this.model = model;
  }

  /** Highest id + 1. */
  get size(): number {
    return this.#size;
  }

  /** Adds a token; the model may have it already, but neither its id nor its text may belong to another. */
  add(token: string, id: number, json: Json): void {
    const known = this.id(token);
    if (known !== undefined && known !== id) json.fail(`${show(token)} has two ids, ${known} and ${id}`);
    this.#claim(id, token, json);
    this.#added.set(token, id);
  }

  #claim(id: number, token: string, json: Json): void {
    const owner = this.#tokens.get(id);
    if (owner !== undefined && owner !== token) {
      json.fail(`the id ${id} belongs to two tokens, ${show(owner)} and ${show(token)}`);
    }
    this.#tokens.set(id, token);
    this.#size = Math.max(this.#size, id + 1);
  }

  id(token: string): number | undefined {
    return this.#added.get(token) ?? this.model.get(token);
  }

  isAdded(token: string): boolean {
    return this.#added.has(token);
  }

  token(id: number): string | undefined {
    return this.#tokens.get(id);
  }
}
