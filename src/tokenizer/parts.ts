import { bpeDecoder, spaced } from './bpe-decoder.js';
import { byteLevel } from './byte-alphabet.js';
import { buildPreTokenizer } from './pre-tokenizer.js';
import { compileRegex } from './regex.js';
import type { TextParts } from './text-parts.js';
import { createUnicode } from './unicode.js';

export interface TokenizerParts extends TextParts {
  readonly buildPreTokenizer: typeof buildPreTokenizer;
}

export function createParts(): TokenizerParts {
  const unicode = createUnicode();
  return { buildPreTokenizer, compileRegex: (json, pattern) => compileRegex(json, unicode, pattern), unicode, byteLevel, bpe: { spaced, bpeDecoder } };
}
