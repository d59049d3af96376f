import { randomOdd, tableSize } from './merges.js';
import type { TokenMap } from './vocabulary.js';

/** Random, so that no file can be made whose tokens all meet in one place of the table. */
const [START, FACTOR] = [randomOdd(), randomOdd()];

/**
 * token → id, by open addressing, at most half full. For the halves of the merges of a large vocabulary, which are new texts each, a Map
 * takes several times as long.
 */
export class TokenTable implements TokenMap {
  readonly #tokens: string[] = [];
  readonly #ids: number[] = [];
  readonly #mask: number;
  readonly #slots: Int32Array; // [slots, 2] hash, index into the lists + 1; 0 where it is free

  /** @param count at most as many are set. */
  constructor(count: number) {
    const size = tableSize(count);
    this.#mask = size - 1;
    this.#slots = new Int32Array(size * 2);
  }

  /** Where the token is, or would be. */
  #slot(hash: number, token: string): number {
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const index = this.#slots[at * 2 + 1]! - 1;
      if (index < 0 || (this.#slots[at * 2] === hash && this.#tokens[index] === token)) return at * 2;
    }
  }

  set(token: string, id: number): void {
    const hash = hashOf(token);
    const slot = this.#slot(hash, token);
    const index = this.#slots[slot + 1]! - 1;
    if (index >= 0) {
      this.#ids[index] = id;
      return;
    }
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = this.#tokens.push(token);
    this.#ids.push(id);
  }

  get(token: string): number | undefined {
    return this.#ids[this.#slots[this.#slot(hashOf(token), token) + 1]! - 1];
  }

  forEach(each: (id: number, token: string) => void): void {
    this.#tokens.forEach((token, index) => each(this.#ids[index]!, token));
  }
}

function hashOf(text: string): number {
  let hash = START;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), FACTOR);
    hash ^= hash >>> 15;
  }
  return hash;
}
