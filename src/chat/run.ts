import { ChatTemplateError } from './error.js';

/** Templates come with files that are not trusted. The longest published ones have 20,000 characters. */
export const MAX_SOURCE = 1 << 20;
/** Longest text that is made, the whole output among them. */
export const MAX_TEXT = 1 << 24;
/** What is in each other: statements, expressions and macros on their way; lists in lists. */
const MAX_DEPTH = 500;
export const MAX_DATA_DEPTH = 100;
/** A second at most. A conversation of 1,000 messages takes some 200,000. */
const MAX_STEPS = 2_000_000;
/** So many characters are copied or compared in the time of a step. */
const CHARACTERS_PER_STEP = 32;

/** One rendering: where it is, what it may still spend, and how it fails. */
export class Run {
  readonly file: string;
  readonly now: Date | undefined;
  line = 1;
  private steps = MAX_STEPS;
  private depth = 0;

  constructor(file: string, now?: Date) {
    this.file = file;
    this.now = now;
  }

  fail(message: string): never {
    throw new ChatTemplateError(`${this.file}, line ${this.line}: ${message}`);
  }

  /** Counts work. @throws ChatTemplateError when it is too much. */
  spend(steps = 1): void {
    this.steps -= steps;
    if (this.steps < 0) this.fail('the template does not come to an end: it takes too many steps');
  }

  /** Counts work on so many characters. */
  spendCharacters(count: number): void {
    this.spend(1 + count / CHARACTERS_PER_STEP);
  }

  /** @param weight what it takes of the stack. */
  enter(weight = 1): void {
    this.depth += weight;
    if (this.depth > MAX_DEPTH) this.fail('too much is nested here, or a macro calls itself too often');
  }

  leave(weight = 1): void {
    this.depth -= weight;
  }

  /** For walks through lists and dictionaries, `depth` inside each other. */
  checkDataDepth(depth: number): void {
    this.spend();
    if (depth > MAX_DATA_DEPTH) this.fail(`more than ${MAX_DATA_DEPTH} lists or dictionaries are in each other`);
  }
}
