import { ArgumentError, show } from '../errors.js';
import type { Model } from '../model/model.js';
import { checkBoolean, givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';

export interface EmbedOptions {
  /** `mean` (the default): the average over all tokens, special ones included; `last`: the last token's, which has seen all the others. */
  readonly pooling?: 'mean' | 'last' | undefined;
  /** Divide by the Euclidean length, so that a dot product is a cosine; default false. */
  readonly normalize?: boolean | undefined;
  /** Called with the number of ids read so far. */
  readonly onProgress?: ((tokens: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A text as one vector [hidden]: its hidden states after the final norm, pooled. Sums are float64, in the order of the tokens; memory does
 * not grow with the text.
 * @throws ArgumentError for no ids, an id out of range, an option; the signal's reason.
 */
export async function embed(model: Model, ids: ArrayLike<number>, options: EmbedOptions = {}): Promise<Float32Array> {
  const { pooling = 'mean', normalize = false, onProgress, signal } = givenOptions('embed', options, ['pooling', 'normalize', 'onProgress', 'signal']);
  if (pooling !== 'mean' && pooling !== 'last') throw new ArgumentError(`option pooling is ${show(pooling)}, not "mean" or "last"`);
  checkBoolean('normalize', normalize);
  const state = model.createState();
  model.check(ids, state, 'embed');
  const { config: { hiddenSize }, workspace: { maxTokens } } = model.parts;
  const sums = new Float64Array(hiddenSize);
  const pace = new Pace(signal);
  try {
    for (let first = 0; first < ids.length; first += maxTokens) {
      await pace.giveWay();
      const chunk = Array.prototype.slice.call(ids, first, first + maxTokens) as number[];
      const want = pooling === 'mean' ? 'all' : first + chunk.length === ids.length ? 'last' : 'nothing';
      model.hiddenSequences([{ ids: chunk, state, want, what: 'embed' }], (hidden) => {
        for (let j = 0; j < hiddenSize; j++) sums[j]! += hidden[j]!;
      });
      onProgress?.(state.tokens);
    }
  } finally {
    state.release();
  }
  const length = normalize ? Math.sqrt(sums.reduce((sum, value) => sum + value * value, 0)) : pooling === 'mean' ? ids.length : 1;
  return Float32Array.from(sums, (sum) => (sum === 0 ? 0 : sum / length)); // all zeros stay so
}
