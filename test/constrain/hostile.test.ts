import { describe, expect, it } from 'vitest';
import { ArgumentError } from 'matmulfree';
import { compileChoices, compileConstraint, compileJsonSchema, compileRegex, type ConstraintSpec } from '../../src/constrain/compile.js';
import type { Constraint } from '../../src/constrain/constraint.js';
import { idsOf, randomOf, tokenizers } from './helpers.js';

const { tokenizer, prompt } = tokenizers()[0]!;

/** Compiles, and writes some tokens at random: to an end, or to a complaint of the library's. */
function tryOut(compile: () => Constraint): string {
  const random = randomOf(1);
  try {
    let state = compile().start(prompt);
    for (let n = 0; n < 40; n++) {
      const ids = idsOf(state.mask);
      if (ids.length === 0) return state.complete ? 'complete' : 'dead end';
      state = state.next(ids[random.integer(0, ids.length - 1)]!);
    }
    return 'goes on';
  } catch (error) {
    expect(error).toBeInstanceOf(ArgumentError);
    return (error as Error).message;
  }
}

const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = { type: 'null' };
  for (let n = 0; n < depth; n++) value = wrap(value);
  return value;
};
const many = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('hostile input ends soon, in an output or a complaint', () => {
  it.each([
    '(a*)*b', '(a|a)*b', '(?:a|aa)+$', '(.*a){20}', '(?:a?){1000}a{1000}', '((a{0,100}){0,100}){0,100}', '(?:.*,){100}', '.*a.{1000}', '[^]*x[^]{500}y',
    '(?:[a-z]{0,1000}[a-m]{0,1000}){0,1000}', '(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9}', 'a{2147483647}', 'a{1,99999999999}', '(?:(?:a{2,}){2,}){2,}b',
    '(?:a|b|ab|ba|aab|abb)*'.repeat(50), 'a?'.repeat(8000), '.?'.repeat(8000), '(?:a?b?c?){200}'.repeat(20), `(?:${'a*'.repeat(2000)})*`, `${'(?:'.repeat(90)}a${')*'.repeat(90)}`,
    many(3000).map((n) => `x${n}y*`).join('|'), `(?:${many(1000).map((n) => `.{${n}}`).join('|')})z`,
    '[\\ud83d\\ude00-\\u{10ffff}]{1,1000}', '\\p{L}{1,1000}\\P{L}',
  ])('pattern %#', (pattern) => {
    expect(tryOut(() => compileRegex(pattern, tokenizer))).not.toBe('dead end');
  });

  it.each<[string, () => unknown]>([
    ['lists nested', () => nested(5000, (items) => ({ items }))],
    ['values nested', () => ({ const: nested(5000, (inner) => [inner]) })],
    ['a schema in itself', () => { const own: Record<string, unknown> = {}; own['items'] = own; return own; }],
    ['one schema in many places', () => nested(60, (inner) => ({ anyOf: [{ items: inner }, { items: inner }, inner] }))],
    ['many properties', () => ({ properties: Object.fromEntries(many(600).map((n) => [`p${n}`, true])) })],
    ['properties that are all optional', () => ({ type: 'object', properties: Object.fromEntries(many(500).map((n) => [`p${n}`, { type: 'string' }])) })],
    ['many required', () => ({ required: many(100_000).map(String) })],
    ['a long enum', () => ({ enum: many(100_000) })],
    ['many texts', () => ({ enum: many(50_000).map((n) => `value ${n} with some text`) })],
    ['many alternatives', () => ({ anyOf: many(20_000).map((n) => ({ type: 'string', minLength: n })) })],
    ['many exclusive alternatives', () => ({ oneOf: many(1000).map((n) => ({ const: n })) })],
    ['a chain of references', () => ({ $ref: '#/$defs/0', $defs: Object.fromEntries(many(9000).map((n) => [n, n < 8999 ? { type: 'object', properties: { a: { $ref: `#/$defs/${n + 1}` } }, required: ['a'] } : { type: 'null' }])) })],
    ['a chain of nothing but references', () => ({ $ref: '#/$defs/0', $defs: Object.fromEntries(many(5000).map((n) => [n, n < 4999 ? { $ref: `#/$defs/${n + 1}` } : { type: 'null' }])) })],
    ['references that fork', () => ({ $ref: '#/$defs/0', $defs: Object.fromEntries(many(60).map((n) => [n, n < 59 ? { anyOf: [{ $ref: `#/$defs/${n + 1}` }, { type: ['null'], anyOf: [{ $ref: `#/$defs/${n + 1}` }] }] } : { type: 'null' }])) })],
    ['allOf that forks', () => ({ $ref: '#/$defs/0', $defs: Object.fromEntries(many(30).map((n) => [n, n < 29 ? { allOf: [{ $ref: `#/$defs/${n + 1}` }, { $ref: `#/$defs/${n + 1}` }] } : { type: 'null' }])) })],
    ['allOf in itself', () => ({ $defs: { a: { allOf: [{ items: { $ref: '#/$defs/a' } }, { items: { $ref: '#/$defs/a' } }] } }, $ref: '#/$defs/a' })],
    ['patterns that have nothing in common', () => ({ pattern: '^(?:a|b)*a(?:a|b){18}$', maxLength: 18 })],
    ['patterns in common', () => ({ pattern: '^(?:.*a.{20})$', format: 'email', minLength: 30, maxLength: 40 })],
    ['long texts', () => ({ pattern: '^.*$', minLength: 1_000_000, maxLength: 1_000_001 })],
    ['long names beside others', () => ({ properties: Object.fromEntries(many(500).map((n) => [`${n}${'x'.repeat(500)}`, true])), additionalProperties: true })],
    ['counts', () => ({ items: { items: { items: { type: 'null' }, minItems: 1e9 }, minItems: 1e9 }, minItems: 1e9 })],
    ['counts beyond all', () => ({ minItems: 1e300 })],
    ['huge numbers', () => ({ type: 'number', minimum: -Number.MAX_VALUE, maximum: Number.MAX_VALUE })],
    ['tiny numbers', () => ({ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: Number.MIN_VALUE })],
    ['exclusive alternatives with much in common', () => {
      const properties = Object.fromEntries(many(400).map((n) => [`p${n}`, { type: 'string' }]));
      return { oneOf: many(200).map((n) => ({ type: 'object', required: [...Object.keys(properties), 'kind'], properties: { ...properties, kind: { const: n } } })) };
    }],
    ['many patterns', () => ({ properties: Object.fromEntries(many(400).map((n) => [`p${n}`, { pattern: '^\\p{L}{1,9}$' }])) })],
    ['a long reference', () => ({ $ref: `#/${'a/'.repeat(100_000)}` })],
    ['a bad escape', () => ({ $ref: '#/%zz' })],
    ['bigints', () => ({ const: 1n })],
  ])('schema: %s', (_, make) => {
    expect(tryOut(() => compileJsonSchema(make(), tokenizer))).not.toBe('dead end');
  });

  it.each<[string, () => unknown]>([
    ['choices that begin alike', () => many(700).map((n) => 'a'.repeat(n))],
    ['one long choice', () => ['ab'.repeat(100_000)]],
    ['choices that are too long', () => ['ab'.repeat(200_000)]],
    ['many choices', () => many(40_000).map(String)],
    ['no list', () => 'yes'],
    ['an empty list', () => []],
    ['numbers', () => [1]],
    ['half a surrogate pair', () => ['\ud800']],
  ])('choices: %s', (_, make) => {
    expect(tryOut(() => compileChoices(make() as string[], tokenizer))).not.toBe('dead end');
  });
});

describe('compileConstraint', () => {
  it('takes one of its forms, or what is compiled already', () => {
    const state = (spec: unknown): number[] => [...compileConstraint(spec as ConstraintSpec, tokenizer).start(prompt).mask];
    expect(state({ choices: ['a'] })).toEqual(state({ regex: 'a' }));
    expect(state({ jsonSchema: { const: 1 } })).toEqual(state({ regex: '1' }));
    const own = compileRegex('b', tokenizer);
    expect(compileConstraint(own, tokenizer)).toBe(own);
    expect(() => state({ regexp: 'a' })).toThrow('constraint: unknown option "regexp" (known: choices, regex, jsonSchema)');
    expect(() => state({ regex: 'a', choices: ['a'] })).toThrow('constraint: give one of choices, regex and jsonSchema');
    expect(() => state({})).toThrow('constraint: give one of');
    for (const wrong of [null, 'a', 3, undefined, []]) expect(() => state(wrong)).toThrow(/^constraint: .* is not an object$/);
  });
});
