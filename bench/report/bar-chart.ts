import type { Drawing } from './figure.js';
import { WIDTH } from './line-chart.js';
import { createScale, linearTicks } from './scale.js';
import type { Ink } from './style.js';
import { element, textElement } from './svg.js';

export interface Segment {
  readonly value: number;
  readonly ink: Ink;
  /** 1 is full; parts of one bar differ by this. */
  readonly strength: number;
  /** Written into the segment where it fits. */
  readonly inside?: string;
}

export interface Bar {
  readonly name: string;
  readonly ink: Ink;
  readonly segments: readonly Segment[];
  /** Written behind the bar. */
  readonly value: string;
}

export interface BarChart {
  readonly heading: string;
  /** Of the axis. */
  readonly label: string;
  readonly format: (value: number) => string;
  /** Of bars that belong together. */
  readonly groups: readonly { readonly name: string; readonly bars: readonly Bar[] }[];
  /** What the strengths mean. */
  readonly legend: readonly { readonly name: string; readonly strength: number }[];
  readonly description: string;
  /** Default: the longest bar. */
  readonly most?: number;
}

const BAR = 21;
const GAP = 6;
const GROUP_HEAD = 24;
const LETTER = 7.7;

/** Horizontal bars from zero, in groups; every bar has its name and its value. */
export function barChart({ heading, label, format, groups, legend, description, most }: BarChart): Drawing {
  const bars = groups.flatMap((group) => group.bars);
  const totals = bars.map(({ segments }) => segments.reduce((sum, { value }) => sum + value, 0));
  const ticks = linearTicks(0, most ?? Math.max(...totals, 0), 4).filter((tick) => most === undefined || tick <= most);
  const left = Math.max(...bars.map(({ name }) => name.length), 0) * LETTER + 18;
  const right = WIDTH - Math.max(...bars.map(({ value }) => value.length), 0) * LETTER - 14;
  const x = createScale('linear', [0, most ?? Math.max(...totals, 0)], [left, right]);
  const parts: string[] = [textElement(12, 20, heading, { class: 'heading' })];
  let [at, y] = [12, 33];
  for (const { name, strength } of legend) {
    const width = name.length * LETTER + 22;
    if (at + width > WIDTH) [at, y] = [12, y + 19];
    parts.push(element('rect', { class: 'f-muted', x: at, y, width: 12, height: 12, opacity: strength }), textElement(at + 17, y + 10.5, name));
    at += width + 12;
  }
  const top = y + (legend.length > 0 ? 26 : 3);
  y = top;
  const drawn: string[] = [];
  for (const group of groups) {
    drawn.push(textElement(12, y + 16, group.name, { class: 'strong label' }));
    y += GROUP_HEAD;
    for (const { name, ink, segments, value } of group.bars) {
      drawn.push(textElement(left - 8, y + 15.5, name, { class: `t-${ink}`, 'text-anchor': 'end' }));
      let from = 0;
      for (const segment of segments) {
        const [start, end] = [x(from), x(from + segment.value)];
        const width = Math.max(end - start, 0.75);
        drawn.push(element('rect', { class: `f-${segment.ink}`, x: start, y, width, height: BAR, opacity: segment.strength }));
        if (segment.inside !== undefined && segment.inside.length * LETTER + 8 <= width) {
          drawn.push(textElement((start + end) / 2, y + 15.5, segment.inside, { class: segment.strength > 0.5 ? 'inside' : 'strong', 'text-anchor': 'middle' }));
        }
        from += segment.value;
      }
      drawn.push(textElement(x(from) + 7, y + 15.5, value, { class: 'strong' }));
      y += BAR + GAP;
    }
    y += 6;
  }
  const bottom = y;
  const grid = ticks.filter((tick) => x(tick) <= right + 0.5).flatMap((tick) => [
    element('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: top, y2: bottom }),
    textElement(x(tick), bottom + 16, format(tick), { 'text-anchor': 'middle' }),
  ]);
  return {
    width: WIDTH, height: bottom + 42, description,
    body: [...parts, ...grid, ...drawn, textElement((left + right) / 2, bottom + 35, label, { 'text-anchor': 'middle' })].join('\n'),
  };
}
