import { describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, measureLayers, planPruning, type LayerSimilarities } from 'matmulfree';
import { EMBEDDED } from '../support/files.js';
import { randomFrom } from '../support/random.js';
import { EXAMPLES, type Example } from './models.js';

const load = (source: Parameters<typeof MatMulFreeLM.load>[0]): Promise<MatMulFreeLM> => MatMulFreeLM.load(source, { threads: 1, kvType: 'f32' }); // as the references have them

function ids(count: number, seed: number): number[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => random.integer(0, 10));
}

interface Means { tokenMixer: number; channelMixer: number; block: number }

/** The definition: mean over all tokens of x · y / (|x| |y|). */
function plainSimilarities({ reference }: Example, windows: readonly (readonly number[])[]): Means[] {
  const found: Means[] = [];
  const cosine = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, v, j) => sum + v * y[j]!, 0) / (Math.hypot(...x) * Math.hypot(...y));
  const total = windows.reduce((sum, { length }) => sum + length, 0);
  for (const window of windows) {
    const seen: Record<string, readonly number[]> = {};
    reference(window, (layer, at, residual) => {
      seen[at] = [...residual];
      if (at !== 'after') return;
      const { before = [], between = [], after = [] } = seen;
      const sums = (found[layer] ??= { tokenMixer: 0, channelMixer: 0, block: 0 });
      sums.tokenMixer += cosine(before, between) / total;
      sums.channelMixer += cosine(between, after) / total;
      sums.block += cosine(before, after) / total;
    });
  }
  return found;
}

function expectClose({ layers }: LayerSimilarities, expected: readonly Means[]): void {
  expect(layers.length).toBe(expected.length);
  layers.forEach((layer, n) => {
    for (const part of ['tokenMixer', 'channelMixer', 'block'] as const) expect(Math.abs(layer[part]! - expected[n]![part]), `layer ${n} ${part}`).toBeLessThan(1e-5);
  });
}

describe('similarity of what goes into a layer and what comes out', () => {
  it.each(EXAMPLES)('is that of a plain reference: $name', async (example) => {
    const lm = await load(example.files);
    // Longer than a pass, and than the window of a layer.
    const [first, second] = [ids(90, 1), ids(7, 2)];
    const whole = await measureLayers(lm, first);
    expectClose(whole, plainSimilarities(example, [first]));
    expect(whole.tokens).toBe(90);
    const cut = await measureLayers(lm, [first, second], { context: 70 });
    expectClose(cut, plainSimilarities(example, [first.slice(0, 70), first.slice(70), second]));
    expect([cut.tokens, cut.context]).toEqual([97, 70]);
    expect(await measureLayers(lm, [Int32Array.from(first), second], { context: 70 })).toEqual(cut); // the same again, in other words
    lm.dispose();
  });

  it('tells kinds of mixers, reads text as the tokenizer does, leaves states alone, tells how far it is', async () => {
    const lm = await load(EMBEDDED);
    const text = 'Once upon a time there was a little dog. '.repeat(12);
    const state = lm.createState();
    lm.forward(5, state);
    const before = state.serialize();
    const seen: number[][] = [];
    const measured = await measureLayers(lm, text, { onProgress: (...progress) => seen.push(progress) });
    expect(state.serialize()).toEqual(before);
    const total = lm.tokenizer.encode(text).length;
    expect(seen.map(([, all]) => all)).toEqual(seen.map(() => total));
    expect(seen.at(-1)).toEqual([total, total]);
    expect(measured.layers.map(({ kind }) => kind)).toEqual(measured.layers.map(() => 'mlgru'));
    expect(measured).toEqual(await measureLayers(lm, lm.tokenizer.encode(text)));
    const abort = AbortSignal.abort(new Error('enough'));
    await expect(measureLayers(lm, text, { signal: abort })).rejects.toThrow('enough');
    const gone = measureLayers(lm, text);
    lm.dispose();
    await expect(gone).rejects.toThrow(ArgumentError);
  });

  it.each(EXAMPLES)('reads no longer windows than there is memory for: $name', async ({ files }) => {
    const lm = await MatMulFreeLM.load(files, { threads: 1, contextTokens: 64 });
    const { context } = await measureLayers(lm, ids(150, 3));
    expect(context).toBeLessThanOrEqual(lm.info().contextTokens);
    lm.dispose();
  });

  it('refuses what it cannot read', async () => {
    const lm = await load(EXAMPLES[0]!.files);
    for (const [text, message] of [
      [[], /measureLayers: the text|there is no text/], [[[]], /measureLayers: text 0: no token ids/], [[1, 11], /measureLayers: the text: token id 11/], [[[1], [99]], /measureLayers: text 1: token id 99/],
      [null, /measureLayers/], [7, /measureLayers: the text is 7/], [[['a']], /measureLayers: text 0/],
    ] as const) await expect(measureLayers(lm, text as never), String(text)).rejects.toThrow(message);
    await expect(measureLayers({} as never, [1])).rejects.toThrow(/in place of a model/);
    await expect(measureLayers(lm, [1], { context: 0 })).rejects.toThrow(/option context is 0/);
    await expect(measureLayers(lm, [1], { windows: 2 } as never)).rejects.toThrow(/unknown option "windows"/);
    lm.dispose();
  });
});

describe('planPruning', () => {
  const layers = [[0.5, 0.9, 0.4], [0.7, 0.6, 0.8], [undefined, 0.95, 0.95], [0.7, undefined, 0.7]].map(([tokenMixer, channelMixer, block], layer) => ({ layer, kind: undefined, tokenMixer, channelMixer, block }));
  const measured = { tokens: 1, context: 1, layers };

  it('takes those that change least, the first of two that change alike', () => {
    expect(planPruning(measured, 2, 'tokenMixers')).toEqual({ tokenMixers: [1, 3] });
    expect(planPruning(measured, 1, 'tokenMixers')).toEqual({ tokenMixers: [1] });
    expect(planPruning(measured, 3, 'channelMixers')).toEqual({ channelMixers: [2, 0, 1] });
    expect(planPruning(measured, 2, 'blocks')).toEqual({ blocks: [2, 1] });
    expect(planPruning(measured, 3, 'mixers')).toEqual({ tokenMixers: [1], channelMixers: [2, 0] });
    expect(planPruning(measured, 0, 'blocks')).toEqual({ blocks: [] });
  });
  it('refuses more than there are', () => {
    expect(() => planPruning(measured, 4, 'tokenMixers')).toThrow(/4 is not a number from 0 to 3/);
    for (const count of [-1, 0.5, NaN, '2' as never]) expect(() => planPruning(measured, count, 'blocks')).toThrow(ArgumentError);
    expect(() => planPruning(measured, 1, 'attention' as never)).toThrow(/"attention" is not one of tokenMixers, channelMixers, blocks, mixers/);
  });
});
