/** Normalizers that ask what a character is: loaded for the files that have them. */
import type { Growth } from './growth.js';
import type { Json } from './json.js';
import { replaceFirst, type TextStep } from './text-start.js';
import type { NormalizationForm, Unicode } from './unicode.js';

/** Most units that one becomes in any normalization form: U+FDFA in NFKC. */
const MAX_NORMALIZED = 18;

/** Combining marks in a row: the platform takes quadratic time to put them in order. Real texts have a handful. */
const MAX_MARKS = 1024;

/** Units of a long text whose normalized length is found at a time. */
const MEASURED = 4096;

/** The normalizer of that type; undefined if it is none of these. */
export function unicodeStep(json: Json, type: string, unicode: Unicode): TextStep | undefined {
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text, growth) => normalize(text, type, unicode, growth, json);
    case 'Lowercase':
      return (text, growth) => {
        const lower = unicode.lowercase(text);
        growth.add(lower.length - text.length, json);
        return lower;
      };
    case 'StripAccents':
      return (text, _, start) => {
        const accents = text.length - unicode.stripAccents(text).length;
        if (accents > 0) for (const char of text) {
          if (unicode.stripAccents(char) !== '') break;
          replaceFirst(start, 1, 0);
        }
        return unicode.stripAccents(text);
      };
    default:
      return undefined;
  }
}

function normalize(text: string, form: NormalizationForm, unicode: Unicode, growth: Growth, json: Json): string {
  if (!growth.allows(text.length * MAX_NORMALIZED)) {
    // The decomposed length is that of the parts, and no composed form is longer.
    const decomposed = form === 'NFC' || form === 'NFD' ? 'NFD' : 'NFKD';
    let length = 0;
    for (let at = 0; at < text.length; at += MEASURED) {
      length += text.slice(at, at + MEASURED).normalize(decomposed).length;
      if (!growth.allows(length - text.length)) growth.add(length - text.length, json);
    }
  }
  if (text.length > MAX_MARKS) {
    for (const [marks] of text.matchAll(/\p{M}+/gu)) if (marks.length > MAX_MARKS) json.fail(`more than ${MAX_MARKS} combining marks in a row`);
  }
  const normalized = unicode.normalize(text, form);
  growth.add(normalized.length - text.length, json);
  return normalized;
}
