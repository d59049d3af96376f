import type { Random } from './helpers.js';
import { randomRegex } from './random-regexes.js';
import { randomSchema } from './random-schemas.js';

/** What a constraint may be asked for: see `compileConstraint`. */
export type HostileSpec = { jsonSchema: unknown } | { regex: string } | { choices: string[] };

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

const times = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Small mostly, and sometimes far beyond what anybody needs. */
function size(random: Random, most = 1e9): number {
  return Math.min(most, Math.floor(10 ** (random.unit() ** 2 * pick(random, [1, 1, 1, 2, 2, 3, 4, 5, 6, 9]))));
}

/** A constraint that may be large, ambiguous, deep, without any output, or no constraint at all; of some kilobytes, rarely more. */
export function hostileSpec(random: Random): HostileSpec {
  const kind = random.unit();
  if (kind < 0.15) return { regex: hostileRegex(random) };
  if (kind < 0.2) return { choices: hostileTexts(random) };
  return { jsonSchema: document(random) };
}

const ATOMS = ['a', 'b', '.', '[^]', '\\d', '\\w', '[a-f]', '[^a-f]', '\\p{L}', '\\P{Lu}', '[\\p{L}\\p{N}_-]', 'é', '日', '\\u{1f600}', '[\\u{0}-\\u{10ffff}]', 'ab', '(?:)', '"', '\\\\', '\\n'];

export function hostileRegex(random: Random, depth = 4): string {
  if (random.unit() < 0.2) return randomRegex(random, 3);
  const quantifier = (): string => {
    const [low, high] = [size(random, 2 ** 31), size(random, 2 ** 31)].sort((a, b) => a - b) as [number, number];
    return pick(random, ['', '', '', '?', '*', '+', `{${low}}`, `{${low},}`, `{${low},${high}}`, `{0,${high}}`]);
  };
  const row = (level: number): string => times(random.integer(1, 4)).map(() => {
    const atom = level > 0 && random.unit() < 0.5 ? `(?:${rows(level - 1)})` : pick(random, ATOMS);
    return (random.unit() < 0.05 && atom.length < 99 ? atom.repeat(size(random, 400)) : atom) + (atom.length > 1 && !/^[[\\(]/.test(atom) ? '' : quantifier());
  }).join('');
  const rows = (level: number): string => times(random.unit() < 0.7 ? 1 : random.integer(2, 4)).map(() => row(level)).join('|');
  const whole = rows(random.integer(0, depth));
  if (whole.length > 3000) return pick(random, ATOMS);
  return random.unit() < 0.03 ? whole.repeat(Math.min(size(random, 100), 3000 / whole.length)) : whole;
}

function hostileTexts(random: Random, most = 20_000): string[] {
  const count = 1 + size(random, most);
  const stem = pick(random, ['', 'a', 'value ', '日本', 'x'.repeat(size(random, count > 500 ? 9 : 500))]);
  const make = pick<(n: number) => string>(random, [(n) => `${stem}${n}`, (n) => `${n}${stem}`, (n) => stem + 'a'.repeat(n % 700), (n) => `${(n * 7919) % 10_007} ${stem} ${n}`]);
  return times(count).map(make);
}

interface Names {
  /** Definitions that may be referred to. */
  readonly names: readonly string[];
  /** How many more schemas there may be. */
  left: number;
}

/** A schema with definitions that may be referred to, some with an address of their own. */
function document(random: Random): unknown {
  if (random.unit() < 0.1) return randomSchema(random);
  const names = times(random.integer(0, 4)).map((n) => `d${n}`);
  const within: Names = { names, left: size(random, 1000) };
  const $defs = Object.fromEntries(names.map((name, n) => [name, {
    ...(random.unit() < 0.2 ? { $id: pick(random, [`r${n}`, 'same', `x/r${n}`]) } : {}), ...(random.unit() < 0.2 ? { $anchor: `a${n}` } : {}), ...(schema(random, 2, within) as object),
  }]));
  const root = schema(random, random.integer(0, 5), within);
  return typeof root === 'object' && names.length > 0 ? { $defs, ...root } : root;
}

function schema(random: Random, depth: number, names: Names): unknown {
  const within = (): unknown => schema(random, depth - 1, names);
  const list = (most: number): unknown[] => times(1 + size(random, depth > 2 ? 3 : most)).map(within);
  if (depth <= 0 || names.left-- <= 0) return leaf(random, names);
  switch (random.integer(0, 9)) {
    case 0: case 1: case 2: return object(random, depth, names);
    case 3: return { type: 'array', items: within(), ...bounds(random, 'Items') };
    case 4: return { ...(random.unit() < 0.5 ? { type: 'array' } : {}), prefixItems: list(200), items: pick(random, [false, true, within()]), ...bounds(random, 'Items') };
    case 5: return { anyOf: list(300) };
    case 6: return { oneOf: list(30) };
    case 7: return { allOf: list(30), ...(random.unit() < 0.3 ? object(random, depth, names) : {}) };
    case 8: return { ...(leaf(random, names) as object), anyOf: list(10) };
    default: {
      let inner = within();
      if (random.unit() < 0.7) return inner;
      for (let n = size(random, 50); n > 0; n--) inner = pick(random, [{ items: inner }, { type: 'object', properties: { a: inner }, required: ['a'] }, { allOf: [inner] }, { anyOf: [inner, { type: 'null' }] }]);
      return inner;
    }
  }
}

function object(random: Random, depth: number, names: Names): object {
  const count = size(random, random.unit() < 0.1 ? 700 : 20);
  const stem = random.unit() < 0.1 ? 'long '.repeat(size(random, 100)) : 'p';
  const keys = times(count).map((n) => stem + n);
  const one = schema(random, count > 20 ? 0 : depth - 1, names);
  return {
    type: 'object', properties: Object.fromEntries(keys.map((key) => [key, count > 20 ? one : schema(random, depth - 1, names)])), required: keys.filter(() => random.unit() < 0.4),
    ...(random.unit() < 0.3 ? { additionalProperties: schema(random, depth - 1, names) } : {}), ...(random.unit() < 0.1 ? bounds(random, 'Properties') : {}),
  };
}

function bounds(random: Random, of: string): object {
  const [low, high] = [size(random), size(random)].sort((a, b) => a - b);
  return { ...(random.unit() < 0.4 ? { [`min${of}`]: low } : {}), ...(random.unit() < 0.4 ? { [`max${of}`]: high } : {}) };
}

function leaf(random: Random, within: Names): unknown {
  const { names } = within;
  const most = 20 * Math.max(1, within.left); // values of an enum
  within.left--;
  if (random.unit() < 0.01) return nonsense(random);
  switch (random.integer(0, 10)) {
    case 0: case 1: return { type: 'string', ...bounds(random, 'Length'), pattern: hostileRegex(random, 2) };
    case 2: return { type: 'string', ...bounds(random, 'Length'), format: pick(random, ['date', 'time', 'date-time', 'duration', 'uuid', 'ipv4', 'hostname', 'email']) };
    case 3: return { pattern: hostileRegex(random, 2), format: pick(random, ['date', 'email', 'hostname']), ...bounds(random, 'Length') };
    case 4: return { type: 'string', ...bounds(random, 'Length') };
    case 5: within.left -= 100; return { enum: pick<() => unknown[]>(random, [() => hostileTexts(random, most), () => times(size(random, 2 * most)), () => times(size(random, Math.min(most, 300))).map((n) => ({ n, of: [n] })), () => [null, true, 1.5, 'x', [], {}]])() };
    case 6: case 7: {
      const low = pick(random, [-1, 1]) * pick(random, [0, 0.1, 1 / 3, size(random), 1e-300, 999_999_999_999, 123_456_789.123]);
      const high = low + pick(random, [0, 1, 1e-9, 0.25, size(random), 1e300]);
      return { type: pick(random, ['integer', 'number']), ...(random.unit() < 0.6 ? { [pick(random, ['minimum', 'exclusiveMinimum'])]: low } : {}), ...(random.unit() < 0.6 ? { [pick(random, ['maximum', 'exclusiveMaximum'])]: high } : {}) };
    }
    case 8: case 9: {
      if (names.length === 0) return { type: 'boolean' };
      const name = pick(random, names);
      return { $ref: random.unit() < 0.9 ? pick(random, [`#/$defs/${name}`, `#/$defs/${name}`, '#']) : pick(random, [`#a${name.slice(1)}`, `r${name.slice(1)}`, `x/r${name.slice(1)}#`, '#/$defs/none']) };
    }
    default: return pick(random, [true, false, {}, { type: 'null' }, { type: ['boolean', 'null'] }, { const: 'c'.repeat(size(random, 10 * most)) }]);
  }
}

function nonsense(random: Random): unknown {
  return pick(random, [{ not: {} }, { type: 'nul' }, { minLength: '3' }, { patternProperties: {} }, { $dynamicRef: '#' }, { pattern: '(?=a)' }, { required: true }, { items: [{}] }, 3, { format: 'uri' }]);
}
