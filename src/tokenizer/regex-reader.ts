/** Reading position in an Oniguruma pattern, for the translator in regex.ts. */
import { shorten, show } from '../errors.js';
import type { Json } from './json.js';

/** Moves by code points; refusals name the pattern and the construct. */
export class PatternReader {
  readonly #pattern: string;
  readonly #json: Json;
  #at = 0;

  constructor(pattern: string, json: Json) {
    this.#pattern = pattern;
    this.#json = json;
  }

  get done(): boolean {
    return this.#at >= this.#pattern.length;
  }

  /** The next code point, '' at the end. */
  peek(): string {
    const code = this.#pattern.codePointAt(this.#at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  next(): string {
    if (this.done) this.refuse('an unexpected end');
    const char = this.peek();
    this.#at += char.length;
    return char;
  }

  /** Consumes `text` if it comes next. */
  take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** What the sticky `expression` matches here; does not consume it. */
  match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    return expression.exec(this.#pattern);
  }

  skip(length: number): void {
    this.#at += length;
  }

  rest(length: number): string {
    return this.#pattern.slice(this.#at, this.#at + length);
  }

  refuse(construct: string): never {
    return this.#json.fail(`the pattern ${show(this.#pattern)} has ${shorten(construct)} (before offset ${this.#at}), which is not supported`);
  }
}
