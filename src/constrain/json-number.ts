/**
 * Numbers of JSON within bounds, as grammar. They are written without an exponent, and with 15 significant digits at most, so that
 * different ones are different float64 values and what is within the bounds as text is within them as a number.
 */
import type { Grammar, Node } from './grammar.js';

export interface Bounds {
  readonly min: number; // may be -Infinity
  readonly max: number; // may be Infinity
  readonly isMinExcluded: boolean;
  readonly isMaxExcluded: boolean;
}

const MAX_DIGITS = 15;
/** Largest magnitudes that are written where there is no bound: of whole numbers, and of others, which need room for a fraction. */
const MAX_WHOLE = 1e15 - 1;
const MAX_NUMBER = 1e9 - 1;

/** A magnitude: digits before the point, and behind it without trailing zeros. */
interface Decimal {
  readonly whole: number;
  readonly fraction: string;
  readonly isExcluded: boolean;
}

const ZERO: Decimal = { whole: 0, fraction: '', isExcluded: false };

/** Largest bound that is understood: beyond it float64 does not tell whole numbers apart. */
export const MAX_BOUND = Number.MAX_SAFE_INTEGER;

/** Whole numbers, of up to 15 digits where there is no bound. */
export function integersWithin(grammar: Grammar, { min, max, isMinExcluded, isMaxExcluded }: Bounds): Node {
  let low = Math.ceil(min);
  let high = Math.floor(max);
  if (isMinExcluded && low === min) low++;
  if (isMaxExcluded && high === max) high--;
  if (low === -Infinity) low = high < -MAX_WHOLE ? -MAX_BOUND : -MAX_WHOLE;
  if (high === Infinity) high = low > MAX_WHOLE ? MAX_BOUND : MAX_WHOLE;
  const numbers = new Numbers(grammar);
  return grammar.choice(
    low < 0 ? grammar.sequence(grammar.text('-'), numbers.wholes(Math.max(1, -high), -low)) : grammar.nothing,
    high >= 0 ? numbers.wholes(Math.max(0, low), high) : grammar.nothing,
  );
}

/** Numbers with or without a fraction, of up to nine digits before it where there is no bound. Zero has no sign. */
export function numbersWithin(grammar: Grammar, { min, max, isMinExcluded, isMaxExcluded }: Bounds): Node {
  const low = min === -Infinity ? (max > -MAX_NUMBER ? -MAX_NUMBER : -MAX_WHOLE) : min;
  const high = max === Infinity ? (min < MAX_NUMBER ? MAX_NUMBER : MAX_WHOLE) : max;
  const numbers = new Numbers(grammar);
  const negative = (): Node => {
    const from = high < 0 ? decimal(-high, isMaxExcluded) : { ...ZERO, isExcluded: true };
    return grammar.sequence(grammar.text('-'), numbers.decimals(from, decimal(-low, isMinExcluded)));
  };
  return grammar.choice(
    low < 0 ? negative() : grammar.nothing,
    high >= 0 ? numbers.decimals(low >= 0 ? decimal(low, isMinExcluded) : ZERO, decimal(high, isMaxExcluded)) : grammar.nothing,
  );
}

/** The digits of a number of at least 0 and below 10¹⁶. */
function decimal(value: number, isExcluded: boolean): Decimal {
  const [digits = '', exponent] = String(value).split('e-');
  const [whole = '0', fraction = ''] = digits.split('.');
  if (exponent === undefined) return { whole: Number(whole), fraction, isExcluded };
  return { whole: 0, fraction: '0'.repeat(Number(exponent) - 1) + whole + fraction, isExcluded };
}

class Numbers {
  private readonly grammar: Grammar;

  constructor(grammar: Grammar) {
    this.grammar = grammar;
  }

  /** The whole numbers from `low` to `high`, both at least 0. */
  wholes(low: number, high: number): Node {
    if (low > high) return this.grammar.nothing;
    const parts: Node[] = [];
    let full: [number, number] | undefined; // numbers of digits that are all within
    for (let digits = String(low).length; digits <= String(high).length; digits++) {
      const first = digits === 1 ? 0 : 10 ** (digits - 1);
      const last = 10 ** digits - 1;
      if (digits > 1 && low <= first && high >= last) full = [full?.[0] ?? digits, digits];
      else parts.push(this.sameLength(String(Math.max(low, first)), String(Math.min(high, last))));
    }
    if (full) parts.push(this.grammar.sequence(this.digit(1, 9), this.digits(full[0] - 1, full[1] - 1)));
    return this.grammar.choice(...parts);
  }

  decimals(low: Decimal, high: Decimal): Node {
    const { grammar } = this;
    const places = Math.max(0, MAX_DIGITS - String(high.whole).length);
    if (low.whole > high.whole) return grammar.nothing;
    if (low.whole === high.whole) return grammar.sequence(this.wholes(low.whole, low.whole), this.point((open) => this.between(low, high, places, open)));
    return grammar.choice(
      grammar.sequence(this.wholes(low.whole, low.whole), this.point((open) => this.atLeast(low, places, open))),
      grammar.sequence(this.wholes(low.whole + 1, high.whole - 1), this.point((open) => (open ? this.digits(1, places) : grammar.empty))),
      grammar.sequence(this.wholes(high.whole, high.whole), this.point((open) => this.atMost(high, places, open))),
    );
  }

  /** A fraction or none: `of(true)` is its digits, one at least; `of(false)` what stands for none, empty or nothing. */
  private point(of: (open: boolean) => Node): Node {
    const { grammar } = this;
    return grammar.choice(of(false), grammar.sequence(grammar.text('.'), of(true)));
  }

  /*
   * Fractions on one side of a bound, or between two, of at most `places` digits. `isOpen`: one digit at least; else, none at all.
   */

  private atLeast(low: Decimal, places: number, isOpen: boolean): Node {
    return this.between(low, undefined, places, isOpen);
  }

  private atMost(high: Decimal, places: number, isOpen: boolean): Node {
    return this.between(undefined, high, places, isOpen);
  }

  private between(low: Decimal | undefined, high: Decimal | undefined, places: number, isOpen: boolean): Node {
    const { grammar } = this;
    if (!isOpen) return this.allowsZero(low, high) ? grammar.empty : grammar.nothing;
    if (!low && !high) return this.digits(1, places);
    if (places === 0) return grammar.nothing;
    const from = low ? Number(low.fraction[0] ?? 0) : 0;
    const to = high ? Number(high.fraction[0] ?? 0) : 9;
    const behind = (bound: Decimal): Decimal => ({ ...bound, fraction: bound.fraction.slice(1) });
    const rest = (digit: number): Node => {
      const nextLow = low && digit === from ? behind(low) : undefined;
      const nextHigh = high && digit === to ? behind(high) : undefined;
      return grammar.choice(this.between(nextLow, nextHigh, places - 1, false), this.between(nextLow, nextHigh, places - 1, true));
    };
    const parts: Node[] = [];
    const inner = { from: low ? from + 1 : from, to: high ? to - 1 : to }; // digits behind which all is free
    if (inner.from <= inner.to) parts.push(grammar.sequence(this.digit(inner.from, inner.to), this.digits(0, places - 1)));
    for (const digit of new Set([...(low ? [from] : []), ...(high ? [to] : [])])) {
      if (digit >= from && digit <= to) parts.push(grammar.sequence(this.digit(digit, digit), rest(digit)));
    }
    return grammar.choice(...parts);
  }

  /** Whether no (more) digits, which is zero, are within. */
  private allowsZero(low: Decimal | undefined, high: Decimal | undefined): boolean {
    const isZero = (bound: Decimal): boolean => /^0*$/.test(bound.fraction);
    return (!low || (isZero(low) && !low.isExcluded)) && (!high || !isZero(high) || !high.isExcluded);
  }

  /** Numbers of as many digits as both have. */
  private sameLength(low: string, high: string): Node {
    const { grammar } = this;
    if (low === '') return grammar.empty;
    const from = Number(low[0]);
    const to = Number(high[0]);
    const rest = low.length - 1;
    if (from === to) return grammar.sequence(this.digit(from, from), this.sameLength(low.slice(1), high.slice(1)));
    const isFullBelow = /^0*$/.test(low.slice(1));
    const isFullAbove = /^9*$/.test(high.slice(1));
    const inner = { from: isFullBelow ? from : from + 1, to: isFullAbove ? to : to - 1 };
    return grammar.choice(
      isFullBelow ? grammar.nothing : grammar.sequence(this.digit(from, from), this.sameLength(low.slice(1), '9'.repeat(rest))),
      inner.from > inner.to ? grammar.nothing : grammar.sequence(this.digit(inner.from, inner.to), this.digits(rest, rest)),
      isFullAbove ? grammar.nothing : grammar.sequence(this.digit(to, to), this.sameLength('0'.repeat(rest), high.slice(1))),
    );
  }

  private digit(from: number, to: number): Node {
    return this.grammar.range(0x30 + from, 0x30 + to);
  }

  private digits(min: number, max: number): Node {
    return this.grammar.repeat(this.digit(0, 9), min, max);
  }
}
