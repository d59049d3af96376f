/** What the next character tells of a pattern's branches: most of them lead one way, and need no going back. */
import { ATOMIC, CHECK, CHOOSE, JUMP, LOOK, MARK, PEEK, PEEK_BACK, RUN, SET, SPLIT, STEP, type Program } from './regex-program.js';
import { widened, type ClassedText } from './regex-text.js';

/** Where a branch leads: to an instruction, which is kept with one added, or */
const UNKNOWN = 0;
export const NOWHERE = -1;
const BOTH = -2;

export class Ways {
  /** What it took to find out, in steps. */
  work = 0;

  readonly #code: Int32Array;
  readonly #text: ClassedText;
  #ways: Int32Array; // [branches and the pattern itself, classes]
  #shift: number;

  constructor({ code, branches }: Program, text: ClassedText) {
    this.#code = code;
    this.#text = text;
    this.#shift = text.shift;
    this.#ways = new Int32Array((branches + 1) << this.#shift);
  }

  /** To be called when a text has been read, which may have brought new classes. */
  makeRoom(): void {
    while (this.#shift < this.#text.shift) this.#ways = widened(this.#ways, 1 << this.#shift++);
  }

  /** Where the SPLIT or CHOOSE at `at` leads for a class: an instruction and 1, or NOWHERE or BOTH. What leads one way only is followed to its end. */
  of(at: number, found: number): number {
    const index = (this.#code[at + 3]! << this.#shift) + found;
    return this.#ways[index]! !== UNKNOWN ? this.#ways[index]! : (this.#ways[index] = this.#find(at, found));
  }

  /** Whether what follows the RUN at `at` can begin with a character of the class. */
  canFollow(at: number, found: number): boolean {
    return this.#can(this.#code[at + 3]!, at + STEP, found);
  }

  /** Whether a match can begin with a character of the class. */
  canStart(found: number): boolean {
    return this.#can((this.#ways.length >> this.#shift) - 1, 0, found);
  }

  #can(branch: number, from: number, found: number): boolean {
    const index = (branch << this.#shift) + found;
    if (this.#ways[index] === UNKNOWN) this.#ways[index] = this.#canBegin(from, found) ? BOTH : NOWHERE;
    return this.#ways[index] === BOTH;
  }

  #find(at: number, found: number): number {
    const code = this.#code;
    let way = at;
    for (;;) {
      const operation = code[way];
      if (operation === JUMP) {
        way = code[way + 1]!;
        continue;
      }
      if (operation !== SPLIT && operation !== CHOOSE) break;
      const isFirst = this.#canBegin(code[way + 1]!, found);
      const isOther = (operation === SPLIT || !isFirst) && this.#canBegin(code[way + 2]!, found);
      if (isFirst && isOther) break;
      if (!isFirst && !isOther) return NOWHERE;
      way = code[way + (isFirst ? 1 : 2)]!;
    }
    return way === at ? BOTH : way + 1;
  }

  /** Whether what begins at `from` can take a character of the class, or may need none. */
  #canBegin(from: number, found: number): boolean {
    const code = this.#code;
    const { members, shift } = this.#text;
    const open = [from];
    const seen = new Set<number>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      this.work++;
      const a = code[at + 1]!;
      const isMember = (): boolean => members[(a << shift) + found] === 1;
      switch (code[at]) {
        case SET: if (isMember()) return true; break;
        case PEEK: if (isMember() === (code[at + 2] === 1)) open.push(at + STEP); break;
        case RUN: if (isMember()) return true; open.push(at + STEP); break;
        case SPLIT: case CHOOSE: open.push(code[at + 2]!, a); break;
        case JUMP: case LOOK: open.push(a); break;
        case PEEK_BACK: case ATOMIC: case MARK: open.push(at + STEP); break;
        case CHECK: open.push(at + STEP, code[at + 2]!); break;
        default: return true; // also ACCEPT: what is kept does not depend on what comes behind it
      }
    }
    return false;
  }
}
