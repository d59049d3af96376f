import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseReport } from '../../bench/compare.js';
import { figuresOf } from '../../bench/report/figures.js';
import { fillTables, markdownOf } from '../../bench/report/markdown.js';
import { CAVEAT } from '../../bench/trained-models.js';
import { reportFixture } from '../support/bench-report.js';
import { repository } from '../support/files.js';

const figures = figuresOf(reportFixture());
const textOf = (path: string): string => readFileSync(repository(path), 'utf8');

describe('tables in Markdown', () => {
  it('have a row for each of the figure, as many cells in each, and what to know for reading them', () => {
    for (const figure of figures) {
      const lines = markdownOf(figure).split('\n').filter((line) => line.startsWith('|'));
      expect(lines.length, figure.id).toBe(figure.table.rows.length + 2);
      for (const line of lines) expect(line.split(/(?<!\\)\|/).length, figure.id).toBe(figure.table.columns.length + 2);
    }
    expect(markdownOf({ id: 'x', title: 'x', says: '', chart: undefined, table: { caption: '', columns: ['a|b', 'c'], rows: [['d', { text: '1', from: [] }]] } })).toBe('| a\\|b | c |\n| --- | --- |\n| d | 1 |');
  });

  it('are written between their marks, again and again, and nothing else changes', () => {
    const text = 'Before.\n<!-- bench: prefill -->\nold\n<!-- /bench -->\nBetween.\n<!-- bench: nothing -->\nold\n<!-- /bench -->\nAfter.';
    const filled = fillTables(text, figures);
    expect(filled).toBe(`Before.\n<!-- bench: prefill -->\n\n${markdownOf(figures.find(({ id }) => id === 'prefill')!)}\n\n<!-- /bench -->\nBetween.\n<!-- bench: nothing -->\n<!-- /bench -->\nAfter.`);
    expect(fillTables(filled, figures)).toBe(filled);
  });

  it('have some of the columns only, where the mark names them', () => {
    const figure = { id: 'x', title: 'x', says: 'Says.', note: 'Note.', chart: undefined, table: { caption: '', columns: ['a', 'b, c', 'd'], rows: [['1', '2', { text: '3', from: [] }]] } };
    expect(fillTables('<!-- bench: x | d | b, c -->\nold\n<!-- /bench -->', [figure])).toBe('<!-- bench: x | d | b, c -->\n\n| d | b, c |\n| --- | --- |\n| 3 | 2 |\n\n<!-- /bench -->');
    expect(() => fillTables('<!-- bench: x | e -->\n<!-- /bench -->', [figure])).toThrow('no column "e"; there are: a | b, c | d');
  });

  it.each(['README.md', 'bench/README.md'])('of %s are those of bench/results: npm run bench -- --from bench/results/report.json --tables README.md,bench/README.md', (path) => {
    const kept = figuresOf(parseReport('report.json', textOf('bench/results/report.json')));
    expect(fillTables(textOf(path), kept)).toBe(textOf(path));
  });

  it('of quality never stand without what their figures do not say, and do not rank', () => {
    const quality = figures.find(({ id }) => id === 'quality')!;
    expect(markdownOf(quality)).toContain(CAVEAT);
    expect(quality.chart!.body).toContain('No ranking follows');
    // By how much attention there is, whatever the figures are.
    expect(quality.table.rows.map(([name]) => String(name).replace(/,.*/, ''))).toEqual([
      'MatMul-free', 'MatMul-free', 'float MatMul-free', 'float MatMul-free', 'hybrid', 'BitNet', 'BitNet', 'float Transformer++', 'float Transformer++',
    ]);
    expect(quality.says).not.toMatch(/better|worse|best of|beats/);
    for (const [name, , perplexity] of quality.table.rows) {
      if (String(name).includes('quoted')) expect((perplexity as { text: string }).text).toMatch(/\(quoted\)$/);
    }
  });
});
