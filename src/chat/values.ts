import { lengthOf, characters, plain, type Text } from './text.js';
import type { Run } from './run.js';

/*
 * What a template computes with: Python's values. A bigint is an int, a number is a float; nothing is ever changed but namespaces.
 */
/** None: an object of its own, so that `??` means what is not there. */
export interface None {
  readonly kind: 'none';
}

export type Value = None | boolean | bigint | number | Text | Sequence | Iterator | Dict | Namespace | Callable | Undefined;

/** A view is what `items`, `keys` and `values` of a dictionary give. */
export interface Sequence {
  readonly kind: 'list' | 'tuple' | 'view';
  readonly items: readonly Value[];
}

/** What filters such as `map` give: used up by whoever goes through it, and always true. */
export interface Iterator {
  readonly kind: 'iterator';
  readonly items: readonly Value[];
  next: number;
}

/** Entries by `keyOf`, in the order in which they were put in. */
export interface Dict {
  readonly kind: 'dict';
  readonly entries: ReadonlyMap<string, readonly [key: Value, value: Value]>;
}

/** What `namespace()` makes; `loop` is one that cannot be set. */
export interface Namespace {
  readonly kind: 'namespace';
  readonly values: Map<string, Value>;
  readonly isFixed: boolean;
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export interface Callable {
  readonly kind: 'function';
  readonly name: string;
  readonly call: (run: Run, given: Arguments) => Value;
}

/** @property why what is said when it is used; it may be printed and tested. */
export interface Undefined {
  readonly kind: 'undefined';
  readonly why: string;
  /** Not even printed: what Python has and this library has not, or what changes things. */
  readonly isRefused: boolean;
}

export function undefinedValue(why: string, isRefused = false): Undefined {
  return { kind: 'undefined', why, isRefused };
}

export const NONE: None = { kind: 'none' };

export function list(items: readonly Value[]): Sequence {
  return { kind: 'list', items };
}

export function tuple(items: readonly Value[]): Sequence {
  return { kind: 'tuple', items };
}

export function iterator(items: readonly Value[]): Iterator {
  return { kind: 'iterator', items, next: 0 };
}

export function callable(name: string, call: Callable['call']): Callable {
  return { kind: 'function', name, call };
}

export type Kind = 'bool' | 'int' | 'float' | Exclude<Value, boolean | bigint | number>['kind'];

export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case 'boolean': return 'bool';
    case 'bigint': return 'int';
    case 'number': return 'float';
    default: return value.kind;
  }
}

const NAMES: Partial<Record<Kind, string>> = {
  none: 'none', bool: 'a boolean', int: 'a whole number', float: 'a float', text: 'a string', dict: 'a dictionary', undefined: 'undefined', iterator: 'an iterator',
};

/** For messages. */
export function nameOf(value: Value): string {
  const kind = kindOf(value);
  return NAMES[kind] ?? `a ${kind}`;
}

export function isText(value: Value | undefined): value is Text {
  return typeof value === 'object' && value.kind === 'text';
}

export function isDict(value: Value): value is Dict {
  return typeof value === 'object' && value.kind === 'dict';
}

export function isUndefined(value: Value): value is Undefined {
  return typeof value === 'object' && value.kind === 'undefined';
}

export function isSequence(value: Value): value is Sequence {
  return typeof value === 'object' && 'items' in value && value.kind !== 'iterator';
}

/** A number as Python's arithmetic takes it: booleans are 0 and 1. */
export function numberOf(value: Value): bigint | number | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return typeof value === 'bigint' || typeof value === 'number' ? value : undefined;
}

export function isTrue(run: Run, value: Value): boolean {
  if (typeof value !== 'object') return typeof value === 'boolean' ? value : Number(value) !== 0;
  switch (value.kind) {
    case 'text': return value.text !== '';
    case 'dict': return value.entries.size > 0;
    case 'list': case 'tuple': case 'view': return value.items.length > 0;
    case 'undefined': return value.isRefused ? run.fail(value.why) : false;
    case 'none': return false;
    default: return true;
  }
}

/** What a `for` goes through. */
export function itemsOf(run: Run, value: Value): readonly Value[] {
  if (typeof value === 'object') {
    switch (value.kind) {
      case 'text': return characters(run, value);
      case 'dict': return [...value.entries.values()].map(([key]) => key);
      case 'undefined': return value.isRefused ? run.fail(value.why) : [];
      case 'list': case 'tuple': case 'view':
        run.spend(value.items.length);
        return value.items;
      case 'iterator': {
        const rest = value.items.slice(value.next);
        value.next = value.items.length;
        run.spend(rest.length);
        return rest;
      }
    }
  }
  return run.fail(`${nameOf(value)} has no items to go through`);
}

/** Python's `len`. */
export function sizeOf(run: Run, value: Value): number {
  if (isText(value)) return lengthOf(run, value.text);
  if (isSequence(value)) return value.items.length;
  if (isDict(value)) return value.entries.size;
  if (isUndefined(value) && !value.isRefused) return 0;
  return run.fail(isUndefined(value) ? value.why : `${nameOf(value)} has no length${kindOf(value) === 'iterator' ? '; make a list of it first (| list)' : ''}`);
}

/** Equal keys of a dictionary have the same: 1, 1.0 and true are equal in Python. */
export function keyOf(run: Run, value: Value): string {
  if (isText(value)) return `s${value.text}`;
  if (value === NONE) return '0';
  const number = numberOf(value);
  return number === undefined ? run.fail(`${nameOf(value)} as the key of a dictionary is not supported`) : `n${number}`;
}

export function dict(run: Run, entries: Iterable<readonly [key: Value, value: Value]>): Dict {
  const map = new Map<string, readonly [Value, Value]>();
  for (const [key, value] of entries) {
    run.spend();
    const id = keyOf(run, key);
    map.set(id, [map.get(id)?.[0] ?? key, value]);
  }
  return { kind: 'dict', entries: map };
}

/** A dictionary's entry of a name. */
export function entry({ entries }: Dict, name: string): Value | undefined {
  return entries.get(`s${name}`)?.[1];
}

export function pairs({ entries }: Dict): Sequence[] {
  return [...entries.values()].map(([key, value]) => tuple([key, value]));
}

export function namespace(entries: Iterable<readonly [string, Value]>, isFixed = false): Namespace {
  return { kind: 'namespace', values: new Map(entries), isFixed };
}

export const EMPTY = plain('');
