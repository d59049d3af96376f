import { describe, expect, it } from 'vitest';
import { ArgumentError, Block, MatMulFreeLM, Model, StateHistory, type ModelState, type RecurrentMixer } from 'matmulfree';
import { generateItems, IDS, startOf } from '../../src/generate/generate.js';
import type { Output } from '../../src/generate/output.js';
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
    const lm = await MatMulFreeLM.load(fixture('models/no-lower-bound'), { backend, threads });
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

it('what is handed logits or hidden states may use the model itself', async () => {
  const lm = await MatMulFreeLM.load(EMBEDDED);
  const texts = [[1, 5, 9], Array.from({ length: 80 }, (_, n) => 3 + n), [7]];
  const rows = (busy: boolean, pass: 'forwardSequences' | 'hiddenSequences'): Float32Array[] => {
    const found: Float32Array[] = [];
    lm.model[pass](texts.map((ids) => ({ ids, state: lm.createState(), want: 'all' as const })), (row, position) => {
      const before = row.slice();
      if (busy && position % 7 === 0) {
        lm.forward(texts[1]!, lm.createState(), { all: true });
        lm.model.hiddenSequences([{ ids: [4, 5], state: lm.createState(), want: 'last' }], () => void lm.score([1, 2, 3]));
      }
      expectSameBits(row, before);
      found.push(before);
    });
    return found;
  };
  for (const pass of ['forwardSequences', 'hiddenSequences'] as const) expect(rows(true, pass)).toEqual(rows(false, pass));
});

it('refuses a history that cannot be kept before any state has changed', async () => {
  const lm = await MatMulFreeLM.load(fixture('models/f16-bin'), { backend: 'scalar' });
  const { parts } = lm.model;
  const forgetful = new Model({
    ...parts,
    blocks: parts.blocks.map((block) => {
      const tokenMixer = block.parts.tokenMixer as RecurrentMixer;
      const without: RecurrentMixer = { stateSize: tokenMixer.stateSize, forward: (...all) => tokenMixer.forward(...all) };
      return new Block(parts.kernels, parts.workspace, { ...block.parts, tokenMixer: without });
    }),
  });
  const state = lm.createState();
  const { shape } = state;
  const run = (model: Model, history: StateHistory): void => model.forwardSequences([{ ids: Array<number>(100).fill(3), state, want: 'last', history }], () => {});
  expect(() => run(lm.model, new StateHistory(shape, 99))).toThrow(/99 positions cannot hold 100/);
  expect(() => run(lm.model, new StateHistory({ ...shape, blocks: shape.blocks.slice(1) }, 100))).toThrow(ArgumentError);
  expect(() => run(forgetful, new StateHistory(shape, 100))).toThrow(/keeps no history/);
  const all = { maxNewTokens: 5, eosTokenIds: [], state };
  await expect(generateItems(forgetful, { ...all, speculate: true }, startOf(forgetful, [3], { state }), IDS.output(lm, {}, []) as Output<number>).next()).rejects.toThrow(/speculate.*history/);
  expect(state.tokens).toBe(0);
  for await (const _ of generateItems(forgetful, all, startOf(forgetful, [3], { state }), IDS.output(lm, {}, []) as Output<number>)) { /* without guesses it writes */ }
  expect(state.tokens).toBe(6);
  const history = new StateHistory(shape, 4);
  for (const position of [-1, 4, 0.5, NaN]) expect(() => history.rollBack(state, position, 4)).toThrow(ArgumentError);
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
  for (const length of [1.5, Infinity, NaN, -1]) expect(() => run({ ids: { length, 0: 1, 1: 1 }, state, want: 'last' })).toThrow(ArgumentError);
  expect(state.tokens).toBe(0);
  run();
});
