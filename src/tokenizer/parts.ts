import { bpeDecoder, spaced } from './bpe-decoder.js';
import { byteLevel } from './byte-alphabet.js';
import { buildPreTokenizer } from './pre-tokenizer.js';
import { compileRegex } from './regex.js';
import type { TextParts } from './text-parts.js';
import { TokenTable } from './token-table.js';
import { createUnicode } from './unicode.js';
import { unicodeStep } from './unicode-steps.js';

export interface TokenizerParts extends TextParts {
  readonly buildPreTokenizer: typeof buildPreTokenizer;
  readonly createTable: (count: number) => TokenTable;
}

export function createParts(): TokenizerParts {
  const unicode = createUnicode();
  return {
    buildPreTokenizer, createTable: (count) => new TokenTable(count), compileRegex: (json, pattern) => compileRegex(json, unicode, pattern), unicode, unicodeStep, byteLevel, bpe: { spaced, bpeDecoder },
  };
}
