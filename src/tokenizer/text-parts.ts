/** What steps of many files need and those of others do not: it is loaded for the files that do (parts.ts). */
import type { bpeDecoder, spaced } from './bpe-decoder.js';
import type { byteLevel } from './byte-alphabet.js';
import type { Json } from './json.js';
import type { CompileRegex } from './pattern.js';
import type { Unicode } from './unicode.js';
import type { unicodeStep } from './unicode-steps.js';

export interface TextParts {
  readonly compileRegex: CompileRegex;
  readonly unicode: Unicode;
  readonly unicodeStep: typeof unicodeStep;
  readonly byteLevel: typeof byteLevel;
  readonly bpe: { readonly spaced: typeof spaced; readonly bpeDecoder: typeof bpeDecoder };
}

/** `parts`, for the entry that they were loaded for. */
export function needed(parts: TextParts | undefined, json: Json): TextParts {
  return parts ?? json.fail('not expected here');
}
