import { show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { KeyReader } from './config.js';

/** One of some words. */
export function oneOf<Word extends string>(keys: KeyReader, key: string, fallback: Word | undefined, known: readonly Word[]): Word {
  const value = keys.value(key) ?? fallback ?? keys.fail(key, `is missing; it must be ${known.map(show).join(' or ')}`);
  return known.find((word) => word === value) ?? keys.fail(key, `is ${show(value)}; only ${known.map(show).join(' and ')} can be run`);
}

/** A list, as JSON has it, or GGUF metadata, where one of numbers may be a typed array. Undefined for what is none. */
export function listOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[];
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : undefined;
}

/** The keys of an object; undefined where there is none. */
export function child(keys: KeyReader, key: string): KeyReader | undefined {
  const value = keys.value(key);
  if (value === undefined) return undefined;
  return isJsonObject(value) ? new KeyReader(`${keys.file}: ${key}`, value) : keys.fail(key, `is ${show(value)}, not an object`);
}
