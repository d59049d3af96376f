import { describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { expectSameBits, maxDifference } from '../support/compare.js';
import { EMBEDDED, fixture, readTensors } from '../support/files.js';
import { tinyCheckpoint } from '../support/checkpoints.js';

/** The hidden state of each position, token by token. */
function hiddenStates(lm: MatMulFreeLM, ids: ArrayLike<number>): Float32Array[] {
  const state = lm.createState();
  return Array.from(ids, (id) => {
    let row = new Float32Array(0);
    lm.model.hiddenSequences([{ ids: [id], state, want: 'last' }], (hidden) => { row = hidden.slice(); });
    return row;
  });
}

describe.each(SOME_BACKENDS)('embed, $name', ({ backend, threads }) => {
  it('pools the hidden states, summed in float64 in the order of the tokens', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const text = 'Once upon a time there was a little dog. '.repeat(9);
    const ids = lm.tokenizer.encode(text);
    const rows = hiddenStates(lm, ids);
    const mean = rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length);
    expectSameBits(await lm.embed(text), mean);
    expectSameBits(await lm.embed(ids, { pooling: 'mean' }), mean);
    expectSameBits(await lm.embed(text, { pooling: 'last' }), rows.at(-1)!);
    for (const pooling of ['mean', 'last'] as const) {
      const plain = await lm.embed(text, { pooling });
      const unit = await lm.embed(text, { pooling, normalize: true });
      expect(Math.hypot(...unit)).toBeCloseTo(1, 6);
      const length = Math.hypot(...plain);
      expect(maxDifference(unit, plain.map((value) => value / length))).toBeLessThan(1e-7);
    }
    lm.dispose();
  });
});

describe('embed', () => {
  it('is what the float64 evaluation calls the hidden state, after the norm', async () => {
    const lm = await MatMulFreeLM.load(fixture('models/no-lower-bound'));
    const golden = readTensors(fixture('models/no-lower-bound/golden.safetensors'));
    const { shape: [levels, tokens, hidden], values } = golden['hidden_exact'] as { shape: [number, number, number]; values: Float32Array };
    // The golden has the residual stream; the norm is x / sqrt(mean(x²) + eps) times its weight.
    const last = Array.from(values.slice((levels * tokens - 1) * hidden));
    const { norm } = lm.model.parts;
    const rms = Math.sqrt(last.reduce((sum, x) => sum + x * x, 0) / hidden + norm.eps);
    const expected = last.map((x, j) => (x / rms) * norm.weight[j]!);
    expect(maxDifference(await lm.embed(golden['input_ids']!.values, { pooling: 'last' }), expected)).toBeLessThan(1e-3);
  });

  it('says how far it is, and stops at an abort', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const seen: number[] = [];
    await lm.embed(new Array<number>(200).fill(3), { onProgress: (tokens) => seen.push(tokens) });
    expect(seen.at(-1)).toBe(200);
    expect(seen.length).toBeGreaterThan(2);
    await expect(lm.embed(new Array<number>(300_000).fill(3), { signal: AbortSignal.timeout(40) })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('refuses no ids, ids out of range, wrong options', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    for (const [ids, options] of [[[], {}], [[11], {}], [7, {}], [null, {}], [[1], { pooling: 'max' }], [[1], { normalize: 1 }], [[1], { norm: true }]]) {
      await expect(lm.embed(ids as number[], options as never), JSON.stringify([ids, options])).rejects.toBeInstanceOf(ArgumentError);
    }
  });
});
