import { expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { expectWithin, tryHostile } from './hostile-runs.js';

const many = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const members = (count: number, member: (n: number) => [string, unknown]): object => Object.fromEntries(many(count).map(member));
const patterned = (n: number): [string, unknown] => [`p${n}`, { pattern: `[a-z]${n}`, minLength: 10 }];

it.each<[string, () => unknown]>([
  ['a pattern and a length that it has', () => ({ jsonSchema: { pattern: '^.*$', minLength: 100_000 } })],
  ['many patterns and lengths', () => ({ jsonSchema: { properties: members(500, patterned), required: many(500).map((n) => `p${n}`) } })],
  ['lengths that alternatives tell apart', () => ({ jsonSchema: { anyOf: many(5000).map((n) => ({ type: 'string', minLength: n })) } })],
  ['large enums that both hold', () => ({ jsonSchema: { allOf: [{ enum: many(15_000) }, { enum: many(15_000) }] } })],
  ['alternatives with much in common', () => ({
    jsonSchema: {
      $defs: { base: { type: 'object', properties: members(400, (n) => [`p${n}`, {}]), required: many(400).map((n) => `p${n}`) } },
      oneOf: many(256).map((n) => ({ allOf: [{ $ref: '#/$defs/base' }, { properties: { kind: { const: n } }, required: ['kind'] }] })),
    },
  })],
  ['a long chain', () => ({ jsonSchema: { $ref: '#/$defs/0', $defs: members(4000, (n) => [`${n}`, n < 3999 ? { type: 'object', properties: { a: { $ref: `#/$defs/${n + 1}` } }, required: ['a'] } : {}]) } })],
  ['many texts', () => ({ jsonSchema: { enum: many(30_000).map((n) => `value ${n} with some text`) } })],
  ['many numbers', () => ({ jsonSchema: { anyOf: many(3000).map((n) => ({ type: 'number', minimum: n + 0.123456789, maximum: n + 0.987654321 })) } })],
  ['long names beside others', () => ({ jsonSchema: { properties: members(500, (n) => [n + 'x'.repeat(500), true]), additionalProperties: true } })],
  ['large classes', () => ({ regex: many(1500).map((n) => `[\\p{L}${String.fromCodePoint(0x4e00 + n)}]`).join('') })],
  ['texts of all lengths', () => ({ regex: `(?:${many(1000).map((n) => `.{${n}}`).join('|')})z` })],
  ['what may be left out', () => ({ regex: '.?'.repeat(8000) })],
  ['many choices', () => ({ choices: many(20_000).map((n) => `${n.toString(36)} ${(n * 7919) % 20_000}`) })],
])('%s: within the limits', (name, make) => {
  expectWithin(make(), 1, name, 2);
});

const RUNS = Number(process.env['FUZZ'] ?? 4000);
const seed = freshSeed();

it(`${RUNS} hostile constraints are refused, or written, within the limits (seed ${seed}; FUZZ=20000 for more, SEED=n to repeat)`, () => {
  const found = tryHostile(seed, RUNS, 2);
  console.log(`costs.full.test.ts, seed ${seed}: ${JSON.stringify(found)}`);
  expect(Math.min(found.ended, found.refused, found.cut)).toBeGreaterThan(RUNS / 20);
}, 3_600_000);
