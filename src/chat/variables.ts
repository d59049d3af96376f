import { ArgumentError, show, shorten } from '../errors.js';
import { MAX_DATA_DEPTH } from './run.js';
import { data, plain } from './text.js';
import { dict, list, NONE, type Value } from './values.js';
import type { Run } from './run.js';

/** Strings of these names, directly among the variables, are written by the tokenizer's maker: `bos_token`, `eos_token`, … */
const CONTROL_TOKEN = /_tokens?$/;

/** The caller's variables as values of a template: plain data only, nothing of which is called. @throws ArgumentError naming what is none. */
export function readVariables(run: Run, caller: string, variables: unknown): Map<string, Value> {
  const entries = ownEntries(variables, `${caller}: the variables`);
  if (entries === undefined) throw new ArgumentError(`${caller}: the variables are ${show(variables)}, not a plain object`);
  return new Map(entries.flatMap(([name, value]): [string, Value][] => {
    const converted = toValue(run, value, `${caller}: ${name}`, 0, !CONTROL_TOKEN.test(name));
    return converted === undefined ? [] : [[name, converted]];
  }));
}

/** Undefined is left out, as in JSON. */
function toValue(run: Run, value: unknown, path: string, depth: number, isData: boolean): Value | undefined {
  run.spend();
  if (depth > MAX_DATA_DEPTH) throw new ArgumentError(`${shorten(path)}: more than ${MAX_DATA_DEPTH} lists or objects are in each other`);
  switch (typeof value) {
    case 'undefined': case 'boolean': return value;
    case 'string': return isData ? data(value) : plain(value);
    case 'number': return Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'bigint': return BigInt.asIntN(256, value) === value ? value : wrong(path, value);
    case 'object': {
      if (value === null) return NONE;
      const each = (item: unknown, name: string): Value | undefined => toValue(run, item, depth < 4 ? `${path}${name}` : path, depth + 1, isData);
      if (Array.isArray(value)) return list(arrayItems(value, path).map((item, i) => each(item, `[${i}]`) ?? NONE));
      const entries = ownEntries(value, path) ?? wrong(path, value);
      return dict(run, entries.flatMap(([key, item]): [Value, Value][] => {
        const converted = each(item, `.${key}`);
        return converted === undefined ? [] : [[isData ? data(key) : plain(key), converted]];
      }));
    }
    default: return wrong(path, value);
  }
}

function getter(path: string): never {
  throw new ArgumentError(`${shorten(path)} is a getter: a chat template takes plain data`);
}

function wrong(path: string, value: unknown): never {
  const what = typeof value === 'object' ? 'an object of a class' : show(value);
  throw new ArgumentError(`${shorten(path)} is ${what}: a chat template takes texts, numbers, booleans, null, lists and plain objects`);
}

/** Own properties of a plain object; undefined if it is none. @throws ArgumentError for a getter, which is not called. */
function ownEntries(value: unknown, path: string): [string, unknown][] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Another realm's Object.prototype is plain as well.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return undefined;
  return Object.entries(Object.getOwnPropertyDescriptors(value)).flatMap(([key, property]): [string, unknown][] =>
    property.enumerable === true ? [[key, 'value' in property ? property.value : getter(`${path}.${key}`)]] : []);
}

function arrayItems(items: readonly unknown[], path: string): unknown[] {
  const result: unknown[] = [];
  for (let i = 0; i < items.length; i++) {
    const property = Object.getOwnPropertyDescriptor(items, i);
    if (property !== undefined && !('value' in property)) getter(`${path}[${i}]`);
    result.push(property?.value);
  }
  return result;
}
