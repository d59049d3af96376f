import { find } from './search.js';
import { compareTexts, concat, type Text } from './text.js';
import { isDict, isSequence, isText, isUndefined, itemsOf, keyOf, kindOf, nameOf, numberOf, type Sequence, type Value } from './values.js';
import { MAX_TEXT, type Run } from './run.js';

/** Whole numbers stay small: nothing that a conversation counts has more bits. */
const MAX_BITS = 256n;
const LARGEST = 1n << MAX_BITS;
const MAX_ITEMS = 1 << 20;

/** Python's `==`. */
export function equal(run: Run, a: Value, b: Value, depth = 0): boolean {
  run.checkDataDepth(depth);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined || y !== undefined) return x !== undefined && y !== undefined && x == y; // an int and a float may be equal
  if (a === b) return true;
  if (isText(a) && isText(b)) {
    if (a.text.length !== b.text.length) return false;
    run.spendCharacters(a.text.length);
    return a.text === b.text;
  }
  if (isSequence(a) && isSequence(b)) {
    return a.kind === b.kind && a.items.length === b.items.length && a.items.every((item, i) => equal(run, item, b.items[i]!, depth + 1));
  }
  if (isDict(a) && isDict(b)) {
    if (a.entries.size !== b.entries.size) return false;
    for (const [key, [, value]] of a.entries) {
      const other = b.entries.get(key);
      if (other === undefined || !equal(run, value, other[1], depth + 1)) return false;
    }
    return true;
  }
  return isUndefined(a) && isUndefined(b);
}

/** Below 0, 0, or above 0; NaN where a float is. */
export function compare(run: Run, a: Value, b: Value, operator = '<', depth = 0): number {
  run.checkDataDepth(depth);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : x == y ? 0 : NaN;
  if (isText(a) && isText(b)) {
    run.spendCharacters(Math.min(a.text.length, b.text.length) * 4);
    return compareTexts(a.text, b.text);
  }
  if (isSequence(a) && isSequence(b) && a.kind === b.kind && a.kind !== 'view') {
    for (let i = 0; i < Math.min(a.items.length, b.items.length); i++) {
      if (!equal(run, a.items[i]!, b.items[i]!, depth + 1)) return compare(run, a.items[i]!, b.items[i]!, operator, depth + 1);
    }
    return a.items.length - b.items.length;
  }
  return run.fail(cannot(operator, a, b));
}

function cannot(operator: string, a: Value, b: Value): string {
  const missing = [a, b].find(isUndefined);
  return missing === undefined ? `${nameOf(a)} ${operator} ${nameOf(b)} cannot be computed` : missing.why;
}

export function isIn(run: Run, item: Value, container: Value): boolean {
  if (isText(container)) {
    if (!isText(item)) return run.fail(isUndefined(item) ? item.why : `${nameOf(item)} in a string cannot be computed`);
    return find(run, container.text, item.text) >= 0;
  }
  if (isDict(container)) return container.entries.has(keyOf(run, item));
  return itemsOf(run, container).some((other) => equal(run, other, item));
}

export type Operator = '+' | '-' | '*' | '/' | '//' | '%' | '**';

export function compute(run: Run, operator: Operator, a: Value, b: Value): Value {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) {
    if (typeof x === 'bigint' && typeof y === 'bigint') return computeWhole(run, operator, x, y);
    return computeFloat(run, operator, Number(x), Number(y));
  }
  if (operator === '+') {
    if (isText(a) && isText(b)) return concat(run, [a, b]);
    if (isSequence(a) && isSequence(b) && a.kind === b.kind && a.kind !== 'view') return joined(run, a.kind, [a, b]);
  }
  if (operator === '*') {
    if (typeof x === 'bigint') return repeated(run, b, x) ?? run.fail(cannot(operator, a, b));
    if (typeof y === 'bigint') return repeated(run, a, y) ?? run.fail(cannot(operator, a, b));
  }
  if (operator === '%' && isText(a)) return run.fail('% with a string, which fills in values, is not supported; use ~ to put texts together');
  return run.fail(cannot(operator, a, b));
}

function joined(run: Run, kind: Sequence['kind'], parts: readonly Sequence[]): Sequence {
  const items = parts.flatMap((part) => part.items);
  run.spend(items.length);
  return items.length > MAX_ITEMS ? run.fail(`a list of more than ${MAX_ITEMS} items`) : { kind, items };
}

function repeated(run: Run, value: Value, count: bigint): Value | undefined {
  const size = isText(value) ? value.text.length : isSequence(value) && value.kind !== 'view' ? value.items.length : undefined;
  if (size === undefined) return undefined;
  const times = size === 0 || count < 0n ? 0 : Number(count);
  if (times * size > (isText(value) ? MAX_TEXT : MAX_ITEMS)) return run.fail(`${nameOf(value)} repeated ${count} times is too long`);
  run.spend(times);
  if (isText(value)) return concat(run, new Array<Text>(times).fill(value));
  return joined(run, kindOf(value) as Sequence['kind'], new Array<Sequence>(times).fill(value as Sequence));
}

function computeWhole(run: Run, operator: Operator, x: bigint, y: bigint): Value {
  if ((operator === '/' || operator === '//' || operator === '%') && y === 0n) return run.fail('division by zero');
  switch (operator) {
    case '+': return small(run, x + y);
    case '-': return small(run, x - y);
    case '*': return small(run, x * y);
    case '/': return Number(x) / Number(y);
    case '//': return floorDivision(x, y);
    case '%': return x - floorDivision(x, y) * y;
    case '**':
      if (y < 0n) return x === 0n ? run.fail('division by zero') : Number(x) ** Number(y);
      // A number of n bits is at least 2 to the power of n - 1.
      return (BigInt(x.toString(2).replace('-', '').length) - 1n) * y > MAX_BITS ? tooLarge(run) : power(run, x, y);
  }
}

function power(run: Run, x: bigint, y: bigint): bigint {
  if (x >= -1n && x <= 1n) return y === 0n || (x === -1n && y % 2n === 0n) ? 1n : x; // with any exponent
  return small(run, x ** y);
}

function floorDivision(x: bigint, y: bigint): bigint {
  const quotient = x / y;
  return quotient * y !== x && x < 0n !== y < 0n ? quotient - 1n : quotient;
}

function tooLarge(run: Run): never {
  return run.fail(`a whole number of more than ${MAX_BITS} bits`);
}

function small(run: Run, value: bigint): bigint {
  return value > LARGEST || value < -LARGEST ? tooLarge(run) : value;
}

function computeFloat(run: Run, operator: Operator, x: number, y: number): number {
  if ((operator === '/' || operator === '//' || operator === '%') && y === 0) return run.fail('division by zero');
  switch (operator) {
    case '+': return x + y;
    case '-': return x - y;
    case '*': return x * y;
    case '/': return x / y;
    case '//': return Math.floor((x - floatRemainder(x, y)) / y + 0.5);
    case '%': return floatRemainder(x, y);
    case '**': {
      const result = x ** y;
      return Number.isNaN(result) && !Number.isNaN(x) && !Number.isNaN(y) ? run.fail('a root of a negative number') : result;
    }
  }
}

/** Has the sign of the divisor, as in Python. */
function floatRemainder(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest === 0 ? Math.sign(y) * 0 : rest;
}

export function negative(run: Run, value: Value, sign: '-' | '+'): Value {
  const number = numberOf(value);
  if (number === undefined) return run.fail(isUndefined(value) ? value.why : `${sign} before ${nameOf(value)} cannot be computed`);
  return sign === '-' ? -number : number;
}
