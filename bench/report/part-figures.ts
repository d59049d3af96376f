import { LAYER_PARTS } from '../layer-parts.js';
import type { Result } from '../results.js';
import { barChart } from './bar-chart.js';
import type { Cell, Figure } from './figure.js';
import { compact, formatValue, percent, short, tokens } from './format.js';
import { lineChart, type Series } from './line-chart.js';
import { cell, CONTESTANTS, derived, type Lookup } from './lookup.js';
import { logTicks } from './scale.js';
import type { Ink } from './style.js';

/* Kernels against the roof of the machine, and where the time of a token goes. */

interface KernelPoint {
  readonly shape: string;
  readonly label: string;
  readonly speed: Result;
  readonly bytes: Result;
  /** Additions and multiplications of the dense product for each byte of weights, and for each second. */
  readonly intensity: number;
  readonly operations: readonly [low: number, median: number, high: number];
}

function kernelPoints(lookup: Lookup): KernelPoint[] {
  return lookup.matching(/^kernels\/(.+ (\d+)×(\d+))\/([^/]+)$/).flatMap(({ result, groups: [shape, rows, columns, label] }) => {
    const bytes = lookup.get(`${result.id}/bytes read`);
    if (!bytes) return [];
    const count = Number(/(\d+) tokens$/.exec(label)?.[1] ?? 1);
    const [low, high] = result.range;
    return [{
      shape, label, speed: result, bytes,
      intensity: (2 * Number(rows) * Number(columns) * count) / bytes.median,
      operations: [2 * low, 2 * result.median, 2 * high] as const,
    }];
  });
}

/** Of these, the fastest float and ternary candidates are drawn, and the ones without vectors. */
const DRAWN = [
  { pattern: /^float32 js$/, ink: 'fourth', name: 'float, JavaScript', side: 'right' },
  { pattern: /^float32 (relaxed|simd)$/, ink: 'transformer', name: 'float, 1 token', side: 'below' },
  { pattern: /^float32 (relaxed|simd), 32 tokens$/, ink: 'transformer', name: 'float, 32 tokens', side: 'below' },
  { pattern: /^ternary scalar$/, ink: 'fourth', name: 'ternary, JavaScript', side: 'below' },
  { pattern: /^ternary (dot|relaxed|simd)$/, ink: 'ternary', name: 'ternary, 1 token', side: 'right' },
  { pattern: /^ternary (dot|relaxed|simd), 32 tokens$/, ink: 'ternary', name: 'ternary, 32 tokens', side: 'below' },
] as const satisfies readonly { readonly pattern: RegExp; readonly ink: Ink; readonly name: string; readonly side: NonNullable<Series['scattered']> }[];

export function roofline(lookup: Lookup): Figure | undefined {
  const [bandwidth, peak] = ['memory bandwidth', 'float32 operations'].map((what) => lookup.get(`machine/beside kernels/${what}/1 thread`));
  const points = kernelPoints(lookup);
  if (!bandwidth || !peak || points.length === 0) return undefined;
  // The best backend there is stands for each family.
  const family = (pattern: RegExp): KernelPoint[] => {
    const all = points.filter(({ label }) => pattern.test(label));
    const speedOf = (one: string): number => Math.max(...all.filter(({ label }) => label === one).map(({ operations: [, median] }) => median));
    const [best] = [...new Set(all.map(({ label }) => label))].sort((a, b) => speedOf(b) - speedOf(a));
    return all.filter(({ label }) => label === best);
  };
  const [left, start, right] = [0.3, 0.45, 700]; // the slope starts where no label is
  const knee = peak.median / bandwidth.median;
  const highest = Math.max(...points.map(({ operations: [, , high] }) => high), peak.median);
  const lowest = Math.min(...points.map(({ operations: [low] }) => low), left * bandwidth.median);
  const sharesOf = (pattern: RegExp): number[] => family(pattern).map(({ operations: [, median], intensity }) => median / intensity / bandwidth.median);
  const shareOf = (shares: readonly number[]): string => {
    const [least, most] = [Math.min(...shares), Math.max(...shares)].map((share) => Math.round(100 * share));
    return `${least === most ? least : `${least}–${most}`} %`;
  };
  const [float, ternary] = [DRAWN[1], DRAWN[4]].map(({ pattern }) => sharesOf(pattern));
  const title = 'Kernels under the roof of the machine';
  const says = float.length > 0 && ternary.length > 0
    ? `With one token, the float product reaches ${shareOf(float)} of the memory bandwidth, the ternary one ${shareOf(ternary)} with a sixteenth of the bytes${Math.max(...ternary) < 0.8 ? ': for it, memory is not the limit' : ''}.`
    : 'Kernels, with what the machine can do at most.';
  const series = DRAWN.map(({ pattern, ink, name, side }): Series => ({
    name: name.replace(', ', ',\n'), ink, scattered: side,
    points: family(pattern).map(({ intensity, operations: [low, median, high] }) => ({ x: intensity, y: median, range: [low, high] as const })),
  }));
  const roof: Series[] = [
    { name: 'memory bandwidth', ink: 'muted', guide: true, points: [{ x: start, y: start * bandwidth.median }, { x: highest / bandwidth.median, y: highest }] },
    { name: 'float\noperations', ink: 'muted', guide: true, points: [{ x: knee, y: peak.median }, { x: right, y: peak.median }] },
  ];
  return {
    id: 'roofline', title, says,
    chart: lineChart({
      heading: 'Kernels under the roof, 1 thread', description: `${title}. ${says}`, height: 360,
      x: { label: 'operations for each byte of weights, logarithmic', kind: 'log', format: short, ticks: [0.5, 2, 8, 32, 128, 512], domain: [left, right] },
      y: { label: 'operations/s (a product counts as two), logarithmic', kind: 'log', format: compact, ticks: logTicks(lowest, highest, 12), domain: [lowest * 0.55, highest * 1.9] },
      series: [...roof, ...series],
    }),
    table: kernelTable(points, lookup),
    note: 'The slope is what a loop reaches that only reads memory, the level what one reaches that only multiplies and adds in float32, both in the same rounds; '
      + 'ternary products do neither of the two, so that the level does not bind them. A mark for each shape of layer.',
  };
}

function kernelTable(points: readonly KernelPoint[], lookup: Lookup): Figure['table'] {
  const labels = [...new Set(points.map(({ label }) => label))];
  const shapes = [...new Set(points.map(({ shape }) => shape))];
  const at = (shape: string, label: string): Cell => {
    const point = points.find((one) => one.shape === shape && one.label === label);
    if (!point) return '–';
    const share = lookup.get(`${point.speed.id}/share of bandwidth`);
    const [low, high] = point.speed.range;
    return derived(`${short(point.speed.median / 1e9)}${share ? ` (${percent(share.median)})` : ''}`, [point.speed, share], `${short(low / 1e9)}–${short(high / 1e9)}`);
  };
  return {
    caption: 'GMAC/s (10⁹ weights applied to an activation a second), and share of the memory bandwidth',
    columns: ['kernel', ...shapes], rows: labels.map((label) => [label, ...shapes.map((shape) => at(shape, label))]),
  };
}

/** A hue for each part would be too many: strengths of the contestant's own. */
const STRENGTHS: Readonly<Record<(typeof LAYER_PARTS)[number], number>> = {
  'token mixer products': 1, 'attention or recurrence': 0.25, 'channel mixer products': 0.75, head: 0.5, 'all else': 0.12,
};

export function layers(lookup: Lookup, shape: string): Figure | undefined {
  const positions = lookup.numbers(new RegExp(`^layers/${shape}/ternary/head at (\\d+)$`));
  const at = (name: string, part: string, position: number): Result | undefined => lookup.get(`layers/${shape}/${name}/${part} at ${position}`);
  const last = positions.at(-1);
  const shown = CONTESTANTS.filter(({ name }) => at(name, 'head', last ?? NaN));
  if (last === undefined || shown.length < CONTESTANTS.length) return undefined;
  const splitOf = (name: string, position: number) => {
    const parts = LAYER_PARTS.map((part) => ({ part, result: at(name, part, position) }));
    const total = parts.reduce((sum, { result }) => sum + (result?.median ?? NaN), 0);
    return { parts, total, share: (part: string) => (at(name, part, position)?.median ?? NaN) / total };
  };
  const title = `Where the time of a token goes, ${shape}`;
  const says = `After ${last.toLocaleString('en')} tokens, attention is ${percent(splitOf('Transformer++', last).share('attention or recurrence'))} of the transformer's time; the recurrence is ${percent(splitOf('ternary', last).share('attention or recurrence'))} of the ternary model's, whose norms, gates, rounding of activations and look-up of embeddings take ${percent(splitOf('ternary', last).share('all else'))}.`;
  return {
    id: `layers-${shape}`, title, says,
    chart: barChart({
      heading: `Where the time of a token goes, ${shape}, 1 thread`, label: 'per cent of the time of a token', format: short, most: 100, description: `${title}. ${says}`,
      legend: LAYER_PARTS.map((part) => ({ name: part, strength: STRENGTHS[part] })),
      groups: positions.map((position) => ({
        name: `after ${tokens(position)} ${position === 1 ? 'token' : 'tokens'}`,
        bars: CONTESTANTS.map(({ name, ink }) => {
          const { parts, total } = splitOf(name, position);
          return {
            name, ink, value: `${short(total)} ms`,
            segments: parts.map(({ part, result }) => {
              const share = (100 * (result?.median ?? 0)) / total;
              return { value: share, ink, strength: STRENGTHS[part], inside: percent(share / 100) };
            }),
          };
        }),
      })),
    }),
    table: {
      caption: 'Milliseconds of a token, all layers together',
      columns: ['part', ...positions.flatMap((position) => CONTESTANTS.map(({ name }) => `${name}, ${tokens(position)}`))],
      rows: LAYER_PARTS.map((part) => [part, ...positions.flatMap((position) => CONTESTANTS.map(({ name }) => cell(at(name, part, position))))]),
    },
    note: 'Each call of a kernel is timed where it happens, in whole models. "All else" is norms, gates, rounding of activations, residual sums and the embedding.',
  };
}

export function residentMemory(lookup: Lookup): Figure | undefined {
  const found = lookup.matching(/^memory\/([^/]+)\/([^/]+)\/resident$/);
  if (found.length === 0) return undefined;
  const at = (shape: string, name: string, what: string): Result | undefined => lookup.get(`memory/${shape}/${name}/${what}`);
  const withText = (shape: string, name: string): Result | undefined => lookup.matching(/^memory\/([^/]+)\/([^/]+)\/resident with \d+ tokens$/)
    .find(({ groups: [size, who] }) => size === shape && who === name)?.result;
  const length = /with (\d+) tokens/.exec(withText(found[0].groups[0], found[0].groups[1])?.id ?? '')?.[1] ?? '';
  const [shape] = found[0].groups;
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => withText(shape, name));
  const loads = ['ternary', 'Transformer++'].map((name) => at(shape, name, 'seconds to load'));
  return {
    id: 'resident-memory', title: 'Resident memory and loading', chart: undefined,
    says: [
      ours && theirs ? `A process with the ternary ${shape} model and a text of ${Number(length).toLocaleString('en')} tokens has ${formatValue(ours.median, 'bytes')} resident, one with the transformer ${formatValue(theirs.median, 'bytes')}.` : '',
      loads[0] && loads[1] ? `The files load in ${short(loads[0].median)} and ${short(loads[1].median)} seconds.` : '',
    ].filter((text) => text !== '').join(' '),
    table: {
      caption: 'Each model in a process of its own, as the system counts',
      columns: ['model', 'resident without it', 'resident', 'peak of loading', `with a text of ${Number(length).toLocaleString('en')} tokens`, 'file', 'seconds to load'],
      rows: found.map(({ groups: [size, name] }) => [
        `${size} ${name}`, cell(at(size, name, 'resident without a model')), cell(at(size, name, 'resident')), cell(at(size, name, 'peak of loading')),
        cell(withText(size, name)), cell(at(size, name, 'file')), cell(at(size, name, 'seconds to load')),
      ]),
    },
    note: 'Files have just been written and are in the system\'s cache: loading is decoding and packing. The float MatMul-free model is loaded from the ternary file. A transformer\'s file is float32; models without a file were made in memory.',
  };
}
