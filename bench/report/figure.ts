import type { Report, Result } from '../results.js';
import { CHART_STYLE, colours } from './style.js';
import { element, escapeText, textElement } from './svg.js';

/** A value of a table: text, or a figure that comes from results. */
export type Cell = string | {
  readonly text: string;
  /** Four of five rounds lie in it. */
  readonly spread?: string;
  /** Where it comes from. */
  readonly from: readonly Result[];
};

export interface Table {
  readonly caption: string;
  readonly columns: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly (readonly Cell[])[];
}

/** A picture of the report. */
export interface Figure {
  /** Also the name of its file. */
  readonly id: string;
  readonly title: string;
  /** What it shows, from the data, in a sentence or two. */
  readonly says: string;
  readonly chart: Drawing | undefined;
  readonly table: Table;
  /** What to know for reading it. */
  readonly note?: string;
}

/** A chart without what surrounds it. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
  /** For those who do not see it. */
  readonly description: string;
}

/** The chart as an element of a page, whose style sheet has CHART_STYLE and the colours. */
export function inlineSvg({ id, title, chart }: Pick<Figure, 'id' | 'title'> & { readonly chart: Drawing }): string {
  return svg(id, title, chart, '', {});
}

/** Where figures come from, in a line: the processor, the engine, the day. */
export function sourceOf({ machine: { cpu, processors, engine }, started }: Pick<Report, 'machine' | 'started'>): string {
  const name = cpu.length > 32 ? `${cpu.slice(0, 31)}…` : cpu;
  return `${name}, ${processors} processors; ${engine.replace(/,.*/, '')}; ${started.slice(0, 10)}`;
}

const SOURCE_HEIGHT = 26;

/** The chart as a file. @param source what it comes from, for a line at its foot. */
export function standaloneSvg({ id, title, chart: inner }: Pick<Figure, 'id' | 'title'> & { readonly chart: Drawing }, source: string): string {
  const chart = {
    ...inner, height: inner.height + SOURCE_HEIGHT, body: `${inner.body}\n${textElement(12, inner.height + 14, source, { class: 'source' })}`,
  };
  const style = element('style', {}, `${colours('.chart')}\n${CHART_STYLE}`);
  return `${svg(id, title, chart, style, { xmlns: 'http://www.w3.org/2000/svg', width: chart.width, height: chart.height })}\n`;
}

function svg(id: string, title: string, { width, height, body, description }: Drawing, style: string, attributes: Readonly<Record<string, string | number>>): string {
  return element(
    'svg', { ...attributes, class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': `${id}-title ${id}-desc` },
    element('title', { id: `${id}-title` }, escapeText(title)), element('desc', { id: `${id}-desc` }, escapeText(description)), style,
    element('rect', { class: 'paper', width, height }), body,
  );
}
