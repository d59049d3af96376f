/** `{"String": …}` and `{"Regex": …}` patterns, and where a text has them. */
import { wellFormed } from './byte-level.js';
import type { Growth } from './growth.js';
import type { Json } from './json.js';

/** Longest text that a pattern or a step may bring along, in UTF-16 units. Real ones have a few characters. */
const MAX_LITERAL = 1024;

/** Pieces of a text that are joined at a time, so that no list holds all of them. */
const JOINED_PIECES = 4096;

/** Takes where a match begins and ends. */
type Each = (start: number, end: number) => void;

/** Calls `each` with every match in a text, in order (UTF-16 offsets). */
export type FindMatches = (text: string, each: Each) => void;


/** A text that a pattern looks for or that a step puts in. */
export function readLiteral(json: Json): string {
  const text = wellFormed(json.string());
  return text.length <= MAX_LITERAL ? text : json.fail(`longer than ${MAX_LITERAL} characters`);
}

/** Compiles a `{"Regex": …}`, or a pattern that an entry stands for. */
export type CompileRegex = (json: Json, pattern?: string) => FindMatches;

/** What a pattern finds. */
export function compilePattern(json: Json, compileRegex: CompileRegex): FindMatches {
  const text = json.key('String');
  if (!text.absent) return occurrencesOf(readLiteral(text));
  const regex = json.key('Regex');
  if (regex.absent) json.fail('expected {"String": …} or {"Regex": …}');
  return compileRegex(regex);
}

/** Every place where `search` is; nothing is before and behind every character. */
export function occurrencesOf(search: string): FindMatches {
  if (search !== '') return (text, each) => forEachOccurrence(text, search, each);
  return (text, each) => {
    for (let at = 0; at <= text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) each(at, at);
  };
}

function forEachOccurrence(text: string, search: string, each: Each): void {
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
