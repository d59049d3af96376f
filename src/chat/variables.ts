import { ArgumentError, show, shorten } from '../errors.js';
import { MAX_DATA_DEPTH } from './run.js';
import { data, plain } from './text.js';
import { dict, list, type Value } from './values.js';
import type { Run } from './run.js';

/** Strings of these names, directly among the variables, are written by the tokenizer's maker: `bos_token`, `eos_token`, … */
const CONTROL_TOKEN = /_tokens?$/;

/** The caller's variables as values of a template: plain data only, nothing of which is called. @throws ArgumentError naming what is none. */
export function readVariables(run: Run, variables: unknown): Map<string, Value> {
  const entries = ownEntries(variables);
  if (entries === undefined) throw new ArgumentError(`the variables of a chat template are ${show(variables)}, not an object`);
  return new Map(entries.flatMap(([name, value]): [string, Value][] => {
    const converted = toValue(run, value, name, 0, !CONTROL_TOKEN.test(name));
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
      if (value === null) return null;
      const each = (item: unknown, name: string): Value | undefined => toValue(run, item, depth < 4 ? `${path}${name}` : path, depth + 1, isData);
      if (Array.isArray(value)) return list(arrayItems(value, path).map((item, i) => each(item, `[${i}]`) ?? null));
      const entries = ownEntries(value) ?? wrong(path, value);
      return dict(run, entries.flatMap(([key, item]): [Value, Value][] => {
        const converted = each(item, `.${key}`);
        return converted === undefined ? [] : [[isData ? data(key) : plain(key), converted]];
      }));
    }
    default: return wrong(path, value);
  }
}

function wrong(path: string, value: unknown): never {
  throw new ArgumentError(`${shorten(path)} is ${typeof value === 'object' ? 'an object of a class' : show(value)}: a chat template takes texts, numbers, booleans, null, lists and plain objects`);
}

/** Own properties of a plain object; undefined if it is none. Getters are not called: what they would give is left out. */
function ownEntries(value: unknown): [string, unknown][] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Another realm's Object.prototype is plain as well.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return undefined;
  return Object.entries(Object.getOwnPropertyDescriptors(value)).flatMap(([key, property]): [string, unknown][] =>
    property.enumerable === true && 'value' in property ? [[key, property.value]] : []);
}

function arrayItems(items: readonly unknown[], path: string): unknown[] {
  const result: unknown[] = [];
  for (let i = 0; i < items.length; i++) {
    const property = Object.getOwnPropertyDescriptor(items, i);
    if (property !== undefined && !('value' in property)) wrong(path, items);
    result.push(property?.value);
  }
  return result;
}
