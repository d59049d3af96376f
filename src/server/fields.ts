import { show } from '../errors.js';
import { isJsonObject, type JsonObject } from '../formats/bytes.js';
import { didYouMean } from '../options.js';
import { badField } from './errors.js';

/** An object of a request, read field by field. `null` is as if it were not there. */
export class Fields {
  private readonly values: JsonObject;
  private readonly path: string;

  /** @param path what to call it in messages: '' for the body itself. @throws ApiError unless it is an object. */
  constructor(value: unknown, path = '') {
    if (!isJsonObject(value)) throw badField(path === '' ? 'the body' : path, `is ${show(value)}, not an object`);
    this.values = value;
    this.path = path;
  }

  /** Its name in messages. */
  name(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  get(key: string): unknown {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  number(key: string, min: number, max: number, kind: 'any' | 'whole' = 'any'): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const fits = typeof value === 'number' && value >= min && value <= max && (kind === 'any' || Number.isInteger(value));
    if (fits) return value;
    throw badField(this.name(key), `is ${show(value)}, not a ${kind === 'whole' ? 'whole ' : ''}number from ${min} to ${max}`);
  }

  boolean(key: string): boolean | undefined {
    const value = this.get(key);
    if (value !== undefined && typeof value !== 'boolean') throw badField(this.name(key), `is ${show(value)}, not true or false`);
    return value;
  }

  string(key: string): string | undefined {
    const value = this.get(key);
    if (value !== undefined && typeof value !== 'string') throw badField(this.name(key), `is ${show(value)}, not a string`);
    return value;
  }

  required(key: string): string {
    const value = this.string(key);
    if (value === undefined) throw badField(this.name(key), 'is missing');
    return value;
  }

  oneOf<T extends string>(key: string, known: readonly T[]): T | undefined {
    const value = this.get(key);
    if (value !== undefined && !(known as readonly unknown[]).includes(value)) throw badField(this.name(key), `is ${show(value)}, not one of ${known.map(show).join(', ')}`);
    return value as T | undefined;
  }

  list(key: string, most: number): readonly unknown[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw badField(this.name(key), `is ${show(value)}, not a list`);
    if (value.length > most) throw badField(this.name(key), `has ${value.length} entries; at most ${most} are taken`);
    return value;
  }

  object(key: string): Fields | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : new Fields(value, this.name(key));
  }

  /** The objects of a list. */
  objects(key: string, most: number): readonly Fields[] | undefined {
    return this.list(key, most)?.map((each, n) => new Fields(each, `${this.name(key)}[${n}]`));
  }

  /** @throws ApiError naming a field that is not known: what would change the answer is not ignored. */
  checkNames(known: readonly string[]): void {
    for (const key of Object.keys(this.values)) {
      if (known.includes(key) || this.get(key) === undefined) continue;
      throw badField(this.name(key.length > 80 ? `${key.slice(0, 80)}…` : key), `is not supported here${didYouMean(key, known)}`, 'unsupported_parameter');
    }
  }
}
