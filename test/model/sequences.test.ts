import { describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM, StateHistory, type ModelState } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { expectSameBits } from '../support/compare.js';
import { EMBEDDED, fixture } from '../support/files.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();
const same = (a: ModelState, b: ModelState): void => {
  expect(a.tokens).toBe(b.tokens);
  a.layers.forEach((layer, n) => expectSameBits(layer, b.layers[n]!));
};

describe.each(SOME_BACKENDS)('several sequences in one forward pass, $name', ({ backend, threads }) => {
  it.each(['no-lower-bound', 'f16-bin'])(`give each what it gets alone, whatever their lengths (%s, seed ${seed})`, async (name) => {
    const lm = await MatMulFreeLM.load(fixture(`models/${name}`), { backend, threads });
    const random = randomFrom(seed);
    const { vocabSize } = lm.config;
    const idsOf = (count: number): number[] => Array.from({ length: count }, () => random.integer(0, vocabSize - 1));
    for (const lengths of [[1, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9], [100, 1, 63, 64, 65, 2], Array.from({ length: 70 }, () => 1), [random.integer(1, 200), 5]]) {
      const wants = lengths.map((_, n) => (['nothing', 'last', 'all'] as const)[n % 3]!);
      const starts = lengths.map((_, n) => idsOf(1 + (n % 4)));
      const texts = lengths.map(idsOf);
      const state = (n: number): ModelState => {
        const begun = lm.createState();
        lm.forward(starts[n]!, begun);
        return begun;
      };
      const inputs = texts.map((ids, n) => ({ ids, state: state(n), want: wants[n]! }));
      const found = texts.map(() => new Map<number, Float32Array>());
      lm.model.forwardSequences(inputs, (row, position, sequence) => found[sequence]!.set(position, row.slice()));
      texts.forEach((ids, n) => {
        const alone = state(n);
        const logits = lm.forward(ids, alone, { all: true });
        same(inputs[n]!.state, alone);
        const positions = { nothing: [], last: [ids.length - 1], all: [...ids.keys()] }[wants[n]!];
        expect([...found[n]!.keys()]).toEqual(positions);
        for (const p of positions) expectSameBits(found[n]!.get(p)!, logits.slice(p * vocabSize, (p + 1) * vocabSize));
      });
    }
    lm.dispose();
  });

  it(`can be taken back to after any position, and gone on from there (seed ${seed})`, async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const random = randomFrom(seed);
    const ids = Array.from({ length: 90 }, () => random.integer(0, lm.config.vocabSize - 1));
    const history = new StateHistory(lm.createState().shape, 90);
    for (const position of [0, 1, 63, 64, 89]) {
      const [state, beside] = [lm.createState(), lm.createState()];
      lm.forward([1], state);
      lm.model.forwardSequences([{ ids: [3, 4, 5], state: beside, want: 'nothing' }, { ids, state, want: 'last', history }], () => {});
      history.rollBack(state, position, ids.length);
      const expected = lm.createState();
      lm.forward([1, ...ids.slice(0, position + 1)], expected);
      same(state, expected);
    }
    expect(() => lm.model.forwardSequences([{ ids: [...ids, 1], state: lm.createState(), want: 'last', history }], () => {})).toThrow(ArgumentError);
    lm.dispose();
  });
});

it('hidden states are what the head makes logits of', async () => {
  const lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
  const rows: Float32Array[] = [];
  lm.model.hiddenSequences([{ ids: [1, 5, 9], state: lm.createState(), want: 'all' }], (row) => rows.push(row.slice()));
  const { head, workspace, logits } = lm.model.parts;
  expect(rows.length).toBe(3);
  const expected = lm.forward([1, 5, 9], lm.createState());
  workspace.normed.set(rows[2]!);
  head.forward(workspace.normed, 1, logits);
  expectSameBits(logits.slice(0, lm.config.vocabSize), expected);
});

it('refuses one state for two sequences, and bad ids, before anything changes', async () => {
  const lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
  const state = lm.createState();
  const run = (...inputs: Parameters<typeof lm.model.forwardSequences>[0]): void => lm.model.forwardSequences(inputs, () => {});
  expect(() => run({ ids: [1], state, want: 'last' }, { ids: [2], state, want: 'last' })).toThrow(/two sequences have the same state/);
  expect(() => run({ ids: [1], state, want: 'last' }, { ids: [4096], state: lm.createState(), want: 'last' })).toThrow(/token id 4096/);
  expect(state.tokens).toBe(0);
  run();
});
