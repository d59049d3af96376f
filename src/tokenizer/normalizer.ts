/** Normalizers: text → text, before any splitting. */
import { show } from '../errors.js';
import { Growth } from './growth.js';
import type { Json } from './json.js';
import { needed, type TextParts } from './text-parts.js';
import { compilePattern, readLiteral, replaceMatches } from './pattern.js';
import { replaceFirst, type TextStart } from './text-start.js';
import type { NormalizationForm, Unicode } from './unicode.js';

/** `growth` is what the text may yet grow by, where it is not alone; `start` is there if the text is the beginning of the input. */
export type Normalizer = (text: string, growth?: Growth, start?: TextStart) => string;

/** A normalizer within a chain. */
export type TextStep = (text: string, growth: Growth, start?: TextStart) => string;

/** Most units that one becomes in any normalization form: U+FDFA in NFKC. */
const MAX_NORMALIZED = 18;

/** Combining marks in a row: the platform takes quadratic time to put them in order. Real texts have a handful. */
const MAX_MARKS = 1024;

/** Units of a long text whose normalized length is found at a time. */
const MEASURED = 4096;

const SPACE = /\p{White_Space}/u;

const SUPPORTED = 'Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Sequence';

/** Builds the normalizer a `normalizer` entry describes; an absent entry changes nothing. */
export function buildNormalizer(json: Json, parts: TextParts | undefined): Normalizer {
  const step = buildStep(json, parts);
  return (text, growth = new Growth(text.length), start) => step(text, growth, start);
}

function buildStep(json: Json, parts: TextParts | undefined): TextStep {
  if (json.absent) return (text) => text;
  const type = json.type();
  switch (type) {
    case 'Sequence': {
      const steps = json.key('normalizers').items().map((item) => buildStep(item, parts));
      return (text, growth, start) => steps.reduce((current, step) => step(current, growth, start), text);
    }
    case 'Prepend': {
      const prefix = readLiteral(json.key('prepend'));
      return (text, growth, start) => {
        if (text === '' || start?.continues) return text;
        growth.add(prefix.length, json);
        if (start !== undefined && start.first > 0) replaceFirst(start, 0, [...prefix].length);
        return prefix + text;
      };
    }
    case 'Replace':
      return buildReplace(json, parts);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const { unicode } = needed(parts, json);
      return (text, growth) => normalize(text, type, unicode, growth, json);
    }
    case 'Lowercase': {
      const { unicode } = needed(parts, json);
      return (text, growth) => {
        const lower = unicode.lowercase(text);
        growth.add(lower.length - text.length, json);
        return lower;
      };
    }
    case 'Strip': {
      const left = json.key('strip_left').boolean();
      const right = json.key('strip_right').boolean();
      return (text, _, start) => strip(text, left, right, start);
    }
    case 'StripAccents': {
      const { unicode } = needed(parts, json);
      return (text, _, start) => {
        const accents = text.length - unicode.stripAccents(text).length;
        if (accents > 0) for (const char of text) {
          if (unicode.stripAccents(char) !== '') break;
          replaceFirst(start, 1, 0);
        }
        return unicode.stripAccents(text);
      };
    }
    default:
      return json.unsupported('normalizer', SUPPORTED);
  }
}

/** `Replace`, as a normalizer and as a decoder. */
export function buildReplace(json: Json, parts: TextParts | undefined): TextStep {
  const content = readLiteral(json.key('content'));
  // Library versions disagree on whether "$1" in the content refers to a group.
  if (json.key('pattern').key('String').absent && /\$[\w{]/.test(content)) json.key('content').fail(`group references (${show(content)}) are not supported`);
  const find = compilePattern(json.key('pattern'), (regex) => needed(parts, regex).compileRegex(regex));
  const length = [...content].length;
  return (input, growth, start) => {
    let begins = 0; // where the text begins, after what was taken away
    return replaceMatches(input, (each) => find(input, (from, to) => {
      if (from === begins) {
        replaceFirst(start, [...input.slice(from, to)].length, length);
        begins = length === 0 ? to : -1;
      }
      each(from, to);
    }), content, growth, json);
  };
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

function strip(text: string, left: boolean, right: boolean, start: TextStart | undefined): string {
  let [from, to] = [0, text.length];
  while (left && from < to && SPACE.test(text[from]!)) from++;
  while (right && to > from && SPACE.test(text[to - 1]!)) to--;
  if (from > 0) replaceFirst(start, from, 0);
  return text.slice(from, to);
}
