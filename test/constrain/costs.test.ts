import { describe, expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { expectWithin, tryHostile } from './hostile-runs.js';

const many = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const members = (count: number, member: (n: number) => [string, unknown]): object => Object.fromEntries(many(count).map(member));
const patterned = (n: number): [string, unknown] => [`p${n}`, { pattern: `[a-z]${n}`, minLength: 10 }];

/** What took seconds or hundreds of megabytes, or would with one limit less; more in costs.full.test.ts. */
const CASES: [string, () => unknown][] = [
  ['a pattern and a large minLength', () => ({ jsonSchema: { pattern: 'a', minLength: 1_000_000 } })],
  ['a window that two patterns share', () => ({ jsonSchema: { pattern: '^(?:.{0,400}a){3}.{0,400}$', minLength: 300, maxLength: 1200 } })],
  ['an enum that holds often', () => ({ jsonSchema: { $defs: { a: { enum: many(9000) } }, allOf: many(5000).map(() => ({ $ref: '#/$defs/a' })) } })],
  ['objects that all hold', () => ({ jsonSchema: { allOf: many(900).map((n) => ({ properties: members(10, (i) => [`p${n}_${i}`, true]) })) } })],
  ['a class of classes', () => ({ regex: `[${'\\p{L}\\P{N}'.repeat(1600)}]` })],
  ['ways without number', () => ({ regex: `(?:${'a*'.repeat(2000)})*` })],
];

describe('nothing takes more than 0.5 s to compile or to refuse, 50 ms a token, or 100 MB', () => {
  it.each(CASES)('%s', (name, make) => {
    expectWithin(make(), 1, name);
  });

  const seed = freshSeed();
  it(`hostile constraints (seed ${seed})`, () => {
    const { ended, refused, cut } = tryHostile(seed, 60);
    expect(Math.min(ended, refused, cut)).toBeGreaterThan(1);
  });
});

describe('what schemas of practice need is not refused', () => {
  it.each<[string, unknown]>([
    ['an email address', { format: 'email', minLength: 5, maxLength: 254 }],
    ['a name of a host with a digit', { format: 'hostname', maxLength: 253, pattern: '[0-9]' }],
    ['a slug', { pattern: '^[a-z0-9]+(?:-[a-z0-9]+)*$', minLength: 3, maxLength: 100 }],
    ['some text', { pattern: '\\S', maxLength: 5000 }],
    ['many letters', { pattern: '^\\p{L}[\\p{L}\\p{M} \'-]*$', minLength: 1000 }],
    ['long sentences', { pattern: '[.!?]$', minLength: 200, maxLength: 2000 }],
    ['optional properties', { type: 'object', properties: members(500, (n) => [`p${n}`, { type: 'string' }]) }],
    ['properties with patterns', { properties: members(40, patterned) }],
    ['objects as values', { enum: many(2000).map((n) => ({ a: n, b: [n, { c: `${n}` }] })) }],
  ])('%s', (name, jsonSchema) => {
    expect(expectWithin({ jsonSchema }, 1, name).outcome).not.toHaveProperty('complaint');
  });
});
