/** Two schemas that both hold, as one. */
import { isJsonObject } from '../formats/bytes.js';
import { intersection, listOf, objectOf, propertiesOf, requiredOf, sameJson, typesOf, valuesOf, type Place, type Schema } from './schema-keywords.js';

const LARGEST = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];
const MERGED_BELOW = ['type', 'enum', 'const', 'properties', 'additionalProperties'];
const SMALLEST = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];

/**
 * @param a, b without `$ref` and `allOf`.
 * @throws ArgumentError for what has no simple common form.
 */
export function mergeSchemas(a: Schema, b: Schema, place: Place): Schema {
  for (const [x, y] of [[a, b], [b, a]] as const) {
    // `items` means all items to a schema without prefixItems, and the others to one with them.
    if (x['prefixItems'] !== undefined && y['prefixItems'] === undefined && y['items'] !== undefined) place.fail('prefixItems and items of two schemas that both hold are not supported');
  }
  const merged: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    if (merged[key] === undefined) merged[key] = value;
    else if (!MERGED_BELOW.includes(key) && !sameJson(merged[key], value, place)) merged[key] = mergeKeyword(key, a, b, place);
  }
  if (a['type'] !== undefined && b['type'] !== undefined) merged['type'] = commonTypes(a, b, place);
  if ('enum' in merged || 'const' in merged) {
    merged['enum'] = commonValues(a, b, place);
    delete merged['const'];
  }
  mergeProperties(merged, a, b, place);
  return merged;
}

function mergeKeyword(key: string, a: Schema, b: Schema, place: Place): unknown {
  const [x, y] = [a[key], b[key]];
  if (key === 'required') return [...new Set([...requiredOf(a, place), ...requiredOf(b, place)])];
  if (key === 'items' && !a['prefixItems'] && !b['prefixItems']) return { allOf: [x, y] };
  if (typeof x === 'number' && typeof y === 'number') {
    if (LARGEST.includes(key)) return Math.max(x, y);
    if (SMALLEST.includes(key)) return Math.min(x, y);
  }
  return place.fail(`two different ${key} that both hold are not supported`);
}

function commonTypes(a: Schema, b: Schema, place: Place): readonly string[] {
  const [x, y] = [typesOf(a, place), typesOf(b, place)];
  const common = [...x.filter((type) => y.includes(type)), ...[x, y].flatMap((one, i) => (
    one.includes('integer') && [y, x][i]!.includes('number') ? ['integer'] : []
  ))];
  return common.length > 0 ? common : place.fail('the types that both hold have nothing in common');
}

function commonValues(a: Schema, b: Schema, place: Place): readonly unknown[] {
  const [x, y] = [valuesOf(a, place), valuesOf(b, place)];
  return x && y ? intersection(x, y, place) : (x ?? y)!;
}

/** A property that only one side names is one of the additional ones to the other. */
function mergeProperties(merged: Record<string, unknown>, a: Schema, b: Schema, place: Place): void {
  if (a['properties'] === undefined && b['properties'] === undefined && a['additionalProperties'] === undefined) return;
  const sides = [a, b].map((schema) => new Map(propertiesOf(schema, place)));
  place.spend(8 * (sides[0]!.size + sides[1]!.size));
  const properties = [...new Set(sides.flatMap((side) => [...side.keys()]))].map((name) => {
    const all = [a, b].flatMap((schema, i) => (sides[i]!.has(name) ? [sides[i]!.get(name)] : 'additionalProperties' in schema ? [schema['additionalProperties']] : []));
    return [name, all.length === 1 ? all[0] : { allOf: all }] as const;
  });
  if (properties.length > 0 || isJsonObject(a['properties']) || isJsonObject(b['properties'])) merged['properties'] = objectOf(properties);
  const others = [a, b].flatMap((schema) => ('additionalProperties' in schema ? [schema['additionalProperties']] : []));
  if (others.length > 0) merged['additionalProperties'] = others.length === 1 || sameJson(others[0], others[1], place) ? others[0] : { allOf: others };
}

/**
 * Whether no value is valid for both: other types, other values, or a property that both must have and that differs.
 * @param open the schema itself, with what it refers to put in; undefined when it is `true` or too involved.
 */
export function areDisjoint(a: unknown, b: unknown, place: Place, open: (schema: unknown) => Schema | undefined, depth = 0): boolean {
  const [x, y] = [open(a), open(b)];
  if (a === false || b === false) return true;
  if (!x || !y || depth > 4) return false;
  const [xs, ys] = [valuesOf(x, place), valuesOf(y, place)];
  if (xs && ys) return intersection(xs, ys, place).length === 0;
  const kinds = (schema: Schema, values: readonly unknown[] | undefined): readonly string[] => {
    if (values) return values.map((value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value));
    return typesOf(schema, place).map((type) => (type === 'integer' ? 'number' : type));
  };
  const common = kinds(x, xs).filter((kind) => kinds(y, ys).includes(kind));
  // Without `type` a schema is narrowed to what its keywords are about: it is valid for more than is written for it.
  const isNamed = [x, y].every((schema) => ['type', 'enum', 'const'].some((key) => key in schema));
  if (common.length === 0) return isNamed;
  if (common.some((kind) => kind !== 'object')) return false;
  const [px, py] = [new Map(propertiesOf(x, place)), new Map(propertiesOf(y, place))];
  const [inX, inY] = [new Set(requiredOf(x, place)), new Set(requiredOf(y, place))];
  place.spend(4 * (px.size + py.size + inX.size + inY.size));
  const isClosed = (schema: Schema): boolean => schema['additionalProperties'] === false;
  if (isClosed(y) && [...inX].some((name) => !py.has(name))) return true;
  if (isClosed(x) && [...inY].some((name) => !px.has(name))) return true;
  const shared = [...inX].filter((name) => inY.has(name) && px.has(name) && py.has(name));
  return shared.some((name) => areDisjoint(px.get(name), py.get(name), place, open, depth + 1));
}

/** The alternatives of `anyOf` or `oneOf`. @throws ArgumentError for both at once. */
export function alternativesOf(schema: Schema, place: Place): { key: 'anyOf' | 'oneOf'; list: readonly unknown[] } | undefined {
  const key = schema['anyOf'] !== undefined ? 'anyOf' : schema['oneOf'] !== undefined ? 'oneOf' : undefined;
  if (key === undefined) return undefined;
  if (key === 'anyOf' && schema['oneOf'] !== undefined) place.fail('anyOf and oneOf at once are not supported');
  const list = listOf(schema, key, place)!;
  return list.length > 0 ? { key, list } : place.fail(`${key} is an empty list`);
}
