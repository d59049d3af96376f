import { describe, expect, it } from 'vitest';
import { ArgumentError, ChatTemplate, ChatTemplateError } from 'matmulfree';
import { compileTemplate } from '../../src/chat/compile.js';

describe('what is not supported is refused by name when the template is compiled', () => {
  it.each([
    ['a\n{% include "x" %}', 2, 'the statement {% include %} is not supported'],
    ['{% if a %}\n{% do a.b() %}{% endif %}', 2, 'the statement {% do %} is not supported'],
    ['{{ a\n | xmlattr }}', 2, 'the filter xmlattr is not supported'],
    ['{{ a | constructor }}', 1, 'the filter constructor is not supported'],
    ['{% filter e %}{% endfilter %}', 1, 'the filter e is not supported'],
    ['{{ a is escaped }}', 1, 'the test escaped is not supported'],
    ['{{ a is toString }}', 1, 'the test toString is not supported'],
    ['{% for a in b recursive %}{% endfor %}', 1, 'a recursive loop is not supported'],
    ['\n\n{% break %}', 3, '{% break %} outside of a loop'],
    ['{% for a in b %}\n{% if a %}\n{% endfor %}', 3, '{% endfor %} ends nothing that is open here'],
    ['{% for a in b %}\n\n', 1, 'the end of the template where {% endfor %} is missing'],
    ['{{ a', 1, '{{ is not closed'],
    ['a\n{# b', 2, 'a comment, {#, is not closed'],
    ['{{ a b }}', 1, 'b where }} is expected'],
    ['{{ (a }}', 1, '} closes nothing'],
    ['{{ a ? b }}', 1, 'the character "?" is not expected here'],
    ['{{ 0x_ }}', 1, 'x_ where }} is expected'],
    ['{{ 0b2 }}', 1, 'b2 where }} is expected'],
    ['{{ "a }}', 1, 'a string is not closed'],
    ['{{ a.1.b. }}', 1, '}} where a name is expected'],
    ['{% set none = 1 %}', 1, 'none cannot be assigned to'],
    ['{{ 1 is odd is true }}', 1, 'a test of a test: put the first one into parentheses'],
  ])('%j', async (source, line, message) => {
    const error: unknown = await ChatTemplate.compile(source, { file: 'f.jinja' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ChatTemplateError);
    expect((error as ChatTemplateError).message).toBe(`f.jinja, line ${line}: ${message}`);
  });
});

describe('what goes wrong later is an error with its line', () => {
  it.each([
    ['\n{{ raise_exception("only\nuser") }}', 2, 'the template says: only\\u{a}user'],
    ['{{ a.b.c }}', 1, 'a is undefined'],
    ['{{ messages[0].content\n.strip() }}', 2, 'none has no strip'],
    ['{{ messages[0].role.format() }}', 1, 'the string method format is not supported'],
    ['{{ messages.append(1) }}', 1, 'append would change a list, which templates cannot; use +, or a filter'],
    ['{{ messages[0].update({}) }}', 1, 'update would change a dictionary, which templates cannot'],
    ['{% set messages.x = 1 %}', 1, 'messages.x cannot be set: only what namespace() makes can be changed'],
    ['{% for m in messages %}{% set loop.index = 1 %}{% endfor %}', 1, 'loop.index cannot be set: only what namespace() makes can be changed'],
    ['{{ 1 + "a" }}', 1, 'a whole number + a string cannot be computed'],
    ['{{ messages | map("x") | list }}', 1, 'the filter x is not supported'],
    ['{{ messages | select("x") | list }}', 1, 'the test x is not supported'],
    ['{{ messages | map(attribute="role") | length }}', 1, 'an iterator has no length; make a list of it first (| list)'],
    ['{{ messages() }}', 1, 'a list cannot be called'],
    ['{{ "a" | trim(b=1) }}', 1, 'trim: an argument b is not supported'],
    ['{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}', 1, 'the macro m is given 2 arguments, but takes 1'],
    ['{{ strftime_now("%Q") }}', 1, 'strftime_now: %Q is not supported'],
    ['{{ "%s" % 1 }}', 1, '% with a string, which fills in values, is not supported; use ~ to put texts together'],
    ['{% for a, b in messages %}{% endfor %}', 1, '3 values for 2 names'],
  ])('%j', (source, line, message) => {
    const template = compileTemplate(source);
    const variables = { messages: [{ role: 'user', content: null, x: 1 }] };
    expect(() => template.render(variables)).toThrow(`chat template, line ${line}: ${message}`);
  });
});

describe('variables are plain data', () => {
  const of = (value: unknown) => () => compileTemplate('{{ v }}').render({ v: value });
  it('and nothing in them is called, or reached through a prototype', () => {
    let calls = 0;
    const spy = (): string => String(++calls);
    const withGetter = Object.defineProperty({}, 'a', { get: spy, enumerable: true });
    expect(of([{ b: withGetter }])).toThrow(new ArgumentError('render: v[0].b.a is a getter: a chat template takes plain data'));
    expect(of(Object.defineProperty([1], 0, { get: spy }))).toThrow(ArgumentError);
    for (const value of [spy, Symbol('a'), new Map(), new Date(), new (class A { a = 1; })(), /a/, Promise.resolve(1), new Uint8Array(2)]) expect(of({ b: value })).toThrow(ArgumentError);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(of(cyclic)).toThrow(/^render: v\[0\]\[0\]\[0\]\[0\]: more than 100 lists or objects are in each other$/);
    expect(calls).toBe(0);
    const variables = { o: { toString: 'T', ['__proto__']: null, items: 'I' }, p: Object.create(null) as object, l: [1] };
    for (const name of ['constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty', 'prototype', '__class__', '__defineGetter__', 'call']) {
      for (const owner of ['p', 'l', '"text"', '5', 'true', 'none', 'loop', 'range', 'namespace()', 'm', 'p.get', '"a".strip', 'messages']) {
        const source = `{% macro m() %}{% endmacro %}{% for i in l %}{{ (${owner}).${name} is defined }}{{ (${owner})['${name}'] is defined }}{% endfor %}`;
        expect(compileTemplate(source).render({ ...variables, messages: [] }), `${owner}.${name}`).toBe('FalseFalse');
      }
      expect(compileTemplate(`{{ ${name} is defined }}`).render(variables)).toBe('False');
    }
    expect(compileTemplate('{{ o.toString }}{{ o.constructor }}{{ o["items"] }}').render(variables)).toBe('TI');
  });

  it('of undefined, nothing is left, as in JSON; whole numbers are ints', () => {
    expect(compileTemplate('{{ a is defined }}{{ o | tojson }}').render({ a: undefined, o: { b: undefined, c: [undefined], d: 1, e: 1.5, f: -0, g: 2 ** 60, h: 5n } })).toBe(
      'False{"c": [null], "d": 1, "e": 1.5, "f": 0, "g": 1.152921504606847e+18, "h": 5}');
  });
});

it('without a date of its own, the time is now', () => {
  expect(compileTemplate('{{ strftime_now("%Y") }}').render({})).toBe(String(new Date().getFullYear()));
});
