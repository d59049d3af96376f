import { exp } from '../platform/numeric.js';
import type { SamplerSettings } from './sampling-options.js';

/**
 * The tokens that may be drawn, with their weights: temperature, then topK, topP, minP and typicalP, as `SamplingOptions` says. A heap
 * gives them in order of weight, and only as far down as it takes. All in float64; nothing is allocated after construction.
 */
export class Candidates {
  /** [vocab] exp((logit - max) / temperature): not normalised, the largest is 1 */
  readonly weights: Float64Array;
  /** Of the weights of the tokens that are left. */
  sum = 0;
  private readonly settings: SamplerSettings;
  private readonly heap: Int32Array; // [vocab] ids: heap[0, size - taken), the heaviest on top; those taken off, heaviest last, to size
  private size = 0;
  private taken = 0;
  // What is left: the k-th heaviest tokens, first ≤ k < end.
  private first = 0;
  private end = 0;

  constructor(vocabSize: number, settings: SamplerSettings) {
    this.settings = settings;
    this.weights = new Float64Array(vocabSize);
    this.heap = new Int32Array(vocabSize);
  }

  /**
   * @param logits [vocab]
   * @param maximum the largest of them.
   * @returns whether `sum` is a number: not if there is a NaN among the logits.
   */
  weigh(logits: Float32Array, maximum: number): boolean {
    const { weights } = this;
    const { temperature } = this.settings;
    let total = 0;
    for (let id = 0; id < weights.length; id++) {
      weights[id] = exp((logits[id]! - maximum) / temperature);
      total += weights[id]!;
    }
    this.sum = total;
    if (Number.isNaN(total)) return false;
    this.cut(logits, maximum);
    return true;
  }

  /** The token at `share`, from 0 to 1, of the sum of weights. */
  pick(share: number): number {
    const { weights, heap, size, first, end } = this;
    const target = share * this.sum;
    let running = 0;
    if (size === 0) {
      for (let id = 0; id < weights.length; id++) {
        running += weights[id]!;
        if (running > target) return id;
      }
      return weights.indexOf(1); // rounding: the most probable one
    }
    for (let k = first; k < end; k++) {
      const id = heap[size - 1 - k]!;
      running += weights[id]!;
      if (running > target) return id;
    }
    return heap[size - 1 - first]!;
  }

  /** @param out [vocab] gets the probability of each token that is left. */
  probabilities(out: Float64Array): void {
    const { weights, heap, size, first, end, sum } = this;
    if (size === 0) for (let id = 0; id < out.length; id++) out[id] = weights[id]! / sum;
    for (let k = first; k < end; k++) {
      const id = heap[size - 1 - k]!;
      out[id] = weights[id]! / sum;
    }
  }

  private cut(logits: Float32Array, maximum: number): void {
    const { topK, topP, minP, typicalP } = this.settings;
    const cutsTop = topK > 0 || topP < 1 || minP > 0;
    this.size = 0;
    this.taken = 0;
    this.first = 0;
    if (cutsTop || typicalP < 1) this.fillHeap();
    this.end = this.size;
    if (cutsTop) this.keepTop();
    if (typicalP < 1) this.keepTypical(logits, maximum);
  }

  private keepTop(): void {
    const { weights, heap, size } = this;
    const { topK, topP, minP } = this.settings;
    const limit = topK > 0 ? Math.min(topK, size) : size;
    let taken = 0;
    let mass = this.sum;
    if (topK > 0) {
      mass = 0;
      for (; taken < limit; taken++) mass += weights[this.pop(size - taken)]!;
    }
    let kept = 0;
    let sum = 0;
    while (kept < limit) {
      if (kept === taken) this.pop(size - taken++);
      const weight = weights[heap[size - 1 - kept]!]!;
      if (kept > 0 && (weight < minP || (topP < 1 && sum >= topP * mass))) break;
      sum += weight;
      kept++;
    }
    this.taken = taken;
    this.end = kept;
    this.sum = sum;
  }

  /**
   * -log p is a constant less logit / temperature, and the entropy, its mean, the same constant less the mean of that. So the two
   * differ as the logit does from the mean logit, and what is kept is, in order of weight, one run around the mean.
   */
  private keepTypical(logits: Float32Array, maximum: number): void {
    const { weights, heap, size } = this;
    const { typicalP } = this.settings;
    let mean = 0;
    for (let at = size - this.end; at < size; at++) {
      const id = heap[at]!;
      if (weights[id]! > 0) mean += weights[id]! * (logits[id]! - maximum);
    }
    const typical = maximum + mean / this.sum;
    let first = 0;
    while (first < this.end && logits[this.heaviest(first)]! >= typical) first++;
    let end = first;
    let farthest = 0;
    let mass = 0;
    for (;;) {
      const above = first > 0 ? logits[heap[size - first]!]! - typical : Infinity;
      const below = end < this.end ? typical - logits[this.heaviest(end)]! : Infinity;
      const nearest = Math.min(above, below);
      // All that are as far from it as the last one stay, as in transformers.
      if (nearest === Infinity || (end > first && mass >= typicalP * this.sum && nearest > farthest)) break;
      farthest = nearest;
      mass += weights[heap[size - 1 - (above <= below ? --first : end++)]!]!;
    }
    this.sum = 0;
    for (let k = first; k < end; k++) this.sum += weights[heap[size - 1 - k]!]!;
    this.first = first;
    this.end = end;
  }

  /** The id with the k-th largest weight. */
  private heaviest(k: number): number {
    while (this.taken <= k) this.pop(this.size - this.taken++);
    return this.heap[this.size - 1 - k]!;
  }

  /** Makes a heap of the ids that may be kept. */
  private fillHeap(): void {
    const { weights, heap, sum } = this;
    const { topK, topP, minP } = this.settings;
    // All tokens lighter than (1 - topP) / vocab of the total weigh less than 1 - topP together: none of them is needed to
    // reach topP. The 0.99 is for rounding.
    const spare = topK === 0 ? Math.max(minP, (0.99 * (1 - topP) * sum) / weights.length) : 0;
    let size = 0;
    for (let i = 0; i < weights.length; i++) if (weights[i]! >= spare) heap[size++] = i;
    for (let i = (size >> 1) - 1; i >= 0; i--) this.siftDown(i, size);
    this.size = size;
  }

  /** Moves the heaviest of heap[0, size) to heap[size - 1]. */
  private pop(size: number): number {
    const { heap } = this;
    const top = heap[0]!;
    heap[0] = heap[size - 1]!;
    heap[size - 1] = top;
    this.siftDown(0, size - 1);
    return top;
  }

  private siftDown(start: number, size: number): void {
    const { heap } = this;
    const id = heap[start]!;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.isHeavier(heap[child + 1]!, heap[child]!)) child++;
      if (!this.isHeavier(heap[child]!, id)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
  }

  private isHeavier(a: number, b: number): boolean {
    const difference = this.weights[a]! - this.weights[b]!;
    return difference > 0 || (difference === 0 && a < b);
  }
}
