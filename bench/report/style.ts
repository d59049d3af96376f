/*
 * Colours and type of the charts and the page. Each contestant has a colour of Okabe and Ito's palette, which readers with any kind of
 * colour vision tell apart, darkened or lightened until small text in them is legible; and a marker of its own shape for each.
 */

export type Ink = 'ternary' | 'float' | 'transformer' | 'muted' | 'fourth' | 'fifth';

const LIGHT: Readonly<Record<string, string>> = {
  paper: '#fcfcfa', card: '#ffffff', ink: '#1c1f24', soft: '#5a616b', rule: '#dcdfe3', grid: '#eceef0', wash: '#f2f4f5',
  ternary: '#0067a5', float: '#00744f', transformer: '#b84a00', muted: '#6b7280', fourth: '#8a4f87', fifth: '#7a6400',
};
const DARK: Readonly<Record<string, string>> = {
  paper: '#14171b', card: '#1b1f24', ink: '#e8eaed', soft: '#a3abb5', rule: '#3a4048', grid: '#2a2f36', wash: '#23282e',
  ternary: '#63b8f0', float: '#4fc99a', transformer: '#f09a4a', muted: '#98a1ab', fourth: '#d19ccf', fifth: '#d9be4a',
};

const variables = (colours: Readonly<Record<string, string>>): string => Object.entries(colours).map(([name, colour]) => `--${name}:${colour}`).join(';');

/** Colours as variables of `root`, by what the reader's system prefers. */
export function colours(root: string): string {
  return `${root}{${variables(LIGHT)}}@media (prefers-color-scheme:dark){${root}{${variables(DARK)}}}`;
}

const INKS: readonly Ink[] = ['ternary', 'float', 'transformer', 'muted', 'fourth', 'fifth'];

/** What charts are drawn with. */
export const CHART_STYLE = [
  '.chart text{font:13.5px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--soft)}',
  '.chart .heading{font-size:15.5px;font-weight:600;fill:var(--ink)}',
  '.chart .label{font-weight:600}',
  '.chart .source{font-size:11px}',
  '.chart .strong{fill:var(--ink)}',
  '.chart .paper{fill:var(--card)}',
  '.chart .grid{stroke:var(--grid);stroke-width:1}',
  '.chart .axis{stroke:var(--rule);stroke-width:1}',
  '.chart .line{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}',
  '.chart .guide{fill:none;stroke-width:1.5;stroke-dasharray:5 4}',
  '.chart .whisker{stroke-width:1.5;opacity:.75}',
  '.chart .mark{stroke:var(--card);stroke-width:1.25}',
  '.chart .inside{fill:var(--card);font-weight:600}',
  ...INKS.flatMap((ink) => [`.chart .s-${ink}{stroke:var(--${ink})}`, `.chart .f-${ink}{fill:var(--${ink})}`, `.chart text.t-${ink}{fill:var(--${ink})}`]),
].join('\n');
