import { matches } from './random-regexes.js';

/** A validator of the tests' own for what the library supports of JSON Schema, by the letter of the specification. */
type Schema = Record<string, unknown>;

const FORMATS: Record<string, (text: string) => boolean> = {
  date: isDate,
  time: isTime,
  'date-time': (text) => text[10] === 'T' && isDate(text.slice(0, 10)) && isTime(text.slice(11)),
  duration: (text) => text !== 'P' && !text.endsWith('T') && /^P(?:\d+W|(?:\d+D|\d+M(?:\d+D)?|\d+Y(?:\d+M(?:\d+D)?)?)?(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
  ipv4: (text) => text.split('.').length === 4 && text.split('.').every((part) => /^\d{1,3}$/.test(part) && String(Number(part)) === part && Number(part) < 256),
  hostname: isHostname,
  email: (text) => text.split('@').length === 2 && /^[\w+-]+(?:\.[\w+-]+)*$/.test(text.split('@')[0]!) && isHostname(text.split('@')[1]!),
};

function isDate(text: string): boolean {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (!found) return false;
  const [year, month, day] = found.slice(1).map(Number) as [number, number, number];
  const days = [31, year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1]!;
}

function isTime(text: string): boolean {
  const found = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/.exec(text);
  if (!found) return false;
  const [hour, minute, second, zoneHour = 0, zoneMinute = 0] = found.slice(1).map((part) => Number(part ?? 0)) as [number, number, number, number, number];
  return hour < 24 && minute < 60 && second < 60 && zoneHour < 24 && zoneMinute < 60;
}

/** Without names in Punycode, which nothing that is tested here writes, and IPv4 addresses. */
function isHostname(text: string): boolean {
  const labels = text.split('.');
  const isLabel = (label: string): boolean => /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(label) && label.length <= 63 && label.slice(2, 4) !== '--';
  return text.length <= 253 && labels.every(isLabel) && /[A-Za-z]/.test(labels.at(-1)!);
}

function typeIs(value: unknown, type: string): boolean {
  switch (type) {
    case 'null': return value === null;
    case 'array': return Array.isArray(value);
    case 'object': return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer': return Number.isInteger(value);
    default: return typeof value === type;
  }
}

function same(a: unknown, b: unknown): boolean {
  const sort = (value: unknown): unknown => (
    Array.isArray(value) ? value.map(sort)
      : typeof value === 'object' && value !== null ? Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)).map(([key, item]) => [key, sort(item)])
        : value
  );
  return JSON.stringify(sort(a)) === JSON.stringify(sort(b)) && Array.isArray(a) === Array.isArray(b);
}

/** Schemas by address and name, and the address that each stands in. */
interface Scope {
  readonly named: Map<string, unknown>;
  readonly base: Map<unknown, string>;
}

function scopeOf(root: unknown): Scope {
  const scope: Scope = { named: new Map([['none:/', root]]), base: new Map() };
  const visit = (value: unknown, outer: string, isSchema: boolean): void => {
    if (typeof value !== 'object' || value === null) return;
    const { $id, $anchor } = value as Schema;
    const base = isSchema && typeof $id === 'string' ? new URL($id, outer).href : outer;
    scope.base.set(value, base);
    if (base !== outer) scope.named.set(base, value);
    if (isSchema && typeof $anchor === 'string') scope.named.set(`${base}#${$anchor}`, value);
    for (const [key, item] of Object.entries(value)) {
      const isList = Array.isArray(value) || !isSchema;
      if (isList || !['const', 'enum', 'default', 'examples', 'required'].includes(key)) visit(item, base, isList || !['properties', '$defs', 'definitions'].includes(key));
    }
  };
  visit(root, 'none:/', true);
  return scope;
}

function targetOf(reference: string, from: unknown, { named, base }: Scope): unknown {
  const url = new URL(reference, base.get(from));
  const fragment = decodeURIComponent(url.hash.slice(1));
  url.hash = '';
  const whole = url.href.replace(/#$/, '');
  if (fragment !== '' && !fragment.startsWith('/')) return named.get(`${whole}#${fragment}`);
  let target = named.get(whole);
  for (const part of fragment.split('/').slice(1)) target = (target as Schema)[part.replace(/~1/g, '/').replace(/~0/g, '~')];
  return target;
}

/**
 * What is wrong with `value`; undefined when it is valid.
 * @param open the schemas that are being asked about this value: one that asks itself again makes nothing valid.
 */
export function complaint(schema: unknown, value: unknown, scope: Scope = scopeOf(schema), path = '$', open: readonly unknown[] = []): string | undefined {
  if (typeof schema === 'boolean') return schema ? undefined : `${path}: false`;
  const s = schema as Schema;
  const inner = (sub: unknown, item: unknown, key: string | number): string | undefined => complaint(sub, item, scope, `${path}.${key}`);
  const here = (sub: unknown): string | undefined => (open.includes(sub) ? `${path}: refers to itself` : complaint(sub, value, scope, path, [...open, schema]));
  const valid = (subs: unknown): number => (subs as unknown[]).filter((sub) => here(sub) === undefined).length;
  if (s['$ref'] !== undefined) {
    const found = here(targetOf(s['$ref'] as string, s, scope));
    if (found) return found;
  }
  if (s['type'] !== undefined && ![s['type']].flat().some((type) => typeIs(value, type as string))) return `${path}: type`;
  if (s['enum'] !== undefined && !(s['enum'] as unknown[]).some((item) => same(item, value))) return `${path}: enum`;
  if ('const' in s && !same(s['const'], value)) return `${path}: const`;
  if (s['anyOf'] !== undefined && valid(s['anyOf']) === 0) return `${path}: anyOf`;
  if (s['oneOf'] !== undefined && valid(s['oneOf']) !== 1) return `${path}: oneOf matches ${valid(s['oneOf'])}`;
  if (s['allOf'] !== undefined && valid(s['allOf']) !== (s['allOf'] as unknown[]).length) return `${path}: allOf`;
  const limit = (key: string): number => s[key] as number;
  if (typeof value === 'number') {
    if (value < limit('minimum') || value > limit('maximum')) return `${path}: bounds`;
    if (value <= limit('exclusiveMinimum') || value >= limit('exclusiveMaximum')) return `${path}: exclusive bounds`;
  }
  if (typeof value === 'string') {
    const length = [...value].length;
    if (length < limit('minLength') || length > limit('maxLength')) return `${path}: length`;
    if (s['pattern'] !== undefined && matches(s['pattern'] as string, value, 'anywhere') === false) return `${path}: pattern`;
    if (s['format'] !== undefined && !FORMATS[s['format'] as string]!(value)) return `${path}: format`;
  }
  if (Array.isArray(value)) {
    if (value.length < limit('minItems') || value.length > limit('maxItems')) return `${path}: number of items`;
    const first = (s['prefixItems'] ?? []) as unknown[];
    for (const [i, item] of value.entries()) {
      const found = inner(first[i] ?? s['items'] ?? true, item, i);
      if (found) return found;
    }
  } else if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value);
    if (keys.length < limit('minProperties') || keys.length > limit('maxProperties')) return `${path}: number of properties`;
    for (const name of (s['required'] ?? []) as string[]) if (!Object.hasOwn(value, name)) return `${path}: ${name} is missing`;
    const properties = (s['properties'] ?? {}) as Schema;
    for (const key of keys) {
      const sub = Object.hasOwn(properties, key) ? properties[key] : (s['additionalProperties'] ?? true);
      const found = inner(sub, (value as Schema)[key], key);
      if (found) return found;
    }
  }
  return undefined;
}
