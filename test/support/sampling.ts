import { expect } from 'vitest';
import type { SamplingOptions } from 'matmulfree';

/**
 * The distribution that temperature, topK, topP, minP and typicalP define, in float64 and by sorting everything: each as the class of
 * that name in Hugging Face transformers' logits_process.py has it, one after another.
 */
export function referenceDistribution(logits: ArrayLike<number>, options: SamplingOptions): number[] {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, typicalP = 1 } = options;
  let scores = Array.from(logits);
  if (temperature === 0) return scores.map((_, id) => Number(id === scores.indexOf(Math.max(...scores))));
  scores = scores.map((v) => v / temperature);
  const byScore = (): number[] => [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  const keep = (kept: readonly number[]): void => {
    const set = new Set(kept);
    scores = scores.map((score, id) => (set.has(id) ? score : -Infinity));
  };
  if (topK > 0) keep(byScore().slice(0, topK));
  if (topP < 1) {
    const p = softmax(scores);
    let sum = 0;
    keep(byScore().filter((id, n) => {
      const before = sum;
      sum += p[id]!;
      return n === 0 || before < topP;
    }));
  }
  if (minP > 0) {
    const p = softmax(scores);
    keep([...p.keys()].filter((id) => p[id]! >= minP * Math.max(...p)));
  }
  if (typicalP < 1) {
    const p = softmax(scores);
    const maximum = Math.max(...scores);
    const logSum = Math.log(scores.reduce((sum, v) => sum + Math.exp(v - maximum), 0));
    const surprise = scores.map((v) => logSum + maximum - v); // the same for equal scores, to the last bit
    const entropy = p.reduce((sum, q, id) => (q > 0 ? sum + q * surprise[id]! : sum), 0);
    const shift = surprise.map((v) => Math.abs(v - entropy));
    const order = [...p.keys()].sort((a, b) => shift[a]! - shift[b]! || a - b);
    let sum = 0;
    const last = order.findIndex((id) => (sum += p[id]!) >= typicalP);
    const farthest = shift[order[last < 0 ? order.length - 1 : last]!]!;
    keep(order.filter((id) => shift[id]! <= farthest));
  }
  return softmax(scores);
}

export function softmax(scores: readonly number[]): number[] {
  const maximum = Math.max(...scores);
  const weights = scores.map((v) => Math.exp(v - maximum));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Compares draws with a distribution: χ² with a cell for each token that may occur; what may not occur must not. */
export function expectDraws(draw: () => number, expected: readonly number[], draws: number): void {
  const counts = new Array<number>(expected.length).fill(0);
  for (let n = 0; n < draws; n++) counts[draw()]!++;
  let chi2 = 0;
  let cells = 0;
  counts.forEach((count, id) => {
    const mean = expected[id]! * draws;
    if (mean === 0) return expect(count, `token ${id}`).toBe(0);
    chi2 += (count - mean) ** 2 / mean;
    cells++;
  });
  expect(chi2).toBeLessThan(cells - 1 + 5 * Math.sqrt(2 * cells) + 1e-9);
}
