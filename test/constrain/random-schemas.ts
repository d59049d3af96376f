import type { Random } from './helpers.js';

/** A random schema of what is supported; `depth` bounds what is within what. */
export function randomSchema(random: Random, depth = 3): Record<string, unknown> {
  const root = schema(random, depth);
  if (random.unit() < 0.3) {
    // One that contains itself: a tree, or a list of lists.
    const node = random.unit() < 0.5
      ? { type: 'object', properties: { value: leaf(random), next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } }, required: ['value', 'next'] }
      : { anyOf: [leaf(random), { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 2 }] };
    return { type: 'object', properties: { a: root, b: { $ref: '#/$defs/node' } }, required: ['b'], $defs: { node } };
  }
  return root;
}

const NAMES = ['name', 'age', 'tags', 'a', 'b', 'é', 'with space', 'quote"d', 'x/y~z', '日本'];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

function maybe(random: Random, key: string, value: unknown, chance = 0.5): Record<string, unknown> {
  return random.unit() < chance ? { [key]: value } : {};
}

function schema(random: Random, depth: number): Record<string, unknown> {
  if (depth <= 0 || random.unit() < 0.3) return leaf(random);
  const kind = random.integer(0, 6);
  if (kind <= 2) return object(random, depth);
  if (kind <= 4) return array(random, depth);
  if (kind === 5) return { anyOf: Array.from({ length: random.integer(1, 3) }, () => schema(random, depth - 1)) };
  return { oneOf: [object(random, depth - 1, 'circle'), object(random, depth - 1, 'square'), leafOf('string', random)] };
}

function object(random: Random, depth: number, kind?: string): Record<string, unknown> {
  const names = NAMES.filter(() => random.unit() < 0.35);
  const properties: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, schema(random, depth - 1)]));
  const required = names.filter(() => random.unit() < 0.5);
  if (kind !== undefined) {
    properties['kind'] = { const: kind };
    required.push('kind');
  }
  return { type: 'object', properties, ...maybe(random, 'required', required, kind === undefined ? 0.7 : 1), ...maybe(random, 'additionalProperties', pick(random, [false, leaf(random)]), 0.4) };
}

function array(random: Random, depth: number): Record<string, unknown> {
  const minItems = random.integer(0, 3);
  return {
    type: 'array', ...maybe(random, 'items', schema(random, depth - 1), 0.7), ...maybe(random, 'prefixItems', [leaf(random), leaf(random)], 0.3),
    ...maybe(random, 'minItems', minItems), ...maybe(random, 'maxItems', minItems + random.integer(0, 3), 0.7),
  };
}

function leaf(random: Random): Record<string, unknown> {
  return leafOf(pick(random, ['string', 'string', 'integer', 'number', 'other', 'enum']), random);
}

function leafOf(kind: string, random: Random): Record<string, unknown> {
  switch (kind) {
    case 'string': {
      const minLength = random.integer(0, 5);
      const bounds = { ...maybe(random, 'minLength', minLength, 0.3), ...maybe(random, 'maxLength', minLength + random.integer(0, 12), 0.8) };
      const chance = random.unit();
      if (chance < 0.2) return { type: 'string', pattern: pick(random, ['^[A-Z][a-z]+$', '\\d{2}', '^(?:ab|c)*$', '[^"]"', '^.{3,6}$', 'x$', '^\\p{Lu}']), ...(chance < 0.1 ? { maxLength: 8 } : {}) };
      if (chance < 0.4) return { type: 'string', format: pick(random, ['date', 'time', 'date-time', 'uuid', 'ipv4', 'email', 'hostname', 'duration']) };
      return { type: 'string', ...bounds };
    }
    case 'integer': case 'number': {
      const low = pick(random, [-1000, -17, -1, 0, 1, 9, 100, 99_999, ...(kind === 'number' ? [0.5, -2.25, 1e-7, 0.1] : [])]);
      const width = pick(random, [0, 1, 5, 9, 10, 90, 1234, ...(kind === 'number' ? [0.5, 0.001, 2.75] : [])]);
      const isOpen = random.unit() < 0.3 && width > 2;
      return {
        type: kind, ...maybe(random, isOpen ? 'exclusiveMinimum' : 'minimum', low, 0.6), ...maybe(random, isOpen ? 'exclusiveMaximum' : 'maximum', low + width, 0.6),
      };
    }
    case 'enum': return pick(random, [{ enum: ['red', 'green', 'reddish', 1, null] }, { type: 'string', enum: ['ä"\n', 'yes', 'y'] }, { const: { a: [1, 'x'], b: null } }, { const: 4.5 }, { type: ['string', 'null'], enum: ['a', null, 3] }]);
    default: return pick(random, [{ type: 'boolean' }, { type: 'null' }, { type: ['boolean', 'integer'] }, { type: ['null', 'string'], maxLength: 3 }]);
  }
}
