import { expect, it } from 'vitest';
import { ChatTemplateError } from 'matmulfree';
import { compileTemplate } from '../../src/chat/compile.js';
import { cpuMs } from '../support/cpu.js';
import { effort } from '../support/effort.js';

/*
 * Templates that would take for ever, or all memory, or the stack. Each ends in an error, or well, in moments.
 */
const grow = (start: string, step: string, rounds = 100_000, rest = ''): string => `{% set ns = namespace(s=${start}) %}{% for i in range(${rounds}) %}{% set ns.s = ${step} %}{% endfor %}${rest}`;
const deep = (open: string, middle = '1', close = '', times = 50_000): string => `{{ ${open.repeat(times)}${middle}${close.repeat(times)} }}`;

const HOSTILE: Record<string, string> = {
  'loops in loops': '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}',
  'a range': '{{ range(1000000000000) | list }}',
  'a text that doubles': grow("'ab'", 'ns.s + ns.s'),
  'a captured text that doubles': "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set b %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = b %}{% endfor %}",
  'a list that doubles': grow('[1]', 'ns.s + ns.s'),
  'lists in each other': grow('[1]', '[ns.s]', 10_000, '{{ ns.s }}'),
  'lists in each other, as JSON': grow('[1]', '[ns.s]', 10_000, '{{ ns.s | tojson }}'),
  'a list of itself twice': grow('[1]', '[ns.s, ns.s]', 60, '{{ ns.s }}'),
  'a list of itself twice, compared': "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
  'a namespace in itself': '{% set ns = namespace() %}{% set ns.s = [ns] %}{{ ns.s }}',
  'a macro of itself': '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
  'a macro of itself twice': '{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}',
  'a caller of itself': '{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}',
  powers: '{{ 9 ** 9 ** 9 ** 9 }}',
  squares: grow('3', 'ns.s * ns.s'),
  'a long number': `{{ ${'9'.repeat(100_000)} }}`,
  'a number read from a long text': "{{ ('9' * 5000000) | int }}",
  'a repeated text': '{{ "a" * 10000000000 }}',
  'many long texts': '{% for i in range(1000) %}{% set a = "ab" * 1000000 %}{% endfor %}',
  'a search that engines do slowly': '{{ ("a" * 100000 + "b" + "a" * 100000) in "a" * 1000000 }}',
  'a search from the right': '{{ ("a" * 1000000).rfind("b" + "a" * 10000) }}',
  'many searches': '{% set a = "a" * 1000000 %}{% for i in range(10000) %}{% set b = ("a" * 20 + "b" + "a" * 20) in a %}{% endfor %}',
  'long texts compared': '{% set a = "a" * 1000000 + "b" %}{% set b = "a" * 1000000 + "b" %}{% for i in range(100000) %}{% set c = a == b %}{% endfor %}',
  'long texts sorted': '{{ ([("a" * 100000) + "b", ("a" * 100000) + "c"] * 1000) | sort | length }}',
  'capitals of many origins': '{{ (("ß" + x) * 100000) | upper | length }}',
  'long keys': '{% set a = "a" * 1000000 %}{% for i in range(100000) %}{% set d = {a + "b": 1} %}{% endfor %}',
  'all slices': '{% set l = range(100000) | list %}{% for i in l %}{% set a = l[i:] %}{% endfor %}',
  'sums of lists': '{{ ([[1]] * 100000) | sum(start=[]) | length }}',
  'an indent': '{{ ("\\n" * 1000000) | indent(1024) }}',
  'filters of filters': `{{ [1] | map(${"'map', ".repeat(10_000)}'upper') | list }}`,
  'an attribute of attributes': '{{ [[]] | map(attribute="a." * 1000000) | list }}',
  parentheses: deep('(', '1', ')'),
  lists: deep('[', '1', ']'),
  negations: deep('not '),
  signs: deep('-'),
  sums: deep('', '1', '+1'),
  attributes: deep('', 'x', '.a'),
  calls: deep('', 'x', '()'),
  choices: deep('1 if 1 else '),
  'unclosed statements': '{% if x %}'.repeat(50_000),
  'unclosed prints': '{{'.repeat(100_000),
  'unclosed comments': '{#'.repeat(100_000),
  'unclosed strings': `{{ "${'\\'.repeat(100_000)}`,
  'targets in parentheses': `{% set ${'('.repeat(50_000)}a${')'.repeat(50_000)} = 1 %}`,
  'too long a template': 'a'.repeat(1 << 21),
};

/** Use up all steps that a template has: a few of the kind are enough every time. */
const LONG = ['loops in loops', 'a list that doubles', 'all slices', 'sums of lists', 'a list of itself twice', 'long texts sorted', 'choices', 'unclosed prints', 'an indent', 'filters of filters', 'an attribute of attributes', 'sums', 'a text that doubles'];

it.each(Object.entries(HOSTILE).filter(([name]) => effort(!LONG.includes(name), true)))('%s', (_, source) => {
  const began = cpuMs();
  expect(() => compileTemplate(source).render({ x: 'ß', l: [1] })).toThrow(ChatTemplateError);
  expect(cpuMs() - began).toBeLessThan(8000); // some 300 ms on a machine that does nothing else
});

it('long templates, and long conversations, take no longer than they are long', () => {
  const began = cpuMs();
  for (const source of ['{% if 1 %}{% endif %}\n'.repeat(20_000), '{# #}'.repeat(50_000), '{ '.repeat(400_000), `{% if 0 %}${'{% elif 0 %}'.repeat(20_000)}{% endif %}`, '{{ 1 }}'.repeat(20_000)]) {
    expect(compileTemplate(source).render({}).length).toBeGreaterThanOrEqual(0);
  }
  const messages = Array.from({ length: effort(500, 3000) }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: 'word '.repeat(200) }));
  const text = compileTemplate("{% for m in messages %}{% if m.role == 'user' or loop.last %}{{ '<u>' + m.content | trim }}{% else %}{{ m.content.split('</think>')[-1] }}{% endif %}{% endfor %}").render({ messages });
  expect(text.length).toBeGreaterThan(490_000);
  expect(cpuMs() - began).toBeLessThan(10_000);
});
