/** `{"String": …}` and `{"Regex": …}` patterns, and where a text has them. */
import type { Growth } from './growth.js';
import type { Json } from './json.js';

/** Longest text that a pattern or a step may bring along, in UTF-16 units. Real ones have a few characters. */
const MAX_LITERAL = 1024;

/** Pieces of a text that are joined at a time, so that no list holds all of them. */
const JOINED_PIECES = 4096;

/** `translateRegex` of regex.ts, which only files with `{"Regex": …}` in them need. */
export type TranslateRegex = (json: Json) => RegExp;

/** Takes where a match begins and ends. */
type Each = (start: number, end: number) => void;

/** A text that a pattern looks for or that a step puts in. */
export function readLiteral(json: Json): string {
  const text = json.string();
  return text.length <= MAX_LITERAL ? text : json.fail(`longer than ${MAX_LITERAL} characters`);
}

/** A pattern that matches exactly `text`. */
export function escapeLiteral(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** Compiles a pattern to a `gu` expression. */
export function compilePattern(json: Json, translateRegex: TranslateRegex): RegExp {
  const text = json.key('String');
  if (!text.absent) return new RegExp(escapeLiteral(readLiteral(text)), 'gu');
  const regex = json.key('Regex');
  if (regex.absent) json.fail('expected {"String": …} or {"Regex": …}');
  return translateRegex(regex);
}

/** Calls `each` with every match of `pattern`, in order (UTF-16 offsets). */
export function forEachMatch(text: string, pattern: RegExp, each: Each): void {
  let lastEnd = -1;
  pattern.lastIndex = 0;
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
    const start = found.index;
    const length = found[0].length;
    if (length === 0) {
      // An empty match moves on by one character, and does not count right behind the previous match.
      pattern.lastIndex = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      if (start === lastEnd) continue;
    }
    lastEnd = start + length;
    each(start, lastEnd);
  }
}

/** Calls `each` with every place where `search`, which is not empty, is in `text`. */
export function forEachOccurrence(text: string, search: string, each: Each): void {
  const { length } = search;
  for (let at = text.indexOf(search); at >= 0; at = text.indexOf(search, at + length)) each(at, at + length);
}

/** Puts `content` in place of all that `find` finds, for `step`. */
export function replaceMatches(text: string, find: (each: Each) => void, content: string, growth: Growth, step: Json): string {
  const chunks: string[] = [];
  let pieces: string[] = [];
  let done = 0;
  find((start, end) => {
    growth.add(content.length - (end - start), step);
    if (pieces.push(text.slice(done, start), content) >= JOINED_PIECES) {
      chunks.push(pieces.join(''));
      pieces = [];
    }
    done = end;
  });
  if (chunks.length === 0 && pieces.length === 0) return text;
  pieces.push(text.slice(done));
  chunks.push(pieces.join(''));
  return chunks.join('');
}
