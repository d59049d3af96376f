import type { Report, Result } from '../results.js';
import { inlineSvg, type Cell, type Figure, type Table } from './figure.js';
import { figuresOf } from './figures.js';
import { formatValue } from './format.js';
import { lookUp, type Lookup } from './lookup.js';
import { PAGE_STYLE } from './page-style.js';
import { CHART_STYLE, colours } from './style.js';
import { element, escapeText } from './svg.js';
import { verdicts, type Verdict } from './words.js';

/** The report as one HTML file that needs nothing else. Every figure is a link to the result that it comes from. */
export function reportPage(report: Report): string {
  const lookup = lookUp(report);
  const figures = figuresOf(report);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    '<title>Ternary against float32: benchmark report</title>',
    `<style>${colours(':root')}\n${PAGE_STYLE}\n${CHART_STYLE}</style>`,
    '</head>',
    '<body>',
    header(report),
    '<main>',
    section('verdicts', 'What becomes of the claims', verdicts(lookup).map((verdict) => verdictBlock(verdict, lookup)).join('\n')),
    ...figures.map((figure) => figureBlock(figure, lookup)),
    method(report),
    allResults(report),
    '</main>',
    // A browser takes it for text; `<` is escaped, so that nothing in it can end the element.
    `<script type="application/json" id="report">${JSON.stringify(report).replaceAll('<', '\\u003c')}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function section(id: string, title: string, ...content: readonly string[]): string {
  return element('section', { id, 'aria-labelledby': `${id}-heading` }, element('h2', { id: `${id}-heading` }, escapeText(title)), ...content);
}

function header({ machine, started, command, seconds }: Report): string {
  const facts: readonly (readonly [string, string])[] = [
    ['Machine', `${machine.cpu}, ${machine.processors} processors, ${formatValue(machine.memoryBytes, 'bytes')}`],
    ['Engine', machine.engine], ['System', machine.system],
    ['Run', `${started.replace('T', ' ').replace(/\..*$/, '')} UTC, ${Math.round(seconds)} s, commit ${machine.commit ?? 'unknown'}`],
    ['Load', `${machine.load.start.toFixed(1)} at the start, ${machine.load.end.toFixed(1)} at the end, of ${machine.processors}`],
    ['Command', command],
  ];
  return element(
    'header', {},
    element('h1', {}, 'What it buys to leave out matrix multiplication'),
    element('p', { class: 'lead' }, 'Ternary MatMul-free language models against float32 ones of as many weights: the same architecture with multiplications, and a transformer. The models run in WebAssembly, on one machine, taking turns.'),
    element('dl', { class: 'facts' }, ...facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, escapeText(value))))),
  );
}

function verdictBlock({ claim, verdict, why, figures }: Verdict, lookup: Lookup): string {
  return element(
    'article', { class: `verdict ${{ confirmed: 'good', 'confirmed in part': 'part', 'not confirmed': '', refuted: '', 'not measured': 'none' }[verdict]}` },
    element('h3', {}, escapeText(claim)),
    element('p', { class: 'word' }, `${verdict[0].toUpperCase()}${verdict.slice(1)}`),
    ...why.map((text) => element('p', {}, prose(text))),
    figures.length === 0 ? '' : element(
      'ul', { class: 'evidence' }, ...figures.map(({ name, cell }) => element('li', {}, `${escapeText(name)}: ${cellMarkup(cell, lookup)}`)),
    ),
  );
}

/** Sentences, whose numbers stay with their units. */
const prose = (text: string): string => escapeText(text).replace(/(\d) (%|ms|[kMGT]?B\b)/g, '$1\u00a0$2');

/** Tables with more columns go below their chart. */
const WIDEST_BESIDE = 5;

function figureBlock(figure: Figure, lookup: Lookup): string {
  const { id, title, says, chart, table, note } = figure;
  const drawn = chart ? element('div', { class: 'drawing' }, inlineSvg({ id, title, chart })) : '';
  const content = element('div', { class: !chart || table.columns.length > WIDEST_BESIDE ? 'single' : 'pair' }, drawn, tableBlock(table, lookup));
  return section(`figure-${id}`, title, element('p', { class: 'says' }, prose(says)), content, note === undefined ? '' : element('p', { class: 'note' }, prose(note)));
}

function tableBlock({ caption, columns, rows }: Table, lookup: Lookup): string {
  const head = element('tr', {}, ...columns.map((name) => element('th', { scope: 'col' }, escapeText(name).replace('MatMul-free', '<span>$&</span>'))));
  const body = rows.map(([first, ...others]) => element(
    'tr', {}, element('th', { scope: 'row' }, cellMarkup(first, lookup)), ...others.map((one) => element('td', {}, cellMarkup(one, lookup))),
  ));
  return element(
    'div', {}, // the caption outside of what is moved sideways on narrow screens
    element('p', { class: 'caption' }, escapeText(caption)),
    element('div', { class: 'table', role: 'region', tabindex: 0, 'aria-label': caption }, element('table', { 'aria-label': caption }, element('thead', {}, head), element('tbody', {}, ...body))),
  );
}

function cellMarkup(cell: Cell, lookup: Lookup): string {
  if (typeof cell === 'string') return escapeText(cell);
  const [first] = cell.from;
  const spread = cell.spread === undefined ? '' : ` <small>${escapeText(cell.spread)}</small>`;
  if (!first) return `${escapeText(cell.text)}${spread}`;
  const title = cell.from.map((result) => `results[${lookup.indexOf(result)}] ${result.id}`).join('\n');
  return `${element('a', { href: `#r${lookup.indexOf(first)}`, title }, escapeText(cell.text))}${spread}`;
}

function method({ notes, parts }: Report): string {
  const paragraphs = [
    'Whatever is compared takes turns in one process, round by round, after a warm-up and a round that does not count. Shown are medians; spreads hold four of five rounds. Weights are random in the large models, which makes no difference to speed, and stream from memory where they are larger than the caches: 85 MB for the smallest ternary one. Loops that do nothing but read memory, or multiply and add, take part in the same rounds: they are the limits that shares are of.',
    'The float baselines are written with the same care, in the same WebAssembly, with the same threads; before kernels are timed, their results are compared with those of a plain loop, and after models are, that their logits are numbers. What a figure means and what it does not, and what the float baselines are better at, is in bench/README.md.',
    'Every figure in a table is a link to its result below, or to the first of those that it is computed from, which its title lists; a chart shows what the table beside it has, and sentences are computed from the same results. A result has the same place in the list "results" of the JSON that this page carries (the element with the id "report").',
  ];
  const list = (items: readonly string[]): string => element('ul', {}, ...items.map((item) => element('li', {}, escapeText(item))));
  return section(
    'method', 'How it was measured', ...paragraphs.map((text) => element('p', {}, escapeText(text))),
    notes.length === 0 ? '' : `${element('h3', {}, 'Notes')}${list(notes)}`,
    element('p', { class: 'note' }, `Parts: ${escapeText(Object.entries(parts).map(([name, seconds]) => `${name} ${Math.round(seconds)} s`).join(', '))}.`),
  );
}

function allResults({ results }: Report): string {
  const row = (result: Result, n: number): string => {
    const { id, median, quartiles, range, rounds, unit } = result;
    const number = (value: number): string => String(Number(value.toPrecision(5)));
    const spread = ([low, high]: readonly [number, number]): string => (rounds === 1 ? '' : `${number(low)} – ${number(high)}`);
    return element(
      'tr', { id: `r${n}` }, element('th', { scope: 'row' }, String(n)), element('td', { class: 'id' }, escapeText(id)),
      ...[number(median), unit, spread(quartiles), spread(range), rounds === 1 ? '' : String(rounds)].map((text) => element('td', {}, escapeText(text))),
    );
  };
  const columns = ['n', 'id', 'median', 'unit', 'quartiles', 'four of five', 'rounds'];
  return section(
    'results', `All ${results.length} results`,
    element('details', {}, element('summary', {}, 'results[n] of the JSON'), element(
      'div', { class: 'table', role: 'region', tabindex: 0, 'aria-label': 'All results' },
      element('table', { class: 'all' }, element('thead', {}, element('tr', {}, ...columns.map((name) => element('th', { scope: 'col' }, name)))), element('tbody', {}, ...results.map(row))),
    )),
  );
}
