import type { LayerSimilarities, LayerSimilarity, PrunePlan } from '../index.js';

/* What `matmulfree prune --svg` draws: how much each part of each layer changes what passes through it. */

type Part = 'tokenMixer' | 'channelMixer' | 'block';

/** Which parts of a layer a plan leaves out. */
export function leftOutOf({ tokenMixers = [], channelMixers = [], blocks = [] }: PrunePlan, layer: number): Readonly<Record<Part, boolean>> {
  const [tokenMixer, channelMixer] = [tokenMixers, channelMixers].map((list) => list.includes(layer) || blocks.includes(layer)) as [boolean, boolean];
  return { tokenMixer, channelMixer, block: tokenMixer && channelMixer };
}

/** Colours of Okabe and Ito's palette, which readers with any kind of colour vision tell apart. */
const PARTS: readonly { readonly part: Part; readonly name: string; readonly colour: string }[] = [
  { part: 'tokenMixer', name: 'token mixer', colour: '#0072b2' }, { part: 'channelMixer', name: 'channel mixer', colour: '#d55e00' }, { part: 'block', name: 'block', colour: '#7f7f7f' },
];

const BAR = 9;
const GROUP = PARTS.length * BAR + 13;
const LEFT = 52;
const TOP = 66;
const HEIGHT = 200;
const TEXT = 'font-family="system-ui,sans-serif" font-size="12" fill="#444"';

/** Bars of 1 - similarity, one group a layer; those that a plan leaves out are hollow. */
export function prunePicture({ layers, tokens }: LayerSimilarities, plan: PrunePlan): string {
  const change = (layer: LayerSimilarity, part: Part): number => 1 - (layer[part] ?? 1);
  const most = Math.max(...layers.flatMap((layer) => PARTS.map(({ part }) => change(layer, part))), 1e-6);
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** Math.floor(Math.log10(most / 4))).find((each) => most / each <= 5)!;
  const ticks = Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, n) => n * step);
  const y = (value: number): number => TOP + HEIGHT - (HEIGHT * value) / most;
  const text = (x: number, at: number, words: string, more = ''): string => `<text x="${round(x)}" y="${round(at)}" ${TEXT}${more}>${words}</text>`;
  const bar = (layer: LayerSimilarity, index: number, { part, colour }: (typeof PARTS)[number], n: number): string => {
    if (layer[part] === undefined) return '';
    const top = y(change(layer, part));
    const fill = leftOutOf(plan, layer.layer)[part] ? `fill="none" stroke="${colour}" stroke-dasharray="3 2"` : `fill="${colour}"`;
    return `<rect x="${round(LEFT + 8 + index * GROUP + n * BAR)}" y="${round(top)}" width="${BAR - 1}" height="${round(TOP + HEIGHT - top)}" ${fill}/>`;
  };
  const width = Math.max(LEFT + 16 + layers.length * GROUP, 440);
  const height = TOP + HEIGHT + 50;
  const title = 'How much each layer changes what passes through it';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(12, 20, title, ' font-weight="600"'),
    text(12, 38, `1 - similarity of input and output, mean of ${tokens.toLocaleString('en-US')} tokens; dashed: left out`),
    ...PARTS.flatMap(({ name, colour }, n) => [`<rect x="${LEFT + 8 + n * 120}" y="${TOP - 20}" width="9" height="9" fill="${colour}"/>`, text(LEFT + 22 + n * 120, TOP - 11, name)]),
    ...ticks.flatMap((tick) => [
      `<line x1="${LEFT}" x2="${width - 8}" y1="${round(y(tick))}" y2="${round(y(tick))}" stroke="#e4e4e4"/>`, text(LEFT - 6, y(tick) + 4, String(Number(tick.toPrecision(6))), ' text-anchor="end"'),
    ]),
    ...layers.flatMap((layer, index) => [
      ...PARTS.map((part, n) => bar(layer, index, part, n)), text(LEFT + 8 + index * GROUP + (PARTS.length * BAR) / 2, TOP + HEIGHT + 18, String(layer.layer), ' text-anchor="middle"'),
    ]),
    text((LEFT + width) / 2, height - 10, 'layer', ' text-anchor="middle"'),
    '</svg>',
  ].filter((line) => line !== '').join('\n') + '\n';
}

const round = (value: number): number => Math.round(100 * value) / 100;
