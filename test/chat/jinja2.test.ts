import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ChatTemplateError } from 'matmulfree';
import { compileTemplate } from '../../src/chat/compile.js';
import { fixture } from '../support/files.js';

/** Rendered by Python's Jinja with transformers' settings: what each of these is, and which are errors. */
const { variables, cases } = JSON.parse(readFileSync(fixture('chat/jinja2.json'), 'utf8')) as {
  variables: Record<string, unknown>; cases: [template: string, text: string | null][];
};
const now = new Date(2026, 10, 27, 9, 5, 3);

it(`${cases.length} templates come out as in Python, to the character, or are errors there too`, () => {
  for (const [template, text] of cases) {
    const render = (): string => compileTemplate(template, { now }).render(variables);
    if (text === null) expect(render, template).toThrow(ChatTemplateError);
    else expect(render(), template).toBe(text);
  }
});

it('and their pieces are the whole', () => {
  for (const [template, text] of cases) {
    if (text === null) continue;
    const pieces = compileTemplate(template, { now }).renderPieces(variables);
    expect(pieces.map((piece) => piece.text).join(''), template).toBe(text);
    expect(pieces.some((piece, i) => piece.text === '' || piece.isTemplate === pieces[i - 1]?.isTemplate), template).toBe(false);
  }
});
