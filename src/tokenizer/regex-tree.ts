/** A translated pattern (regex.ts) as a tree, to find out what it may cost (regex-cost.ts). */

export type Node =
  | { readonly kind: 'set'; readonly text: string }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly body: Node; readonly min: number; readonly max: number }
  /** Takes no characters: what is looked at ahead or behind. */
  | { readonly kind: 'look'; readonly body: Node }
  /** Matched in one way or not at all. */
  | { readonly kind: 'atomic'; readonly body: Node };

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

/** Reads what regex.ts writes. */
export function parsePattern(source: string): Node {
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
