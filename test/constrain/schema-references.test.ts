import { describe, expect, it } from 'vitest';
import { ArgumentError } from 'matmulfree';
import { compileJsonSchema } from '../../src/constrain/compile.js';
import { accepts, bytesAlone } from './helpers.js';
import { complaint } from './json-schema-checker.js';

const tokenizer = bytesAlone();
const string = { type: 'string' };
const integer = { type: 'integer' };

/** [schema, texts that it allows, texts that it does not]; many after ref.json, anchor.json and id.json of the JSON-Schema-Test-Suite. */
const CASES: [string, unknown, string[], string[]][] = [
  ['a pointer in an embedded resource', {
    $id: 'https://example.com/root.json', $ref: '#/$defs/item',
    $defs: { kind: integer, item: { $id: 'item.json', $defs: { kind: { enum: ['red', 'blue'] } }, $ref: '#/$defs/kind' } },
  }, ['"red"'], ['12']],
  ['"#" in an embedded resource', {
    $id: 'https://example.com/root.json', type: 'object', additionalProperties: false, required: ['list'],
    properties: { list: { $id: 'list.json', type: 'array', maxItems: 1, items: { $ref: '#' } } },
  }, ['{"list":[[]]}', '{"list":[[[]]]}'], ['{"list":[{"list":[]}]}']],
  ['"#" in an embedded resource without an address outside', { $defs: { a: { $id: 'a', type: 'array', items: { $ref: '#' } } }, type: 'object', properties: { a: { $ref: 'a' } } }, ['{"a":[[]]}'], ['{"a":[{}]}']],
  ['an empty reference', { $defs: { a: { $id: 'a', type: 'array', items: { $ref: '' } } }, $ref: 'a' }, ['[[]]'], ['[1]']],
  ['a resource by its address', { $id: 'http://example.com/a/root', $ref: 'http://example.com/a/b', $defs: { b: { $id: 'b', ...string } } }, ['"x"'], ['1']],
  ['addresses within each other', {
    $id: 'http://localhost:1234/', items: { $ref: 'baseUriChange/folderInteger.json' },
    $defs: { x: { $id: 'baseUriChange/', $defs: { y: { $id: 'folderInteger.json', ...integer } } }, y: { $id: 'folderInteger.json', ...string } },
  }, ['[1]'], ['["a"]']],
  ['a path from the top', { $id: 'http://example.com/ref/absref.json', $ref: '/absref/foobar.json', $defs: { a: { $id: 'http://example.com/absref/foobar.json', type: 'number' }, b: { $id: '/ref/foobar.json', ...string } } }, ['12'], ['"foo"']],
  ['$id before $ref', {
    $id: 'https://example.com/base', $ref: '#/$defs/y',
    $defs: { bigint: { $id: 'int', maximum: 10 }, x: { $id: 'https://example.com/other/int', maximum: 2 }, y: { $id: 'other/', $ref: 'int', type: 'integer' } },
  }, ['1'], ['5']],
  ['a pointer into an embedded resource', { $ref: '#/$defs/a/$defs/b', $defs: { b: integer, a: { $id: 'x/a', $defs: { b: { $ref: '#/$defs/c' }, c: string } } } }, ['"x"'], ['1']],
  ['a pointer behind an address', { $id: 'http://example.com/root', $ref: 'http://example.com/root#/$defs/a', $defs: { a: string } }, ['"x"'], ['1']],
  ['a URN', { $id: 'urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed', type: 'object', properties: { foo: { $ref: 'urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed#/$defs/bar' }, bar: { $ref: '#/$defs/bar' } }, $defs: { bar: string } }, ['{"foo":"bar","bar":""}'], ['{"foo":12}', '{"bar":12}']],
  ['a file', { $id: 'file:///folder/file.json', $defs: { foo: { type: 'number' } }, $ref: '#/$defs/foo' }, ['1'], ['"1"']],
  ['an anchor', { $ref: '#foo', $defs: { A: { $anchor: 'foo', ...integer } } }, ['1'], ['"a"']],
  ['an anchor behind an address', { $ref: 'http://localhost:1234/bar#foo', $defs: { A: { $id: 'http://localhost:1234/bar', $anchor: 'foo', ...integer } } }, ['1'], ['"a"']],
  ['the same anchor in two resources', {
    $id: 'http://localhost:1234/foobar', $ref: 'child1#my_anchor',
    $defs: { A: { $id: 'child1', allOf: [{ $id: 'child2', $anchor: 'my_anchor', type: 'number' }, { $anchor: 'my_anchor', ...string }] } },
  }, ['"a"'], ['1']],
  ['an anchor in a resource, not in the root', { $anchor: 'a', anyOf: [{ $ref: 'in#a' }], $defs: { x: { $id: 'in', $ref: '#a', $defs: { y: { $anchor: 'a', ...string } } } } }, ['"a"'], ['1']],
  ['escapes', {
    type: 'object', $defs: { 'tilde~field': integer, 'slash/field': string, 'percent%field': { type: 'null' }, 'quote"field': { type: 'boolean' }, '~1': { const: 7 } }, properties: {
      tilde: { $ref: '#/$defs/tilde~0field' }, slash: { $ref: '#/$defs/slash~1field' }, percent: { $ref: '#/$defs/percent%25field' }, quote: { $ref: '#/$defs/quote%22field' },
      plain: { $ref: '#/$defs/quote"field' }, slash2: { $ref: '#/$defs/slash%7E1field' }, both: { $ref: '#/$defs/~01' },
    },
  }, ['{"tilde":1,"slash":"a","percent":null,"quote":true,"plain":false,"slash2":"a","both":7}'], ['{"tilde":""}', '{"slash":1}', '{"percent":1}', '{"quote":1}', '{"slash2":1}', '{"both":1}']],
  ['%2F between keys', { $ref: '#%2F$defs%2Fa', $defs: { a: string } }, ['"x"'], ['1']],
  ['a property called $ref, or $id', { type: 'object', properties: { $ref: string, $id: { $ref: '#/properties/$ref' } } }, ['{"$ref":"a","$id":"b"}'], ['{"$ref":1}', '{"$id":1}']],
  ['$id and $ref in values', { $ref: '#/$defs/a', $defs: { a: { enum: [{ $id: 'x', $ref: '#' }], default: { $id: 'x' }, examples: [{ $anchor: 'y' }] }, b: { $id: 'x' }, c: { $anchor: 'y' } } }, ['{"$id":"x","$ref":"#"}'], ['1']],
  ['true and false', { $ref: '#/$defs/a', $defs: { a: { items: { $ref: '#/$defs/none' } }, none: false } }, ['[]'], ['[1]']],
  ['a list of schemas', { anyOf: [{ $ref: '#/allOf/0/prefixItems/1' }], allOf: [{ prefixItems: [integer, string], type: ['array', 'string'] }] }, ['"a"'], ['1', '[1]']],
  ['a schema that asks itself in vain', { anyOf: [{ $ref: '#/$defs/a' }, string], $defs: { a: { allOf: [{ anyOf: [{ $ref: '#/$defs/a' }] }, false] } } }, ['"x"'], ['1']],
  ['draft-07: definitions beside $ref', { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'http://x.test/', $ref: '#/definitions/a', definitions: { a: string }, title: 'T' }, ['"a"'], ['1']],
  ['draft-07: $id as a name', { $schema: 'http://json-schema.org/draft-07/schema#', items: { $ref: '#foo' }, definitions: { a: { $id: '#foo', ...string } } }, ['["a"]'], ['[1]']],
  ['other drafts by name', { $schema: 'https://json-schema.org/draft/2019-09/schema', allOf: [{ $ref: '#/$defs/a', maximum: 3 }], $defs: { a: integer } }, ['3'], ['4']],
  ['the latest draft', { $schema: 'http://json-schema.org/schema#', const: 1 }, ['1'], ['2']],
];

describe('$ref, $id and $anchor', () => {
  it.each(CASES)('%s', (_, schema, good, bad) => {
    const constraint = compileJsonSchema(schema, tokenizer);
    for (const text of good) expect(accepts(constraint, tokenizer, text), text).toBe(true);
    for (const text of bad) expect(accepts(constraint, tokenizer, text), text).toBe(false);
    // The checker, which judges random schemas, resolves references by itself.
    for (const text of good) expect(complaint(schema, JSON.parse(text)), text).toBeUndefined();
    for (const text of bad) expect(complaint(schema, JSON.parse(text)), text).toBeDefined();
  });

  it.each<[unknown, RegExp]>([
    [{ $ref: 'https://json-schema.org/draft/2020-12/schema' }, /\$ref is "https:\/\/json-schema\.org\/draft\/2020-12\/schema"; only places in the same schema can be referred to/],
    [{ $ref: 'https://x.test/a?token=secret#/b' }, /\$ref is "https:\/\/x\.test\/a\?…"; only places/],
    [{ $ref: 'a.json?token=secret#/b' }, /\$ref is "a\.json\?…#\/b"; only places/],
    [{ $id: 'http://x.test/root', $defs: { a: { $id: 'a', $ref: '#/$defs/b' }, b: true }, $ref: 'a' }, /\$ref is "http:\/\/x\.test\/a#\/\$defs\/b", which is not there/],
    [{ $ref: '#a', $defs: { x: { $id: 'x', $anchor: 'a' } } }, /\$ref is "#a"; only places in the same schema/],
    [{ $ref: '#/$defs/a~2', $defs: { 'a~2': true } }, /which is not there/],
    [{ $ref: '#/$defs/%zz', $defs: { '%zz': true } }, /only places in the same schema/],
    [{ $ref: '#/anyOf/00', anyOf: [true] }, /which is not there/],
    [{ $ref: '#/examples/0', examples: [{ type: 'string' }] }, /which is no place of a schema/],
    [{ $ref: '#/properties', properties: { title: { type: 'string' } } }, /which is no place of a schema/],
    [{ $ref: '#/$defs', $defs: { title: false } }, /which is no place of a schema/],
    [{ $ref: '#/anyOf/0/const', anyOf: [{ const: { type: 'string' } }] }, /which is no place of a schema/],
    [{ $ref: 3 }, /\$ref is 3, not a string/],
    [{ $ref: '#/$defs/ a\\b', $defs: { ' a\\b': false } }, /no value/],
    [{ $ref: 'a b' }, /\$ref is "a b", which is no address/],
    [{ $id: 'urn:a:b', $ref: 'c' }, /\$ref is "c", which is no address behind "urn:a:b"/],
    [{ $id: 3 }, /\$id is 3, not a string/],
    [{ $id: 'a#b' }, /\$id is "a#b", which has a fragment; name a place with \$anchor/],
    [{ items: { $id: '#b' } }, /at #\/items: \$id is "#b", which has a fragment/],
    [{ $defs: { a: { $id: 'x' }, b: { $id: 'y/../x' } } }, /at #\/\$defs\/b: \$id is "y\/\.\.\/x", which another schema within has as well/],
    [{ $id: 'http://x.test/', items: { $id: '/' } }, /which another schema within has as well/],
    [{ $defs: { a: { $anchor: 'x' }, b: { $anchor: 'x' } } }, /\$anchor is "x", which another schema within has as well/],
    [{ $anchor: '/x' }, /\$anchor is "\/x"; a name has letters/],
    [{ $dynamicRef: '#a' }, /the keyword "\$dynamicRef" is not supported/],
    [{ $dynamicAnchor: 'a' }, /the keyword "\$dynamicAnchor" is not supported/],
    [{ $schema: 'https://json-schema.org/draft/2019-09/schema', $recursiveRef: '#' }, /the keyword "\$recursiveRef" is not supported/],
    [{ $schema: 'https://example.com/mine?key=1' }, /\$schema is "https:\/\/example\.com\/mine\?…"; supported are the drafts 2020-12/],
    [{ items: { $schema: 'http://json-schema.org/draft-07/schema#' } }, /at #\/items: a \$schema other than that of the whole/],
    [{ $schema: 'http://json-schema.org/draft-07/schema#', items: { $ref: '#', maxItems: 3 } }, /at #\/items: maxItems beside \$ref is ignored by the draft that \$schema names, and not supported/],
    [{ $schema: 'http://json-schema.org/draft-07/schema#', items: { $id: 'x', $ref: '#' } }, /\$id beside \$ref is ignored/],
    [{ $schema: 'http://json-schema.org/draft-07/schema#', prefixItems: [{ type: 'string' }], items: { type: 'integer' } }, /prefixItems is not a keyword of the draft/],
    [{ $schema: 'https://json-schema.org/draft/2019-09/schema', prefixItems: [{ type: 'string' }], items: { type: 'integer' } }, /prefixItems is not a keyword of the draft/],
    [{ $schema: 'http://json-schema.org/draft-04/schema#', $id: 'x' }, /\$id is not a keyword of the draft/],
    [{ $schema: 'http://json-schema.org/draft-04/schema#', id: 'x' }, /the keyword "id" is not supported/],
  ])('refuses %j by name and place', (schema, message) => {
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(ArgumentError);
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(message);
  });
});

describe('what would let through what a schema forbids', () => {
  it.each<[unknown, RegExp]>([
    ...['not', 'if', 'then', 'else', 'patternProperties', 'propertyNames', 'dependentRequired', 'dependentSchemas', 'dependencies', 'unevaluatedProperties',
      'unevaluatedItems', 'additionalItems', 'contains', 'minContains', 'maxContains', 'multipleOf', 'nullable', 'divisibleBy', 'disallow', 'extends', '$vocabulary', '$recursiveAnchor']
      .map((key): [unknown, RegExp] => [{ type: 'object', [key]: {} }, new RegExp(`the keyword "${key.replace('$', '\\$')}" is not supported`)]),
    [{ type: 'number', minimum: 3, exclusiveMinimum: true }, /exclusiveMinimum is true, not a number, which it is since draft-06/],
    [{ type: 'number', maximum: 3, exclusiveMaximum: false }, /exclusiveMaximum is false, not a number/],
    [{ properties: { a: { type: 'string', required: true } } }, /required is true, not a list/],
    [{ type: 'any' }, /type is "any", not one of/],
    [{ type: 'array', items: [{ type: 'string' }], additionalItems: false }, /additionalItems|items is a list/],
    [new Map([['type', 'string']]), /a Map is no value of JSON/],
    [{ const: new Date(0) }, /at #\/const: a Date is no value of JSON/],
    [{ properties: new Set() }, /a Set is no value of JSON/],
    [Object.create(null, { [Symbol.toStringTag]: { value: 'Module' }, default: { value: { type: 'string' }, enumerable: true } }), /a Module is no value of JSON/],
    [{ enum: new Array(2) }, /at #\/enum\/0: undefined is no value of JSON/],
  ])('%j is refused', (schema, message) => {
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(ArgumentError);
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(message);
  });
});
