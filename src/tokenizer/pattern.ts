/** `{"String": …}` and `{"Regex": …}` patterns, and how a text is cut by them. */
import type { Json } from './json.js';
import { escapeLiteral, translateRegex } from './regex.js';

export const SPLIT_BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

export interface Span {
  start: number;
  end: number;
  match: boolean;
}

/** Compiles a pattern to a `gu` expression. */
export function compilePattern(json: Json): RegExp {
  const text = json.key('String');
  if (!text.absent) return new RegExp(escapeLiteral(text.string()), 'gu');
  const regex = json.key('Regex');
  if (regex.absent) json.fail('expected {"String": …} or {"Regex": …}');
  return translateRegex(regex);
}

/** Cuts `text` into matches and what lies between them, covering all of it (UTF-16 offsets). */
export function findSpans(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let end = 0;
  let lastMatchEnd = -1;
  pattern.lastIndex = 0;
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
    const start = found.index;
    const length = found[0].length;
    if (length === 0) {
      // An empty match moves on by one character, and does not count right behind the previous match.
      pattern.lastIndex = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      if (start === lastMatchEnd) continue;
    }
    if (start > end) spans.push({ start: end, end: start, match: false });
    end = start + length;
    lastMatchEnd = end;
    spans.push({ start, end, match: true });
  }
  if (end < text.length) spans.push({ start: end, end: text.length, match: false });
  return spans;
}

/** Replaces every match by `content`, literally. */
export function replaceAll(text: string, pattern: RegExp, content: string): string {
  let out = '';
  for (const span of findSpans(text, pattern)) out += span.match ? content : text.slice(span.start, span.end);
  return out;
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
