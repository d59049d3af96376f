import type { Result } from '../results.js';
import type { Cell } from './figure.js';
import { formatValue, short } from './format.js';
import { derived, modelId, SIZES, type Lookup } from './lookup.js';
import { FAR } from './model-figures.js';

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
  const list = (key: 'weights' | 'half' | 'far' | 'halfFar'): string => rows.map((row) => `${short(row[key])} (${row.shape})`).join(', ');
  const anywhere = some('weights') || some('far') || some('half') || some('halfFar');
  return {
    claim,
    verdict: all('half') ? 'confirmed' : anywhere ? 'confirmed in part' : 'refuted',
    why: [
      `Of weights alone, embeddings included, a float32 transformer takes ${list('weights')} times as much as the ternary model: ${all('weights') ? 'more than 10 at every size' : some('weights') ? 'more than 10 at some sizes' : 'less than 10'}.`,
      `In 16 bits, as transformers mostly are kept, it would take half of that, ${list('half')} times (calculated, not run): ${all('half') ? 'still more than 10' : some('half') ? 'more than 10 at some sizes only' : 'not more than 10'}. `
        + 'Ternary matrices shrink 8 times against 16 bits; embeddings, which stay bfloat16, do not shrink, and weigh more in smaller models.',
      `With a text of ${FAR.toLocaleString('en')} tokens, whose keys and values a transformer keeps, it takes ${list('far')} times as much in float32, and ${list('halfFar')} times in 16 bits (calculated): ${all('halfFar') ? 'confirmed for long texts' : all('far') ? 'more than 10 in float32 alone' : 'not always more than 10'}.`,
    ],
    figures: rows.flatMap(({ shape, from, weights, far }) => [
      { name: `${shape}: weights, transformer / ternary`, cell: derived(`${short(weights)} ×`, from.slice(0, 2)) },
      { name: `${shape}: with 32k tokens, transformer / ternary`, cell: derived(`${short(far)} ×`, from) },
    ]),
  };
}

/** Zhu et al., 2024, on inference. */
function latencyVerdict(lookup: Lookup): Verdict {
  const claim = 'The paper: latency grows more slowly with the size of the model than a transformer\'s.';
  const at = (shape: string, name: string): Result | undefined => lookup.get(modelId(shape, name, 1, 'decode at 1'));
  const sizes = SIZES.filter(({ shape }) => at(shape, 'ternary') && at(shape, 'Transformer++'));
  const [first, last] = [sizes[0], sizes.at(-1)];
  if (!first || !last || first === last) return { claim, verdict: 'not measured', why: ['It takes models of two sizes, which this run has not measured.'], figures: [] };
  /** How many times as long a token takes at the last size, as [least, median, most] by the rounds' spread. */
  const growth = (name: string) => {
    const [small, large] = [at(first.shape, name)!, at(last.shape, name)!];
    return { from: [small, large], low: small.range[0] / large.range[1], middle: small.median / large.median, high: small.range[1] / large.range[0] };
  };
  const [ours, theirs] = [growth('ternary'), growth('Transformer++')];
  const verdict = ours.high < theirs.low ? 'confirmed' : ours.low > theirs.high ? 'refuted' : 'not confirmed';
  const factor = (shape: string): string => short(at(shape, 'ternary')!.median / at(shape, 'Transformer++')!.median);
  const spreadOf = ({ low, high }: { low: number; high: number }): string => `${short(low)}–${short(high)}`;
  return {
    claim, verdict,
    why: [
      `From ${first.shape} to ${last.shape}, a decoded token takes ${short(ours.middle)} times as long with ternary weights (${spreadOf(ours)}) and ${short(theirs.middle)} times with the transformer (${spreadOf(theirs)}), one thread, first tokens of a text: ${
        { confirmed: 'ours grows more slowly', refuted: 'ours grows faster', 'not confirmed': 'no difference beyond the spread' }[verdict]}.`,
      `So the ternary model is ${factor(first.shape)} times as fast at ${first.shape} and ${factor(last.shape)} times at ${last.shape}. Both read all their weights for every token, so that the time of both grows with the weights, and the ratio stays about what it is.`,
      'Over the length of the text it is another matter: there the transformer grows, and the ternary model does not (see the time per token over context).',
    ],
    figures: [
      ...(['ternary', 'Transformer++'] as const).map((name) => {
        const { from, middle, low, high } = growth(name);
        return { name: `${name}: time at ${last.shape} / at ${first.shape}`, cell: derived(`${short(middle)} ×`, from, `${short(low)}–${short(high)}`) };
      }),
      ...[first, last].map(({ shape }) => ({ name: `${shape} ternary`, cell: derived(formatValue(at(shape, 'ternary')!.median, 'tokens/s'), [at(shape, 'ternary')]) })),
    ],
  };
}
