/** A cursor into parsed JSON that knows its file and key path, so that every complaint can name both. */
import { shorten, show, TokenizerError } from '../errors.js';

/** Highest id a token may have. The largest vocabularies have 300,000; an id sizes tables, so a wild one must not get through. */
export const MAX_TOKEN_ID = 2 ** 24;

/** Components nested deeper than this are no tokenizer, and would only exhaust the stack. */
const MAX_DEPTH = 64;

/** Entries of a list that are looked at one by one, such as added tokens. Real files have some thousand. */
const MAX_ITEMS = 65_536;

/** Components of a file. Real ones have under 20; every one may go over the whole text. */
const MAX_COMPONENTS = 256;

export class Json {
  readonly value: unknown;
  readonly file: string;
  readonly path: string;
  readonly #depth: number;
  readonly #spent: Map<string, number>; // shared by all cursors of a file

  constructor(value: unknown, file: string, path = '', depth = 0, spent = new Map<string, number>()) {
    this.value = value;
    this.file = file;
    this.path = path;
    this.#depth = depth;
    this.#spent = spent;
    if (depth > MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH} levels`);
  }

  /** Throws a TokenizerError that names file and key path. */
  fail(message: string): never {
    throw new TokenizerError(`${this.file}: ${this.path === '' ? 'top level' : this.path}: ${message}`);
  }

  /** Counts what the file asks for in all its places together, and fails beyond `limit`. */
  spend(what: string, amount: number, limit: number): void {
    const total = (this.#spent.get(what) ?? 0) + amount;
    if (total > limit) this.fail(`more than ${limit} ${what} in one file`);
    this.#spent.set(what, total);
  }

  /** True for a missing key and for null: both mean "not set" in these files. */
  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }

  object(): Record<string, unknown> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) {
      this.fail(`expected an object, found ${kind(this.value)}`);
    }
    return this.value as Record<string, unknown>;
  }

  /** The value under a key of this object; a missing key gives an absent cursor. Inherited properties do not count. */
  key(name: string): Json {
    const object = this.object();
    const shown = shorten(name); // some are named by the file
    const path = this.path === '' ? shown : `${this.path}.${shown}`;
    return new Json(Object.hasOwn(object, name) ? object[name] : undefined, this.file, path, this.#depth + 1, this.#spent);
  }

  array(): unknown[] {
    if (!Array.isArray(this.value)) this.fail(`expected a list, found ${kind(this.value)}`);
    return this.value as unknown[];
  }

  /** The elements of this list, each with its own path. */
  items(): Json[] {
    const list = this.array();
    if (list.length > MAX_ITEMS) this.fail(`${list.length} entries are more than the ${MAX_ITEMS} this library takes`);
    return list.map((value, i) => this.at(i, value));
  }

  at(index: number, value: unknown): Json {
    return new Json(value, this.file, `${this.path}[${index}]`, this.#depth + 1, this.#spent);
  }

  string(fallback?: string): string {
    if (this.absent && fallback !== undefined) return fallback;
    if (typeof this.value !== 'string') this.fail(`expected a string, found ${kind(this.value)}`);
    return this.value as string;
  }

  boolean(fallback?: boolean): boolean {
    if (this.absent && fallback !== undefined) return fallback;
    if (typeof this.value !== 'boolean') this.fail(`expected true or false, found ${kind(this.value)}`);
    return this.value as boolean;
  }

  /** A count, at least 0. */
  count(): number {
    if (!Number.isSafeInteger(this.value) || (this.value as number) < 0) {
      this.fail(`expected an integer of at least 0, found ${kind(this.value)}`);
    }
    return this.value as number;
  }

  /** A token id: an integer from 0 to MAX_TOKEN_ID. */
  id(): number {
    if (!isTokenId(this.value)) this.fail(`expected a token id (an integer from 0 to ${MAX_TOKEN_ID}), found ${kind(this.value)}`);
    return this.value as number;
  }

  /** Exactly one code point. */
  char(): string {
    const text = this.string();
    return isChar(text) ? text : this.fail(`expected a single character, found ${show(text)}`);
  }

  oneOf<T extends string>(allowed: readonly T[], fallback?: T): T {
    const text = this.string(fallback);
    const found = allowed.find((name) => name === text);
    return found ?? this.fail(`expected one of ${allowed.join(', ')}, found ${show(text)}`);
  }

  /** The `type` of a pipeline component, which counts it. */
  type(): string {
    this.spend('components', 1, MAX_COMPONENTS);
    return this.key('type').string();
  }

  /** Refuses a component whose `type` this library does not have. */
  unsupported(what: string, supported: string): never {
    this.fail(`${what} of type ${show(this.key('type').value)} is not supported (supported: ${supported})`);
  }
}

/** Whether a text is exactly one code point. */
export function isChar(text: string): boolean {
  return text.length > 0 && text.length === (text.codePointAt(0)! > 0xffff ? 2 : 1);
}

export function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TOKEN_ID;
}

/** `show`, with a word for a missing key, and lists as such: what they hold is not what is wrong. */
function kind(value: unknown): string {
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : show(value);
}
