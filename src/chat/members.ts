import { shorten } from '../errors.js';
import { Given, wholeOf } from './arguments.js';
import type { Run } from './run.js';
import { isStringMethod, MISSING_METHODS, stringMethod } from './string-methods.js';
import { characterStarts, concat, cut, type Text } from './text.js';
import {
  callable, entry, isDict, isSequence, isText, isUndefined, keyOf, list, NONE, nameOf, pairs, undefinedValue, type Callable, type Dict, type Sequence, type Value,
} from './values.js';
import { equal } from './operators.js';

/** `value.name`: in Python a method goes before an entry of a dictionary. */
export function attributeOf(run: Run, value: Value, name: string): Value {
  if (isUndefined(value)) return run.fail(value.why);
  const method = methodOf(value, name);
  if (method !== undefined) return method;
  if (typeof value === 'object' && value.kind === 'namespace') {
    return value.values.get(name) ?? missing(value, name);
  }
  return (isDict(value) ? entry(value, name) : undefined) ?? missing(value, name);
}

/** `value[key]`. */
export function itemOf(run: Run, value: Value, key: Value): Value {
  if (isUndefined(value)) return run.fail(value.why);
  if (isUndefined(key) && key.isRefused) return run.fail(key.why);
  const index = wholeOf(key);
  if (isDict(value)) {
    const found = isKey(key) ? value.entries.get(keyOf(run, key))?.[1] : undefined;
    if (found !== undefined) return found;
  } else if (index !== undefined) {
    if (isText(value)) return character(run, value, index);
    if (isSequence(value) && value.kind !== 'view') {
      return value.items[index < 0 ? value.items.length + index : index] ?? undefinedValue(`a list of ${value.items.length} has no item ${index}`);
    }
  }
  if (!isText(key)) return undefinedValue(`${nameOf(value)} has no such item`);
  if (typeof value === 'object' && value.kind === 'namespace') return attributeOf(run, value, key.text);
  return methodOf(value, key.text) ?? missing(value, key.text);
}

function isKey(value: Value): boolean {
  return typeof value !== 'object' || isText(value);
}

function missing(value: Value, name: string): Value {
  return undefinedValue(`${nameOf(value)} has no ${shorten(name)}`);
}

function character(run: Run, text: Text, index: number): Value {
  const starts = characterStarts(run, text.text);
  const length = starts === undefined ? text.text.length : starts.length - 1;
  const place = index < 0 ? length + index : index;
  if (place < 0 || place >= length) return undefinedValue(`a string of ${length} characters has no character ${index}`);
  return starts === undefined ? cut(run, text, place, place + 1) : cut(run, text, starts[place]!, starts[place + 1]);
}

/** `value[start:stop:step]`, each of them a whole number or none. */
export function sliceOf(run: Run, value: Value, bounds: readonly Value[]): Value {
  if (isUndefined(value)) return run.fail(value.why);
  const [start, stop, step = 1] = bounds.map((bound) => {
    if (bound === NONE) return undefined;
    return wholeOf(bound) ?? run.fail(isUndefined(bound) ? bound.why : `a slice with ${nameOf(bound)} as a bound`);
  });
  if (step === 0) return run.fail('a slice with a step of 0');
  if (isText(value)) return sliceText(run, value, start, stop, step);
  if (!isSequence(value) || value.kind === 'view') return run.fail(`${nameOf(value)} has no slices`);
  return { kind: value.kind, items: places(run, value.items.length, start, stop, step).map((i) => value.items[i]!) };
}

function sliceText(run: Run, text: Text, start: number | undefined, stop: number | undefined, step: number): Text {
  const starts = characterStarts(run, text.text);
  const length = starts === undefined ? text.text.length : starts.length - 1;
  const unit = (place: number): number => starts?.[place] ?? place;
  if (step === 1) {
    const [from, to] = range(length, start, stop, step);
    return cut(run, text, unit(from), unit(Math.max(from, to)));
  }
  return concat(run, places(run, length, start, stop, step).map((i) => cut(run, text, unit(i), unit(i + 1))));
}

/** Python's `slice.indices`. */
function range(length: number, start: number | undefined, stop: number | undefined, step: number): [number, number] {
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (bound: number | undefined, otherwise: number): number =>
    bound === undefined ? otherwise : Math.max(low, Math.min(high, bound < 0 ? bound + length : bound));
  return step > 0 ? [place(start, low), place(stop, high)] : [place(start, high), place(stop, low)];
}

function places(run: Run, length: number, start: number | undefined, stop: number | undefined, step: number): number[] {
  const [from, to] = range(length, start, stop, step);
  const result: number[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) {
    run.spend();
    result.push(i);
  }
  return result;
}

function methodOf(value: Value, name: string): Value | undefined {
  if (isText(value)) {
    if (isStringMethod(name)) return stringMethod(value, name);
    return MISSING_METHODS.has(name) ? undefinedValue(`the string method ${name} is not supported`, true) : undefined;
  }
  if (isDict(value)) return dictMethod(value, name);
  return isSequence(value) && value.kind !== 'view' ? listMethod(value, name) : undefined;
}

function view(items: readonly Value[]): Sequence {
  return { kind: 'view', items };
}

function dictMethod(dict: Dict, name: string): Value | undefined {
  const all = (items: () => Value): Callable => callable(name, (run, given) => {
    void new Given(run, name, given, []);
    run.spend(dict.entries.size);
    return items();
  });
  switch (name) {
    case 'items': return all(() => view(pairs(dict)));
    case 'keys': return all(() => view([...dict.entries.values()].map(([key]) => key)));
    case 'values': return all(() => view([...dict.entries.values()].map(([, value]) => value)));
    case 'copy': return all(() => dict);
    case 'get': return callable(name, (run, given) => {
      const options = new Given(run, 'get', given, ['key', 'default'], 1);
      return dict.entries.get(keyOf(run, options.value('key')!))?.[1] ?? options.value('default') ?? NONE;
    });
    case 'clear': case 'pop': case 'popitem': case 'setdefault': case 'update':
      return undefinedValue(`${name} would change a dictionary, which templates cannot`);
    case 'fromkeys': return undefinedValue('fromkeys is not supported', true);
    default: return undefined;
  }
}

function listMethod({ kind, items }: Sequence, name: string): Value | undefined {
  switch (name) {
    case 'index': case 'count': return callable(name, (run, given) => {
      const wanted = new Given(run, name, given, ['value'], 1).value('value')!;
      if (name === 'count') return BigInt(items.filter((item) => equal(run, item, wanted)).length);
      const index = items.findIndex((item) => equal(run, item, wanted));
      return index < 0 ? run.fail('index: the list does not have this item') : BigInt(index);
    });
    case 'copy': return kind === 'list' ? callable(name, () => list(items)) : undefined;
    case 'append': case 'clear': case 'extend': case 'insert': case 'pop': case 'remove': case 'reverse': case 'sort':
      return kind === 'list' ? undefinedValue(`${name} would change a list, which templates cannot; use +, or a filter`) : undefined;
    default: return undefined;
  }
}
