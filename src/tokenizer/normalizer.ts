/** Normalizers: text → text, before any splitting. */
import { show } from '../errors.js';
import { Growth } from './growth.js';
import type { Json } from './json.js';
import { needed, type TextParts } from './text-parts.js';
import { compilePattern, readLiteral, replaceMatches } from './pattern.js';
import { replaceFirst, type TextStart, type TextStep } from './text-start.js';

/** `growth` is what the text may yet grow by, where it is not alone; `start` is there if the text is the beginning of the input. */
export type Normalizer = (text: string, growth?: Growth, start?: TextStart) => string;

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
    case 'Strip': {
      const left = json.key('strip_left').boolean();
      const right = json.key('strip_right').boolean();
      return (text, _, start) => strip(text, left, right, start);
    }
    default:
      return parts?.unicodeStep(json, type, parts.unicode) ?? json.unsupported('normalizer', SUPPORTED);
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

function strip(text: string, left: boolean, right: boolean, start: TextStart | undefined): string {
  let [from, to] = [0, text.length];
  while (left && from < to && SPACE.test(text[from]!)) from++;
  while (right && to > from && SPACE.test(text[to - 1]!)) to--;
  if (from > 0) replaceFirst(start, from, 0);
  return text.slice(from, to);
}
