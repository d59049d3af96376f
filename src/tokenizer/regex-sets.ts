import { ANY } from './regex-class.js';
import { childrenOf, type CharSet, type Node } from './regex-tree.js';

/** What it takes to look up a set of characters, and to compare two: in hundredths of a millisecond, about. */
const LOOK_UP = 100;
const COMPARE = 1;

/** Sets of characters, looked up in a sample of them: all that the pattern itself names, and a part of each script. */
export class CharSets {
  readonly #pattern: string;
  readonly #onWork: (amount: number) => void;
  readonly #known = new Map<string, Uint8Array>();
  #sample: readonly number[] = [];

  constructor(pattern: string, onWork: (amount: number) => void) {
    this.#pattern = pattern;
    this.#onWork = onWork;
  }

  /** Whether some character is in both. */
  overlap(a: Uint8Array, b: Uint8Array): boolean {
    this.#onWork(COMPARE);
    for (let i = 0; i < a.length; i++) if (a[i]! & b[i]!) return true;
    return false;
  }

  #characters(): readonly number[] {
    if (this.#sample.length > 0) return this.#sample;
    const codes = new Set(Array.from(this.#pattern, (char) => char.codePointAt(0)!));
    for (const [, hex = ''] of this.#pattern.matchAll(/\\[xu]\{?([0-9a-f]+)/gi)) codes.add(parseInt(hex, 16));
    for (const code of [...codes]) codes.add(code + 1).add(Math.max(0, code - 1)); // ends of ranges
    for (let code = 0; code < 0x30000; code += code < 0x300 ? 1 : 17) codes.add(code);
    return (this.#sample = [...codes].filter((code) => code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)));
  }

  get all(): Uint8Array {
    return this.#look(ANY);
  }

  /** All characters that are anywhere in `node`. */
  of(node: Node): Uint8Array {
    if (node.kind === 'atomic') return this.all;
    if (node.kind === 'set') return this.#look(node.set);
    const union = new Uint8Array(this.#characters().length);
    this.#onWork(COMPARE * (1 + childrenOf(node).length));
    if (node.kind !== 'look') for (const part of childrenOf(node)) unite(union, this.of(part));
    return union;
  }

  #look({ key, has }: CharSet): Uint8Array {
    let found = this.#known.get(key);
    if (!found) {
      this.#onWork(LOOK_UP);
      found = Uint8Array.from(this.#characters(), (code) => Number(has(code)));
      if (!found.includes(1)) found.fill(1); // so few that none is in the sample
      this.#known.set(key, found);
    }
    return found;
  }
}

/** Adds the characters of `other` to `into`. */
export function unite(into: Uint8Array, other: Uint8Array): void {
  for (let i = 0; i < into.length; i++) into[i]! |= other[i]!;
}
