/**
 * What an output may be, as a graph of nodes over UTF-8 bytes: built by texts.ts, pattern.ts and the schema files, run by
 * automaton.ts. Only characters that the vocabulary can write go in, so that what is left can always be written.
 */
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

export type Node = Bytes | Sequence | Choice | Repeat | Rule | Both;

/** Nodes of a grammar. Large schemas of practice have some thousand; memory grows with them. */
const MAX_NODES = 2 ** 18;

/** Highest count of a repetition that makes a difference: no text is that long. */
const MAX_COUNT = 2 ** 31 - 1;

export class Grammar {
  readonly nodes: Node[] = [];
  readonly nothing: Node = this.add({ kind: 'choice', parts: [], ...this.facts() });
  readonly empty: Node = this.add({ kind: 'sequence', parts: [], ...this.facts() });
  /** A character that was asked for and that the vocabulary cannot write, for messages. */
  missing: number | undefined;
  /** Sets of characters by name that patterns have looked up. */
  readonly properties = new Map<string, CodeSet>();
  private readonly writable: CodeSet;
  private readonly known = new Map<string, Bytes>(); // by edges
  private readonly single = new Map<number, Node>(); // by code point

  /** @param writable the characters that the vocabulary can write. */
  constructor(writable: CodeSet) {
    this.writable = writable;
  }

  /** One character of the set. */
  chars(set: CodeSet): Node {
    const usable = intersect(set, this.writable);
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

  /** The text itself, which must be well-formed. */
  text(text: string): Node {
    return this.sequenceOf(Array.from(text, (char) => this.char(char.codePointAt(0)!)));
  }

  char(code: number): Node {
    let node = this.single.get(code);
    if (!node) this.single.set(code, (node = this.chars([code, code])));
    return node;
  }

  sequence(...parts: Node[]): Node {
    return this.sequenceOf(parts);
  }

  sequenceOf(parts: readonly Node[]): Node {
    if (parts.includes(this.nothing)) return this.nothing;
    const flat = parts.flatMap((part) => (part.kind === 'sequence' ? part.parts : [part]));
    return flat.length === 0 ? this.empty : flat.length === 1 ? flat[0]! : this.add({ kind: 'sequence', parts: flat, ...this.facts() });
  }

  choice(...parts: Node[]): Node {
    return this.choiceOf(parts);
  }

  choiceOf(parts: readonly Node[]): Node {
    const different = [...new Set(parts.filter((part) => part !== this.nothing))];
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

  /**
   * Finds out which nodes match the empty text, and which match anything at all. To be called once, when all is built.
   * @param meet whether the two sides of a node have a text in common; their own facts are known by then.
   * @throws ArgumentError for a rule that contains itself without anything before it.
   */
  seal(meet: (both: Both) => boolean): void {
    const met = new Map<Both, boolean>();
    const wholes = new Map<Node, Node[]>(); // by part
    for (const node of this.nodes) {
      for (const part of partsOf(node)) {
        const list = wholes.get(part);
        if (!list) wholes.set(part, [node]);
        else if (list.at(-1) !== node) list.push(node);
      }
    }
    // In this order parts come before what they are parts of; only the bodies of rules may come later.
    const due = [...this.nodes];
    const isDue = new Set(due);
    for (const node of due) {
      isDue.delete(node);
      if (node.kind === 'both' && !met.has(node)) met.set(node, meet(node));
      const nullable = isNullable(node);
      const productive = isProductive(node, met);
      if (nullable === node.nullable && productive === node.productive) continue;
      node.nullable = nullable;
      node.productive = productive;
      for (const whole of wholes.get(node) ?? []) {
        if (isDue.has(whole)) continue;
        isDue.add(whole);
        due.push(whole);
      }
    }
    this.refuseLeftRecursion();
  }

  private refuseLeftRecursion(): void {
    const state = new Map<Node, 'open' | 'done'>();
    for (const start of this.nodes) {
      if (start.kind !== 'rule') continue;
      const open: { node: Node; next: Node[] }[] = [];
      const enter = (node: Node): void => {
        if (state.get(node) === 'done') return;
        if (state.get(node) === 'open') {
          const rule = open.map((step) => step.node).find((step) => step.kind === 'rule');
          refuse(`${rule?.kind === 'rule' ? rule.name : 'a rule'} refers to itself without anything before it`);
        }
        state.set(node, 'open');
        open.push({ node, next: firstParts(node) });
      };
      enter(start);
      while (open.length > 0) {
        const top = open.at(-1)!;
        const next = top.next.pop();
        if (next) enter(next);
        else state.set(open.pop()!.node, 'done');
      }
    }
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
      node = this.add({ kind: 'bytes', edges: merged, isInside, ...this.facts() });
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

function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'bytes': return false;
    case 'sequence': return node.parts.every((part) => part.nullable);
    case 'choice': return node.parts.some((part) => part.nullable);
    case 'repeat': return node.min === 0 || node.body.nullable;
    case 'rule': return node.body.nullable;
    case 'both': return node.a.nullable && node.b.nullable;
  }
}

function isProductive(node: Node, met: ReadonlyMap<Both, boolean>): boolean {
  switch (node.kind) {
    case 'bytes': return true;
    case 'sequence': return node.parts.every((part) => part.productive);
    case 'choice': return node.parts.some((part) => part.productive);
    case 'repeat': return node.min === 0 || node.body.productive;
    case 'rule': return node.body.productive;
    case 'both': return met.get(node) === true;
  }
}

function partsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'bytes': return [];
    case 'sequence': case 'choice': return node.parts;
    case 'repeat': case 'rule': return [node.body];
    case 'both': return [node.a, node.b];
  }
}

/** The parts with which a text of the node may begin. */
function firstParts(node: Node): Node[] {
  switch (node.kind) {
    case 'sequence': {
      const solid = node.parts.findIndex((part) => !part.nullable);
      return node.parts.slice(0, solid < 0 ? undefined : solid + 1);
    }
    case 'choice': return [...node.parts];
    case 'repeat': case 'rule': return [node.body];
    default: return [];
  }
}

/** Every character but those of `set`. */
export function allBut(set: CodeSet): CodeSet {
  return set.length === 0 ? ANY : complement(set);
}
