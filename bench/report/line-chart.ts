import type { Drawing } from './figure.js';
import { createScale, linearTicks, logTicks, spreadOut, type Scale } from './scale.js';
import type { Ink } from './style.js';
import { element, escapeText, pathThrough, textElement } from './svg.js';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Four of five rounds lie in it. */
  readonly range?: readonly [number, number];
}

export interface Series {
  readonly name: string;
  readonly ink: Ink;
  readonly points: readonly Point[];
  /** A line without marks, dashed: a limit, an ideal. */
  readonly guide?: boolean;
  /** Marks without a line, with the name on that side of all of them. */
  readonly scattered?: 'left' | 'right' | 'below' | 'above' | 'above right';
}

export interface Axis {
  readonly label: string;
  readonly kind: Scale['kind'];
  readonly format: (value: number) => string;
  /** Default: round numbers. */
  readonly ticks?: readonly number[];
  /** Default: as far as the points and their ranges go; linear ones from 0. */
  readonly domain?: readonly [number, number];
}

export interface LineChart {
  readonly heading: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly description: string;
  /** Default 310. */
  readonly height?: number;
  /** Lines at the foot, about 70 letters each: what must not be read without. */
  readonly foot?: readonly string[];
}

export const WIDTH = 460;
/** Room for the heading with the label of the y axis below it, for labels at the ends of lines, for the x axis, for the ticks. */
const MARGIN = { top: 60, bottom: 46, left: 62 } as const;
/** Width of a letter, about: of a label, of a tick. */
const LETTER = 8.6;
const TICK_LETTER = 7.8;
const LINE_HEIGHT = 16;
const FOOT_LINE = 15;

/** Lines with marks and whiskers, each with its name at its end. Axes have labels and few grid lines. */
export function lineChart({ heading, x, y, series, description, height = 310, foot = [] }: LineChart): Drawing {
  const shown = series.filter(({ points }) => points.length > 0);
  const right = Math.max(...withEndLabels(shown).whole.map(({ name }) => longestLine(name).length), 0) * LETTER + 14;
  const [left, end, top, bottom] = [MARGIN.left, WIDTH - right, MARGIN.top, height - MARGIN.bottom];
  const points = shown.flatMap((one) => one.points);
  const xTicks = ticksOf(x, points.map((point) => point.x));
  const yTicks = ticksOf(y, points.flatMap(({ y: value, range = [value, value] }) => [value, ...range]));
  const xScale = createScale(x.kind, x.domain ?? extent(points.map((point) => point.x)), [left + 10, end - 6]);
  const yScale = createScale(y.kind, y.domain ?? extent(yTicks), [bottom, top]);
  const inside = ([low, high]: readonly [number, number], tick: number): boolean => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9);
  const grid = yTicks.filter((tick) => inside(yScale.domain, tick)).flatMap((tick) => [
    element('line', { class: 'grid', x1: left, x2: end, y1: yScale(tick), y2: yScale(tick) }),
    textElement(left - 8, yScale(tick) + 4, y.format(tick), { 'text-anchor': 'end' }),
  ]);
  const shownTicks = xTicks.filter((tick) => inside(xScale.domain, tick));
  const below = shownTicks.map((tick) => element('line', { class: 'axis', x1: xScale(tick), x2: xScale(tick), y1: bottom, y2: bottom + 5 }));
  let free = Infinity; // from the right, as the last one matters most
  for (const tick of [...shownTicks].reverse()) {
    const half = (x.format(tick).length * TICK_LETTER) / 2;
    if (xScale(tick) + half > free) continue;
    free = xScale(tick) - half - 4;
    below.push(textElement(xScale(tick), bottom + 19, x.format(tick), { 'text-anchor': 'middle' }));
  }
  return {
    width: WIDTH, height: height + foot.length * FOOT_LINE, description,
    body: [
      textElement(12, 20, heading, { class: 'heading' }),
      textElement(12, 39, y.label),
      ...grid,
      element('line', { class: 'axis', x1: left, x2: end, y1: bottom, y2: bottom }),
      ...below,
      textElement((left + end) / 2, height - 8, x.label, { 'text-anchor': 'middle' }),
      ...foot.map((line, n) => textElement(12, height + 10 + n * FOOT_LINE, line, { class: 'source' })),
      ...shown.map((one) => drawSeries(one, xScale, yScale)),
      ...labelsAtEnds(shown, xScale, yScale, top, bottom),
      ...shown.map((one) => labelBeside(one, xScale, yScale)),
    ].join('\n'),
  };
}

const longestLine = (name: string): string => name.split('\n').reduce((longest, line) => (line.length > longest.length ? line : longest), '');

function ticksOf({ kind, ticks, domain }: Axis, values: readonly number[]): readonly number[] {
  if (ticks) return ticks;
  const [low, high] = domain ?? extent(values);
  return kind === 'log' ? logTicks(low, high) : linearTicks(Math.min(0, low), high);
}

function extent(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

function drawSeries({ ink, points, guide, scattered }: Series, x: Scale, y: Scale): string {
  const path = pathThrough(points.map((point) => [x(point.x), y(point.y)]));
  if (guide) return element('path', { class: `guide s-${ink}`, d: path });
  return [
    ...(scattered ? [] : [element('path', { class: `line s-${ink}`, d: path })]),
    ...points.map((point) => (point.range
      ? element('line', { class: `whisker s-${ink}`, x1: x(point.x), x2: x(point.x), y1: y(point.range[0]), y2: y(point.range[1]) })
      : '')),
    ...points.map((point) => mark(ink, x(point.x), y(point.y))),
  ].join('');
}

/** A shape of its own for each ink. */
export function mark(ink: Ink, x: number, y: number, r = 4.5): string {
  const attributes = { class: `mark f-${ink}` };
  switch (ink) {
    case 'ternary': return element('circle', { ...attributes, cx: x, cy: y, r });
    case 'transformer': return element('rect', { ...attributes, x: x - r * 0.9, y: y - r * 0.9, width: 1.8 * r, height: 1.8 * r });
    case 'float': return element('path', { ...attributes, d: `${pathThrough([[x, y - 1.2 * r], [x + 1.1 * r, y + 0.9 * r], [x - 1.1 * r, y + 0.9 * r]])}Z` });
    case 'fifth': return element('path', { ...attributes, d: `${pathThrough([[x - 1.1 * r, y - 0.9 * r], [x + 1.1 * r, y - 0.9 * r], [x, y + 1.2 * r]])}Z` });
    default: return element('path', { ...attributes, d: `${pathThrough([[x, y - 1.2 * r], [x + 1.2 * r, y], [x, y + 1.2 * r], [x - 1.2 * r, y]])}Z` });
  }
}

const endOf = ({ points }: Series): Point => points[points.length - 1];

/** Lines that go as far to the right as any, and those that end before; scattered marks are neither. */
function withEndLabels(series: readonly Series[]): { readonly whole: readonly Series[]; readonly early: readonly Series[] } {
  const lines = series.filter(({ scattered }) => !scattered);
  const furthest = Math.max(...lines.map((one) => endOf(one).x));
  return { whole: lines.filter((one) => endOf(one).x === furthest), early: lines.filter((one) => endOf(one).x < furthest) };
}

/** The name of each line beside its last point, moved apart where they would touch. */
function labelsAtEnds(series: readonly Series[], x: Scale, y: Scale, top: number, bottom: number): string[] {
  const { whole, early } = withEndLabels(series);
  const lines = Math.max(...whole.map(({ name }) => name.split('\n').length), 1);
  const places = spreadOut(whole.map((one) => y(endOf(one).y)), LINE_HEIGHT * lines, top, bottom);
  return [
    ...whole.map(({ name, ink }, n) => label(name, ink, x(endOf(whole[n]).x) + 10, places[n], 'start')),
    // One that ends earlier has others beside it: its name goes above.
    ...early.map((one) => label(one.name.replaceAll('\n', ' '), one.ink, x(endOf(one).x) + 4, y(endOf(one).y) - 16, 'start')),
  ];
}

/** The name of scattered marks. */
function labelBeside({ name, ink, points, scattered }: Series, x: Scale, y: Scale): string {
  if (!scattered) return '';
  const [xs, ys] = [points.map((point) => x(point.x)), points.map((point) => y(point.y))];
  const [middleX, middleY] = [xs, ys].map((values) => (Math.min(...values) + Math.max(...values)) / 2);
  if (scattered === 'below') return label(name, ink, middleX, Math.max(...ys) + 20, 'middle');
  if (scattered === 'above right') return label(name, ink, Math.max(...xs) + 10, Math.min(...ys) - 12, 'start');
  if (scattered === 'above') return label(name, ink, middleX, Math.min(...ys) - 18, 'middle');
  return scattered === 'right' ? label(name, ink, Math.max(...xs) + 10, middleY, 'start') : label(name, ink, Math.min(...xs) - 10, middleY, 'end');
}

/** Lines of text around the height `y`. */
function label(name: string, ink: Ink, x: number, y: number, anchor: 'start' | 'middle' | 'end'): string {
  const lines = name.split('\n');
  const spans = lines.map((line, row) => element('tspan', { x, dy: row === 0 ? 0 : LINE_HEIGHT }, escapeText(line)));
  return element('text', { class: `label t-${ink}`, 'text-anchor': anchor, x, y: y + 4 - ((lines.length - 1) * LINE_HEIGHT) / 2 }, ...spans);
}
