import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, StateHistory } from 'matmulfree';
import { FASTEST, SOME_BACKENDS } from '../support/backends.js';
import type { Files } from '../support/checkpoints.js';
import { comparePosition, expectSameBits, maxDifference } from '../support/compare.js';
import { HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { tries } from '../support/effort.js';
import { qwen35Folder, randomQwen35, rotatedGolden, TINY_QWEN35, TINY_ROTATED, type TinyQwen35 } from '../support/qwen35.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { readModel } from '../support/ternary-models.js';
import { runQwen35Reference } from '../support/reference-qwen35.js';

/* Qwen3.5 and Ternary Bonsai 2: gated delta nets with attention between, plain and rotated (bonsai.md §2.6, §3.4). */

function compare(actual: Float32Array, exact: ArrayLike<number>, vocab: number): { kl: number; sameTop: number; difference: number } {
  const tokens = actual.length / vocab;
  const rows = Float64Array.from(exact);
  const positions = Array.from({ length: tokens }, (_, t) => comparePosition(actual.subarray(t * vocab, (t + 1) * vocab), rows.subarray(t * vocab, (t + 1) * vocab)));
  const mean = rows.reduce((sum, v) => sum + v, 0) / rows.length;
  const deviation = Math.sqrt(rows.reduce((sum, v) => sum + (v - mean) ** 2, 0) / rows.length);
  return {
    kl: positions.reduce((sum, { kl }) => sum + kl, 0) / tokens, sameTop: positions.filter(({ sameTop }) => sameTop).length / tokens,
    difference: maxDifference(actual, exact) / deviation,
  };
}

let rotated: Files | undefined;

describe.skipIf(!HAS_SHARED).each(SOME_BACKENDS)(`goldens, $name${SHARED_NOTE}`, ({ backend, threads }) => {
  it.each([
    { name: 'qwen35-plain', files: () => shared('models/tiny/qwen35-plain'), unflipped: 61, kl: 2e-3, klOfFloats: 0.03 },
    { name: 'qwen35-rotated', files: () => (rotated ??= qwen35Folder(rotatedGolden())), unflipped: 12, kl: 1e-4, klOfFloats: 2e-3 },
  ])('$name: as the float64 evaluation until an int8 rounding falls the other way, which a state remembers; near transformers; one by one as all at once', async ({ name, files, unflipped, kl, klOfFloats }) => {
    const lm = await MatMulFreeLM.load(files(), { backend, threads, kvType: 'f32' });
    const golden = readTensors(shared(`models/tiny/${name}/golden.safetensors`));
    const ids = golden['input_ids']!.values;
    const vocab = lm.config.vocabSize;
    const state = lm.createState();
    const all = lm.forward(ids, state, { all: true });
    const exact = golden['logits_exact']!.values;
    expect(compare(all.slice(0, unflipped * vocab), exact.slice(0, unflipped * vocab), vocab).difference).toBeLessThan(1e-5);
    expect(compare(all, exact, vocab).kl).toBeLessThan(kl);
    // Without any rounding of activations.
    const floats = compare(all, golden['logits']!.values, vocab);
    expect(floats.kl).toBeLessThan(klOfFloats);
    expect(floats.sameTop).toBeGreaterThan(0.94);
    const single = lm.createState();
    for (let t = 0; t < ids.length; t++) expectSameBits(lm.forward(ids[t]!, single), all.slice(t * vocab, (t + 1) * vocab));
    expect(single.serialize()).toEqual(state.serialize());
    lm.dispose();
  });
});

describe('random models against a float64 evaluation', () => {
  const firstSeed = freshSeed();
  const SHAPES: readonly { readonly name: string; readonly shape: TinyQwen35 }[] = [
    { name: 'plain', shape: { ...TINY_QWEN35, layers: 'LALL' } }, { name: 'rotated', shape: TINY_ROTATED },
    { name: 'rotated, its head the table of the embeddings', shape: { ...TINY_QWEN35, block: 64, valueHeads: 6, keyHeads: 3, valueDim: 32, keyDim: 12 } },
    { name: 'key heads of their own', shape: { ...TINY_QWEN35, keyHeads: 4, keyDim: 20, headDim: 32, heads: 2, kvHeads: 1 } },
  ];
  it.skipIf(!HAS_SHARED)(`the evaluation reproduces the golden one, roundings and all${SHARED_NOTE}`, () => {
    const golden = readTensors(shared('models/tiny/qwen35-plain/golden.safetensors'));
    const ids = Array.from(golden['input_ids']!.values).slice(0, 70);
    const { config, tensors } = readModel(shared('models/tiny/qwen35-plain'));
    const logits = runQwen35Reference(tensors, config, ids).flat();
    expect(maxDifference(logits, golden['logits_exact']!.values.slice(0, logits.length))).toBeLessThan(1e-4);
  });

  it.each(SHAPES)(`$name: the same until a rounding falls the other way (seeds from ${firstSeed})`, async ({ shape }) => {
    const found: number[] = [];
    for (let seed = firstSeed; seed < firstSeed + tries(2, 20); seed++) {
      const random = randomFrom(seed);
      const ids = Array.from({ length: 12 }, () => random.integer(0, shape.vocab - 1));
      const model = randomQwen35(shape, seed);
      const exact = runQwen35Reference(model.tensors, model.config, ids).flat();
      const lm = await MatMulFreeLM.load(qwen35Folder(model), { backend: FASTEST.backend, threads: 1, kvType: 'f32' });
      const all = lm.forward(ids, lm.createState(), { all: true });
      lm.dispose();
      expect(compare(all, exact, shape.vocab).kl, `seed ${seed}`).toBeLessThan(0.05);
      // Positions before the first rounding that does: there is at least one in most texts.
      const near = ids.findIndex((_, t) => maxDifference(all.slice(t * shape.vocab, (t + 1) * shape.vocab), exact.slice(t * shape.vocab, (t + 1) * shape.vocab)) > 2e-5);
      found.push(near < 0 ? ids.length : near);
    }
    expect(Math.max(...found), found.join()).toBeGreaterThan(3);
  });
});

describe('states that are large', () => {
  /** Of 17 MB: there is room for seven in a pass. */
  const LARGE: TinyQwen35 = { ...TINY_ROTATED, layers: 'LLA', keyHeads: 1, valueHeads: 32, keyDim: 1024, valueDim: 64 };
  let lm: MatMulFreeLM;
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(qwen35Folder(randomQwen35(LARGE)), { backend: FASTEST.backend, threads: 1, contextTokens: 2048 });
  });
  afterAll(() => lm.dispose());

  it('have the size that info tells, whatever the length of the text; and beside it what attention keeps of each token', () => {
    const widths = 2 * (3 * (2 * 1024 + 32 * 64) + 32 * 1024 * 64);
    expect(lm.info()).toMatchObject({ stateBytes: 4 * widths, stateBytesPerToken: 2 * 2 * 2 * 16 });
    const state = lm.createState();
    lm.forward([1, 2, 3], state);
    expect(state.serialize()).toHaveLength(32 + 4 * widths + 4 + 3 * lm.info().stateBytesPerToken);
  });

  it('go through in several passes: each text gets what it gets alone', () => {
    const texts = [[1, 2, 3], [4], [5, 6, 7, 8, 9], [10, 1], [2, 2, 2], [3], [4, 4], [9, 8, 7], [1, 2]];
    const alone = texts.map((ids) => lm.forward(ids, lm.createState()));
    const states = texts.map(() => lm.createState());
    const together: Float32Array[] = [];
    lm.model.forwardSequences(texts.map((ids, n) => ({ ids, state: states[n]!, want: 'last' as const })), (row, _position, sequence) => { together[sequence] = row.slice(); });
    texts.forEach((_, n) => expectSameBits(together[n]!, alone[n]!));
  });

  it('can be taken back to the middle of a pass, again and again', () => {
    const { model } = lm;
    const ids = [3, 1, 4, 1, 5, 9];
    const [state, history] = [lm.createState(), new StateHistory(model.parts.stateShape, ids.length)];
    lm.forward([7, 8], state);
    model.forwardSequences([{ ids, state, want: 'nothing', history }], () => {});
    for (const position of [4, 1, 1, 0]) {
      history.rollBack(state, position, position === 4 ? ids.length : position === 1 ? (state.tokens - 2) : 2);
      const expected = lm.createState();
      lm.forward([7, 8, ...ids.slice(0, position + 1)], expected);
      expect(state.tokens).toBe(expected.tokens);
      state.layers.forEach((layer, n) => expectSameBits(layer, expected.layers[n]!));
      expectSameBits(lm.forward(6, state.clone()), lm.forward(6, expected));
    }
  });
});
