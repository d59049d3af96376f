import type { Run } from './run.js';
import { concat, cut, isSpace, type Text } from './text.js';

/** Engines' own search is quick for short parts. For long ones it may take length times length: seconds for texts of a megabyte. */
const SHORT_PART = 48;

type Search = (from: number) => number;

/** Where `part` is next, at or behind a place; -1 if nowhere. All searches together cost the length of the text. */
function searchIn(run: Run, text: string, part: string): Search {
  run.spendCharacters(text.length * 4);
  if (part.length <= SHORT_PART) return (from) => text.indexOf(part, from);
  if (part.length > text.length) return () => -1;
  run.spendCharacters(part.length * 4);
  // Knuth, Morris and Pratt: how much of the beginning of `part` is still matched when the character behind does not match.
  const borders = new Int32Array(part.length + 1);
  borders[0] = -1;
  for (let i = 0, border = -1; i < part.length;) {
    while (border >= 0 && part.charCodeAt(i) !== part.charCodeAt(border)) border = borders[border]!;
    borders[++i] = ++border;
  }
  return (from) => {
    let matched = 0;
    for (let i = from; i < text.length; i++) {
      while (matched >= 0 && text.charCodeAt(i) !== part.charCodeAt(matched)) matched = borders[matched]!;
      if (++matched === part.length) return i + 1 - matched;
    }
    return -1;
  };
}

export function find(run: Run, text: string, part: string): number {
  return searchIn(run, text, part)(0);
}

export function findLast(run: Run, text: string, part: string): number {
  return findFromRight(run, text, part, 1)[0] ?? -1;
}

/** Where `part` is, without overlaps; at most `limit` of them unless it is negative. An empty part is around every character. */
export function findAll(run: Run, text: string, part: string, limit: number): number[] {
  const found: number[] = [];
  const isFull = (): boolean => limit >= 0 && found.length >= limit;
  if (part === '') {
    run.spend(text.length);
    let at = 0;
    for (const char of text) {
      if (isFull()) return found;
      found.push(at);
      at += char.length;
    }
    if (!isFull()) found.push(at);
    return found;
  }
  const search = searchIn(run, text, part);
  for (let at = search(0); at >= 0 && !isFull(); at = search(at + part.length)) {
    run.spend();
    found.push(at);
  }
  return found;
}

export function replaceText(run: Run, text: Text, old: string, by: Text, limit: number): Text {
  const found = findAll(run, text.text, old, limit);
  if (found.length === 0) return text;
  const parts: Text[] = [];
  let from = 0;
  for (const at of found) {
    parts.push(cut(run, text, from, at), by);
    from = at + old.length;
  }
  return concat(run, [...parts, cut(run, text, from)]);
}

/** The parts between separators: at most `limit` separators count, the first or the last ones. */
export function splitText(run: Run, text: Text, separator: string, limit: number, fromRight: boolean): Text[] {
  const found = fromRight && limit >= 0 ? findFromRight(run, text.text, separator, limit) : findAll(run, text.text, separator, limit);
  const parts: Text[] = [];
  let from = 0;
  for (const at of found) {
    parts.push(cut(run, text, from, at));
    from = at + separator.length;
  }
  return [...parts, cut(run, text, from)];
}

/** The last ones, in order. */
function findFromRight(run: Run, text: string, part: string, limit: number): number[] {
  if (part === '') return limit > 0 ? [text.length] : [];
  const mirrored = (whole: string): string => whole.split('').reverse().join('');
  run.spendCharacters((text.length + part.length) * 8);
  return findAll(run, mirrored(text), mirrored(part), limit).map((at) => text.length - at - part.length).reverse();
}

/** The words; what is left behind `limit` splits is one of them, with the white space within it. */
export function splitAtSpaces(run: Run, text: Text, limit: number, fromRight: boolean): Text[] {
  const words = wordsOf(run, text.text);
  if (limit < 0 || words.length <= limit + 1) return words.map(([start, end]) => cut(run, text, start, end));
  // The rest keeps its white space on the side that Python does not split from.
  const parts = fromRight
    ? [[0, words[words.length - limit - 1]![1]] as const, ...words.slice(words.length - limit)]
    : [...words.slice(0, limit), [words[limit]![0], text.text.length] as const];
  return parts.map(([start, end]) => cut(run, text, start, end));
}

function wordsOf(run: Run, text: string): [number, number][] {
  run.spendCharacters(text.length * 8);
  const words: [number, number][] = [];
  let start = -1;
  for (let i = 0; i <= text.length; i++) {
    const isBreak = i === text.length || isSpace(text[i]!);
    if (!isBreak && start < 0) start = i;
    if (isBreak && start >= 0) {
      run.spend();
      words.push([start, i]);
      start = -1;
    }
  }
  return words;
}
