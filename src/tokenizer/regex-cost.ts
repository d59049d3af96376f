/**
 * What a pattern may cost: JavaScript's engines try all ways to match, one by one, until what follows matches too. A repetition
 * that can match the same text in two ways takes time exponential in its length then, and each further one in a row of repetitions
 * that share characters another power of it. Both are told from the pattern, as it was translated (regex.ts), before it meets a text.
 */

/** How many ways there are to match a text, as a power of two: a repetition without end counts for about a thousand lengths. */
const LONG = 10;
/** Real patterns have two repetitions in a row that share characters: words of capital, then of small letters. */
const MAX_WAYS = LONG + 3;
/** A repetition of up to so many is as that many copies. */
const MAX_COPIES = 3;
/** Characters, or sets of them, in one repetition that is looked at closely, and pairs of them. */
const MAX_POSITIONS = 64;
const MAX_EDGES = 2 ** 17;
/** What it takes to look up a set of characters, and to compare two: in hundredths of a millisecond, about. */
const LOOK_UP = 100;
const COMPARE = 1;

type Node =
  | { readonly kind: 'set'; readonly text: string }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly body: Node; readonly min: number; readonly max: number }
  /** Takes no characters: what is looked at ahead or behind. */
  | { readonly kind: 'look'; readonly body: Node }
  /** Matched in one way or not at all. */
  | { readonly kind: 'atomic'; readonly body: Node };

/**
 * What is wrong with a translated pattern, or undefined.
 * @param onWork called with what is about to be done, in hundredths of a millisecond; most patterns take none.
 */
export function excessiveCost(source: string, onWork: (amount: number) => void): string | undefined {
  return findCost(parse(source), new CharSets(source, onWork), true);
}

/** @param isLast nothing follows that could fail: the first way that matches is taken. */
function findCost(node: Node, sets: CharSets, isLast: boolean): string | undefined {
  switch (node.kind) {
    case 'set': return undefined;
    case 'look': case 'atomic': return findCost(node.body, sets, true);
    case 'choice': return firstOf(node.parts, (part) => findCost(part, sets, isLast));
    case 'repeat': {
      const isLastToo = isLast && node.min <= 1;
      if (!isLastToo && node.max > MAX_COPIES && hasChoice(node.body) && isAmbiguous(node.body, sets)) {
        return 'a repetition that can match one text in several ways, which may take exponential time';
      }
      return findCost(node.body, sets, isLastToo);
    }
    case 'sequence': {
      const { parts } = node;
      let end = parts.length;
      while (isLast && end > 0 && !canFail(parts[end - 1]!)) end--;
      const failing: Node = { kind: 'sequence', parts: parts.slice(0, end) };
      if (waysOf(failing, undefined) > MAX_WAYS && waysOf(failing, sets) > MAX_WAYS) {
        return 'too many repetitions or choices in a row that share characters, which may take very long';
      }
      return firstOf(parts, (part, i) => findCost(part, sets, i >= end - 1 && isLast));
    }
  }
}

function firstOf(parts: readonly Node[], find: (part: Node, i: number) => string | undefined): string | undefined {
  for (const [i, part] of parts.entries()) {
    const found = find(part, i);
    if (found !== undefined) return found;
  }
  return undefined;
}

function canFail(node: Node): boolean {
  switch (node.kind) {
    case 'set': case 'look': return true;
    case 'atomic': return canFail(node.body);
    case 'sequence': return node.parts.some(canFail);
    case 'choice': return node.parts.every(canFail);
    case 'repeat': return node.min > 0 && canFail(node.body);
  }
}

function childrenOf(node: Node): readonly Node[] {
  return node.kind === 'set' ? [] : 'parts' in node ? node.parts : [node.body];
}

function some(node: Node, test: (node: Node) => boolean): boolean {
  return test(node) || (node.kind !== 'look' && node.kind !== 'atomic' && childrenOf(node).some((part) => some(part, test)));
}

function hasChoice(body: Node): boolean {
  return some(body, (node) => node.kind === 'choice' || (node.kind === 'repeat' && node.min !== node.max));
}

function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'set': return false;
    case 'look': return true;
    case 'sequence': return node.parts.every(isNullable);
    case 'choice': return node.parts.some(isNullable);
    case 'repeat': return node.min === 0 || isNullable(node.body);
    case 'atomic': return isNullable(node.body);
  }
}

/** How many characters `node` matches, if that is always as many. */
function widthOf(node: Node): number | undefined {
  switch (node.kind) {
    case 'set': return 1;
    case 'look': return 0;
    case 'atomic': return widthOf(node.body);
    case 'repeat': return node.min === node.max ? node.min * (widthOf(node.body) ?? NaN) || undefined : undefined;
    case 'sequence': {
      const widths = node.parts.map(widthOf);
      return widths.includes(undefined) ? undefined : sum(widths as number[]);
    }
    case 'choice': {
      const [first, ...others] = node.parts.map(widthOf);
      return others.every((width) => width === first) ? first : undefined;
    }
  }
}

/** How many lengths `node` may match where it matches at all, as a power of two. */
function lengthsOf(node: Node): number {
  switch (node.kind) {
    case 'set': case 'look': case 'atomic': return 0;
    case 'sequence': return Math.min(LONG, sum(node.parts.map(lengthsOf)));
    case 'choice': return widthOf(node) !== undefined ? 0 : Math.min(LONG, Math.log2(node.parts.length) + Math.max(...node.parts.map(lengthsOf)));
    case 'repeat': {
      const own = lengthsOf(node.body);
      return Math.min(LONG, Math.log2(node.max - node.min + 1) + (own > 0 ? own * Math.max(1, node.min) : 0));
    }
  }
}

/**
 * In how many ways `node` may match one text, as a power of two, at most.
 * @param sets to tell what shares no characters; without them, all may.
 */
function waysOf(node: Node, sets: CharSets | undefined): number {
  switch (node.kind) {
    case 'set': case 'look': case 'atomic': return 0;
    case 'choice': {
      const all = node.parts.map((part) => sets?.of(part));
      const isApart = sets !== undefined && node.parts.filter(isNullable).length < 2 &&
        all.every((a, i) => all.every((b, j) => j <= i || !sets.overlap(a!, b!)));
      return Math.max(...node.parts.map((part) => waysOf(part, sets))) + (isApart ? 0 : Math.log2(node.parts.length));
    }
    case 'repeat': {
      if (node.max > MAX_COPIES) return 0; // one, or it was refused, or nothing behind it fails
      return node.max * waysOf(node.body, sets) + Math.max(0, node.max - 1) * lengthsOf(node.body);
    }
    case 'sequence': {
      // Parts that share characters can leave them to each other; one that must be between, and shares none, keeps them apart.
      let ways = 0;
      let run: { all: Uint8Array | undefined; total: number; most: number } | undefined;
      for (const part of node.parts) {
        const lengths = lengthsOf(part);
        ways += waysOf(part, sets);
        if (run === undefined && lengths === 0) continue;
        const own = sets?.of(part);
        const shares = run !== undefined && (sets === undefined || sets.overlap(own!, run.all!));
        if (run === undefined || (!shares && !isNullable(part))) {
          ways += run === undefined ? 0 : run.total - run.most;
          run = lengths > 0 ? { all: own && Uint8Array.from(own), total: lengths, most: lengths } : undefined;
        } else {
          if (shares) run.total += lengths;
          run.most = Math.max(run.most, lengths);
          if (own) unite(run.all!, own);
        }
      }
      return ways + (run === undefined ? 0 : run.total - run.most);
    }
  }
}

function unite(into: Uint8Array, other: Uint8Array): void {
  for (let i = 0; i < into.length; i++) into[i]! |= other[i]!;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

/**
 * Whether `(body)*` can take some text in two ways: the graph of which character can follow which (Glushkov's), walked in two
 * places at once, leads from one place in both to different places and back.
 */
function isAmbiguous(body: Node, sets: CharSets): boolean {
  const positions: Uint8Array[] = [];
  const follow: Set<number>[] = [];
  let twice = false;
  const connect = (from: readonly number[], to: readonly number[]): void => {
    for (const p of from) for (const q of to) {
      twice ||= follow[p]!.has(q);
      follow[p]!.add(q);
    }
  };
  type Part = { readonly nullable: boolean; readonly first: readonly number[]; readonly last: readonly number[] };
  const nothing: Part = { nullable: true, first: [], last: [] };
  const then = (a: Part, b: Part): Part => {
    connect(a.last, b.first);
    return {
      nullable: a.nullable && b.nullable, first: a.nullable ? [...a.first, ...b.first] : a.first, last: b.nullable ? [...a.last, ...b.last] : b.last,
    };
  };
  const build = (node: Node): Part => {
    if (positions.length > MAX_POSITIONS) return nothing;
    switch (node.kind) {
      case 'look': return nothing;
      case 'set': case 'atomic': {
        const p = positions.push(node.kind === 'set' ? sets.of(node) : sets.all) - 1;
        follow.push(new Set());
        return { nullable: node.kind === 'atomic' && isNullable(node), first: [p], last: [p] };
      }
      case 'sequence': return node.parts.map(build).reduce(then, nothing);
      case 'choice': {
        const parts = node.parts.map(build);
        twice ||= parts.filter(({ nullable }) => nullable).length > 1; // nothing, in two ways
        return { nullable: parts.some(({ nullable }) => nullable), first: parts.flatMap(({ first }) => first), last: parts.flatMap(({ last }) => last) };
      }
      case 'repeat': return repeat(node);
    }
  };
  const repeat = ({ body: inner, min, max }: Node & { kind: 'repeat' }): Part => {
    let all = nothing;
    for (let n = 1; n < min && positions.length <= MAX_POSITIONS; n++) all = then(all, build(inner));
    if (max > Math.max(min, MAX_COPIES)) {
      const loop = build(inner);
      connect(loop.last, loop.first);
      twice ||= min > 0 && loop.nullable; // the times that there must be may be nothing
      return then(all, min === 0 ? { ...loop, nullable: true } : loop);
    }
    if (min > 0) all = then(all, build(inner));
    let rest = nothing;
    for (let n = min; n < max; n++) rest = { ...then(build(inner), rest), nullable: true };
    return then(all, rest);
  };
  const whole = build(body);
  if (positions.length > MAX_POSITIONS) return true;
  connect(whole.last, whole.first);
  if (twice) return true;

  // Every place leads to every other, so a way apart and together again is one from any place to itself.
  const count = positions.length;
  const forward: number[][] = Array.from({ length: count * count }, () => []);
  const backward: number[][] = Array.from({ length: count * count }, () => []);
  const overlap = positions.map((a) => positions.map((b) => sets.overlap(a, b)));
  let edges = 0;
  for (let p = 0; p < count; p++) for (let q = 0; q < count; q++) if (overlap[p]![q]) {
    for (const p2 of follow[p]!) for (const q2 of follow[q]!) if (overlap[p2]![q2]) {
      if (++edges > MAX_EDGES) return true;
      forward[p * count + q]!.push(p2 * count + q2);
      backward[p2 * count + q2]!.push(p * count + q);
    }
  }
  const same = Array.from({ length: count }, (_, p) => p * count + p);
  const back = reach(backward, same);
  return [...reach(forward, same)].some((pair) => back.has(pair) && pair % (count + 1) !== 0);
}

function reach(edges: readonly (readonly number[])[], from: readonly number[]): Set<number> {
  const found = new Set(from);
  for (const pair of found) for (const next of edges[pair]!) found.add(next); // what is added is visited too
  return found;
}

/** Sets of characters, looked up in a sample of them: all that the pattern itself names, and a part of each script. */
class CharSets {
  readonly #source: string;
  readonly #onWork: (amount: number) => void;
  readonly #known = new Map<string, Uint8Array>();
  #sample: readonly string[] = [];

  constructor(source: string, onWork: (amount: number) => void) {
    this.#source = source;
    this.#onWork = onWork;
  }

  /** Whether some character is in both. */
  overlap(a: Uint8Array, b: Uint8Array): boolean {
    this.#onWork(COMPARE);
    for (let i = 0; i < a.length; i++) if (a[i]! & b[i]!) return true;
    return false;
  }

  #characters(): readonly string[] {
    if (this.#sample.length > 0) return this.#sample;
    const source = this.#source;
    const codes = new Set(Array.from(source, (char) => char.codePointAt(0)!));
    for (const [, hex = ''] of source.matchAll(/\\[xu]\{?([0-9a-f]+)/gi)) codes.add(parseInt(hex, 16));
    for (const code of [...codes]) codes.add(code + 1).add(Math.max(0, code - 1)); // ends of ranges
    for (let code = 0; code < 0x30000; code += code < 0x300 ? 1 : 17) codes.add(code);
    const valid = [...codes].filter((code) => code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
    return (this.#sample = valid.map((code) => String.fromCodePoint(code)));
  }

  get all(): Uint8Array {
    return new Uint8Array(this.#characters().length).fill(1);
  }

  /** All characters that are anywhere in `node`. */
  of(node: Node): Uint8Array {
    if (node.kind === 'atomic') return this.all;
    if (node.kind !== 'set') {
      const union = new Uint8Array(this.#characters().length);
      this.#onWork(COMPARE * (1 + childrenOf(node).length));
      if (node.kind !== 'look') for (const part of childrenOf(node)) unite(union, this.of(part));
      return union;
    }
    let found = this.#known.get(node.text);
    if (!found) {
      this.#onWork(LOOK_UP);
      const expression = new RegExp(`^${node.text}$`, 'u');
      found = Uint8Array.from(this.#characters(), (char) => Number(expression.test(char)));
      this.#known.set(node.text, found);
    }
    return found;
  }
}

/** Reads what regex.ts writes. */
function parse(source: string): Node {
  let at = 0;
  let isBackward = false; // what is looked at behind is matched from its end on
  const take = (expression: RegExp): RegExpExecArray | null => {
    expression.lastIndex = at;
    const found = expression.exec(source);
    if (found) at = expression.lastIndex;
    return found;
  };
  const choice = (): Node => {
    const parts = [sequence()];
    while (take(/\|/y)) parts.push(sequence());
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  };
  const sequence = (): Node => {
    const parts: Node[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') {
      let node = atom();
      for (let found = take(/(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/y); found; found = null) {
        const [, sign, low, comma, high] = found;
        const min = sign === undefined ? Number(low) : sign === '+' ? 1 : 0;
        const max = sign === undefined ? (comma === '' ? min : high === '' ? Infinity : Number(high)) : sign === '?' ? 1 : Infinity;
        node = { kind: 'repeat', body: node, min, max };
      }
      parts.push(node);
    }
    if (isBackward) parts.reverse();
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  };
  const group = (): Node => {
    const body = choice();
    at++; // the closing parenthesis
    return body;
  };
  const atom = (): Node => {
    if (take(/\(\?:\(\?=\(\?<a\d+>/y)) {
      const body = group();
      take(/\)\\k<a\d+>\)/y);
      return { kind: 'atomic', body };
    }
    if (take(/\(\?:/y)) return group();
    const look = take(/\(\?(<?)[=!]/y);
    if (look) {
      const wasBackward = isBackward;
      isBackward = look[1] === '<';
      const body = group();
      isBackward = wasBackward;
      return { kind: 'look', body };
    }
    const [text = ''] = take(/\[(?:[^\]\\]|\\[^])*\]|\\[pP]\{[^}]*\}|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\[^]|[^]/uy)!;
    return { kind: 'set', text };
  };
  return choice();
}
