/** A pattern as a tree: what regex.ts reads, regex-cost.ts judges, and regex-program.ts compiles. */
import type { CharacterTest } from './unicode.js';

/** Characters; two sets with one key are the same. */
export interface CharSet {
  readonly key: string;
  readonly has: CharacterTest;
}

export type Node =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly body: Node; readonly min: number; readonly max: number; readonly lazy: boolean }
  /** Takes no characters: what is looked at ahead or behind. Behind, it is matched from its end on, and its sequences are turned round. */
  | { readonly kind: 'look'; readonly body: Node; readonly isBehind: boolean; readonly isNegative: boolean }
  /** Matched in one way or not at all. */
  | { readonly kind: 'atomic'; readonly body: Node };

export const NOTHING: Node = { kind: 'sequence', parts: [] };

export function sequenceOf(parts: readonly Node[]): Node {
  return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
}

export function choiceOf(parts: readonly Node[]): Node {
  return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
}

export function ahead(body: Node, isNegative = false): Node {
  return { kind: 'look', body, isBehind: false, isNegative };
}

export function behind(body: Node, isNegative = false): Node {
  return { kind: 'look', body, isBehind: true, isNegative };
}

export function childrenOf(node: Node): readonly Node[] {
  return node.kind === 'set' ? [] : 'parts' in node ? node.parts : [node.body];
}

/** Whether it may match nothing at all. */
export function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'set': return false;
    case 'look': return true;
    case 'sequence': return node.parts.every(isNullable);
    case 'choice': return node.parts.some(isNullable);
    case 'repeat': return node.min === 0 || isNullable(node.body);
    case 'atomic': return isNullable(node.body);
  }
}

/** Whether there are texts that it does not match. */
export function canFail(node: Node): boolean {
  switch (node.kind) {
    case 'set': case 'look': return true;
    case 'atomic': return canFail(node.body);
    case 'sequence': return node.parts.some(canFail);
    case 'choice': return node.parts.every(canFail);
    case 'repeat': return node.min > 0 && canFail(node.body);
  }
}

/** How many characters `node` matches, if that is always as many. */
export function widthOf(node: Node): number | undefined {
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

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

