import { expect } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { fuzz, mutate } from '../support/fuzz.js';

const lm = await MatMulFreeLM.load(tinyCheckpoint());
const state = lm.createState();
lm.forward([1, 2, 3], state);
const SAVED = state.serialize();

fuzz<Uint8Array>({
  kind: 'saved states', inputs: 4000, endings: 6, size: ({ length }) => length,
  make: (random) => (random.unit() < 0.05 ? Uint8Array.from({ length: random.integer(0, 200) }, () => random.integer(0, 255)) : mutate(SAVED, random, { head: random.unit() < 0.5 ? 32 : SAVED.length })),
  async use(bytes) {
    const restored = lm.restoreState(bytes);
    // What is taken for a state is one: it can be gone on with, and is written as it was read.
    expect(restored.serialize()).toEqual(Uint8Array.from(bytes));
    expect(lm.forward([4], restored).every(Number.isFinite)).toBe(true);
  },
});
