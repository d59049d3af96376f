import { ModelState, type Model } from 'matmulfree';
import { StateMark } from '../src/model/state.js';

/** Where the header of a saved state tells how many tokens it has read (src/model/state.ts). */
const TOKENS_AT = 24;

/**
 * A state as it might be after `tokens` tokens, in a moment: its vectors are those of a beginning, its keys and values made up. What comes
 * next takes as long as after a text that was read.
 */
export function pretendedState(model: Model, tokens: number): ModelState {
  const { stateShape: { blocks }, pages } = model.parts;
  const saved = model.createState().serialize();
  new DataView(saved.buffer).setFloat64(TOKENS_AT, tokens, true);
  if (!pages) return model.restoreState(saved);
  const { elements } = pages.memory;
  const count = blocks.reduce((sum, memory) => sum + ('window' in memory ? Math.min(tokens, memory.window - 1) * 2 * memory.kvHeads * memory.headDim : 0), 0);
  const bytes = new Uint8Array(saved.length + count * elements.BYTES_PER_ELEMENT);
  bytes.set(saved);
  const values = elements instanceof Float32Array ? new Float32Array(count) : new Uint16Array(count);
  for (let n = 0; n < count; n++) {
    const bits = 0x2c00 | (Math.imul(n, 40503) & 0x83ff); // of a float16: ±1/16 … ±1/8
    values[n] = elements instanceof Float32Array ? ((bits & 0x8000) === 0 ? 1 : -1) * (1 + (bits & 0x3ff) / 1024) / 16 : bits;
  }
  bytes.set(new Uint8Array(values.buffer), saved.length);
  return model.restoreState(bytes);
}

/** A text that goes on from the same place again and again. */
export interface Place {
  /** Reads `ids` after what was there, and forgets them again. */
  read(ids: readonly number[], out: Float32Array): void;
  dispose(): void;
}

export function placeAfter(model: Model, tokens: number): Place {
  return placeAt(model, pretendedState(model, tokens));
}

/** Where `state` is now. */
export function placeAt(model: Model, state: ModelState): Place {
  const mark = new StateMark(state.shape);
  state.remember(mark);
  return {
    read(ids, out) {
      model.forwardLast(ids, state, out);
      state.goBack(mark);
    },
    dispose: () => state.dispose(),
  };
}
