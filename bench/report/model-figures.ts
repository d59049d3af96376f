import type { Result } from '../results.js';
import { barChart } from './bar-chart.js';
import type { Cell, Figure } from './figure.js';
import { byteTick, compact, countOf, formatValue, percent, short, tokens } from './format.js';
import { lineChart, type Series } from './line-chart.js';
import { bareCell, cell, CONTESTANTS, derived, millisecondsOf, modelId, SIZES, threadsOf, type Lookup } from './lookup.js';

/* Charts of whole models: by size, by context, by threads, by batch. Each is undefined where a run has not measured it. */

export const MARKED = 'Markers are medians; whiskers hold four of five rounds, and are hidden by their marker where they are shorter. The table has both.';

/** How often `a` goes into `b`, in words for a sentence. */
const times = (a: number, b: number): string => `${short(a / b)} times`;

/** The name of a contestant beside its line. */
const lineName = (name: string): string => (name === 'float MatMul-free' ? 'float\nMatMul-free' : name);

export const asLong = (ratio: number): string => (Math.abs(ratio - 1) < 0.05 ? 'as long as before' : `${short(ratio)} times as long`);

export function speedBySize(lookup: Lookup, threads: number): Figure | undefined {
  const at = (shape: string, name: string): Result | undefined => lookup.get(modelId(shape, name, threads, 'decode at 1'));
  const sizes = SIZES.filter(({ shape }) => at(shape, 'ternary'));
  const series = CONTESTANTS.map(({ name, ink }): Series => ({
    name: lineName(name), ink,
    points: sizes.flatMap(({ shape, parameters }) => {
      const result = at(shape, name);
      return result ? [{ x: parameters, y: result.median, range: result.range }] : [];
    }),
  })).filter(({ points }) => points.length > 0);
  const largest = sizes.at(-1);
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => at(largest?.shape ?? '', name));
  if (!largest || !ours || !theirs) return undefined;
  const title = `Tokens per second by model size, ${threadsOf(threads)}`;
  const says = `At ${largest.shape}, ternary weights decode ${formatValue(ours.median, 'tokens/s')}, ${times(ours.median, theirs.median)} the transformer's ${formatValue(theirs.median, 'tokens/s')}.`;
  return {
    id: `speed-by-size-${threads === 1 ? '1-thread' : 'all-threads'}`, title, says,
    chart: sizes.length < 2 ? undefined : lineChart({
      heading: `Decoding by model size, ${threadsOf(threads)}`, description: `${title}. ${says}`, series,
      x: { label: 'parameters, logarithmic (first tokens of a text)', kind: 'log', format: (value) => SIZES.find(({ parameters }) => parameters === value)?.shape ?? compact(value), ticks: sizes.map(({ parameters }) => parameters), domain: [0.33e9, 3e9] },
      y: { label: 'tokens/s, logarithmic', kind: 'log', format: compact },
    }),
    table: {
      caption: 'Decoding one token after another: tokens/s, and share of the memory bandwidth that a loop reaches which only reads',
      columns: ['model', ...CONTESTANTS.map(({ name }) => name), 'ternary / Transformer++'],
      rows: sizes.map(({ shape }) => {
        const [ternary, transformer] = ['ternary', 'Transformer++'].map((name) => at(shape, name));
        return [shape, ...CONTESTANTS.map(({ name }) => withShare(at(shape, name), lookup)), ternary && transformer ? derived(`${short(ternary.median / transformer.median)} ×`, [ternary, transformer]) : '–'];
      }),
    },
    ...(sizes.length < 2 ? {} : { note: MARKED }),
  };
}

/** A speed of decoding with the share of the bandwidth that it is. */
function withShare(result: Result | undefined, lookup: Lookup): Cell {
  const share = result && lookup.get(`${result.id}/share of bandwidth`);
  if (!result || !share) return bareCell(result);
  return derived(`${short(result.median)} (${percent(share.median)})`, [result, share], `${short(result.range[0])}–${short(result.range[1])}`);
}

export function prefillTable(lookup: Lookup): Figure | undefined {
  const bySize = lookup.matching(/^models\/([^/]+)\/ternary\/(\d+) threads?\/prefill (\d+)$/);
  const found = SIZES.flatMap(({ shape }) => bySize.filter(({ groups: [size] }) => size === shape).sort((a, b) => Number(a.groups[1]) - Number(b.groups[1])));
  if (found.length === 0) return undefined;
  const [first] = found;
  const [shape, threads, length] = first.groups;
  const of = (name: string, what: string): Result | undefined => lookup.get(modelId(shape, name, Number(threads), what));
  const transformer = of('Transformer++', `prefill ${length}`);
  const [decoded, decodedBoth] = ['ternary', 'Transformer++'].map((name) => of(name, 'decode at 1'));
  return {
    id: 'prefill', title: 'Reading a prompt', chart: undefined,
    says: transformer
      ? `A prompt of ${length} tokens goes at ${formatValue(first.result.median, 'tokens/s')} with ternary weights (${shape}, ${threadsOf(Number(threads))}), at ${formatValue(transformer.median, 'tokens/s')} with the transformer: ${times(first.result.median, transformer.median)} as many${decoded && decodedBoth ? `; of tokens that are decoded one by one it is ${times(decoded.median, decodedBoth.median)} as many` : ''}.`
      : `A prompt of ${length} tokens goes at ${formatValue(first.result.median, 'tokens/s')} (${shape}, ${threadsOf(Number(threads))}).`,
    table: {
      caption: 'Prefill, tokens/s', columns: ['model, prompt, threads', ...CONTESTANTS.map(({ name }) => name)],
      rows: found.map(({ groups: [size, count, prompt] }) => [
        `${size}, ${prompt} tokens, ${threadsOf(Number(count))}`,
        ...CONTESTANTS.map(({ name }) => bareCell(lookup.get(modelId(size, name, Number(count), `prefill ${prompt}`)))),
      ]),
    },
  };
}

export const FAR = 32_768;

export function memoryBySize(lookup: Lookup): Figure | undefined {
  const of = (shape: string, name: string) => {
    const [weights, text] = ['weights', `memory of ${FAR} tokens`].map((what) => lookup.get(`models/${shape}/${name}/${what}`));
    return weights && text ? { weights, text, total: weights.median + text.median } : undefined;
  };
  const sizes = SIZES.filter(({ shape }) => of(shape, 'ternary') && of(shape, 'Transformer++'));
  const largest = sizes.at(-1);
  if (!largest) return undefined;
  const [ours, theirs] = [of(largest.shape, 'ternary')!, of(largest.shape, 'Transformer++')!];
  const title = 'Memory by model size, with a text of 32k tokens';
  const says = `At ${largest.shape}: ${formatValue(ours.total, 'bytes')} against ${formatValue(theirs.total, 'bytes')} for the float32 transformer, ${short(theirs.total / ours.total)} times as much; of weights alone, ${short(theirs.weights.median / ours.weights.median)} times as much.`;
  return {
    id: 'memory-by-size', title, says,
    chart: barChart({
      heading: 'Memory with a text of 32k tokens', label: 'gigabytes (10⁹ bytes)', format: (value) => short(value / 1e9), description: `${title}. ${says}`,
      legend: [{ name: 'weights, as they are in memory', strength: 1 }, { name: 'keys and values of the text', strength: 0.4 }],
      groups: sizes.map(({ shape }) => ({
        name: `${shape} parameters`,
        bars: CONTESTANTS.flatMap(({ name, ink }) => {
          const memory = of(shape, name);
          if (!memory) return [];
          const { weights, text, total } = memory;
          return [{ name, ink, value: formatValue(total, 'bytes'), segments: [{ value: weights.median, ink, strength: 1 }, { value: text.median, ink, strength: 0.4 }] }];
        }),
      })),
    }),
    table: {
      caption: 'Weights, and what a model knows of a text of 32,768 tokens',
      columns: ['model', 'weights', 'text', 'together', '× ternary'],
      rows: sizes.flatMap(({ shape }) => CONTESTANTS.flatMap(({ name }) => {
        const [memory, ternary] = [of(shape, name), of(shape, 'ternary')];
        if (!memory || !ternary) return [];
        const from = [memory.weights, memory.text];
        return [[`${shape} ${name}`, cell(memory.weights), cell(memory.text), derived(formatValue(memory.total, 'bytes'), from), derived(short(memory.total / ternary.total), [...from, ternary.weights, ternary.text])]];
      })),
    },
    note: 'Counted from the arrays that a model allocates, not measured; what the system says of the whole process is in the table of resident memory.',
  };
}

export const contextAxis = (positions: readonly number[]) => ({
  label: 'tokens of the text so far, logarithmic', kind: 'log', format: tokens, ticks: positions,
}) as const;

export function timeByContext(lookup: Lookup, shape: string): Figure | undefined {
  const positions = lookup.numbers(new RegExp(`^models/${shape}/Transformer\\+\\+/1 thread/decode at (\\d+)$`));
  const at = (name: string, position: number): Result | undefined => lookup.get(modelId(shape, name, 1, `decode at ${position}`));
  const [first, last] = [positions[0], positions.at(-1)!];
  if (positions.length < 2 || !at('ternary', first) || !at('ternary', last)) return undefined;
  const grown = (name: string): number => at(name, first)!.median / at(name, last)!.median;
  const title = `Time per token over the length of the text, ${shape}`;
  const says = `From ${countOf(first, 'token')} to ${last.toLocaleString('en')}, a token of the transformer comes to take ${asLong(grown('Transformer++'))}; one of the ternary model takes ${asLong(grown('ternary'))}: its state is the same at any length.`;
  return {
    id: `time-by-context-${shape}`, title, says,
    chart: lineChart({
      heading: `Time per token over context, ${shape}, 1 thread`, description: `${title}. ${says}`,
      x: contextAxis(positions), y: { label: 'milliseconds a token, logarithmic', kind: 'log', format: compact },
      series: CONTESTANTS.map(({ name, ink }): Series => ({
        name: lineName(name), ink,
        points: positions.flatMap((position) => {
          const result = at(name, position);
          return result ? [{ x: position, ...millisecondsOf(result) }] : [];
        }),
      })),
    }),
    table: {
      caption: 'Milliseconds a token (1000 / tokens per second)',
      columns: ['tokens before', ...CONTESTANTS.map(({ name }) => name)],
      rows: positions.map((position) => [tokens(position), ...CONTESTANTS.map(({ name }) => {
        const result = at(name, position);
        if (!result) return '–';
        const { y, range: [low, high] } = millisecondsOf(result);
        return derived(short(y), [result], `${short(low)}–${short(high)}`);
      })]),
    },
    note: MARKED,
  };
}

export function memoryByContext(lookup: Lookup, shape: string): Figure | undefined {
  const positions = lookup.numbers(new RegExp(`^models/${shape}/Transformer\\+\\+/memory of (\\d+) tokens$`));
  const at = (name: string, position: number): Result | undefined => lookup.get(`models/${shape}/${name}/memory of ${position} tokens`);
  const shown = CONTESTANTS.filter(({ name }) => name !== 'float MatMul-free');
  const last = positions.at(-1);
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => at(name, last ?? 0));
  if (positions.length < 2 || last === undefined || !ours || !theirs) return undefined;
  const title = `Memory of a text over its length, ${shape}`;
  const says = `What the ternary model knows of a text is ${formatValue(ours.median, 'bytes')} at any length; the transformer's keys and values of ${last.toLocaleString('en')} tokens take ${formatValue(theirs.median, 'bytes')}.`;
  return {
    id: `memory-by-context-${shape}`, title, says,
    chart: lineChart({
      heading: `Memory of a text over its length, ${shape}`, description: `${title}. ${says}`,
      x: contextAxis(positions), y: { label: 'bytes beside the weights, logarithmic', kind: 'log', format: byteTick },
      series: shown.map(({ name, ink }): Series => ({
        name: name === 'ternary' ? 'both\nMatMul-free' : name, ink,
        points: positions.flatMap((position) => {
          const result = at(name, position);
          return result ? [{ x: position, y: result.median }] : [];
        }),
      })),
    }),
    table: {
      caption: 'State, or keys and values', columns: ['tokens', ...CONTESTANTS.map(({ name }) => name)],
      rows: positions.map((position) => [tokens(position), ...CONTESTANTS.map(({ name }) => cell(at(name, position)))]),
    },
    note: 'Counted, not measured. The float MatMul-free model has the same state as the ternary one.',
  };
}

/** @param what a result of models, such as `decode at 1`. */
export function threadScaling(lookup: Lookup, shape: string, what: string, id: string, doing: string): Figure | undefined {
  const counts = lookup.numbers(new RegExp(`^models/${shape}/ternary/(\\d+) threads?/${what}$`));
  const at = (name: string, threads: number): Result | undefined => lookup.get(modelId(shape, name, threads, what));
  const bandwidth = (threads: number): Result | undefined => lookup.get(`machine/beside ${shape}/memory bandwidth/${threadsOf(threads)}`);
  if (counts.length < 2 || counts[0] !== 1) return undefined;
  const most = counts.at(-1)!;
  const gains = (result: (threads: number) => Result | undefined) => counts.flatMap((x) => {
    const [one, some] = [result(1), result(x)];
    return one && some ? [{ x, y: some.median / one.median, range: [some.range[0] / one.median, some.range[1] / one.median] as const }] : [];
  });
  const gainsAtMost = [
    ...CONTESTANTS.filter(({ name }) => name !== 'float MatMul-free').map(({ name }) => ({ name, gain: gains((threads) => at(name, threads)).at(-1)?.y })),
    { name: 'reading memory alone', gain: gains(bandwidth).at(-1)?.y },
  ].flatMap(({ name, gain }) => (gain === undefined ? [] : [`${name} ${short(gain)}`]));
  const series: Series[] = CONTESTANTS.map(({ name, ink }) => ({ name: lineName(name), ink, points: gains((threads) => at(name, threads)) }));
  const top = Math.max(most, ...series.flatMap(({ points }) => points.flatMap(({ range }) => range ?? [])));
  const title = `Threads: ${doing}, ${shape}`;
  const says = `Times as fast with ${threadsOf(most)} as with one: ${gainsAtMost.join(', ')}.`;
  return {
    id, title, says,
    chart: lineChart({
      heading: `${doing[0].toUpperCase()}${doing.slice(1)} with more threads, ${shape}`, description: `${title}. ${says}`,
      x: { label: 'threads', kind: 'linear', format: String, ticks: counts }, y: { label: 'times as fast as with one thread', kind: 'linear', format: short, domain: [0, top], ticks: counts.length > 5 ? undefined : [0, ...counts] },
      series: [
        { name: 'ideal', ink: 'muted', guide: true, points: [{ x: 1, y: 1 }, { x: most, y: most }] },
        { name: 'memory\nbandwidth', ink: 'muted', guide: true, points: gains(bandwidth) }, ...series,
      ],
    }),
    table: {
      caption: 'Tokens/s, and times as fast as with one thread', columns: ['threads', ...CONTESTANTS.map(({ name }) => name), 'memory bandwidth'],
      rows: counts.map((threads) => [String(threads), ...CONTESTANTS.map(({ name }) => {
        const [one, some] = [at(name, 1), at(name, threads)];
        return one && some ? derived(`${short(some.median)} (${short(some.median / one.median)} ×)`, threads === 1 ? [some] : [some, one], `${short(some.range[0])}–${short(some.range[1])}`) : '–';
      }), cell(bandwidth(threads))]),
    },
    note: `${MARKED} Memory bandwidth is a loop that only reads, in the same rounds. Each number of threads has rounds of its own, one after another: what else the machine did then is in the ratios.`,
  };
}

export function batchScaling(lookup: Lookup, shape: string): Figure | undefined {
  const counts = lookup.numbers(new RegExp(`^models/${shape}/ternary/1 thread/batch of (\\d+)$`));
  const at = (name: string, count: number): Result | undefined => lookup.get(modelId(shape, name, 1, `batch of ${count}`));
  const most = counts.at(-1);
  if (counts.length < 2 || most === undefined) return undefined;
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => {
    const [one, many] = [at(name, counts[0]), at(name, most)];
    return one && many ? many.median / one.median : NaN;
  });
  const title = `Several texts at once, ${shape}`;
  const says = `${most} texts at once make ${short(ours)} times as many tokens a second as ${counts[0] === 1 ? 'one' : counts[0]} with ternary weights${Number.isNaN(theirs) ? '' : `, ${short(theirs)} times with the transformer`}${theirs > ours ? ', which gains more from reading weights once for all' : ''}.`;
  return {
    id: `batch-${shape}`, title, says,
    chart: lineChart({
      heading: `Tokens/s of several texts at once, ${shape}, 1 thread`, description: `${title}. ${says}`,
      x: { label: 'texts at once, logarithmic', kind: 'log', format: String, ticks: counts }, y: { label: 'tokens/s of all texts together, logarithmic', kind: 'log', format: compact },
      series: CONTESTANTS.map(({ name, ink }): Series => ({
        name: lineName(name), ink,
        points: counts.flatMap((count) => {
          const result = at(name, count);
          return result ? [{ x: count, y: result.median, range: result.range }] : [];
        }),
      })),
    }),
    table: {
      caption: 'Tokens/s of all texts together', columns: ['texts', ...CONTESTANTS.map(({ name }) => name)],
      rows: counts.map((count) => [String(count), ...CONTESTANTS.map(({ name }) => bareCell(at(name, count)))]),
    },
    note: `${MARKED} The float models have one text: they read as many tokens of it in one pass, whose products are the same; a transformer's attention is then that of texts of a few tokens, the least that a batch takes.`,
  };
}
