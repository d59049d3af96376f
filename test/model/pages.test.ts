import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArgumentError, MatMulFreeLM } from 'matmulfree';
import { FAMILIES } from '../support/families.js';

/* Passes that fail half-way, which nothing of ours makes them do: no page is lost, and what was read before is as it was. */
const idsOf = (length: number): number[] => Array.from({ length }, (_, n) => (n * n) % 11);

describe.each(FAMILIES)('$name', ({ files }) => {
  let lm: MatMulFreeLM;
  let reference: MatMulFreeLM;
  beforeEach(async () => {
    lm = await MatMulFreeLM.load(files(), { threads: 1, contextTokens: 320 });
    reference = await MatMulFreeLM.load(files(), { threads: 1 });
  });
  afterEach(() => [lm, reference].forEach((each) => each.dispose()));
  const after = (ids: readonly number[]): Uint8Array => {
    const state = reference.createState();
    reference.forward(ids, state);
    const bytes = state.serialize();
    state.dispose();
    return bytes;
  };
  const expectAllFree = (): void => expect(lm.model.parts.pages!.available).toBe(lm.model.parts.pages!.total);

  it.each([60, 64, 70, 127])('a layer that fails after %i tokens', (length) => {
    const state = lm.createState();
    const ids = idsOf(length + 10);
    lm.forward(ids.slice(0, length), state);
    const block = lm.model.parts.blocks.at(-1)! as { forward: unknown };
    const { forward } = block;
    block.forward = () => { throw new Error('mine'); };
    expect(() => lm.forward(ids.slice(length), state)).toThrow('mine');
    block.forward = forward;
    expect(state.tokens).toBe(length);
    // Both go on from there, and neither writes what the other sees.
    const copy = state.clone();
    lm.forward(5, copy);
    lm.forward(ids.slice(length), state);
    lm.forward(7, copy);
    expect([copy, state].map((each) => each.serialize())).toEqual([after([...ids.slice(0, length), 5, 7]), after(ids)]);
    copy.dispose();
    state.dispose();
    expectAllFree();
  });

  it('a sink that copies the state while there is memory for one of them only', () => {
    const state = lm.createState();
    const copies = [lm.createState()];
    lm.forward(idsOf(30), copies[0]!);
    const ids = idsOf(250);
    lm.forward(ids.slice(0, 10), state);
    let error: unknown;
    try {
      lm.model.forwardAll(ids.slice(10), state, (_, position) => { if (position === 0) for (let n = 0; n < 20; n++) copies.push(state.clone()); });
      lm.model.forwardSequences(copies.slice(1).map((each) => ({ ids: [3], state: each, want: 'last' as const })), () => {});
    } catch (reason) {
      error = reason;
    }
    if (error !== undefined) expect(error).toBeInstanceOf(ArgumentError);
    expect(state.serialize()).toEqual(after(ids.slice(0, state.tokens)));
    for (const each of [state, ...copies]) each.dispose();
    expectAllFree();
    lm.forward(idsOf(320), state);
    state.dispose();
  });
});
