import { CAVEAT, KINDS_TRAINED, QUOTED, ROUNDING, TRAINED, type QuotedModel, type TrainedKind, type TrainedModel } from '../trained-models.js';
import { POSITIONS, RECALLED } from '../stories.js';
import type { Result } from '../results.js';
import type { Cell, Figure } from './figure.js';
import { byteTick, compact, formatValue, percent, short, tokens } from './format.js';
import { lineChart, type Series } from './line-chart.js';
import { bareCell, cell, derived, modelId, type Lookup } from './lookup.js';
import { contextAxis, MARKED } from './model-figures.js';
import type { Ink } from './style.js';

/* Four ways to mix along a text, and their float counterparts: quality beside cost, and speed over the length of the text. */

const INKS: Readonly<Record<TrainedKind, Ink>> = {
  'MatMul-free': 'ternary', 'float MatMul-free': 'float', hybrid: 'fourth', BitNet: 'fifth', 'float Transformer++': 'transformer',
};
/** Where the name of a kind stands beside its marks. */
const SIDES: Readonly<Record<TrainedKind, NonNullable<Series['scattered']>>> = {
  'MatMul-free': 'right', 'float MatMul-free': 'above right', hybrid: 'right', BitNet: 'below', 'float Transformer++': 'above',
};

type Row = TrainedModel | QuotedModel;
const isQuoted = (row: Row): row is QuotedModel => 'perplexity' in row;
/** By how much attention there is, the second round before the first. */
const ROWS: readonly Row[] = KINDS_TRAINED.flatMap((kind) => [...TRAINED, ...QUOTED].filter((row) => row.kind === kind).sort((a, b) => b.round - a.round));

const nameOf = (row: Row): string => (isQuoted(row)
  ? `${row.kind}, not here (quoted)`
  : `${row.kind}${row.runs === 'float MatMul-free' ? `, weights of ${row.name}` : `, ${row.name}`}${row.isDamaged ? ' *' : ''}`);

const LENGTHS = [256, 4096, 32_768] as const;
const memoryWords = (length: number): string => `memory of ${length} tokens`;

export function quality(lookup: Lookup): Figure | undefined {
  const found = (row: Row, pattern: RegExp): Result | undefined => lookup.matching(/^quality\/([^/]+)\/(.+)$/).find(({ groups: [who, what] }) => who === row.id && pattern.test(what))?.result;
  const perplexity = (row: Row): Result | undefined => found(row, /^perplexity of/);
  const rows = ROWS.filter(perplexity);
  const stories = /perplexity of (\d+) stories/.exec((rows[0] && perplexity(rows[0])?.id) ?? '')?.[1];
  if (stories === undefined) return undefined;
  const memory = (row: Row, length: number): Result | undefined => found(row, new RegExp(`^${memoryWords(length)}$`));
  const recalled = (row: Row, what: RegExp): Cell => {
    const [share, said] = [found(row, what), found(row, /^names said/)];
    return share && said ? derived(percent(share.median), [share, said]) : '–';
  };
  const golden = (row: Row): Cell => {
    const [digits, expected] = [found(row, /^digits of the golden/), found(row, /^golden perplexity/)];
    return digits && expected ? derived(`${digits.median} digits of ${expected.median.toFixed(4)}`, [digits, expected]) : '–';
  };
  const [least, most] = RECALLED;
  const [far] = LENGTHS.slice(-1);
  const kept = KINDS_TRAINED.filter((kind) => kind !== 'float MatMul-free').flatMap((kind) => {
    const result = rows.filter((row) => row.kind === kind).map((row) => memory(row, far)).find((one) => one !== undefined);
    return result ? [`${kind} ${formatValue(result.median, 'bytes')}`] : [];
  });
  const title = 'Quality beside cost';
  const says = `Models of 8 to 9 million parameters over ${stories} validation stories, with what they cost.${kept.length > 0 ? ` Of a text of ${far.toLocaleString('en')} tokens they keep: ${kept.join(', ')}.` : ''} Which of them predicts best is not established: see the note.`;
  return {
    id: 'quality', title, says,
    chart: qualityChart(rows, perplexity, memory, title, says),
    table: {
      caption: `Perplexity of ${stories} stories (lower is better), speed on one thread, memory of a text`,
      columns: [
        'model', 'round', 'perplexity', 'golden reproduced to', ...POSITIONS.map(([first, last]) => `tokens ${first}–${last}`), `a name said ${least}–${most} tokens ago is the first guess`, 'of names',
        'decode, tokens/s', 'prompt, tokens/s', 'weights', 'bytes a token', 'integer additions', 'float multiplications', ...LENGTHS.map((length) => `text of ${length.toLocaleString('en')}`),
      ],
      rows: rows.map((row) => [
        nameOf(row), derived(['', 'first', 'second'][row.round], [perplexity(row)]),
        isQuoted(row) ? derived(`${short(row.perplexity)} (quoted)`, [perplexity(row)]) : derived(perplexity(row)!.median.toFixed(3), [perplexity(row)]), golden(row),
        ...POSITIONS.map(([first, last]) => bareCell(found(row, new RegExp(`^perplexity at ${first} to ${last}$`)))), recalled(row, /^names, the first guess$/), recalled(row, /^names, the first guess of names$/),
        bareCell(found(row, /^decode at/)), bareCell(found(row, /^prefill/)), cell(found(row, /^weights/)), cell(found(row, /^bytes read/)), cell(found(row, /^integer additions/)), cell(found(row, /^float multiplications/)),
        ...LENGTHS.map((length) => cell(memory(row, length))),
      ]),
    },
    note: `${CAVEAT} Rows stand by how much attention there is, not by merit. Rounds were trained on different texts and budgets and do not compare with each other; in the first, the MatMul-free model had windows of 256 tokens, the others of 512. `
      + 'Quoted figures were measured where those models were trained; their files are not here, so they have no other figures. The float MatMul-free model of the first round has ternary weights, multiplied as floats, with activations that are not rounded. '
      + 'Memory of a text is counted, as if read token by token: float16 keys and values in pages of 64 tokens in this library, float32 in the float models; the Transformers here take 2,048 tokens at most, and beyond that it is what they would keep. '
      + 'A token costs what it does after 256 others. Names are 45 that are one token each; the quoted tables of bench/README.md have other stories and names.',
  };
}

/** Of the second round alone, which had the same text and windows. */
function qualityChart(
  rows: readonly Row[], perplexity: (row: Row) => Result | undefined, memory: (row: Row, length: number) => Result | undefined, title: string, says: string,
): Figure['chart'] {
  const shown = rows.filter(({ round }) => round === 2);
  const series = shown.map((row): Series => {
    // The memory of a quoted one is that of the first round's, which is built alike.
    const like = isQuoted(row) ? rows.find((other) => other.kind === row.kind && !isQuoted(other)) : row;
    const y = perplexity(row)!.median;
    const rounding = ROUNDING[row.id];
    return {
      name: `${row.kind}${isQuoted(row) ? ' (quoted)' : row.isDamaged ? ' *' : ''}`, ink: INKS[row.kind], scattered: SIDES[row.kind],
      points: LENGTHS.flatMap((length) => {
        const result = like && memory(like, length);
        return result ? [{ x: result.median, y, ...(rounding && { range: [y * Math.exp(rounding.masters - rounding.file), y] as const }) }] : [];
      }),
    };
  }).filter(({ points }) => points.length > 0);
  if (series.length < 2) return undefined;
  const values = series.flatMap(({ points }) => points.flatMap(({ y, range = [y, y] }) => [y, ...range]));
  const [low, high] = [Math.floor(2 * Math.min(...values) - 0.4) / 2, Math.ceil(2 * Math.max(...values) + 0.4) / 2];
  return lineChart({
    heading: 'Perplexity against memory of a text', description: `${title}. ${says} ${CAVEAT}`, series, height: 350,
    x: { label: 'bytes kept of 256, 4,096 and 32,768 tokens, logarithmic', kind: 'log', format: byteTick, domain: [4e3, 1.5e9], ticks: [1e4, 1e5, 1e6, 1e7, 1e8, 1e9] },
    y: { label: 'perplexity of 100 stories (lower is better)', kind: 'linear', format: short, domain: [low, high], ticks: Array.from({ length: Math.round(2 * (high - low)) + 1 }, (_, n) => low + n / 2) },
    foot: [
      'No ranking follows. * These files lost quality in rounding to bfloat16: whiskers',
      'reach down by what that took on 300 other stories (quoted). Perplexities of',
      'float models are quoted, and not of a run on this machine.',
    ],
  });
}

/** Ids of models/… that are of each kind. */
const KINDS: readonly { readonly name: string; readonly kind: TrainedKind }[] = [
  { name: 'ternary', kind: 'MatMul-free' }, { name: 'hybrid', kind: 'hybrid' }, { name: 'BitNet', kind: 'BitNet' }, { name: 'Transformer++', kind: 'float Transformer++' },
];

export function kindsByContext(lookup: Lookup, shape: string): Figure | undefined {
  const positions = lookup.numbers(new RegExp(`^models/${shape}/BitNet/1 thread/decode at (\\d+)$`));
  const at = (name: string, position: number): Result | undefined => lookup.get(modelId(shape, name, 1, `decode at ${position}`));
  const shown = KINDS.filter(({ name }) => positions.some((position) => at(name, position)));
  const [first, last] = [positions[0], positions.at(-1)!];
  if (positions.length < 2 || shown.length < KINDS.length) return undefined;
  const title = `Tokens per second over the length of the text, four kinds, ${shape}`;
  const says = `From ${tokens(first)} to ${last.toLocaleString('en')} tokens, decoding goes from one speed to the other: ${shown.map(({ name, kind }) => {
    const [near, end] = [at(name, first), at(name, last)];
    return near && end ? `${kind} ${short(near.median)} to ${short(end.median)}` : `${kind} ${near ? short(near.median) : '–'}`;
  }).join(', ')} tokens/s. Weights are random: this says nothing of quality.`;
  return {
    id: `kinds-by-context-${shape}`, title, says,
    chart: lineChart({
      heading: `Decoding over context, ${shape} shape, 1 thread`, description: `${title}. ${says}`,
      x: contextAxis(positions), y: { label: 'tokens/s, logarithmic', kind: 'log', format: compact },
      series: shown.map(({ name, kind }): Series => ({
        name: kind.replace(' Transformer', '\nTransformer'), ink: INKS[kind],
        points: positions.flatMap((position) => {
          const result = at(name, position);
          return result ? [{ x: position, y: result.median, range: result.range }] : [];
        }),
      })),
    }),
    table: {
      caption: 'Decoding, tokens/s; what is kept of the text',
      columns: ['tokens before', ...shown.flatMap(({ kind }) => [kind, 'text'])],
      rows: positions.map((position) => [tokens(position), ...shown.flatMap(({ name }) => [bareCell(at(name, position)), cell(lookup.get(`models/${shape}/${name}/memory of ${position} tokens`))])]),
    },
    note: `${MARKED} All take turns in the same rounds, with as many weights in their matrices. The hybrid has attention over the last 128 tokens in every fourth layer, as hybrid-9m; BitNet is built as 2B4T, with a head of keys and values for four of queries, in float16, and a float head; the float transformer keeps all heads in float32. Keys and values are made up.`,
  };
}
