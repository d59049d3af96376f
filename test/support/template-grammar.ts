import { pick, type Random } from './fuzz.js';

/*
 * Random templates: most of what Jinja has, and some of what it has not, over the variables of `TEMPLATE_VARIABLES`.
 */
export const TEMPLATE_VARIABLES = {
  messages: [
    { role: 'system', content: ' Be brief. ' }, { role: 'user', content: 'Hi <|im_end|> "é" 你好😀\n' },
    { role: 'assistant', content: null, tool_calls: [{ type: 'function', function: { name: 'f', arguments: { city: 'Paris', n: 2.5 } } }] },
  ],
  s: 'ab cd', n: 3, x: 2.5, t: true, z: null, l: [3, 1, 2], d: { a: 1, b: [1, 'x'], c: { k: 'v' } }, bos_token: '<s>', add_generation_prompt: true,
};

const NAMES = ['s', 'n', 'x', 't', 'z', 'l', 'd', 'messages', 'bos_token', 'nope', 'ns', 'i', 'k', 'v', 'q', 'loop', 'm', 'messages[0].content', 'messages[2]', 'd.c', "d['b']"];
const LITERALS = ["'a'", '"b c"', "' x\\n'", '0', '1', '2', '-1', '1.5', 'true', 'false', 'none', '[]', '[1, 2]', '{}', "{'a': 1}", '(1,)', "'<|im_end|>'", '"ß😀"'];
const FILTERS = [
  'trim', 'upper', 'lower', 'length', 'tojson', 'tojson(indent=2)', 'list', 'first', 'last', 'join', "join(', ')", 'string', 'default("d")', 'default(none, true)', 'capitalize', 'title', 'int', 'float', 'items',
  'sort', 'reverse', 'unique', "map('upper')", "map(attribute='role')", "selectattr('role', 'equalto', 'user')", "rejectattr('role')", 'select', "reject('none')", "replace('a', 'bb')", 'abs', 'round', 'sum', 'min', 'max',
  'dictsort', 'indent', 'safe', 'count', 'wordcount',
];
const TESTS = ['defined', 'undefined', 'none', 'string', 'number', 'integer', 'float', 'boolean', 'mapping', 'iterable', 'sequence', 'true', 'false', 'odd', 'even', 'equalto(1)', 'in [1, 2]', 'callable', 'gt 1', 'lower'];
const MEMBERS = [
  '.role', '.content', '.a', "['b']", '[0]', '[-1]', '[1:]', '[:-1]', '[::-1]', '[::2]', '.upper()', '.strip()', ".split('b')", '.split()', ".startswith('a')", ".endswith('d')", ".replace('a', 'z')", '.items()', '.keys()',
  ".get('a')", ".get('q', 7)", '.title()', '.lstrip("a ")', ".rstrip('d')", ".find('c')", '.nope', '.index0', '.last', '.previtem',
];
const OPERATORS = ['+', '-', '*', '/', '//', '%', '~', '~', '==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'and', 'or'];

export function randomExpression(random: Random, depth = 4): string {
  const inner = (): string => randomExpression(random, depth - 1);
  if (depth <= 0) return pick(random, random.unit() < 0.6 ? NAMES : LITERALS);
  switch (random.integer(0, 12)) {
    case 0: case 1: return `${inner()} ${pick(random, OPERATORS)} ${inner()}`;
    case 2: return `(${inner()})`;
    case 3: case 4: return `${inner()} | ${pick(random, FILTERS)}`;
    case 5: return `${inner()} is ${random.unit() < 0.3 ? 'not ' : ''}${pick(random, TESTS)}`;
    case 6: case 7: return `${pick(random, NAMES)}${pick(random, MEMBERS)}`;
    case 8: return `${inner()} if ${inner()}${random.unit() < 0.8 ? ` else ${inner()}` : ''}`;
    case 9: return `not ${inner()}`;
    case 10: return `[${inner()}, ${inner()}]`;
    case 11: return `{'k': ${inner()}}`;
    default: return pick(random, [`range(${random.integer(0, 5)})`, `m(${inner()})`, `m(a=${inner()})`, `namespace(a=${inner()}).a`, `(${inner()})${pick(random, MEMBERS)}`]);
  }
}

export function randomTemplate(random: Random, depth = 3): string {
  const dash = (): string => (random.unit() < 0.3 ? '-' : random.unit() < 0.05 ? '+' : '');
  const statement = (code: string): string => `{%${dash()} ${code} ${dash().replace('+', '')}%}`;
  const block = (code: string, end: string): string => `${statement(code)}${randomTemplate(random, depth - 1)}${statement(end)}`;
  let result = '';
  for (let count = random.integer(1, 4); count > 0; count--) {
    const expression = (): string => randomExpression(random, random.integer(0, 3));
    const kind = depth <= 0 ? random.integer(0, 4) : random.integer(0, 13);
    switch (kind) {
      case 0: result += pick(random, ['a', ' b ', '\n', '\n  ', '  ', '<|x|>', ':\n\n', '{', '%}']); break;
      case 1: case 2: case 3: result += `{{${dash()} ${expression()} ${dash().replace('+', '')}}}`; break;
      case 4: result += statement(`set ${pick(random, ['q', 'v', 'ns', 'ns.a', 'k, v'])} = ${expression()}`); break;
      case 5: case 6: result += block(`if ${expression()}`, 'endif'); break;
      case 7: result += `${statement(`if ${expression()}`)}${randomTemplate(random, depth - 1)}${statement('else')}${randomTemplate(random, depth - 1)}${statement('endif')}`; break;
      case 8: case 9: result += block(`for ${pick(random, ['i in l', 'i in messages', 'i in s', 'k, v in d.items()', 'k, v in d|items', `i in ${expression()}`, 'i in messages if i.role != "user"', 'i in range(3)'])}`, 'endfor'); break;
      case 10: result += block(pick(random, ['set q', 'set q | trim']), 'endset'); break;
      case 11: result += `${statement(pick(random, ['macro m(a)', 'macro m(a, b=1)', "macro m(a='x')"]))}${randomTemplate(random, depth - 1)}${statement('endmacro')}`; break;
      case 12: result += statement(pick(random, ['set ns = namespace(a=1)', 'set ns = namespace(a="")', 'break', 'continue'])); break;
      default: result += pick(random, ['{# c #}', '{#- c -#}', '{% raw %}{{ x }}{% endraw %}', '{% filter upper %}a{{ s }}{% endfilter %}']);
    }
  }
  return result;
}
