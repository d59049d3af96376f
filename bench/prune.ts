/*
 * What trained models lose with their layers: npm run bench:prune (see README.md)
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MatMulFreeLM, measureLayers, planPruning, prune, type LayerSimilarities, type PruneKind, type PrunePlan } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { shared } from '../test/support/files.js';
import { randomFrom } from '../test/support/random.js';
import { complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { standaloneSvg } from './report/figure.js';
import { lineChart, type Series } from './report/line-chart.js';

const HELP = `Usage: npm run bench:prune -- [options]

Leaves out, one after another, the token mixers, channel mixers and blocks of trained models that change least, and measures perplexity. Layers are
measured on half of the validation stories, perplexity on the other half. As a control, token mixers in random order. It reads ../shared.

Options:
  --models LIST    default: bitnet-8m,hybrid-9m,tinystories-9m
  --stories N      the first N of the 100 (default: all)
  --orders N       random orders (default: 3)
  --out FOLDER     pictures, one a model, and the figures as JSON
  --from FILE      draws such figures again, and measures nothing`;

interface Curve {
  readonly name: string;
  /** Left out, in this order. */
  readonly order: readonly string[];
  /** With 0, 1, … of them gone. */
  readonly perplexities: readonly number[];
}

interface Outcome {
  readonly model: string;
  readonly allStories: number;
  readonly golden: number | undefined;
  readonly similarities: LayerSimilarities;
  readonly curves: readonly Curve[];
}

interface Found {
  readonly machine: string;
  readonly outcomes: readonly Outcome[];
}

const load = (source: string | Uint8Array): Promise<MatMulFreeLM> => MatMulFreeLM.load(source, { threads: 1 });

async function perplexity(lm: MatMulFreeLM, stories: readonly (readonly number[])[]): Promise<number> {
  const scores = await lm.scoreBatch(stories);
  return Math.exp(scores.reduce((sum, { nll }) => sum + nll, 0) / scores.reduce((sum, { tokens }) => sum + tokens, 0));
}

async function without(source: string, plan: PrunePlan, stories: readonly (readonly number[])[]): Promise<number> {
  const parts: Uint8Array[] = [];
  for await (const part of prune(source, plan)) parts.push(part);
  const lm = await load(Buffer.concat(parts));
  const result = await perplexity(lm, stories);
  lm.dispose();
  return result;
}

/** Plans of 1, 2, … of what there is, the first of them first, all else being equal. */
function plansOf(measured: LayerSimilarities, of: PruneKind): PrunePlan[] {
  return measured.layers.map((_, n) => planPruning(measured, n + 1, of));
}

function inOrder(layers: readonly number[]): PrunePlan[] {
  return layers.map((_, n) => ({ tokenMixers: layers.slice(0, n + 1) }));
}

function shuffled(count: number, seed: number): number[] {
  const random = randomFrom(seed);
  const order = Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n--) {
    const other = random.integer(0, n);
    [order[n], order[other]] = [order[other], order[n]];
  }
  return order;
}

async function run(model: string, stories: readonly (readonly number[])[], orders: number): Promise<Outcome> {
  const source = shared(`models/${model}`);
  const half = Math.ceil(stories.length / 2);
  const [measuredOn, judgedBy] = [stories.slice(0, half), stories.slice(half)];
  const lm = await load(source);
  const similarities = await measureLayers(lm, measuredOn);
  const whole = await perplexity(lm, judgedBy);
  const allStories = await perplexity(lm, stories);
  lm.dispose();
  const curve = async (name: string, plans: readonly PrunePlan[]): Promise<Curve> => {
    const perplexities = [whole];
    for (const plan of plans) perplexities.push(await without(source, plan, judgedBy));
    const last = plans.at(-1) ?? {};
    const found = { name, order: Object.entries(last).flatMap(([, layers]: [string, readonly number[]]) => layers.map(String)), perplexities };
    console.log(`${model}, ${name}: ${perplexities.map((value) => value.toFixed(2)).join(' ')} (layers ${found.order.join(', ')})`);
    return found;
  };
  const curves = [
    await curve('token mixers', plansOf(similarities, 'tokenMixers')), await curve('channel mixers', plansOf(similarities, 'channelMixers')), await curve('blocks', plansOf(similarities, 'blocks')),
  ];
  const kinds = new Set(similarities.layers.map(({ kind }) => kind));
  for (const kind of kinds.size > 1 ? kinds : []) {
    const ranked = planPruning(similarities, similarities.layers.length, 'tokenMixers').tokenMixers!.filter((layer) => similarities.layers[layer].kind === kind);
    curves.push(await curve(`token mixers, ${kind} alone`, inOrder(ranked)));
  }
  for (let seed = 1; seed <= orders; seed++) curves.push(await curve(`token mixers, random order ${seed}`, inOrder(shuffled(similarities.layers.length, seed))));
  const golden = JSON.parse(readFileSync(shared(`goldens/${model}/golden.json`), 'utf8')) as { validation: { ppl?: number; ppl_exact?: number } };
  return { model, allStories, golden: stories.length === 100 ? golden.validation.ppl_exact ?? golden.validation.ppl : undefined, similarities, curves };
}

function table({ model, allStories, golden, similarities, curves }: Outcome): string {
  const most = Math.max(...curves.map(({ perplexities }) => perplexities.length));
  const cells = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  return [
    `\n### ${model}`,
    `perplexity of all stories ${allStories.toFixed(4)}${golden === undefined ? '' : `, golden ${golden.toFixed(4)}`}`, '',
    cells(['similarity', ...similarities.layers.map(({ layer, kind }) => `${layer} ${kind}`)]), cells(['---', ...similarities.layers.map(() => '---')]),
    ...(['tokenMixer', 'channelMixer', 'block'] as const).map((part) => cells([part, ...similarities.layers.map((layer) => layer[part]!.toFixed(3))])), '',
    cells(['left out', ...Array.from({ length: most }, (_, n) => String(n))]), cells(['---', ...Array.from({ length: most }, () => '---')]),
    ...curves.map(({ name, perplexities }) => cells([name, ...Array.from({ length: most }, (_, n) => perplexities[n]?.toFixed(perplexities[n] < 100 ? 2 : 0) ?? '')])),
  ].join('\n');
}

function picture({ model, curves }: Outcome, where: string): string {
  const inks = { 'token mixers': 'ternary', 'channel mixers': 'transformer', blocks: 'float' } as const;
  const points = (perplexities: readonly number[]) => perplexities.map((y, x) => ({ x, y }));
  const series = Object.entries(inks).map(([name, ink]): Series => ({ name: name.replace(' ', '\n'), ink, points: points(curves.find((one) => one.name === name)!.perplexities) }));
  const random = curves.filter(({ name }) => name.includes('random order'));
  const mean = random[0]?.perplexities.map((_, n) => Math.exp(random.reduce((sum, { perplexities }) => sum + Math.log(perplexities[n]), 0) / random.length)) ?? [];
  const title = `${model}: what it costs to leave out layers`;
  const plain = (value: number): string => (value >= 1000 ? `${value / 1000}k` : String(value));
  const chart = lineChart({
    heading: title, series: [...series, ...(mean.length > 0 ? [{ name: 'token mixers,\nrandom order', ink: 'muted', points: points(mean), guide: true } as const] : [])],
    description: `Perplexity of ${model} with 0 to ${series[0].points.length - 1} token mixers, channel mixers or blocks left out, those that change least first.`,
    x: { label: 'left out, those that change least first', kind: 'linear', format: String, ticks: series[0].points.map(({ x }) => x) },
    y: { label: 'perplexity, validation stories', kind: 'log', format: plain },
  });
  return standaloneSvg({ id: `prune-${model}`, title, chart }, where);
}

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    help: { type: 'boolean' }, models: { type: 'string', default: 'bitnet-8m,hybrid-9m,tinystories-9m' }, stories: { type: 'string', default: '100' },
    orders: { type: 'string', default: '3' }, out: { type: 'string' }, from: { type: 'string' },
  }, false);
  if (values.help) return console.log(HELP);
  const found = values.from === undefined ? await measureAll(values.models.split(','), wholeNumber('stories', values.stories), wholeNumber('orders', values.orders))
    : JSON.parse(readFileSync(values.from, 'utf8')) as Found;
  for (const outcome of found.outcomes) console.log(table(outcome));
  if (values.out === undefined) return;
  await mkdir(values.out, { recursive: true });
  for (const outcome of found.outcomes) await writeFile(join(values.out, `prune-${outcome.model}.svg`), picture(outcome, found.machine));
  await writeFile(join(values.out, 'prune.json'), `${JSON.stringify(found, null, 1)}\n`);
}

async function measureAll(models: readonly string[], count: number, orders: number): Promise<Found> {
  enableRelaxedSimd();
  const all = JSON.parse(readFileSync(shared('goldens/tinystories-9m/validation-stories.json'), 'utf8')) as number[][];
  const stories = all.slice(0, count);
  console.log(machine());
  const outcomes: Outcome[] = [];
  for (const model of models) outcomes.push(await run(model, stories, orders));
  return { machine: machine(), outcomes };
}

try {
  await main();
} catch (error) {
  complain(error);
}
