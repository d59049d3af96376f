import { exp } from '../numeric.js';
import { Random } from './random.js';
import { checkNumber } from '../options.js';

export interface SamplerOptions {
  /** 0 (the default): always the most probable token. Otherwise logits are divided by it. */
  readonly temperature?: number;
  /** Keep the k most probable tokens; 0 (the default): all. */
  readonly topK?: number;
  /** Keep the fewest most probable tokens whose probabilities reach this sum; 1 (the default): all. */
  readonly topP?: number;
  /** Drop tokens less probable than this fraction of the most probable one; 0 (the default): none. */
  readonly minP?: number;
  /** A whole number from 0 to 2⁵³ - 1. The same seed gives the same choices. */
  readonly seed: number;
}

/** Index of the largest value of `logits[0, count)`; of equal ones the lowest. */
export function argmax(logits: Float32Array, count = logits.length): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * Chooses a token from logits: temperature, then topK, topP, minP, in the order of Hugging Face transformers' logits warpers.
 * Probabilities are float64 and added in a fixed order: by id when nothing is cut, else from the most probable down, equal ones by
 * id. The logits are not changed; nothing is allocated after construction.
 */
export class Sampler {
  private readonly temperature: number;
  private readonly topK: number;
  private readonly topP: number;
  private readonly minP: number;
  private readonly random: Random;
  private readonly weights: Float64Array; // [vocab] exp((logit - max) / temperature): not normalised, the largest is 1
  private readonly heap: Int32Array; //      [vocab] ids, the heaviest on top

  /** @throws ArgumentError naming an option out of range. */
  constructor(vocabSize: number, options: SamplerOptions) {
    this.temperature = checkNumber('temperature', options.temperature ?? 0, 0, Number.MAX_VALUE);
    this.topK = checkNumber('topK', options.topK ?? 0, 0, Number.MAX_SAFE_INTEGER, 'whole');
    this.topP = checkNumber('topP', options.topP ?? 1, 0, 1);
    this.minP = checkNumber('minP', options.minP ?? 0, 0, 1);
    this.random = new Random(checkNumber('seed', options.seed, 0, Number.MAX_SAFE_INTEGER, 'whole'));
    const size = this.temperature === 0 ? 0 : vocabSize;
    this.weights = new Float64Array(size);
    this.heap = new Int32Array(size);
  }

  /** @param logits [vocab] */
  sample(logits: Float32Array): number {
    const best = argmax(logits);
    if (this.temperature === 0) return best;
    const { weights, temperature } = this;
    const maximum = logits[best]!;
    let total = 0;
    for (let i = 0; i < weights.length; i++) {
      weights[i] = exp((logits[i]! - maximum) / temperature);
      total += weights[i]!;
    }
    const cuts = this.topK > 0 || this.topP < 1 || this.minP > 0;
    return cuts ? this.sampleFromTop(total) : this.sampleFromAll(total, best);
  }

  private sampleFromAll(total: number, best: number): number {
    const { weights } = this;
    const target = this.random.next() * total;
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      sum += weights[i]!;
      if (sum > target) return i;
    }
    return best;
  }

  /** Ids taken off the heap come to lie at the end of its used part, heaviest last. */
  private sampleFromTop(total: number): number {
    const { weights, heap, topK, topP, minP } = this;
    const size = this.fillHeap(total);
    const limit = topK > 0 ? Math.min(topK, size) : size;
    let taken = 0;
    let mass = total;
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
    const target = this.random.next() * sum;
    let running = 0;
    for (let k = 0; k < kept; k++) {
      const id = heap[size - 1 - k]!;
      running += weights[id]!;
      if (running > target) return id;
    }
    return heap[size - 1]!;
  }

  /** Makes a heap of the ids that may be kept. @returns how many. */
  private fillHeap(total: number): number {
    const { weights, heap, topK, topP, minP } = this;
    // All tokens lighter than (1 - topP) / vocab of the total weigh less than 1 - topP together: none of them is needed to
    // reach topP. The 0.99 is for rounding.
    const spare = topK === 0 ? Math.max(minP, (0.99 * (1 - topP) * total) / weights.length) : 0;
    let size = 0;
    for (let i = 0; i < weights.length; i++) if (weights[i]! >= spare) heap[size++] = i;
    for (let i = (size >> 1) - 1; i >= 0; i--) this.siftDown(i, size);
    return size;
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
