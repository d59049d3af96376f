import { createParts } from '../../src/tokenizer/parts.js';
import { Tokenizer, type TokenizerOptions } from '../../src/tokenizer/tokenizer.js';

/** What `Tokenizer.fromJSON` may have to load. */
export const PARTS = createParts();

/** `Tokenizer.fromJSON`, with everything that it may have to load loaded already. */
export function tokenizerOf(json: unknown, options: TokenizerOptions = {}): Tokenizer {
  return new Tokenizer(json, options, PARTS);
}
