/** Normalizers: text → text, before any splitting. */
import type { Json } from './json.js';
import { forEachUtf8Byte } from './byte-level.js';
import { compilePattern, replaceAll } from './pattern.js';

export type Normalizer = (text: string) => string;

const SUPPORTED = 'Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Sequence';

/** Builds the normalizer a `normalizer` entry describes; an absent entry changes nothing. */
export function buildNormalizer(json: Json): Normalizer {
  if (json.absent) return (text) => text;
  const type = json.type();
  switch (type) {
    case 'Sequence': {
      const steps = json.key('normalizers').items().map(buildNormalizer);
      return (text) => steps.reduce((current, step) => step(current), text);
    }
    case 'Prepend': {
      const prefix = json.key('prepend').string();
      return (text) => (text === '' ? '' : prefix + text);
    }
    case 'Replace':
      return buildReplace(json);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(type);
    case 'Lowercase':
      return lowercase;
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
export function buildReplace(json: Json): Normalizer {
  const content = json.key('content').string();
  const text = json.key('pattern').key('String');
  if (!text.absent && text.string() !== '') {
    const search = text.string();
    return (input) => input.split(search).join(content);
  }
  // Library versions disagree on whether "$1" in the content refers to a group.
  if (text.absent && /\$[\w{]/.test(content)) json.key('content').fail(`group references (${JSON.stringify(content)}) are not supported`);
  const pattern = compilePattern(json.key('pattern'));
  return (input) => replaceAll(input, pattern, content);
}

/** Character by character: a capital sigma never becomes a final sigma, unlike in String.prototype.toLowerCase. */
function lowercase(text: string): string {
  return text.split('\u03a3').map((part) => part.toLowerCase()).join('\u03c3');
}

/**
 * The reference compares character positions with the length in bytes when it strips the right end, so text that is not
 * ASCII keeps trailing spaces. Models were trained on that, so it is kept.
 */
function strip(text: string, left: boolean, right: boolean): string {
  const chars = [...text];
  const space = /^\p{White_Space}$/u;
  let leading = 0;
  let trailing = 0;
  while (left && leading < chars.length && space.test(chars[leading]!)) leading++;
  while (right && trailing < chars.length && space.test(chars[chars.length - 1 - trailing]!)) trailing++;
  if (leading === 0 && trailing === 0) return text;
  let bytes = 0;
  forEachUtf8Byte(text, () => bytes++);
  return chars.slice(leading, Math.max(leading, bytes - trailing)).join('');
}
