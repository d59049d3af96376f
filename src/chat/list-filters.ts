import { Given } from './arguments.js';
import { itemOf } from './members.js';
import { compare, compute } from './operators.js';
import { toText } from './print.js';
import type { Run } from './run.js';
import { lower } from './string-methods.js';
import { concat, plain } from './text.js';
import {
  isDict, isSequence, isText, isUndefined, iterator, itemsOf, keyOf, list, NONE, nameOf, pairs, sizeOf, undefinedValue, type Arguments, type Value,
} from './values.js';

/** A filter: what stands before the `|`, and the arguments. */
export type Filter = (run: Run, value: Value, given: Arguments, name: string) => Value;

/** An item's attribute by a path such as `function.name` or `0`: entries of dictionaries go before methods here. */
export function attributeGetter(run: Run, path: Value | undefined): (item: Value) => Value {
  if (path === undefined || path === NONE) return (item) => item;
  const steps = isText(path) ? path.text.split('.').map((step): Value => (/^\d{1,9}$/.test(step) ? BigInt(step) : plain(step))) : [path];
  return (item) => {
    run.spend(steps.length);
    return steps.reduce<Value>((value, step) => itemOf(run, value, step), item);
  };
}

/** What is compared: strings without regard to capitals, unless told otherwise. */
function sortKey(run: Run, given: Given): (item: Value) => Value {
  const attribute = attributeGetter(run, given.value('attribute'));
  const isExact = given.flag('case_sensitive');
  return (item) => {
    const value = attribute(item);
    return isText(value) && !isExact ? lower(run, value) : value;
  };
}

function sorted<T>(run: Run, items: readonly T[], keyFor: (item: T) => Value, isReversed: boolean): T[] {
  const keyed = items.map((item) => ({ item, key: keyFor(item) }));
  keyed.sort((a, b) => (isReversed ? compare(run, b.key, a.key) : compare(run, a.key, b.key)));
  return keyed.map(({ item }) => item);
}

const extreme = (sign: 1 | -1): Filter => (run, value, given, name) => {
  const keyFor = sortKey(run, new Given(run, name, given, ['case_sensitive', 'attribute']));
  const items = itemsOf(run, value);
  let [best] = items;
  if (best === undefined) return undefinedValue(`${name} of nothing`);
  for (const item of items) if (compare(run, keyFor(item), keyFor(best)) * sign > 0) best = item;
  return best;
};

const length: Filter = (run, value, given, name) => {
  void new Given(run, name, given, []);
  return BigInt(sizeOf(run, value));
};

export const LIST_FILTERS: Record<string, Filter> = {
  length,
  count: length,
  first: (run, value, given) => {
    void new Given(run, 'first', given, []);
    const first = typeof value === 'object' && value.kind === 'iterator' ? value.items[value.next++] : itemsOf(run, value)[0];
    return first ?? undefinedValue('first of nothing');
  },
  last: (run, value, given) => {
    void new Given(run, 'last', given, []);
    if (typeof value === 'object' && value.kind === 'iterator') run.fail('last: what a filter such as map gives has no end; make a list of it first (| list)');
    return itemsOf(run, value).at(-1) ?? undefinedValue('last of nothing');
  },
  list: (run, value, given) => {
    void new Given(run, 'list', given, []);
    return list(itemsOf(run, value));
  },
  items: (run, value, given) => {
    void new Given(run, 'items', given, []);
    if (isUndefined(value)) return value.isRefused ? run.fail(value.why) : iterator([]);
    return isDict(value) ? iterator(pairs(value)) : run.fail(`items: ${nameOf(value)}, not a dictionary`);
  },
  join: (run, value, given) => {
    const options = new Given(run, 'join', given, ['d', 'attribute']);
    const between = toText(run, options.value('d') ?? plain(''));
    const attribute = attributeGetter(run, options.value('attribute'));
    return concat(run, itemsOf(run, value).flatMap((item, i) => {
      const text = toText(run, attribute(item));
      return i === 0 ? [text] : [between, text];
    }));
  },
  reverse: (run, value, given) => {
    void new Given(run, 'reverse', given, []);
    const items = [...itemsOf(run, value)].reverse();
    return isText(value) ? concat(run, items.filter(isText)) : iterator(items);
  },
  sort: (run, value, given) => {
    const options = new Given(run, 'sort', given, ['reverse', 'case_sensitive', 'attribute']);
    const path = options.value('attribute');
    if (isText(path) && path.text.includes(',')) run.fail('sort: by several attributes is not supported');
    return list(sorted(run, itemsOf(run, value), sortKey(run, options), options.flag('reverse')));
  },
  dictsort: (run, value, given) => {
    const options = new Given(run, 'dictsort', given, ['case_sensitive', 'by', 'reverse']);
    if (!isDict(value)) return run.fail(isUndefined(value) ? value.why : `dictsort: ${nameOf(value)}, not a dictionary`);
    const by = options.text('by') ?? 'key';
    if (by !== 'key' && by !== 'value') run.fail('dictsort: by is neither "key" nor "value"');
    const keyFor = sortKey(run, new Given(run, 'dictsort', { positional: [options.flag('case_sensitive')], named: new Map() }, ['case_sensitive']));
    return list(sorted(run, pairs(value), (pair) => keyFor(pair.items[by === 'key' ? 0 : 1]!), options.flag('reverse')));
  },
  unique: (run, value, given) => {
    const keyFor = sortKey(run, new Given(run, 'unique', given, ['case_sensitive', 'attribute']));
    const seen = new Set<string>();
    return iterator(itemsOf(run, value).filter((item) => {
      const key = keyOf(run, keyFor(item));
      return !seen.has(key) && seen.add(key);
    }));
  },
  min: extreme(-1),
  max: extreme(1),
  sum: (run, value, given) => {
    const options = new Given(run, 'sum', given, ['attribute', 'start']);
    const attribute = attributeGetter(run, options.value('attribute'));
    return itemsOf(run, value).reduce<Value>((sum, item) => compute(run, '+', sum, attribute(item)), options.value('start') ?? 0n);
  },
};

/** Whether it is a list or a dictionary. */
export function isContainer(value: Value): boolean {
  return isSequence(value) || isDict(value);
}
