/** How long a text may become on its way through a pipeline: tokenizer files are not trusted. */
import type { Json } from './json.js';

/** What any text may grow by, in UTF-16 units: short ones get long prefixes. */
const FREE_GROWTH = 2 ** 20;

/** What each unit may become. The worst an honest file does: U+FDFA is 18 characters in NFKC, of 3 byte-level ones each: 54. */
const MAX_GROWTH = 64;

/** What the steps of a pipeline may yet add to one text. Steps that shorten it give nothing back, so this bounds their work. */
export class Growth {
  #left = FREE_GROWTH;

  /** `length`: units of the text that goes in. */
  constructor(length = 0) {
    this.feed(length);
  }

  /** More text goes in. */
  feed(length: number): void {
    this.#left += length * MAX_GROWTH;
  }

  /** Whether a step may add `units`. */
  allows(units: number): boolean {
    return units <= this.#left;
  }

  /** To be called before a step adds `units`. @throws TokenizerError naming the step if that is too much. */
  add(units: number, step: Json): void {
    if (!this.allows(units)) {
      step.fail(`makes the text too long: more than ${MAX_GROWTH} times, and ${FREE_GROWTH} characters`);
    }
    if (units > 0) this.#left -= units;
  }
}
