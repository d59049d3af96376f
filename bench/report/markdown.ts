import type { Cell, Figure, Table } from './figure.js';

/*
 * Tables of figures inside Markdown, between marks of their own: `<!-- bench: quality -->` and `<!-- /bench -->`. They are written by
 * npm run bench -- --from report.json --tables README.md, and a test checks that they are those of bench/results.
 * With names of columns (`<!-- bench: quality | model | perplexity -->`) there are only these, and no notes: the text around says what is to be known.
 */

const BLOCK = /(<!-- bench: ([\w-]+)((?: \| [^|\n]+?)*) -->\n)[\s\S]*?(<!-- \/bench -->)/g;

const cellText = (cell: Cell): string => (typeof cell === 'string' ? cell : cell.text).replaceAll('|', '\\|');

function tableOf({ columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns.map(cellText)), line(columns.map(() => '---')), ...rows.map((row) => line(row.map(cellText)))].join('\n');
}

/** What a figure says, its table, and what to know for reading it. Spreads are in the report. */
export function markdownOf({ says, table, note }: Figure): string {
  return [...(says === '' ? [] : [says, '']), tableOf(table), ...(note === undefined ? [] : ['', note])].join('\n');
}

/** @throws RangeError for a column that is not there. */
function someColumns({ table: { caption, columns, rows } }: Figure, wanted: readonly string[]): string {
  const indices = wanted.map((name) => {
    const index = columns.indexOf(name);
    if (index < 0) throw new RangeError(`no column "${name}"; there are: ${columns.join(' | ')}`);
    return index;
  });
  const chosen = <T>(cells: readonly T[]): T[] => indices.map((n) => cells[n]!);
  return tableOf({ caption, columns: chosen(columns), rows: rows.map(chosen) });
}

/** `text` with its blocks filled; one whose figure is not among `figures` is empty. @throws RangeError for a column that the figure does not have. */
export function fillTables(text: string, figures: readonly Figure[]): string {
  return text.replace(BLOCK, (_, begin: string, id: string, columns: string, end: string) => {
    const figure = figures.find((one) => one.id === id);
    if (!figure) return `${begin}${end}`;
    return `${begin}\n${columns === '' ? markdownOf(figure) : someColumns(figure, columns.split(' | ').slice(1))}\n\n${end}`;
  });
}
