import type { Cell, Figure } from './figure.js';

/*
 * Tables of figures inside Markdown, between marks of their own: `<!-- bench: quality -->` and `<!-- /bench -->`. They are written by
 * npm run bench -- --from report.json --tables README.md, and a test checks that they are those of bench/results.
 */

const BLOCK = /(<!-- bench: ([\w-]+) -->\n)[\s\S]*?(<!-- \/bench -->)/g;

const cellText = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text).replaceAll('|', '\\|');

/** What a figure says, its table, and what to know for reading it. Spreads are in the report. */
export function markdownOf({ says, table: { columns, rows }, note }: Figure): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    ...(says === '' ? [] : [says, '']), line(columns.map(cellText)), line(columns.map(() => '---')), ...rows.map((row) => line(row.map(cellText))), ...(note === undefined ? [] : ['', note]),
  ].join('\n');
}

/** `text` with its blocks filled; one whose figure is not among `figures` is empty. */
export function fillTables(text: string, figures: readonly Figure[]): string {
  return text.replace(BLOCK, (_, begin: string, id: string, end: string) => {
    const figure = figures.find((one) => one.id === id);
    return figure ? `${begin}\n${markdownOf(figure)}\n\n${end}` : `${begin}${end}`;
  });
}
