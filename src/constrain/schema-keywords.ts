/** What a JSON Schema may say here, checked: names, kinds and ranges, with the place in messages. */
import { shorten, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import type { Budget } from './budget.js';
import { refuse } from './refuse.js';

export type Schema = Readonly<Record<string, unknown>>;

const TYPES = ['object', 'array', 'string', 'integer', 'number', 'boolean', 'null'] as const;
export type TypeName = (typeof TYPES)[number];

/** Keywords by the type that they are about. */
export const KEYWORDS_OF: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
};
const GENERAL = ['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref'];
const SUPPORTED: ReadonlySet<string> = new Set([...GENERAL, ...Object.values(KEYWORDS_OF).flat()]);

/** Whether a keyword may say what is valid. */
export function isAssertion(key: string): boolean {
  return !ANNOTATIONS.has(key) && !key.startsWith('x-');
}

/** Say nothing about what is valid. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$schema', '$id', '$anchor', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'example', 'examples', 'deprecated',
  'readOnly', 'writeOnly', 'contentEncoding', 'contentMediaType', 'discriminator',
]);

/** Lists and objects within each other: about two to a schema. */
const MAX_DEPTH = 128;
/** Values in a schema, and UTF-16 units of its texts. */
const MAX_VALUES = 2 ** 15;
const MAX_UNITS = 2 ** 21;

/** A place in a schema: a JSON pointer with #, and how deep it is. */
export class Place {
  readonly path: string;
  readonly depth: number;
  private readonly budget: Budget;

  /** @param budget what reading all of the schema may take. */
  constructor(budget: Budget, path = '#', depth = 0) {
    this.budget = budget;
    this.path = path;
    this.depth = depth;
    if (depth > MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH} levels`);
  }

  in(...keys: readonly (string | number)[]): Place {
    const escaped = keys.map((key) => `/${shorten(String(key)).replace(/~/g, '~0').replace(/\//g, '~1')}`);
    return new Place(this.budget, this.path + escaped.join(''), this.depth + 1);
  }

  /** Another place in the same schema, which a reference names. */
  at(path: string): Place {
    return new Place(this.budget, path);
  }

  spend(steps: number): void {
    this.budget.spend(steps);
  }

  fail(complaint: string): never {
    return refuse(`jsonSchema at ${this.path.length > 200 ? `…${this.path.slice(-200)}` : this.path}: ${complaint}`);
  }
}

/** A copy of a JSON value, so that what follows is a tree of limited size that nobody changes. */
export function copyJson(value: unknown, place: Place, budget = { values: MAX_VALUES, units: MAX_UNITS }): unknown {
  if (--budget.values < 0) place.fail(`more than ${MAX_VALUES} values`);
  if (typeof value === 'string' && (budget.units -= value.length) < 0) place.fail(`more than ${MAX_UNITS} characters`);
  if (isSimple(value)) return value;
  const copyOf = (item: unknown, key: string | number): unknown => copyJson(item, isSimple(item) ? place : place.in(key), budget);
  if (Array.isArray(value)) return Array.from(value, copyOf);
  // Not a Map, a Date or a module's namespace: they have no keys of their own, or none that are meant.
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (!isJsonObject(value) || kind !== 'Object') return place.fail(`${isJsonObject(value) ? `a ${shorten(kind)}` : show(value)} is no value of JSON`);
  return objectOf(Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => {
    budget.units -= key.length;
    return [key, copyOf(item, key)];
  }));
}

/** An object of these members and no others: one may be called __proto__. (Object.create(null) takes three times the time and memory.) */
export function objectOf(members: readonly (readonly [string, unknown])[]): Schema {
  return Object.setPrototypeOf(Object.fromEntries(members), null) as Schema;
}

function isSimple(value: unknown): boolean {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}

/**
 * The keywords of a schema that say something; undefined for the schema `true`, null for `false`.
 * @throws ArgumentError for a keyword that is not supported.
 */
export function readSchema(value: unknown, place: Place): Schema | undefined | null {
  if (typeof value === 'boolean') return value ? undefined : null;
  if (!isJsonObject(value)) return place.fail(`${show(value)} is no schema: an object, true or false`);
  for (const key of Object.keys(value)) if (!SUPPORTED.has(key) && isAssertion(key)) place.fail(`the keyword ${show(key)} is not supported`);
  const schema = objectOf(Object.entries(value).filter(([key]) => SUPPORTED.has(key)));
  checkKinds(schema, place);
  return schema;
}

/** Also of keywords about other types than the schema's: `required: true` in a property, for one, is meant to say something. */
function checkKinds(schema: Schema, place: Place): void {
  for (const key of ['minProperties', 'maxProperties', 'minItems', 'maxItems', 'minLength', 'maxLength']) countOf(schema, key, 0, place);
  for (const key of KEYWORDS_OF['number']!) numberOf(schema, key, place);
  for (const key of ['pattern', 'format']) textOf(schema, key, place);
  for (const key of ['enum', 'prefixItems', 'anyOf', 'oneOf', 'allOf']) listOf(schema, key, place);
  if (Array.isArray(schema['items'])) place.fail('items is a list, which is called prefixItems since the draft 2020-12');
  place.spend(32 + 8 * (propertiesOf(schema, place).length + requiredOf(schema, place).length));
  typesOf(schema, place);
}

/** A whole number of at least 0. */
export function countOf(schema: Schema, key: string, fallback: number, place: Place): number {
  const value = schema[key];
  if (value === undefined) return fallback;
  if (!Number.isInteger(value) || (value as number) < 0) place.fail(`${key} is ${show(value)}, not a whole number of at least 0`);
  return value as number;
}

export function numberOf(schema: Schema, key: string, place: Place): number | undefined {
  const value = schema[key];
  if (typeof value === 'boolean' && key.startsWith('exclusive')) place.fail(`${key} is ${value}, not a number, which it is since draft-06`);
  if (value !== undefined && (typeof value !== 'number' || !Number.isFinite(value))) place.fail(`${key} is ${show(value)}, not a number`);
  return value as number | undefined;
}

export function textOf(schema: Schema, key: string, place: Place): string | undefined {
  const value = schema[key];
  if (value !== undefined && typeof value !== 'string') place.fail(`${key} is ${show(value)}, not a string`);
  return value as string | undefined;
}

export function listOf(schema: Schema, key: string, place: Place): readonly unknown[] | undefined {
  const value = schema[key];
  if (value !== undefined && !Array.isArray(value)) place.fail(`${key} is ${show(value)}, not a list`);
  return value as readonly unknown[] | undefined;
}

export function requiredOf(schema: Schema, place: Place): readonly string[] {
  const names = listOf(schema, 'required', place) ?? [];
  for (const name of names) if (typeof name !== 'string') place.fail(`required has ${show(name)}, which is no name of a property`);
  return [...new Set(names as readonly string[])];
}

export function propertiesOf(schema: Schema, place: Place): readonly (readonly [string, unknown])[] {
  const { properties = {} } = schema;
  if (!isJsonObject(properties)) place.fail(`properties is ${show(properties)}, not an object`);
  return Object.entries(properties as Schema);
}

/** The types that a schema names, or, without `type`, those that its keywords are about: all if there are none. */
export function typesOf(schema: Schema, place: Place): readonly TypeName[] {
  if (schema['type'] === undefined) {
    const meant = TYPES.filter((type) => KEYWORDS_OF[type]?.some((key) => schema[key] !== undefined));
    return meant.length > 0 ? meant : TYPES.filter((type) => type !== 'integer');
  }
  const names = Array.isArray(schema['type']) ? (schema['type'] as readonly unknown[]) : [schema['type']];
  if (names.length === 0) place.fail('type is an empty list');
  for (const name of names) {
    if (!TYPES.includes(name as TypeName)) place.fail(`type is ${show(name)}, not one of ${TYPES.join(', ')}`);
  }
  return TYPES.filter((type) => names.includes(type) && !(type === 'integer' && names.includes('number')));
}

/** The values that `enum` and `const` leave; undefined without them. */
export function valuesOf(schema: Schema, place: Place): readonly unknown[] | undefined {
  const list = listOf(schema, 'enum', place);
  if (!('const' in schema)) return list;
  return !list || intersection(list, [schema['const']], place).length > 0 ? [schema['const']] : [];
}

/** Whether a value is of one of some types. */
export function isOfType(value: unknown, types: readonly TypeName[]): boolean {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  return types.includes(type as TypeName) || (Number.isInteger(value) && types.includes('integer'));
}

/** Equal as JSON: the order of the members of an object does not matter. */
export function sameJson(a: unknown, b: unknown, place: Place): boolean {
  return a === b || spelled(a, place) === spelled(b, place);
}

/** Those of some values that are among others. */
export function intersection(values: readonly unknown[], others: readonly unknown[], place: Place): readonly unknown[] {
  const known = new Set(others.map((value) => spelled(value, place)));
  return values.filter((value) => known.has(spelled(value, place)));
}

function spelled(value: unknown, place: Place): string {
  const text = canonical(value);
  place.spend(4 + text.length / 2);
  return text;
}

/** A value as text, the same for equal values. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
}
