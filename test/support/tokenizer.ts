import { buildPreTokenizer } from '../../src/tokenizer/pre-tokenizer.js';
import { translateRegex } from '../../src/tokenizer/regex.js';
import { Tokenizer, type TokenizerOptions } from '../../src/tokenizer/tokenizer.js';

/** `Tokenizer.fromJSON`, with everything that it may have to load loaded already. */
export function tokenizerOf(json: unknown, options: TokenizerOptions = {}): Tokenizer {
  return new Tokenizer(json, options, { buildPreTokenizer, translateRegex });
}
