/** How a text is cut by a pattern. */
import type { FindMatches } from './pattern.js';

export const SPLIT_BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

export interface Span {
  start: number;
  end: number;
  match: boolean;
}

/** Cuts `text` into matches and what lies between them, covering all of it (UTF-16 offsets). */
export function findSpans(text: string, find: FindMatches): Span[] {
  const spans: Span[] = [];
  let done = 0;
  find(text, (start, end) => {
    if (start > done) spans.push({ start: done, end: start, match: false });
    spans.push({ start, end, match: true });
    done = end;
  });
  if (done < text.length) spans.push({ start: done, end: text.length, match: false });
  return spans;
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
