import { show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { KeyReader } from './config.js';

/** One of some words. */
export function oneOf<Word extends string>(keys: KeyReader, key: string, fallback: Word | undefined, known: readonly Word[]): Word {
  const value = keys.value(key) ?? fallback ?? keys.fail(key, `is missing; it must be ${known.map(show).join(' or ')}`);
  return known.find((word) => word === value) ?? keys.fail(key, `is ${show(value)}; only ${known.map(show).join(' and ')} can be run`);
}

/** The keys of an object; undefined where there is none. */
export function child(keys: KeyReader, key: string): KeyReader | undefined {
  const value = keys.value(key);
  if (value === undefined) return undefined;
  return isJsonObject(value) ? new KeyReader(`${keys.file}: ${key}`, value) : keys.fail(key, `is ${show(value)}, not an object`);
}
