import { exp, log } from '../platform/numeric.js';

export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm. */
  readonly logprob: number;
}

/**
 * The model's own log-probabilities: log softmax of its raw logits, before penalties, bias, constraint and temperature, as vLLM
 * reports them by default. So they do not depend on options, and their sum over a text is what `score` gives. In float64, added in the
 * order of the ids.
 */
export function logProbability(logits: Float32Array, id: number, [maximum, logSum] = logNormalizer(logits)): number {
  return logits[id]! - maximum - logSum;
}

/** The largest of `logits`, and log Σ exp(logit - largest): what all log-probabilities of a position have in common. */
export function logNormalizer(logits: Float32Array): readonly [maximum: number, logSum: number] {
  let maximum = -Infinity;
  for (let v = 0; v < logits.length; v++) if (logits[v]! > maximum) maximum = logits[v]!;
  let sum = 0;
  for (let v = 0; v < logits.length; v++) sum += exp(logits[v]! - maximum);
  return [maximum, log(sum)];
}

/**
 * As `logProbability`, together with the `count` most probable tokens, the most probable first, of equal ones the lowest id.
 * @param logits [vocab]
 */
export function logProbabilities(logits: Float32Array, id: number, count: number): { logprob: number; top: TokenLogprob[] } {
  const normalizer = logNormalizer(logits);
  const logprob = (token: number): number => logProbability(logits, token, normalizer);
  return { logprob: logprob(id), top: largestIds(logits, count).map((token) => ({ id: token, logprob: logprob(token) })) };
}

/** Ids of the `count` largest, or of all if there are fewer; the largest first, of equal ones the lowest id. */
export function largestIds(logits: Float32Array, count: number): number[] {
  const ids: number[] = [];
  const size = Math.min(count, logits.length);
  if (size === 0) return ids;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (ids.length === size) {
      if (!(logit > logits[ids[size - 1]!]!)) continue;
      ids.pop();
    }
    let low = 0; // where it belongs: after all that are not smaller
    for (let high = ids.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (logits[ids[middle]!]! >= logit) low = middle + 1;
      else high = middle;
    }
    ids.splice(low, 0, id);
  }
  return ids;
}
