/**
 * What an output may be, as a graph of nodes over UTF-8 bytes: built by texts.ts, pattern.ts and the schema files, run by
 * automaton.ts. Only characters that the vocabulary can write go in, so that what is left can always be written.
 */
import { Budget } from './budget.js';
import { ANY, complement, has, intersect, type CodeSet } from './code-points.js';
import { refuse } from './refuse.js';

interface Facts {
  readonly id: number;
  /** Matches the empty text. */
  nullable: boolean;
  /** Matches some text. */
  productive: boolean;
}

/** One character, or the rest of one: a node of the tree of its UTF-8 bytes. */
export interface Bytes extends Facts {
  readonly kind: 'bytes';
  readonly edges: readonly Edge[]; // sorted, disjoint
  /** Within a character: all edges are continuation bytes. */
  readonly isInside: boolean;
}

export interface Edge {
  readonly low: number;
  readonly high: number;
  /** The rest of the character; undefined where it ends. */
  readonly to: Bytes | undefined;
}

/** A text, as its bytes: one of few makes many nodes of bytes superfluous. */
export interface Text extends Facts {
  readonly kind: 'text';
  /** The bytes, each as one character; at least one. */
  readonly bytes: string;
}

export interface Sequence extends Facts {
  readonly kind: 'sequence';
  readonly parts: readonly Node[];
}

export interface Choice extends Facts {
  readonly kind: 'choice';
  readonly parts: readonly Node[];
}

export interface Repeat extends Facts {
  readonly kind: 'repeat';
  readonly body: Node;
  readonly min: number;
  readonly max: number;
}

/** Named, so that it may contain itself. */
export interface Rule extends Facts {
  readonly kind: 'rule';
  readonly name: string;
  body: Node;
}

/** What matches both; neither contains a rule. */
export interface Both extends Facts {
  readonly kind: 'both';
  readonly a: Node;
  readonly b: Node;
}

export type Node = Bytes | Text | Sequence | Choice | Repeat | Rule | Both;

/** Of what matches at least one byte, and can be matched. */
const SOLID = { nullable: false, productive: true };

/** Longest text, in UTF-16 units, of which there is only one node. */
const MAX_SHORT = 4;

/** Nodes of a grammar. Large schemas of practice have some thousand; memory grows with them. */
const MAX_NODES = 2 ** 17;

/** For building all of it. */
const MAX_STEPS = 2 ** 20;

/** Highest count of a repetition that makes a difference: no text is that long. */
const MAX_COUNT = 2 ** 31 - 1;

export class Grammar {
  readonly nodes: Node[] = [];
  readonly nothing: Node = this.add({ kind: 'choice', parts: [], ...this.facts() });
  readonly empty: Node = this.add({ kind: 'sequence', parts: [], ...this.facts() });
  /** A character that was asked for and that the vocabulary cannot write, for messages. */
  missing: number | undefined;
  /** Sets of characters that patterns have looked up: see `Shared`. */
  readonly properties: Map<string, CodeSet>;
  readonly used = new Set<string>();
  readonly spelled = new Map<string, CodeSet>();
  readonly budget = new Budget(MAX_STEPS, 'it is too large to be read soon; fewer, or smaller, parts may do');
  private readonly writable: CodeSet;
  private readonly known = new Map<string, Bytes>(); // by edges
  private readonly sets = new Map<CodeSet, Node>(); // such as those of `.` and \d
  private readonly ranges = new Map<string, Node>();
  private readonly short = new Map<string, Node>(); // texts that come often

  /**
   * @param writable the characters that the vocabulary can write.
   * @param properties see `Shared`.
   */
  constructor(writable: CodeSet, properties: Map<string, CodeSet>) {
    this.writable = writable;
    this.properties = properties;
  }

  /** One character of the set. */
  chars(set: CodeSet): Node {
    let node = this.sets.get(set);
    if (!node) this.sets.set(set, (node = this.charsOf(set)));
    return node;
  }

  /** One character from `low` to `high`. */
  range(low: number, high: number): Node {
    const key = `${low}-${high}`;
    let node = this.ranges.get(key);
    if (!node) this.ranges.set(key, (node = this.charsOf([low, high])));
    return node;
  }

  private charsOf(set: CodeSet): Node {
    const usable = intersect(set, this.writable);
    this.budget.spend(4 * (set.length + usable.length));
    if (usable.length === 0) {
      this.missing ??= set[0];
      return this.nothing;
    }
    return this.bytes([
      ...this.split(intersect(usable, [0, 0x7f]), 0, 0),
      ...this.split(intersect(usable, [0x80, 0x7ff]), 6, 0xc0),
      ...this.split(intersect(usable, [0x800, 0xffff]), 12, 0xe0),
      ...this.split(intersect(usable, [0x10000, 0x10ffff]), 18, 0xf0),
    ]);
  }

  /** Whether a character can be written with the vocabulary. */
  canWrite(code: number): boolean {
    return has(this.writable, code);
  }

  canWriteAll(text: string): boolean {
    return this.firstUnwritable(text) === undefined;
  }

  /** The text itself, which must be well-formed. */
  text(text: string): Node {
    if (text === '') return this.empty;
    let node = this.short.get(text);
    if (!node) {
      this.missing ??= this.firstUnwritable(text);
      node = this.firstUnwritable(text) === undefined ? this.add({ kind: 'text', bytes: utf8(text), id: this.nodes.length, ...SOLID }) : this.nothing;
      if (text.length <= MAX_SHORT) this.short.set(text, node);
    }
    return node;
  }

  private firstUnwritable(text: string): number | undefined {
    for (let at = 0; at < text.length; at++) {
      const code = text.codePointAt(at)!;
      if (!has(this.writable, code)) return code;
      if (code > 0xffff) at++;
    }
    return undefined;
  }

  sequence(...parts: Node[]): Node {
    return this.sequenceOf(parts);
  }

  sequenceOf(parts: readonly Node[]): Node {
    if (parts.includes(this.nothing)) return this.nothing;
    const flat = parts.some((part) => part.kind === 'sequence') ? parts.flatMap((part) => (part.kind === 'sequence' ? part.parts : [part])) : parts;
    return flat.length === 0 ? this.empty : flat.length === 1 ? flat[0]! : this.add({ kind: 'sequence', parts: flat, ...this.facts() });
  }

  choice(...parts: Node[]): Node {
    return this.choiceOf(parts);
  }

  choiceOf(parts: readonly Node[]): Node {
    const different = [...new Set(parts)].filter((part) => part !== this.nothing);
    if (different.length <= 1) return different[0] ?? this.nothing;
    return this.add({ kind: 'choice', parts: different, ...this.facts() });
  }

  optional(part: Node): Node {
    return this.choice(part, this.empty);
  }

  /** @param max may be Infinity. */
  repeat(body: Node, min: number, max: number): Node {
    if (min > MAX_COUNT) refuse(`a repetition of at least ${min} is more than any text holds`);
    if (max > MAX_COUNT) max = Infinity;
    if (min > max) return this.nothing;
    if (max === 0 || body === this.empty) return this.empty;
    if (body === this.nothing) return min === 0 ? this.empty : this.nothing;
    return max === 1 ? (min === 1 ? body : this.optional(body)) : this.add({ kind: 'repeat', body, min, max, ...this.facts() });
  }

  /** A rule whose `body` is set later, before `seal`. */
  rule(name: string): Rule {
    return this.add({ kind: 'rule', name, body: this.nothing, ...this.facts() });
  }

  both(a: Node, b: Node): Node {
    return a === this.nothing || b === this.nothing ? this.nothing : this.add({ kind: 'both', a, b, ...this.facts() });
  }

  private bytes(edges: readonly Edge[]): Bytes {
    const merged: Edge[] = [];
    for (const edge of edges) {
      const last = merged.at(-1);
      if (last && last.to === edge.to && last.high + 1 === edge.low) merged[merged.length - 1] = { ...last, high: edge.high };
      else merged.push(edge);
    }
    const key = merged.map(({ low, high, to }) => `${low}-${high}>${to?.id ?? ''}`).join();
    let node = this.known.get(key);
    if (!node) {
      const isInside = merged[0]!.low >= 0x80 && merged[0]!.low < 0xc0;
      node = this.add({ kind: 'bytes', edges: merged, isInside, id: this.nodes.length, ...SOLID });
      this.known.set(key, node);
    }
    return node;
  }

  /** The edges for code points of which `shift` bits stand in continuation bytes, behind a byte of `base` and the bits above. */
  private split(set: CodeSet, shift: number, base: number): Edge[] {
    const edges: Edge[] = [];
    const size = 2 ** shift;
    const parts = new Map<number, number[]>(); // by first byte: the ranges that do not fill it
    const whole = shift === 0 ? undefined : this.wholeBytes(shift - 6);
    for (let i = 0; i < set.length; i += 2) {
      const low = set[i]!;
      const high = set[i + 1]!;
      const first = Math.floor(low / size);
      const last = Math.floor(high / size);
      const fullFrom = low % size === 0 ? first : first + 1;
      const fullTo = high % size === size - 1 ? last : last - 1;
      if (fullFrom <= fullTo) edges.push({ low: base + fullFrom, high: base + fullTo, to: whole });
      for (const byte of new Set([first, last])) {
        if (byte >= fullFrom && byte <= fullTo) continue;
        const from = Math.max(low, byte * size) % size;
        const to = Math.min(high, byte * size + size - 1) % size;
        parts.set(byte, [...(parts.get(byte) ?? []), from, to]);
      }
    }
    for (const [byte, ranges] of parts) {
      edges.push({ low: base + byte, high: base + byte, to: this.bytes(this.split(ranges, shift - 6, 0x80)) });
    }
    return edges.sort((a, b) => a.low - b.low);
  }

  /** All continuations of `shift` bits and one byte before. */
  private wholeBytes(shift: number): Bytes {
    return this.bytes([{ low: 0x80, high: 0xbf, to: shift === 0 ? undefined : this.wholeBytes(shift - 6) }]);
  }

  private facts(): Facts {
    return { id: this.nodes.length, nullable: false, productive: false };
  }

  private add<T extends Node>(node: T): T {
    if (this.nodes.length >= MAX_NODES) refuse(`it is too large: more than ${MAX_NODES} parts`);
    this.nodes.push(node);
    return node;
  }
}

/** Every character but those of `set`. */
export function allBut(set: CodeSet): CodeSet {
  return set.length === 0 ? ANY : complement(set);
}

/** The bytes of a text, each as one character. */
function utf8(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('');
}
