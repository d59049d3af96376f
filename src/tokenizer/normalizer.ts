/** Normalizers: text → text, before any splitting. */
import { show } from '../errors.js';
import type { Json } from './json.js';
import { forEachUtf8Byte } from './byte-level.js';
import { Growth } from './growth.js';
import { compilePattern, forEachMatch, forEachOccurrence, readLiteral, replaceMatches, type TranslateRegex } from './pattern.js';

/**
 * `growth` is what the text may yet grow by, where it is not alone. With `continues`, the text goes on from an earlier one: it gets no
 * prefix.
 */
export type Normalizer = (text: string, growth?: Growth, continues?: boolean) => string;

/** A normalizer within a chain. */
export type TextStep = (text: string, growth: Growth, continues?: boolean) => string;

/** Most units that one becomes in any normalization form: U+FDFA in NFKC. */
const MAX_NORMALIZED = 18;

/** Combining marks in a row: the platform takes quadratic time to put them in order. Real texts have a handful. */
const MAX_MARKS = 1024;

/** Units of a long text whose normalized length is found at a time. */
const MEASURED = 4096;

const SPACE = /\p{White_Space}/u;

const SUPPORTED = 'Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Sequence';

/** Builds the normalizer a `normalizer` entry describes; an absent entry changes nothing. */
export function buildNormalizer(json: Json, translateRegex: TranslateRegex): Normalizer {
  const step = buildStep(json, translateRegex);
  return (text, growth = new Growth(text.length), continues) => step(text, growth, continues);
}

function buildStep(json: Json, translateRegex: TranslateRegex): TextStep {
  if (json.absent) return (text) => text;
  const type = json.type();
  switch (type) {
    case 'Sequence': {
      const steps = json.key('normalizers').items().map((item) => buildStep(item, translateRegex));
      return (text, growth, continues) => steps.reduce((current, step) => step(current, growth, continues), text);
    }
    case 'Prepend': {
      const prefix = readLiteral(json.key('prepend'));
      return (text, growth, continues) => {
        if (text === '' || continues) return text;
        growth.add(prefix.length, json);
        return prefix + text;
      };
    }
    case 'Replace':
      return buildReplace(json, translateRegex);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text, growth) => normalize(text, type, growth, json);
    case 'Lowercase':
      return (text, growth) => lowercase(text, growth, json);
    case 'Strip': {
      const left = json.key('strip_left').boolean();
      const right = json.key('strip_right').boolean();
      return (text) => strip(text, left, right);
    }
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    default:
      return json.unsupported('normalizer', SUPPORTED);
  }
}

/** `Replace`, as a normalizer and as a decoder. */
export function buildReplace(json: Json, translateRegex: TranslateRegex): TextStep {
  const content = readLiteral(json.key('content'));
  const text = json.key('pattern').key('String');
  if (!text.absent && text.string() !== '') {
    const search = readLiteral(text);
    return (input, growth) => replaceMatches(input, (each) => forEachOccurrence(input, search, each), content, growth, json);
  }
  // Library versions disagree on whether "$1" in the content refers to a group.
  if (text.absent && /\$[\w{]/.test(content)) json.key('content').fail(`group references (${show(content)}) are not supported`);
  const pattern = compilePattern(json.key('pattern'), translateRegex);
  return (input, growth) => replaceMatches(input, (each) => forEachMatch(input, pattern, each), content, growth, json);
}

function normalize(text: string, form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD', growth: Growth, json: Json): string {
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
  const normalized = text.normalize(form);
  growth.add(normalized.length - text.length, json);
  return normalized;
}

/** Character by character: a capital sigma never becomes a final sigma, unlike in String.prototype.toLowerCase. */
function lowercase(text: string, growth: Growth, json: Json): string {
  const lower = text.replace(/\u03a3/g, '\u03c3').toLowerCase();
  growth.add(lower.length - text.length, json);
  return lower;
}

/**
 * The reference compares character positions with the length in bytes when it strips the right end, so text that is not
 * ASCII keeps trailing spaces. Models were trained on that, so it is kept.
 */
function strip(text: string, left: boolean, right: boolean): string {
  let leading = 0;
  let trailing = 0;
  while (left && leading < text.length && SPACE.test(text[leading]!)) leading++;
  while (right && trailing < text.length && SPACE.test(text[text.length - 1 - trailing]!)) trailing++;
  if (trailing === 0) return text.slice(leading);
  let extra = 0; // bytes beyond one a character
  forEachUtf8Byte(text, (byte) => {
    if ((byte & 0xc0) === 0x80) extra++;
  });
  return text.slice(leading, Math.max(leading, text.length - Math.max(0, trailing - extra)));
}
