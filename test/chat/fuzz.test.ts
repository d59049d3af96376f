import { readFileSync } from 'node:fs';
import { compileTemplate } from '../../src/chat/compile.js';
import { CHATML, LLAMA3, QWEN3 } from '../support/chat-templates.js';
import { fixture, HAS_SHARED, shared } from '../support/files.js';
import { fuzz, mutate, pick, type Random } from '../support/fuzz.js';
import { randomExpression, randomTemplate, TEMPLATE_VARIABLES } from '../support/template-grammar.js';

/** Templates of our own, and the published ones where they are. */
const { cases } = JSON.parse(readFileSync(fixture('chat/jinja2.json'), 'utf8')) as { cases: [string, string | null][] };
const published = HAS_SHARED ? (JSON.parse(readFileSync(shared('goldens/chat/vectors.json'), 'utf8')) as { template: string; variables: Record<string, unknown> }[]) : [];
const ours = [CHATML, LLAMA3, QWEN3].map((template) => ({ template, variables: TEMPLATE_VARIABLES }));
const whole = [...ours, ...published];
const small = cases.map(([template]) => ({ template, variables: TEMPLATE_VARIABLES }));

interface Input {
  readonly template: string;
  readonly variables: Record<string, unknown>;
}

async function use({ template, variables }: Input): Promise<void> {
  const compiled = compileTemplate(template);
  const text = compiled.render(variables);
  const pieces = compiled.renderPieces(variables);
  if (pieces.map((piece) => piece.text).join('') !== text) throw new Error('the pieces are not the whole');
}

const size = ({ template }: Input): number => template.length;

fuzz<Input>({
  kind: 'templates of a grammar', inputs: 500, endings: 20, size, use,
  make: (random) => ({ template: random.unit() < 0.7 ? randomTemplate(random) : `{{ ${randomExpression(random)} }}`, variables: TEMPLATE_VARIABLES }),
});

/** Bytes changed, or pieces of code put in place of each other. */
function spoil(random: Random): Input {
  const { template, variables } = pick(random, random.unit() < 0.5 ? small : whole);
  if (random.unit() < 0.4) {
    const other = new TextEncoder().encode(pick(random, whole).template);
    return { template: new TextDecoder().decode(mutate(new TextEncoder().encode(template), random, { other })), variables };
  }
  let changed = template;
  for (let count = random.integer(1, 4); count > 0; count--) {
    const words = [...changed.matchAll(/\{%-?|-?%\}|\{\{-?|-?\}\}|\w+|[^\w\s]/g)];
    if (words.length === 0) break;
    const at = pick(random, words);
    const by = pick(random, ['', pick(random, words)[0], randomExpression(random, 1), '{%', '%}', '{{', '}}', '{#', '-', '|', '(', ')', 'if', 'for', 'endfor', 'not', 'is', 'in', '[', ']', '"', "'", ' ', '\n', '9', '**', '\ud83d', '\u{1f600}']);
    changed = changed.slice(0, at.index) + by + changed.slice(at.index + (random.unit() < 0.5 ? at[0].length : 0));
  }
  return { template: changed, variables };
}

fuzz<Input>({ kind: 'spoilt templates', inputs: 500, endings: 20, size, use, make: spoil });

/** Anything for a message's place. */
function junk(random: Random, depth: number): unknown {
  if (depth > 0 && random.unit() < 0.5) {
    const count = random.integer(0, 3);
    if (random.unit() < 0.5) return Array.from({ length: count }, () => junk(random, depth - 1));
    return Object.fromEntries(Array.from({ length: count }, () => [pick(random, ['role', 'content', 'tool_calls', 'function', 'arguments', 'name', '__proto__', 'constructor', 'items']), junk(random, depth - 1)]));
  }
  return pick(random, ['user', 'assistant', 'system', 'tool', '', '<|im_end|>', '\ud800', '</think>', 0, -1, 1.5, NaN, Infinity, 2 ** 60, true, false, null, undefined, 5n, () => 1, Symbol('s'), new Map(), new Date(0)]);
}

fuzz<Input>({
  kind: 'variables of any kind', inputs: 300, endings: 12, size: () => 20_000, use,
  make: (random) => {
    const { template, variables } = pick(random, whole);
    const messages = (variables['messages'] as object[]).map((message) => (random.unit() < 0.5 ? { ...message, ...(junk(random, 3) as object) } : junk(random, 3)));
    return { template, variables: { ...variables, messages: random.unit() < 0.9 ? messages : junk(random, 2), ...(random.unit() < 0.3 ? { tools: junk(random, 4) } : {}) } };
  },
});
