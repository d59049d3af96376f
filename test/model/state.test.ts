import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM } from 'matmulfree';
import { TINY, tinyCheckpoint } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';

describe('the state', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => {
    lm = await MatMulFreeLM.load(tinyCheckpoint());
  });
  const after = (ids: number[]) => {
    const state = lm.createState();
    lm.forward(ids, state);
    return state;
  };

  it('starts at zero, counts tokens, and has one vector a layer', () => {
    const state = lm.createState();
    expect(state.byteLength).toBe(2 * 12 * 4);
    expect(state.tokens).toBe(0);
    lm.forward([1, 2, 3], state);
    expect(state.tokens).toBe(3);
    expect(state.layers.map((layer) => layer.length)).toEqual([12, 12]);
  });

  it('clones go on alone, bit for bit as the original would', () => {
    const state = after([1, 2, 3]);
    const copy = state.clone();
    const a = lm.forward([4, 5], state);
    expect(copy.tokens).toBe(3);
    expectSameBits(lm.forward([4, 5], copy), a);
    lm.forward(7, copy);
    expect(copy.serialize()).not.toEqual(state.serialize());
  });

  it('serialize and restoreState go on bit for bit', () => {
    const state = after([5, 6]);
    const bytes = state.serialize();
    const restored = lm.restoreState(bytes);
    expect(restored.tokens).toBe(2);
    expectSameBits(lm.forward([1, 9], restored), lm.forward([1, 9], state));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(lm.restoreState(shifted.subarray(3)).serialize()).toEqual(bytes);
  });

  it('reset and copyFrom', () => {
    const state = after([5, 6]);
    const other = lm.createState();
    other.copyFrom(state);
    expect(other.serialize()).toEqual(state.serialize());
    other.reset();
    expect(other.serialize()).toEqual(lm.createState().serialize());
  });

  it('refuses damaged bytes, each with a reason', () => {
    const good = after([1]).serialize();
    const spoil = (at: number, value: number): Uint8Array => {
      const copy = good.slice();
      copy[at] = value;
      return copy;
    };
    const nan = good.slice();
    new DataView(nan.buffer).setFloat32(32, NaN, true);
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /not a saved state/], [good.slice(0, 31), /not a saved state/], [spoil(0, 0), /not a saved state/],
      [spoil(4, 9), /version 9/], [good.slice(0, -1), /127 bytes, needs 128/], [spoil(8, 3), /3 layers of 12/],
      [spoil(12, 13), /2 layers of 13/], [spoil(17, good[17]! ^ 1), /another model/], [nan, /damaged/],
      [spoil(31, 0xff), /damaged/],
    ];
    for (const [bytes, message] of cases) {
      expect(() => lm.restoreState(bytes)).toThrow(ArgumentError);
      expect(() => lm.restoreState(bytes)).toThrow(message);
    }
  });

  it('does not move to another model, even of the same shape', async () => {
    const other = await MatMulFreeLM.load(tinyCheckpoint(TINY, 2));
    const bigger = await MatMulFreeLM.load(tinyCheckpoint({ ...TINY, layers: 3 }));
    const state = after([1]);
    for (const model of [other, bigger]) {
      expect(() => model.forward(1, state)).toThrow(/model/);
      expect(() => model.restoreState(state.serialize())).toThrow(ArgumentError);
      expect(() => model.createState().copyFrom(state)).toThrow(ArgumentError);
    }
  });
});

describe('forward', () => {
  it('writes to `out` and refuses one of the wrong length', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const out = new Float32Array(11);
    expect(lm.forward([1, 2], lm.createState(), { out })).toBe(out);
    expectSameBits(out, lm.forward([1, 2], lm.createState()));
    expect(() => lm.forward([1, 2], lm.createState(), { out: new Float32Array(10) })).toThrow(/needs 11/);
    expect(() => lm.forward([1, 2], lm.createState(), { out, all: true })).toThrow(/needs 22/);
  });

  it('returns an array of its own each time', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const state = lm.createState();
    const first = lm.forward(1, state);
    const copy = first.slice();
    lm.forward(2, state);
    expectSameBits(first, copy);
  });

  it('takes ids in any array, and more than fit one chunk', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const ids = Array.from({ length: 100 }, (_, n) => (n * 7) % 11);
    const logits = lm.forward(ids, lm.createState());
    expectSameBits(lm.forward(Int32Array.from(ids), lm.createState()), logits);
    const state = lm.createState();
    lm.forward(ids.slice(0, 33), state);
    expectSameBits(lm.forward(ids.slice(33), state), logits);
  });

  it('says that a model has been disposed of', async () => {
    const lm = await MatMulFreeLM.load(tinyCheckpoint());
    const state = lm.createState();
    lm.dispose();
    expect(() => lm.forward(1, state)).toThrow(/disposed/);
    await expect(lm.generateIds([1]).next()).rejects.toThrow(/disposed/);
  });
});
