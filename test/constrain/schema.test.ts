import { describe, expect, it } from 'vitest';
import { ArgumentError } from 'matmulfree';
import { compileJsonSchema } from '../../src/constrain/compile.js';
import { accepts, bytesAlone } from './helpers.js';

const tokenizer = bytesAlone();

/** [schema, texts that it allows, texts that it does not]. */
const CASES: Record<string, [unknown, string[], string[]][]> = {
  type: [
    [{ type: 'string' }, ['""', '"a"', '"\\n\\u00e9\\ud83d\\ude00é😀\\/"'], ['', 'a', '"', '"\n"', '"\\ud83d"', '"\\ude00"', '"\\x"', ' ""', '"" ']],
    [{ type: 'integer' }, ['0', '7', '-7', '120', '999999999999999'], ['-0', '01', '1.0', '+1', '1e3', '-', '1000000000000000']],
    [{ type: 'number' }, ['0', '-0', '1.5', '-12.25e+10', '3E5', '0.001'], ['.5', '1.', '01', '1e', '1e100', 'NaN']],
    [{ type: 'boolean' }, ['true', 'false'], ['True', 'tru', 'null', '1']],
    [{ type: 'null' }, ['null'], ['nul', 'nulll', '0']],
    [{ type: 'array' }, ['[]', '[1,"a",[],{"b": null}]', '[1, 2]'], ['[,]', '[1,]', '[1 ,2]', '[1,  2]', '[ ]']],
    [{ type: 'object' }, ['{}', '{"a":1}', '{"a": [], "b":{"c":true}}'], ['{a:1}', '{"a"}', '{"a":1,}', '{"a" :1}', '{"a":\n1}']],
    [{ type: ['integer', 'null'] }, ['3', 'null'], ['"3"', '3.5']],
    [{ type: ['integer', 'number'] }, ['3', '3.5'], ['"3"']],
    [true, ['1', '"x"', '[{}]', 'null'], ['']],
    [{}, ['1.5', '{"a":[true]}'], ['a']],
  ],
  'enum and const': [
    [{ enum: ['a', 'ab', 1, null, true, [1, { x: 'y' }]] }, ['"a"', '"ab"', '1', 'null', 'true', '[1, {"x":"y"}]', '[1,{"x": "y"}]'], ['"b"', '2', 'false', '[1]', '1.0']],
    [{ const: 'quote " and é\n' }, ['"quote \\" and é\\n"'], ['"quote"', '"quote \\" and \\u00e9\\n"']],
    [{ const: null }, ['null'], ['0']],
    [{ const: 1e21 }, ['1e+21'], ['1']],
    [{ type: 'string', enum: ['a', 1] }, ['"a"'], ['1']],
    [{ enum: [1, 2, 3], const: 2 }, ['2'], ['1', '3']],
    [{ type: 'integer', enum: [1, 1.5] }, ['1'], ['1.5']],
  ],
  properties: [
    [{ type: 'object', properties: { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } }, required: ['b'] },
      ['{"b":null}', '{"a":null,"b":null}', '{"b": null, "c": null}', '{"a":null,"b":null,"c":null}'],
      ['{}', '{"a":null}', '{"b":null,"a":null}', '{"b":null,"b":null}', '{"b":null,}', '{,"b":null}', '{"b":null,"d":1}', '{"b":1}']],
    [{ properties: { a: { const: 1 } } }, ['{}', '{"a":1}'], ['1', '{"a":2}', '{"b":1}']],
    [{ properties: { a: false, b: true } }, ['{}', '{"b":[]}'], ['{"a":1}']],
    [{ required: ['x'] }, ['{"x":1}', '{"x":[]}'], ['{}', '{"y":1}', '{"x":1,"y":1}']],
    [{ properties: { 'a"b': { const: 1 }, 'é\n': { const: 2 } } }, ['{"a\\"b":1,"é\\n":2}'], ['{"a"b":1}']],
    [JSON.parse('{"properties":{"__proto__":{"const":1}},"required":["__proto__"]}'), ['{"__proto__":1}'], ['{}', '{"__proto__":2}']],
  ],
  additionalProperties: [
    [{ additionalProperties: { type: 'integer' } }, ['{}', '{"x":1}', '{"x":1, "y": 2}', '{"":3}'], ['{"x":"1"}', '{"x":1,}']],
    [{ properties: { a: { const: 1 }, ab: { const: 2 } }, required: ['a'], additionalProperties: { const: 3 } },
      ['{"a":1}', '{"a":1,"x":3}', '{"a":1,"ab":2,"abc":3,"":3}', '{"a":1,"b\\n\\u0001":3}'],
      ['{"x":3}', '{"a":1,"a":3}', '{"a":1,"ab":3}', '{"a":1,"\\u0061":3}', '{"x":3,"a":1}']],
    [{ properties: { a: { const: 1 } }, additionalProperties: true }, ['{}', '{"a":1}', '{"b":[]}', '{"a":1,"b":{}}', '{"b":1,"c":2}'], ['{"a":2}', '{"b":1,"a":1}']],
    [{ properties: { a: { const: 1 } }, required: ['b'], additionalProperties: { const: 2 } }, ['{"b":2}', '{"a":1,"b":2,"c":2}'], ['{}', '{"a":1}', '{"b":1}', '{"b":2,"b":2}']],
    [{ type: 'object', additionalProperties: false }, ['{}'], ['{"a":1}']],
  ],
  'minProperties and maxProperties': [
    [{ type: 'object', additionalProperties: { const: 1 }, minProperties: 1, maxProperties: 2 }, ['{"a":1}', '{"a":1,"b":1}'], ['{}', '{"a":1,"b":1,"c":1}']],
    [{ type: 'object', maxProperties: 0 }, ['{}'], ['{"a":1}']],
    [{ properties: { a: true }, required: ['a'], minProperties: 1, maxProperties: 5 }, ['{"a":1}'], ['{}']],
  ],
  items: [
    [{ items: { type: 'boolean' } }, ['[]', '[true]', '[true, false,true]'], ['[1]', '[true,1]']],
    [{ items: { const: 1 }, minItems: 2, maxItems: 3 }, ['[1,1]', '[1,1,1]'], ['[]', '[1]', '[1,1,1,1]']],
    [{ items: { const: 1 }, maxItems: 0 }, ['[]'], ['[1]']],
    [{ items: false }, ['[]'], ['[1]']],
    [{ prefixItems: [{ const: 1 }, { const: 2 }] }, ['[]', '[1]', '[1,2]'], ['[2]', '[1,2,3]', '[1,1]']],
    [{ prefixItems: [{ const: 1 }, { const: 2 }], items: { const: 3 }, minItems: 1, maxItems: 4 }, ['[1]', '[1,2]', '[1,2,3]', '[1, 2, 3, 3]'], ['[]', '[1,3]', '[1,2,3,3,3]']],
    [{ prefixItems: [{ const: 1 }, { const: 2 }, { const: 3 }], maxItems: 2 }, ['[]', '[1,2]'], ['[1,2,3]']],
    [{ prefixItems: [{ const: 1 }], minItems: 2, maxItems: 2 }, ['[1,"any"]'], ['[1]', '[1,2,3]']],
    [{ prefixItems: [{ const: 1 }], items: false }, ['[1]', '[]'], ['[1,2]']],
    [{ items: { const: 1 }, uniqueItems: false }, ['[1,1]'], []],
  ],
  'minLength and maxLength': [
    [{ type: 'string', minLength: 1, maxLength: 3 }, ['"a"', '"😀😀😀"', '"\\n\\u0041\\ud83d\\ude00"'], ['""', '"abcd"', '"\\n\\n\\n\\n"']],
    [{ maxLength: 0 }, ['""'], ['"a"']],
    [{ minLength: 2 }, ['"ab"', '"abcdefgh"'], ['"a"']],
  ],
  pattern: [
    [{ pattern: '^[a-c]+$' }, ['"abc"'], ['""', '"abd"', '"ab\\u0063"']],
    [{ pattern: 'b' }, ['"b"', '"abc"', '"\\"b\\n"'], ['"a"', '""']],
    [{ pattern: '^a|z$' }, ['"ax"', '"xz"', '"az"'], ['"xa"', '"zx"']],
    [{ pattern: '^(a|b)$' }, ['"a"', '"b"'], ['"ab"']],
    [{ pattern: '^["\\\\\\n\\x01]$' }, ['"\\""', '"\\\\"', '"\\n"', '"\\u0001"'], ['"n"', '"\\u000a"']],
    [{ pattern: '^a*$', minLength: 2, maxLength: 4 }, ['"aa"', '"aaaa"'], ['"a"', '"aaaaa"']],
    [{ pattern: '^(?:ab){1,5}$', maxLength: 7 }, ['"ab"', '"ababab"'], ['"abababab"', '"aba"']],
    [{ pattern: '\\d$', format: 'ipv4' }, ['"10.0.0.1"'], ['"1"']],
    [{ pattern: 'x', minLength: 3, maxLength: 3 }, ['"xab"', '"abx"', '"a😀x"'], ['"x"', '"abc"', '"abcx"']],
  ],
  format: [
    [{ format: 'date' }, ['"2024-01-31"', '"1999-02-28"', '"2000-11-30"'], ['"2024-02-30"', '"2024-13-01"', '"2024-04-31"', '"2024-1-1"']],
    [{ format: 'time' }, ['"23:59:59Z"', '"00:00:00.123+05:30"'], ['"24:00:00Z"', '"12:60:00Z"', '"12:00:00"']],
    [{ format: 'date-time' }, ['"2024-01-31T12:00:00Z"'], ['"2024-01-31 12:00:00Z"']],
    [{ format: 'duration' }, ['"P1Y2M3D"', '"PT5M"', '"P2W"', '"P1DT2H"'], ['"P"', '"PT"', '"1D"', '"P1YT"']],
    [{ format: 'uuid' }, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567e89b12d3a456426614174000"']],
    [{ format: 'ipv4' }, ['"255.0.10.9"'], ['"256.0.0.1"', '"1.2.3"', '"01.2.3.4"']],
    [{ format: 'hostname' }, ['"a"', '"a-b.example"'], ['"-a"', '"a-"', '""', '"a..b"']],
    [{ format: 'email' }, ['"first.last@example.org"'], ['"a@"', '"@b.c"', '"a@b"', '"a b@c.d"']],
  ],
  'minimum and maximum of integers': [
    [{ type: 'integer', minimum: 3, maximum: 21 }, ['3', '9', '10', '19', '21'], ['2', '0', '22', '30', '-3', '03']],
    [{ type: 'integer', minimum: -12, maximum: 5 }, ['-12', '-9', '-1', '0', '5'], ['-13', '6', '-0', '-20']],
    [{ type: 'integer', minimum: -30, maximum: -25 }, ['-25', '-30'], ['-24', '-31', '0', '25']],
    [{ type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 }, ['1', '9'], ['0', '10']],
    [{ type: 'integer', minimum: 0.5, maximum: 2.5 }, ['1', '2'], ['0', '3']],
    [{ type: 'integer', minimum: 100 }, ['100', '999', '1000'], ['99', '5', '-100']],
    [{ type: 'integer', maximum: 100 }, ['100', '0', '-5000'], ['101', '1000']],
    [{ type: 'integer', minimum: 989, maximum: 1012 }, ['989', '999', '1000', '1012'], ['988', '1013', '100']],
    [{ type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }, ['9007199254740991', '-9007199254740991'], ['9007199254740992']],
  ],
  'minimum and maximum of numbers': [
    [{ type: 'number', minimum: 0, maximum: 1 }, ['0', '1', '0.5', '0.999', '1.0', '1.000', '0.0'], ['1.1', '-0.1', '1.001', '2', '-0', '0.5e1']],
    [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, ['0.5', '0.001', '0.9999'], ['0', '1', '0.0', '1.0']],
    [{ minimum: -2.25, maximum: 10.5 }, ['-2.25', '-2.2', '-2', '-0.1', '0', '9.999', '10', '10.5', '10.49'], ['-2.26', '-3', '10.51', '11', '-2.3']],
    [{ minimum: 1.25, maximum: 1.35 }, ['1.25', '1.3', '1.35', '1.350', '1.349'], ['1.2', '1.36', '1', '1.4', '1.24999']],
    [{ exclusiveMinimum: 1.25, exclusiveMaximum: 1.3 }, ['1.26', '1.251', '1.2999'], ['1.25', '1.250', '1.3', '1.30']],
    [{ minimum: 1e-7, maximum: 2e-7 }, ['0.0000001', '0.00000015', '0.0000002'], ['0.00000009', '0.00000021', '0']],
    [{ minimum: 99.5 }, ['99.5', '100', '12345.25'], ['99.4', '99', '9']],
    [{ maximum: -0.5 }, ['-0.5', '-1', '-77.25'], ['-0.4', '0', '1']],
    [{ type: 'number', minimum: 5, maximum: 5 }, ['5', '5.0'], ['5.1', '4.9']],
  ],
  combinations: [
    [{ anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 1 }] }, ['12', '"a"'], ['"ab"', 'null']],
    [{ type: 'object', properties: { a: { const: 1 } }, required: ['a'], anyOf: [{ properties: { b: { const: 2 } }, required: ['b'] }, { properties: { c: { const: 3 } }, required: ['c'] }] },
      ['{"a":1,"b":2}', '{"a":1,"c":3}'], ['{"a":1}', '{"b":2}', '{"a":1,"b":2,"c":3}']],
    [{ oneOf: [{ type: 'string' }, { type: 'null' }] }, ['"a"', 'null'], ['1']],
    [{ oneOf: [{ const: 1 }, { const: 2 }, { enum: ['a', 'b'] }] }, ['1', '2', '"b"'], ['3']],
    [{ oneOf: [{ $ref: '#/$defs/x' }, { $ref: '#/$defs/y' }], $defs: { x: { type: 'object', properties: { kind: { const: 'x' } }, required: ['kind'] }, y: { type: 'object', properties: { kind: { const: 'y' } }, required: ['kind'] } } }, ['{"kind":"x"}', '{"kind":"y"}'], ['{"kind":"z"}']],
    [{ allOf: [{ type: 'integer', minimum: 3 }, { maximum: 5 }, { minimum: 4 }] }, ['4', '5'], ['3', '6']],
    [{ allOf: [{ type: ['string', 'number'] }, { type: ['integer', 'null'] }] }, ['1'], ['1.5', 'null', '"a"']],
    [{ allOf: [{ enum: [1, 2, 3] }, { enum: [3, 2] }, { type: 'integer' }] }, ['2', '3'], ['1']],
    [{ allOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: { const: 2 } }, required: ['b'] }], type: 'object' }, ['{"a":1,"b":2}'], ['{"a":1}', '{"b":2}']],
    [{ allOf: [{ properties: { a: { minimum: 1 } } }, { properties: { a: { maximum: 1 } } }], type: 'object' }, ['{"a":1}', '{}'], ['{"a":2}', '{"a":0}']],
    [{ allOf: [{ properties: { a: true }, additionalProperties: false }, { properties: { b: true } }], type: 'object' }, ['{}', '{"a":1}'], ['{"b":1}']],
    [{ allOf: [{ type: 'string', maxLength: 2 }] }, ['"ab"'], ['"abc"']],
    [{ anyOf: [false, { const: 1 }] }, ['1'], ['2']],
    [{ allOf: [true, { const: 1 }] }, ['1'], ['2']],
  ],
  references: [
    [{ $ref: '#/$defs/a', $defs: { a: { type: 'null' } } }, ['null'], ['1']],
    [{ $ref: '#/definitions/a~1b~0c%20d', definitions: { 'a/b~c d': { const: 1 } } }, ['1'], ['2']],
    [{ properties: { x: { $ref: '#' } }, additionalProperties: false }, ['{}', '{"x":{"x":{"x":{}}}}'], ['{"x":1}']],
    [{ $ref: '#/$defs/list', $defs: { list: { type: 'array', items: { $ref: '#/$defs/list' } } } }, ['[]', '[[],[[]]]'], ['[1]']],
    [{ $ref: '#/$defs/a', maximum: 5, $defs: { a: { type: 'integer', minimum: 3 } } }, ['3', '5'], ['2', '6']],
    [{ anyOf: [{ $ref: '#/anyOf/1' }, { $ref: '#/anyOf/2' }, { const: 7 }] }, ['7'], ['8']],
    [{ items: { $ref: '#/$defs/tree' }, $defs: { tree: { type: 'object', properties: { left: { anyOf: [{ $ref: '#/$defs/tree' }, { type: 'null' }] } }, required: ['left'] } } }, ['[{"left":{"left":null}}]'], ['[{}]']],
  ],
  annotations: [
    [{ $schema: 'https://json-schema.org/draft/2020-12/schema', $id: 'x', title: 'T', description: 'D', default: 3, examples: [1], deprecated: true, readOnly: true, $comment: 'c', 'x-order': 1, type: 'null' }, ['null'], ['3']],
    [{ type: 'null', minLength: undefined }, ['null'], []],
  ],
};

describe.each(Object.entries(CASES))('JSON Schema: %s', (_, cases) => {
  it.each(cases)('%j', (schema, good, bad) => {
    const constraint = compileJsonSchema(schema, tokenizer);
    for (const text of good) expect(accepts(constraint, tokenizer, text), text).toBe(true);
    for (const text of bad) expect(accepts(constraint, tokenizer, text), text).toBe(false);
  });
});

describe('JSON Schema', () => {
  it.each<[unknown, RegExp]>([
    [{ type: 'object', properties: { a: { items: { not: {} } } } }, /^constraint: jsonSchema at #\/properties\/a\/items: the keyword "not" is not supported$/],
    [{ if: true }, /at #: the keyword "if"/],
    [{ patternProperties: {} }, /the keyword "patternProperties"/],
    [{ $defs: {}, properties: { 'a/b': { contains: {} } } }, /at #\/properties\/a~1b: the keyword "contains"/],
    [{ multipleOf: 3 }, /the keyword "multipleOf"/],
    [{ minimun: 3 }, /the keyword "minimun"/],
    [{ type: 'array', uniqueItems: true }, /at #: uniqueItems is not supported/],
    [{ type: 'strong' }, /type is "strong", not one of object, array, string/],
    [{ type: [] }, /type is an empty list/],
    [{ enum: 3 }, /enum is 3, not a list/],
    [{ const: NaN }, /at #\/const: NaN is no value of JSON/],
    [{ const: () => 1 }, /a function is no value of JSON/],
    [{ minLength: -1 }, /minLength is -1, not a whole number of at least 0/],
    [{ minLength: null }, /minLength is null, not a whole number/],
    [{ maxItems: 1.5 }, /maxItems is 1.5/],
    [{ minimum: '3' }, /minimum is "3", not a number/],
    [{ type: 'integer', exclusiveMinimum: true }, /exclusiveMinimum is true, not a number/],
    [{ type: 'number', minimum: 1e30 }, /numbers beyond ±/],
    [{ pattern: 3 }, /pattern is 3, not a string/],
    [{ pattern: 'a(?=b)' }, /at #: the pattern "a\(\?=b\)" has a look-ahead/],
    [{ format: 'regex' }, /the format "regex" is not supported \(supported: date, time/],
    [{ properties: [] }, /properties is \[\], not an object/],
    [{ properties: { a: 3 } }, /at #\/properties\/a: 3 is no schema/],
    [{ required: 'a' }, /required is "a", not a list/],
    [{ required: [1] }, /required has 1/],
    [{ items: [{}] }, /items is a list, which is called prefixItems/],
    [{ anyOf: [] }, /anyOf is an empty list/],
    [{ anyOf: [true], oneOf: [true] }, /anyOf and oneOf at once/],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, /oneOf: a value may be valid for both 0 and 1/],
    [{ oneOf: [{ minLength: 2 }, { minimum: 2 }] }, /oneOf: a value may be valid for both/],
    [{ oneOf: [{ type: ['object', 'null'], properties: { k: { const: 1 } }, required: ['k'] }, { type: ['object', 'null'], properties: { k: { const: 2 } }, required: ['k'] }] }, /oneOf: a value may/],
    [{ oneOf: [{ type: 'object', properties: { k: { const: 1 } } }, { type: 'object', properties: { k: { const: 2 } } }] }, /oneOf: a value may/],
    [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, /two different pattern that both hold are not supported/],
    [{ allOf: [{ type: 'string' }, { type: 'null' }] }, /the types that both hold have nothing in common/],
    [{ $ref: '#/properties/n', properties: { n: { const: 7 } } }, /properties beside enum or const is not supported/],
    [{ enum: ['a'], minLength: 1 }, /minLength beside enum or const is not supported/],
    [{ $ref: 'other.json' }, /only places in the same schema can be referred to/],
    [{ $ref: '#name' }, /only places in the same schema/],
    [{ $ref: '#/$defs/gone' }, /\$ref is "#\/\$defs\/gone", which is not there/],
    [{ $ref: '#' }, /refers to itself/],
    [{ $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }, { type: 'null' }] }, b: { anyOf: [{ $ref: '#/$defs/a' }] } } }, /refers to itself without anything before it/],
    [{ allOf: [{ $ref: '#' }, { type: 'null' }] }, /nested too deep, or refer to themselves/],
    [{ allOf: [{ prefixItems: [{ type: 'integer' }] }, { items: { minimum: 3 } }] }, /prefixItems and items of two schemas/],
    [{ minProperties: 2 }, /minProperties above 1 is not supported/],
    [{ properties: { a: true, b: true }, minProperties: 1 }, /minProperties above the number of required properties/],
    [{ properties: { a: true, b: true }, maxProperties: 1 }, /maxProperties beside properties/],
    [false, /no value that the tokenizer can write is valid/],
    [{ type: 'string', minLength: 3, maxLength: 2 }, /no value that the tokenizer can write is valid/],
    [{ pattern: '^a+$', minLength: 3, maxLength: 2 }, /no value/],
    [{ pattern: '^(?:ab)*$', minLength: 3, maxLength: 3 }, /no value/],
    [{ $ref: '#/$defs/a', $defs: { a: { type: 'array', items: { $ref: '#/$defs/a' }, minItems: 1 } } }, /no value/],
    [{ properties: { a: false }, required: ['a'] }, /no value/],
    [3, /at #: 3 is no schema/],
    [null, /null is no schema/],
  ])('refuses %j by name and place', (schema, message) => {
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(ArgumentError);
    expect(() => compileJsonSchema(schema, tokenizer)).toThrow(message);
  });

  it('leaves the schema as it is, and does not look at it later', () => {
    const schema = Object.freeze({ type: 'object', properties: Object.freeze({ a: { const: 1 } }) });
    const constraint = compileJsonSchema(schema, tokenizer);
    schema.properties.a.const = 2;
    expect(accepts(constraint, tokenizer, '{"a":1}')).toBe(true);
  });
});
