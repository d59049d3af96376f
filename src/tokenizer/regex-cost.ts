/**
 * What a pattern may cost: a matcher tries all ways to match, one by one, until what follows matches too. A repetition that can match
 * the same text in two ways takes time exponential in its length then, and each further one in a row of repetitions that share
 * characters another power of it. Both are told from the pattern, before it meets a text: such a file is refused when it is opened,
 * not in the middle of a text. What is overlooked here is still bounded by the matcher (regex-matcher.ts).
 */
import { CharSets, unite } from './regex-sets.js';
import { canFail, childrenOf, isNullable, sum, widthOf, type Node } from './regex-tree.js';

/** How many ways there are to match a text, as a power of two: a repetition without end counts for about a thousand lengths. */
const LONG = 10;
/** Real patterns have two repetitions in a row that share characters: words of capital, then of small letters. */
const MAX_WAYS = LONG + 3;
/** A repetition of up to so many is as that many copies. */
const MAX_COPIES = 3;
/** Characters, or sets of them, in one repetition that is looked at closely, and pairs of them. */
const MAX_POSITIONS = 64;
const MAX_EDGES = 2 ** 17;

/**
 * What is wrong with a pattern, or undefined.
 * @param onWork called with what is about to be done, in hundredths of a millisecond; most patterns take none.
 */
export function excessiveCost(tree: Node, pattern: string, onWork: (amount: number) => void): string | undefined {
  return findCost(tree, new CharSets(pattern, onWork), true);
}

/** @param isLast nothing follows that could fail: the first way that matches is taken. */
function findCost(node: Node, sets: CharSets, isLast: boolean): string | undefined {
  switch (node.kind) {
    case 'set': return undefined;
    case 'look': case 'atomic': return findCost(node.body, sets, true);
    case 'choice': return firstOf(node.parts, (part) => findCost(part, sets, isLast));
    case 'repeat': {
      const isLastToo = isLast && node.min <= 1;
      // Which of several times was the one that is nothing?
      const isOftenNothing = isNullable(node.body) && widthOf(node.body) !== 0 && (node.min > 1 || node.max < Infinity) && !(isLast && !canFail(node));
      if (!isLastToo && node.max > MAX_COPIES && hasChoice(node.body) && (isOftenNothing || isAmbiguous(node.body, sets))) {
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

function some(node: Node, test: (node: Node) => boolean): boolean {
  return test(node) || (node.kind !== 'look' && node.kind !== 'atomic' && childrenOf(node).some((part) => some(part, test)));
}

function hasChoice(body: Node): boolean {
  return some(body, (node) => node.kind === 'choice' || (node.kind === 'repeat' && node.min !== node.max));
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
