import type { Result } from '../results.js';
import type { Cell } from './figure.js';
import { short } from './format.js';
import { derived, millisecondsOf, modelId, SIZES, threadsOf, type Lookup } from './lookup.js';
import { asLong, FAR } from './model-figures.js';

/** What became of something that the paper claims. */
export interface Verdict {
  readonly claim: string;
  readonly verdict: 'confirmed' | 'confirmed in part' | 'not confirmed' | 'refuted' | 'not measured';
  /** In sentences. */
  readonly why: readonly string[];
  /** The figures that it rests on. */
  readonly figures: readonly { readonly name: string; readonly cell: Cell }[];
}

export function verdicts(lookup: Lookup): Verdict[] {
  return [memoryVerdict(lookup), latencyVerdict(lookup)];
}

const CLAIMED_MEMORY = 10;

/** With as many digits as it takes to see on which side of what is claimed it is: 9.998 is not 10. */
function ratioText(value: number): string {
  for (let digits = 3; digits < 8; digits++) {
    const shown = Number(value.toPrecision(digits));
    if (shown > CLAIMED_MEMORY === value > CLAIMED_MEMORY && (shown !== CLAIMED_MEMORY || value === CLAIMED_MEMORY)) return digits === 3 ? short(value) : String(shown);
  }
  return String(value);
}

/** "reduced by more than 10× compared to unoptimized models" (Zhu et al., 2024, abstract). */
function memoryVerdict(lookup: Lookup): Verdict {
  const claim = 'The paper: more than 10 times less memory.';
  const of = (shape: string, name: string, what: string): Result | undefined => lookup.get(`models/${shape}/${name}/${what}`);
  const sizes = SIZES.flatMap(({ shape }) => {
    const all = ['weights', `memory of ${FAR} tokens`].map((what) => ['ternary', 'Transformer++'].map((name) => of(shape, name, what)));
    const [[ours, theirs], [ourText, theirText]] = all;
    return ours && theirs && ourText && theirText ? [{ shape, ours, theirs, ourText, theirText }] : [];
  });
  if (sizes.length === 0) return { claim, verdict: 'not measured', why: ['This run has no models.'], figures: [] };
  const rows = sizes.map(({ shape, ours, theirs, ourText, theirText }) => ({
    shape, from: [ours, theirs, ourText, theirText],
    weights: theirs.median / ours.median,
    half: theirs.median / 2 / ours.median,
    far: (theirs.median + theirText.median) / (ours.median + ourText.median),
    halfFar: (theirs.median + theirText.median) / 2 / (ours.median + ourText.median),
  }));
  const all = (key: 'weights' | 'half' | 'far' | 'halfFar'): boolean => rows.every((row) => row[key] > CLAIMED_MEMORY);
  const some = (key: 'weights' | 'half' | 'far' | 'halfFar'): boolean => rows.some((row) => row[key] > CLAIMED_MEMORY);
  const list = (key: 'weights' | 'half' | 'far' | 'halfFar'): string => rows.map((row) => `${ratioText(row[key])} (${row.shape})`).join(', ');
  const anywhere = some('weights') || some('far') || some('half') || some('halfFar');
  return {
    claim,
    verdict: all('half') ? 'confirmed' : anywhere ? 'confirmed in part' : 'refuted',
    why: [
      `Of weights alone, embeddings included, a float32 transformer takes ${list('weights')} times as much as the ternary model: ${all('weights') ? 'more than 10 at every size' : some('weights') ? 'more than 10 at some sizes only' : 'not more than 10'}.`,
      `In 16 bits, as transformers mostly are kept, it would take half of that, ${list('half')} times (calculated, not run): ${all('half') ? 'still more than 10' : some('half') ? 'more than 10 at some sizes only' : 'not more than 10'}. `
        + 'Ternary matrices shrink 8 times against 16 bits; embeddings, which stay bfloat16, do not shrink, and weigh more in smaller models.',
      `With a text of ${FAR.toLocaleString('en')} tokens, whose keys and values a transformer keeps, it takes ${list('far')} times as much in float32, and ${list('halfFar')} times in 16 bits (calculated): ${all('halfFar') ? 'confirmed for long texts' : all('far') ? 'more than 10 in float32 alone' : 'not always more than 10'}.`,
    ],
    figures: rows.flatMap(({ shape, from, weights, half, far, halfFar }) => [
      { name: `${shape}: weights, transformer / ternary`, cell: derived(`${ratioText(weights)} ×`, from.slice(0, 2)) },
      { name: `${shape}: with 32k tokens, transformer / ternary`, cell: derived(`${ratioText(far)} ×`, from) },
      { name: `${shape}: both in 16 bits`, cell: derived(`${ratioText(half)} × and ${ratioText(halfFar)} ×`, from) },
    ]),
  };
}

/** A median, with the least and the most that the rounds' spread allows. */
interface Between {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}
type Comparison = 'slower' | 'faster' | 'same';

const compared = (ours: Between, theirs: Between): Comparison => (ours.high < theirs.low ? 'slower' : ours.low > theirs.high ? 'faster' : 'same');
const spreadOf = ({ low, high }: Between): string => `${short(low)}–${short(high)}`;

/** How the time of a token grows from the smallest size that was measured to the largest, with a number of threads. */
interface Growth {
  readonly threads: number;
  readonly first: string;
  readonly last: string;
  /** By name: what it rests on, milliseconds before and after, milliseconds more, and times as long. */
  readonly of: Readonly<Record<'ternary' | 'Transformer++', {
    readonly from: readonly Result[]; readonly before: number; readonly after: number; readonly more: Between; readonly times: Between;
  }>>;
  /** The transformer's time to the ternary model's, at the first and at the last size. */
  readonly faster: readonly [number, number];
  /** Whether the ternary model's time grows more slowly: in milliseconds, and in proportion. */
  readonly absolute: Comparison;
  readonly relative: Comparison;
}

function growthWith(lookup: Lookup, threads: number): Growth | undefined {
  const at = (shape: string, name: string): Result | undefined => lookup.get(modelId(shape, name, threads, 'decode at 1'));
  const shapes = SIZES.map(({ shape }) => shape).filter((shape) => at(shape, 'ternary') && at(shape, 'Transformer++'));
  if (shapes.length < 2) return undefined;
  const [first, last] = [shapes[0], shapes[shapes.length - 1]];
  const growthOf = (name: string): Growth['of']['ternary'] => {
    const from = [at(first, name)!, at(last, name)!];
    const [small, large] = from.map(millisecondsOf);
    return {
      from, before: small.y, after: large.y,
      more: { low: large.range[0] - small.range[1], middle: large.y - small.y, high: large.range[1] - small.range[0] },
      times: { low: large.range[0] / small.range[1], middle: large.y / small.y, high: large.range[1] / small.range[0] },
    };
  };
  const [ours, theirs] = [growthOf('ternary'), growthOf('Transformer++')];
  return {
    threads, first, last, of: { ternary: ours, 'Transformer++': theirs }, faster: [theirs.before / ours.before, theirs.after / ours.after],
    absolute: compared(ours.more, theirs.more), relative: compared(ours.times, theirs.times),
  };
}

function tellGrowth({ threads, first, last, of: { ternary, 'Transformer++': transformer }, faster, absolute, relative }: Growth): string {
  const inProportion = { slower: 'less than the transformer', faster: 'more than the transformer', same: 'no difference beyond the spread' }[relative];
  const inTime = { slower: 'less', faster: 'more', same: 'no difference beyond the spread' }[absolute];
  return `With ${threadsOf(threads)}, from ${first} to ${last}: a decoded token of the ternary model goes from ${short(ternary.before)} to ${short(ternary.after)} ms, one of the transformer from `
    + `${short(transformer.before)} to ${short(transformer.after)} ms. That is ${short(ternary.more.middle)} ms more against ${short(transformer.more.middle)} ms more (${inTime}), and ${short(ternary.times.middle)} times `
    + `as long (${spreadOf(ternary.times)}) against ${short(transformer.times.middle)} times (${spreadOf(transformer.times)}): in proportion, ${inProportion}. `
    + `The ternary model is ${short(faster[0])} times as fast at ${first}, ${short(faster[1])} times at ${last}.`;
}

/** The time of a token over the length of the text, where it was measured. */
function tellContext(lookup: Lookup): string[] {
  const [shape] = SIZES.map((size) => size.shape);
  const positions = lookup.numbers(new RegExp(`^models/${shape}/Transformer\\+\\+/1 thread/decode at (\\d+)$`));
  const timesAsLong = (name: string): number | undefined => {
    const [near, far] = [positions[0], positions.at(-1)].map((position) => lookup.get(modelId(shape, name, 1, `decode at ${position ?? NaN}`)));
    return near && far ? near.median / far.median : undefined;
  };
  const [ours, theirs] = ['ternary', 'Transformer++'].map(timesAsLong);
  if (positions.length < 2 || ours === undefined || theirs === undefined) return [];
  return [`The length of the text is another matter: from ${positions[0]} to ${positions.at(-1)!.toLocaleString('en')} tokens, a token comes to take ${asLong(theirs)} with the transformer, ${asLong(ours)} with the ternary model (${shape}, 1 thread).`];
}

/**
 * That it grows more slowly is taken in two ways: in milliseconds, as a chart of latency over size shows it, which whatever is a few times as fast
 * does; and in proportion, which takes more than that.
 */
function latencyVerdict(lookup: Lookup): Verdict {
  const claim = 'The paper: latency grows more slowly with the size of the model than a transformer\'s.';
  const counts = lookup.numbers(/^models\/[^/]+\/ternary\/(\d+) threads?\/decode at 1$/);
  const growths = [...new Set([1, counts.at(-1) ?? 1])].flatMap((threads) => growthWith(lookup, threads) ?? []);
  if (growths.length === 0) return { claim, verdict: 'not measured', why: ['It takes models of two sizes, which this run has not measured.'], figures: [] };
  const all = (key: 'absolute' | 'relative', value: Comparison): boolean => growths.every((growth) => growth[key] === value);
  const verdict = all('absolute', 'slower') ? (all('relative', 'slower') ? 'confirmed' : 'confirmed in part') : all('absolute', 'faster') ? 'refuted' : 'not confirmed';
  const conclusion = {
    confirmed: 'In milliseconds and in proportion, the ternary model grows more slowly.',
    'confirmed in part': `In milliseconds the ternary model grows more slowly, as whatever is several times as fast at any size does; in proportion to what it takes when small it ${
      all('relative', 'faster') ? 'grows faster' : all('relative', 'same') ? 'grows as the transformer does' : 'grows more slowly in some of the measurements only'}.`,
    refuted: 'The ternary model grows faster.',
    'not confirmed': 'That the ternary model grows more slowly is not beyond the spread in all of the measurements.',
  }[verdict];
  return {
    claim, verdict, why: [conclusion, ...growths.map(tellGrowth), ...tellContext(lookup)],
    figures: growths.flatMap(({ threads, first, last, of }) => (['ternary', 'Transformer++'] as const).map((name) => ({
      name: `${name}, ${threadsOf(threads)}: time at ${last} / at ${first}`, cell: derived(`${short(of[name].times.middle)} ×`, of[name].from, spreadOf(of[name].times)),
    }))),
  };
}
