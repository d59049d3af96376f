import type { FloatModel } from './float-model.js';

/** How well a baseline predicts a text. */
export interface FloatScore {
  /** Tokens that were predicted: all but the first. */
  readonly tokens: number;
  /** Negative log-likelihood in nats, summed over `tokens`. */
  readonly nll: number;
}

/** Predicts each id from those before it, as the library's `score` does, which it is compared with. The model is reset. */
export function scoreFloat(model: FloatModel, ids: readonly number[]): FloatScore {
  const { vocabSize } = model.parts;
  model.reset();
  let nll = 0;
  let predicted = 0;
  model.forwardAll(ids.slice(0, -1), (logits, tokens) => {
    for (let t = 0; t < tokens; t++, predicted++) nll -= logProbability(logits.subarray(t * vocabSize, (t + 1) * vocabSize), ids[predicted + 1]);
  });
  return { tokens: predicted, nll };
}

function logProbability(logits: Float32Array, id: number): number {
  let maximum = -Infinity;
  for (let i = 0; i < logits.length; i++) maximum = Math.max(maximum, logits[i]);
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i] - maximum);
  return logits[id] - maximum - Math.log(total);
}
