/** `{"String": …}` and `{"Regex": …}` patterns, and how a text is cut by them. */
import type { Growth } from './growth.js';
import type { Json } from './json.js';
import { escapeLiteral, translateRegex } from './regex.js';

export const SPLIT_BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

/** Longest text that a pattern or a step may bring along, in UTF-16 units. Real ones have a few characters. */
const MAX_LITERAL = 1024;

/** Pieces of a text that are joined at a time, so that no list holds all of them. */
const JOINED_PIECES = 4096;

/** Takes where a match begins and ends. */
type Each = (start: number, end: number) => void;

export interface Span {
  start: number;
  end: number;
  match: boolean;
}

/** A text that a pattern looks for or that a step puts in. */
export function readLiteral(json: Json): string {
  const text = json.string();
  return text.length <= MAX_LITERAL ? text : json.fail(`longer than ${MAX_LITERAL} characters`);
}

/** Compiles a pattern to a `gu` expression. */
export function compilePattern(json: Json): RegExp {
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

/** Cuts `text` into matches and what lies between them, covering all of it (UTF-16 offsets). */
export function findSpans(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let done = 0;
  forEachMatch(text, pattern, (start, end) => {
    if (start > done) spans.push({ start: done, end: start, match: false });
    spans.push({ start, end, match: true });
    done = end;
  });
  if (done < text.length) spans.push({ start: done, end: text.length, match: false });
  return spans;
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

/** Applies what is to happen to the matches (the delimiters). Empty spans may remain. */
export function applyBehavior(spans: Span[], behavior: SplitBehavior): Span[] {
  switch (behavior) {
    case 'Isolated':
      return spans;
    case 'Removed':
      return spans.filter((span) => !span.match);
    case 'Contiguous':
      return fold(spans, (span, previousMatch) => span.match === previousMatch);
    case 'MergedWithPrevious':
      return fold(spans, (span, previousMatch) => span.match && !previousMatch);
    case 'MergedWithNext':
      return fold(spans.reverse(), (span, previousMatch) => span.match && !previousMatch).reverse();
  }
}

/** Joins a span to the one before it where `join` says so. The span before the first counts as "no match". */
function fold(spans: Span[], join: (span: Span, previousMatch: boolean) => boolean): Span[] {
  const out: Span[] = [];
  let previousMatch = false;
  for (const span of spans) {
    const last = out.at(-1);
    if (last !== undefined && join(span, previousMatch)) {
      last.start = Math.min(last.start, span.start);
      last.end = Math.max(last.end, span.end);
      previousMatch = span.match;
    } else {
      out.push({ ...span });
      previousMatch = span.match;
    }
  }
  return out;
}
