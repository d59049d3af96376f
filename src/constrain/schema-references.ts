/**
 * Which schema a `$ref` names (JSON Schema Core 2020-12, 8.2 and 9.2; RFC 6901 for pointers). A `$id` below the root begins a resource
 * of its own, with its own address: `#` and pointers in it start there. Nothing is fetched.
 */
import { show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { isAssertion, textOf, type Place, type Schema } from './schema-keywords.js';

export interface Target {
  readonly target: unknown;
  readonly place: Place;
}

/** The address of a schema without `$id`, which is never shown. */
const NO_ADDRESS = 'schema:/';

/** Keywords with schemas by name; with a schema, or a list of them. Others have none, whatever their values look like. */
const NAMED: ReadonlySet<string> = new Set(['$defs', 'definitions', 'properties', 'patternProperties', 'dependentSchemas', 'dependencies']);
const SCHEMAS: ReadonlySet<string> = new Set([
  'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'items', 'prefixItems', 'additionalItems', 'unevaluatedItems', 'contains',
  'additionalProperties', 'unevaluatedProperties', 'propertyNames', 'contentSchema',
]);

/** What a value within a schema is. */
type Kind = 'schema' | 'schemas' | 'other';

export class References {
  private readonly resources = new Map<string, Schema>(); // by address
  private readonly anchors = new Map<string, Schema>(); // by address, # and name
  private readonly draft: number;

  /** @param root a copy of the schema: its `$ref`s are made absolute. @throws ArgumentError for identifiers that are not supported. */
  constructor(root: unknown, place: Place) {
    this.draft = draftOf(root, place);
    if (!isJsonObject(root)) return;
    this.resources.set(NO_ADDRESS, root);
    this.scan(root, NO_ADDRESS, place);
  }

  /** @param schema one with a `$ref`. @throws ArgumentError for what is not in the same document. */
  resolve(schema: Schema, place: Place): Target {
    const reference = textOf(schema, '$ref', place)!;
    const [address, fragment] = cut(reference);
    const shown = show(shownAs(reference));
    const start = this.resources.get(address);
    const pointer = decode(fragment);
    if (!start || (pointer !== '' && !pointer.startsWith('/') && !this.anchors.has(`${address}#${pointer}`))) {
      place.fail(`$ref is ${shown}; only places in the same schema can be referred to, such as "#/$defs/name"`);
    }
    const there = place.at(shownAs(reference) || '#');
    if (!pointer.startsWith('/')) return { target: pointer === '' ? start : this.anchors.get(`${address}#${pointer}`), place: there };
    let target: unknown = start;
    let kind: Kind = 'schema';
    for (const part of pointer.slice(1).split('/')) {
      const key = part.replace(/~1/g, '/').replace(/~0/g, '~');
      if (typeof target !== 'object' || target === null || /~[^01]|~$/.test(part) || !Object.hasOwn(target, key)) place.fail(`$ref is ${shown}, which is not there`);
      const value = (target as Schema)[key];
      kind = kind === 'schema' ? kindOf(key, value) : kind === 'schemas' ? 'schema' : 'other';
      target = value;
    }
    return kind === 'schema' ? { target, place: there } : place.fail(`$ref is ${shown}, which is no place of a schema`);
  }

  /** Notes the addresses and names in a schema, and makes its references absolute. */
  private scan(schema: Schema, outer: string, place: Place): void {
    const address = this.addressOf(schema, outer, place);
    const anchor = textOf(schema, '$anchor', place);
    if (anchor !== undefined) this.name(anchor, '$anchor', schema, address, place);
    if (draftOf(schema, place, this.draft) !== this.draft) place.fail('a $schema other than that of the whole is not supported');
    // Then `items` is for all items.
    if (this.draft < 2020 && schema['prefixItems'] !== undefined) place.fail('prefixItems is not a keyword of the draft that $schema names');
    const { $ref } = schema;
    if (typeof $ref === 'string') {
      const beside = Object.keys(schema).find((key) => key !== '$ref' && (isAssertion(key) || (key === '$id' && place.depth > 0)));
      if (this.draft < 2019 && beside !== undefined) place.fail(`${beside} beside $ref is ignored by the draft that $schema names, and not supported`);
      (schema as Record<string, unknown>)['$ref'] = `${join(cut($ref)[0], address, '$ref', place)}#${cut($ref)[1]}`;
    }
    for (const [key, value] of Object.entries(schema)) {
      const kind = kindOf(key, value);
      if (kind === 'schema' && isJsonObject(value)) this.scan(value, address, place.in(key));
      else if (kind === 'schemas') for (const [name, item] of Object.entries(value as Schema)) if (isJsonObject(item)) this.scan(item, address, place.in(key, name));
    }
  }

  /** The address of what stands in a schema. */
  private addressOf(schema: Schema, outer: string, place: Place): string {
    const id = textOf(schema, '$id', place);
    if (id === undefined) return outer;
    if (this.draft < 6) place.fail('$id is not a keyword of the draft that $schema names');
    const [reference, fragment] = cut(id);
    if (this.draft < 2019 && reference === '' && fragment !== '') {
      this.name(fragment, '$id', schema, outer, place); // what $anchor is now
      return outer;
    }
    if (fragment !== '') place.fail(`$id is ${show(shownAs(id))}, which has a fragment; name a place with $anchor`);
    const address = join(reference, outer, '$id', place);
    if (address !== outer || place.depth > 0) {
      if (this.resources.has(address)) place.fail(`$id is ${show(shownAs(id))}, which another schema within has as well`);
      this.resources.set(address, schema);
    }
    return address;
  }

  private name(name: string, keyword: string, schema: Schema, address: string, place: Place): void {
    if (!/^[A-Za-z_][-A-Za-z0-9._:]*$/.test(name)) place.fail(`${keyword} is ${show(name)}; a name has letters, digits, "-", "." and "_", and begins with a letter or "_"`);
    const whole = `${address}#${name}`;
    if (this.anchors.has(whole)) place.fail(`${keyword} is ${show(name)}, which another schema within has as well`);
    this.anchors.set(whole, schema);
  }
}

/** The drafts of JSON Schema by the addresses that `$schema` has for them: 4, 6, 7, 2019, 2020. */
const DRAFTS: readonly (readonly [RegExp, number])[] = [
  [/^https?:\/\/json-schema\.org\/(?:draft\/2020-12\/)?schema#?$/, 2020],
  [/^https:\/\/spec\.openapis\.org\/oas\/3\.1\/dialect\/[\w-]+$/, 2020],
  [/^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, 2019],
  [/^https?:\/\/json-schema\.org\/draft-07\/schema#?$/, 7],
  [/^https?:\/\/json-schema\.org\/draft-06\/schema#?$/, 6],
  [/^https?:\/\/json-schema\.org\/draft-04\/schema#?$/, 4],
];

function draftOf(schema: unknown, place: Place, fallback = 2020): number {
  const name = isJsonObject(schema) ? textOf(schema, '$schema', place) : undefined;
  if (name === undefined) return fallback;
  const [, draft] = DRAFTS.find(([form]) => form.test(name)) ?? [];
  return draft ?? place.fail(`$schema is ${show(shownAs(name))}; supported are the drafts 2020-12, 2019-09, 07, 06 and 04 of json-schema.org`);
}

function kindOf(key: string, value: unknown): Kind {
  if (NAMED.has(key)) return isJsonObject(value) ? 'schemas' : 'other';
  return !SCHEMAS.has(key) ? 'other' : Array.isArray(value) ? 'schemas' : 'schema';
}

/** What stands before and behind the #. */
function cut(reference: string): [string, string] {
  const at = reference.indexOf('#');
  return at < 0 ? [reference, ''] : [reference.slice(0, at), reference.slice(at + 1)];
}

function join(reference: string, address: string, keyword: string, place: Place): string {
  if (reference === '') return address;
  try {
    if (!/[\s\\]/.test(reference)) return new URL(reference, address).href;
  } catch {
    // below
  }
  return place.fail(`${keyword} is ${show(shownAs(reference))}, which is no address behind ${show(shownAs(address))}`);
}

/** As a message quotes it: without what stands for no address, and without a query, which may be secret. */
function shownAs(reference: string): string {
  const [address, fragment] = cut(reference.startsWith(NO_ADDRESS) ? reference.slice(NO_ADDRESS.length) : reference);
  return `${address.replace(/\?.*/s, '?…')}${reference.includes('#') && (fragment !== '' || address === '') ? `#${fragment}` : ''}`;
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return '~'; // no name, and no pointer
  }
}
