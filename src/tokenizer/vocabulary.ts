/** token ↔ id, of the model's vocabulary and the added tokens together. */
import { show } from '../errors.js';
import { isTokenId, MAX_TOKEN_ID, type Json } from './json.js';

/** Longest token of a vocabulary, in UTF-16 units. Real ones are runs of up to some hundred; decoding gives one for every id. */
const MAX_TOKEN_LENGTH = 2 ** 14;

/** A Map, or what finds tokens faster. */
export interface TokenMap {
  get(token: string): number | undefined;
  set(token: string, id: number): unknown;
  forEach(each: (id: number, token: string) => void): void;
}

export class Vocabulary {
  /** The model's own tokens: added ones take no part in BPE. */
  readonly model: TokenMap;
  readonly #added = new Map<string, number>();
  readonly #tokens: string[] = []; // by id, with holes: ids are the file's

  /**
   * Reads `model.vocab`: an object, or a TokenMap. Messages are built only for an entry that is wrong: there may be hundreds of thousands.
   * @param create a TokenMap for so many tokens.
   */
  constructor(vocab: Json, create: (count: number) => TokenMap = () => new Map()) {
    const ids = vocab.object();
    const read = (id: unknown, token: string): void => {
      if (token.length > MAX_TOKEN_LENGTH) vocab.fail(`the token ${show(token)} is longer than ${MAX_TOKEN_LENGTH} characters`);
      if (!isTokenId(id)) vocab.fail(`the id of ${show(token)} is not an integer from 0 to ${MAX_TOKEN_ID}`);
      this.#claim(id, token, vocab);
    };
    if (isTokenMap(ids)) {
      ids.forEach(read);
      this.model = ids;
      return;
    }
    const tokens = Object.keys(ids);
    this.model = create(tokens.length);
    for (const token of tokens) {
      read(ids[token], token);
      this.model.set(token, ids[token] as number);
    }
  }

  /** Highest id + 1. */
  get size(): number {
    return this.#tokens.length;
  }

  /** Adds a token; the model may have it already, but neither its id nor its text may belong to another. */
  add(token: string, id: number, json: Json): void {
    const known = this.id(token);
    if (known !== undefined && known !== id) json.fail(`${show(token)} has two ids, ${known} and ${id}`);
    this.#claim(id, token, json);
    this.#added.set(token, id);
  }

  #claim(id: number, token: string, json: Json): void {
    const owner = this.#tokens[id];
    if (owner !== undefined && owner !== token) {
      json.fail(`the id ${id} belongs to two tokens, ${show(owner)} and ${show(token)}`);
    }
    this.#tokens[id] = token;
  }

  id(token: string): number | undefined {
    return this.#added.get(token) ?? this.model.get(token);
  }

  isAdded(token: string): boolean {
    return this.#added.has(token);
  }

  token(id: number): string | undefined {
    return typeof id === 'number' ? this.#tokens[id] : undefined;
  }
}

/** JSON has no functions. */
function isTokenMap(ids: object): ids is TokenMap {
  return typeof (ids as Partial<TokenMap>).get === 'function';
}
