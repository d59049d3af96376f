import { MAX_TEXT, type Run } from './run.js';

/**
 * A string that knows which of its characters the template wrote and which are data of the caller's. `marks` has the places where
 * that changes, ascending; a string begins as the template's: data are [marks[0], marks[1]), [marks[2], marks[3]), …
 * Places count UTF-16 units, as in JavaScript; what a template counts are characters, as in Python.
 */
export interface Text {
  readonly kind: 'text';
  readonly text: string;
  readonly marks: readonly number[];
}

export interface TemplatePiece {
  readonly text: string;
  /** Whether the template wrote it. Otherwise it is data: control tokens in it are plain text. */
  readonly isTemplate: boolean;
}

const UNMARKED: readonly number[] = [];

/** A text of the template's. */
export function plain(text: string): Text {
  return { kind: 'text', text, marks: UNMARKED };
}

/** A text of the caller's. */
export function data(text: string): Text {
  return { kind: 'text', text, marks: text === '' ? UNMARKED : [0, text.length] };
}

/** What is put together from texts. */
export class TextBuilder {
  length = 0;
  private readonly run: Run;
  private readonly parts: string[] = [];
  private readonly marks: number[] = [];

  constructor(run: Run) {
    this.run = run;
  }

  add({ text, marks }: Text): this {
    this.grow(text.length, marks.length);
    this.parts.push(text);
    for (let i = 0; i < marks.length; i++) this.mark(this.length + marks[i]!);
    this.length += text.length;
    return this;
  }

  /** Adds what the template writes. */
  write(text: string): this {
    this.grow(text.length, 0);
    this.parts.push(text);
    this.length += text.length;
    return this;
  }

  done(): Text {
    return { kind: 'text', text: this.parts.join(''), marks: this.marks };
  }

  private grow(characters: number, marks: number): void {
    this.run.spendCharacters(characters + marks * 8);
    if (this.length + characters > MAX_TEXT) this.run.fail(`a text of more than ${MAX_TEXT} characters`);
  }

  private mark(at: number): void {
    if (this.marks.at(-1) === at) this.marks.pop(); // data goes on
    else this.marks.push(at);
  }
}

export function concat(run: Run, texts: readonly Text[]): Text {
  const builder = new TextBuilder(run);
  for (const text of texts) builder.add(text);
  return builder.done();
}

/** The part [start, end) in UTF-16 units. */
export function cut(run: Run, { text, marks }: Text, start: number, end = text.length): Text {
  run.spendCharacters(Math.max(end - start, 0) + marks.length);
  if (start >= end) return plain('');
  const kept: number[] = [];
  for (let i = 0; i < marks.length; i += 2) {
    const from = Math.max(marks[i]!, start);
    const to = Math.min(marks[i + 1]!, end);
    if (from < to) kept.push(from - start, to - start);
  }
  return { kind: 'text', text: text.slice(start, end), marks: kept };
}

/** Pieces of one origin each, in order. */
export function pieces({ text, marks }: Text): TemplatePiece[] {
  const result: TemplatePiece[] = [];
  const edges = [0, ...marks, text.length];
  for (let i = 0; i + 1 < edges.length; i++) {
    if (edges[i]! < edges[i + 1]!) result.push({ text: text.slice(edges[i], edges[i + 1]), isTemplate: i % 2 === 0 });
  }
  return result;
}

/** Each piece changed by a function that looks at characters alone, such as an escape. */
export function mapPieces(run: Run, text: Text, change: (part: string) => string): Text {
  run.spendCharacters(text.text.length * 2);
  if (text.marks.length === 0) return plain(change(text.text));
  const builder = new TextBuilder(run);
  for (const piece of pieces(text)) {
    const changed = change(piece.text);
    builder.add(piece.isTemplate ? plain(changed) : data(changed));
  }
  return builder.done();
}

/** A text changed as a whole, such as to capitals, where the beginning of the result depends on the beginning of the text alone. */
export function mapWhole(run: Run, { text, marks }: Text, change: (text: string) => string): Text {
  run.spendCharacters(text.length * 4);
  const changed = change(text);
  if (changed.length === text.length || marks.length === 0) return { kind: 'text', text: changed, marks };
  const place = (mark: number): number => {
    run.spendCharacters(mark * 4);
    return Math.min(change(text.slice(0, mark)).length, changed.length);
  };
  const moved = marks.map((mark) => (mark === text.length ? changed.length : place(mark)));
  const kept: number[] = [];
  for (let i = 0; i < moved.length; i += 2) if (moved[i]! < moved[i + 1]!) kept.push(moved[i]!, moved[i + 1]!);
  return { kind: 'text', text: changed, marks: kept };
}

const PAIR = /[\ud800-\udbff][\udc00-\udfff]/;

/** Where each character begins, and the end; undefined where each is one unit. */
export function characterStarts(run: Run, text: string): readonly number[] | undefined {
  run.spendCharacters(text.length);
  if (!PAIR.test(text)) return undefined;
  run.spendCharacters(text.length * 8);
  const starts: number[] = [];
  let at = 0;
  for (const char of text) {
    starts.push(at);
    at += char.length;
  }
  starts.push(at);
  return starts;
}

/** How many characters, as Python counts them. */
export function lengthOf(run: Run, text: string): number {
  const starts = characterStarts(run, text);
  return starts === undefined ? text.length : starts.length - 1;
}

/** The characters, one by one. */
export function characters(run: Run, text: Text): Text[] {
  const { marks } = text;
  const result: Text[] = [];
  run.spend(text.text.length);
  let [at, next] = [0, 0];
  for (const char of text.text) {
    while (next < marks.length && marks[next]! <= at) next++;
    result.push(next % 2 === 1 ? data(char) : plain(char));
    at += char.length;
  }
  return result;
}

/** Python's order of strings: by code points. Units are in another order above the surrogates. */
export function compareTexts(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let i = 0;
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === end) return a.length - b.length;
  const rank = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);
  return rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
}

/** What Python's `isspace` and `\s` know: U+FEFF, which JavaScript trims, is none. */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const IS_SPACE = new RegExp(`^[${SPACE}]$`);
export const ONLY_SPACES = new RegExp(`^[${SPACE}]+$`);

export function isSpace(char: string): boolean {
  return char.length === 1 && IS_SPACE.test(char);
}

/** [start, end) of what is left when characters are taken off the ends. */
export function stripped(text: string, isTaken: (char: string) => boolean, left: boolean, right: boolean): [number, number] {
  let start = 0;
  let end = text.length;
  const before = (at: number): string => (PAIR.test(text.slice(Math.max(at - 2, start), at)) ? text.slice(at - 2, at) : text.slice(at - 1, at));
  while (left && start < end) {
    const char = String.fromCodePoint(text.codePointAt(start)!);
    if (!isTaken(char)) break;
    start += char.length;
  }
  while (right && end > start) {
    const char = before(end);
    if (!isTaken(char)) break;
    end -= char.length;
  }
  return [start, end];
}
