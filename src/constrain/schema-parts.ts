/** Objects, arrays and numbers of a JSON Schema. */
import { show } from '../errors.js';
import type { Grammar, Node } from './grammar.js';
import { integersWithin, MAX_BOUND, numbersWithin } from './json-number.js';
import type { JsonText } from './json-text.js';
import { countOf, listOf, numberOf, propertiesOf, requiredOf, type Place, type Schema } from './schema-keywords.js';

/** Properties of one object: each leads to all that may come next. */
const MAX_PROPERTIES = 512;

/** Longest name of a property beside which others may be made up. */
const MAX_NAME = 512;

/** What the parts of a schema are made with. */
export interface Maker {
  readonly grammar: Grammar;
  readonly json: JsonText;
  /** The node of a schema within. */
  readonly make: (schema: unknown, place: Place) => Node;
}

export function objectGrammar(schema: Schema, place: Place, { grammar, json, make }: Maker): Node {
  const required = new Set(requiredOf(schema, place));
  const named = new Map<string, Node>(propertiesOf(schema, place).map(([name, value]) => [name, make(value, place.in('properties', name))]));
  // Others only if asked for, or if nothing is said about any.
  const { additionalProperties = schema['properties'] === undefined && required.size === 0 } = schema;
  const other = make(additionalProperties, place.in('additionalProperties'));
  const unnamed = schema['additionalProperties'] === undefined ? make(true, place) : other;
  for (const name of required) if (!named.has(name)) named.set(name, unnamed);
  if (named.size > MAX_PROPERTIES) place.fail(`has ${named.size} properties, more than ${MAX_PROPERTIES}`);
  const count = countProperties(schema, place, required.size, named.size, other !== grammar.nothing);
  const isNothing = other === grammar.nothing;
  if (!isNothing) for (const name of named.keys()) if (name.length > MAX_NAME) place.fail(`the name ${show(name)} is longer than ${MAX_NAME} characters`);
  const made = isNothing ? grammar.nothing : grammar.sequence(json.stringBut([...named.keys()]), json.colon, other);
  const more = grammar.repeat(grammar.sequence(json.comma, made), Math.max(0, count.min - 1), count.max - 1);
  const close = grammar.text('}');
  // From the last property to the first: what may come where a property is due, and behind one.
  let due = grammar.sequence(made, more, close);
  let behind = grammar.sequence(grammar.repeat(grammar.sequence(json.comma, made), 0, count.max), close);
  let canClose = true;
  for (const [name, value] of [...named].reverse()) {
    const isRequired = required.has(name);
    const member = grammar.sequence(json.string(name), json.colon, value, behind);
    due = grammar.choice(member, isRequired ? grammar.nothing : due);
    canClose &&= !isRequired;
    behind = grammar.choice(canClose ? close : grammar.nothing, grammar.sequence(json.comma, due));
  }
  return grammar.sequence(grammar.text('{'), grammar.choice(canClose && count.min === 0 ? close : grammar.nothing, due));
}

/** How many properties may be made up; how many there are is not counted along, so only simple cases are possible. */
function countProperties(schema: Schema, place: Place, required: number, named: number, isOpen: boolean): { min: number; max: number } {
  const min = countOf(schema, 'minProperties', 0, place);
  const max = countOf(schema, 'maxProperties', Infinity, place);
  // Names that are made up may come twice, which then count as one.
  if (min > required && (min > 1 || named > 0)) place.fail(`minProperties above ${named > 0 ? 'the number of required properties' : '1'} is not supported`);
  if (max < named || (max < Infinity && named > 0 && isOpen)) place.fail('maxProperties beside properties is not supported');
  return { min: min > required ? min : 0, max: named > 0 ? Infinity : max };
}

export function arrayGrammar(schema: Schema, place: Place, { grammar, json, make }: Maker): Node {
  if (schema['uniqueItems'] !== undefined && schema['uniqueItems'] !== false) place.fail('uniqueItems is not supported');
  const first = (listOf(schema, 'prefixItems', place) ?? []).map((item, i) => make(item, place.in('prefixItems', i)));
  const min = countOf(schema, 'minItems', 0, place);
  const max = countOf(schema, 'maxItems', Infinity, place);
  const { items = first.length === 0 || min > first.length } = schema; // no more than the first ones unless asked for
  const item = make(items, place.in('items'));
  const close = grammar.text(']');
  const rest = (done: number): Node => grammar.repeat(grammar.sequence(json.comma, item), Math.max(0, min - done), max - done);
  if (first.length === 0) {
    const some = max === 0 ? grammar.nothing : grammar.sequence(item, rest(1), close);
    return grammar.sequence(grammar.text('['), grammar.choice(min === 0 ? close : grammar.nothing, some));
  }
  // From the last of the first items to the first.
  let behind = grammar.sequence(max >= first.length ? rest(first.length) : grammar.empty, close);
  for (let i = first.length - 1; i >= 0; i--) {
    const next = grammar.sequence(i === 0 ? grammar.empty : json.comma, first[i]!, behind);
    behind = grammar.choice(i >= min && i <= max ? close : grammar.nothing, i < max ? next : grammar.nothing);
  }
  return grammar.sequence(grammar.text('['), behind);
}

export function numberGrammar(schema: Schema, place: Place, isWhole: boolean, { grammar, json }: Maker): Node {
  const above = numberOf(schema, 'exclusiveMinimum', place);
  const below = numberOf(schema, 'exclusiveMaximum', place);
  const min = Math.max(numberOf(schema, 'minimum', place) ?? -Infinity, above ?? -Infinity);
  const max = Math.min(numberOf(schema, 'maximum', place) ?? Infinity, below ?? Infinity);
  if (min === -Infinity && max === Infinity && !isWhole) return plainNumber(grammar, json);
  const limit = isWhole ? MAX_BOUND : 1e15 - 1;
  if (min > limit || max < -limit) place.fail(`numbers beyond ±${limit} are not supported`);
  const bounds = {
    min: min < -limit ? -limit : min, max: max > limit ? limit : max, isMinExcluded: min === above, isMaxExcluded: max === below,
  };
  if (min === -Infinity) bounds.min = min;
  if (max === Infinity) bounds.max = max;
  return isWhole ? integersWithin(grammar, bounds) : numbersWithin(grammar, bounds);
}

/** Up to 15 digits before the point, 15 behind it, and two of an exponent. */
function plainNumber(grammar: Grammar, { sign, digit }: JsonText): Node {
  const whole = grammar.choice(grammar.text('0'), grammar.sequence(grammar.chars([0x31, 0x39]), grammar.repeat(digit, 0, 14)));
  const fraction = grammar.sequence(grammar.text('.'), grammar.repeat(digit, 1, 15));
  const exponent = grammar.sequence(grammar.chars([0x45, 0x45, 0x65, 0x65]), grammar.optional(grammar.chars([0x2b, 0x2b, 0x2d, 0x2d])), grammar.repeat(digit, 1, 2));
  return grammar.sequence(sign, whole, grammar.optional(fraction), grammar.optional(exponent));
}
