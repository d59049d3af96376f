import { ArgumentError, show } from '../errors.js';
import { exp } from '../numeric.js';
import { LogitsEditor } from './logits-editor.js';
import { Random } from './random.js';
import { checkSamplerOptions, type SamplerOptions, type SamplerSettings } from './sampling-options.js';

/** Index of the largest value of `logits[0, count)`; of equal ones the lowest. */
export function argmax(logits: Float32Array, count = logits.length): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * Chooses tokens from logits as `SamplingOptions` says. Tell it what the text is: `readPrompt` first, then `accept` after each
 * token. `sample` depends on the text and on the random numbers drawn before; it does not itself accept what it chose.
 *
 * Probabilities are float64 and added in a fixed order: by id when nothing is cut, else from the most probable down, equal ones by
 * id. The caller's logits are not changed; nothing is allocated for a token, unless there is a `logitsProcessor`.
 */
export class Sampler {
  /** Tokens accepted after the prompt. */
  newTokens = 0;
  private readonly vocabSize: number;
  private settings: SamplerSettings;
  private readonly random: Random;
  private editor: LogitsEditor | undefined;
  private readonly editsAlways: boolean;
  private readonly weights: Float64Array; // [vocab] exp((logit - max) / temperature): not normalised, the largest is 1
  private readonly heap: Int32Array; //      [vocab] ids, the heaviest on top; those taken off it at the end, heaviest last
  // What `cut` left: the k-th heaviest tokens, first ≤ k < end.
  private size = 0; // ids in the heap before any was taken off
  private taken = 0; // ids taken off
  private first = 0;
  private end = 0;
  private sum = 0; // of their weights

  /** @throws ArgumentError naming an option that does not exist, is of the wrong kind, or out of range. */
  constructor(vocabSize: number, options: SamplerOptions) {
    this.vocabSize = vocabSize;
    this.settings = checkSamplerOptions(vocabSize, options);
    this.random = new Random(this.settings.seed);
    this.editsAlways = LogitsEditor.isNeeded(this.settings);
    this.editor = this.editsAlways ? new LogitsEditor(vocabSize, this.settings) : undefined;
    const size = this.settings.temperature === 0 ? 0 : vocabSize;
    this.weights = new Float64Array(size);
    this.heap = new Int32Array(size);
  }

  /** Tells what comes before the new tokens. @throws ArgumentError after `accept`, and for an id out of range. */
  readPrompt(ids: ArrayLike<number>): void {
    if (this.newTokens > 0) throw new ArgumentError('readPrompt: there are new tokens already');
    for (let n = 0; n < ids.length; n++) this.push(ids[n]!, true);
  }

  /** Tells that `id` comes next in the text. @throws ArgumentError for an id out of range. */
  accept(id: number): void {
    this.push(id, false);
    this.newTokens++;
  }

  /**
   * @param logits [vocab]
   * @param mask [vocab / 32] one bit for each id, the lowest bit of the first element for id 0: only these may be chosen.
   * @param endIds ids that may be chosen whatever the mask says: those that end a text, where it may end.
   * @throws ArgumentError when no token may be chosen, for NaN or Infinity, a wrong length, or what a `logitsProcessor` did.
   */
  sample(logits: Float32Array, mask?: Uint32Array, endIds?: readonly number[]): number {
    const forced = this.forced(mask, endIds);
    if (forced >= 0) return forced;
    const edited = this.edit(logits, mask, endIds);
    const best = this.weigh(edited);
    if (this.settings.temperature === 0) return best;
    if (!this.cut(edited, best)) return this.sampleFromAll(best);
    const { weights, heap, size, first, end } = this;
    const target = this.random.next() * this.sum;
    let running = 0;
    for (let k = first; k < end; k++) {
      const id = heap[size - 1 - k]!;
      running += weights[id]!;
      if (running > target) return id;
    }
    return heap[size - 1 - first]!;
  }

  /** What `sample` would draw from: the probability of each id, [vocab]. Draws nothing. @throws as `sample`. */
  distribution(logits: Float32Array, mask?: Uint32Array, endIds?: readonly number[]): Float64Array {
    const probabilities = new Float64Array(this.vocabSize);
    const forced = this.forced(mask, endIds);
    const edited = forced < 0 ? this.edit(logits, mask, endIds) : logits;
    const best = forced < 0 ? this.weigh(edited) : forced;
    if (forced >= 0 || this.settings.temperature === 0) {
      probabilities[best] = 1;
    } else if (!this.cut(edited, best)) {
      for (let id = 0; id < this.vocabSize; id++) probabilities[id] = this.weights[id]! / this.sum;
    } else {
      for (let k = this.first; k < this.end; k++) {
        const id = this.heap[this.size - 1 - k]!;
        probabilities[id] = this.weights[id]! / this.sum;
      }
    }
    return probabilities;
  }

  /** An independent sampler that goes on as this one would: the same text so far, the same random numbers to come. */
  clone(): Sampler {
    const copy = new Sampler(this.vocabSize, this.settings);
    copy.settings = this.settings;
    copy.copyFrom(this);
    return copy;
  }

  /** Takes over text and random numbers of a clone of this sampler, or of what this is a clone of. @throws ArgumentError for any other. */
  copyFrom(other: Sampler): void {
    if (other.settings !== this.settings) throw new ArgumentError('copyFrom: the sampler is not a clone of this one');
    this.newTokens = other.newTokens;
    this.random.copyFrom(other.random);
    if (this.editsAlways) this.editor!.copyFrom(other.editor!);
  }

  private push(id: number, isPrompt: boolean): void {
    if (!(Number.isInteger(id) && id >= 0 && id < this.vocabSize)) {
      throw new ArgumentError(`${isPrompt ? 'readPrompt' : 'accept'}: ${show(id)} is not a token id from 0 to ${this.vocabSize - 1}`);
    }
    if (this.editsAlways) this.editor!.push(id, isPrompt);
  }

  /** The id that must come next, or -1. */
  private forced(mask: Uint32Array | undefined, endIds: readonly number[] | undefined): number {
    const { forcedTokens } = this.settings;
    const id = forcedTokens.size > 0 ? forcedTokens.get(this.newTokens) : undefined;
    if (id === undefined) return -1;
    if (mask && !this.editorFor().allows(id, mask, endIds)) {
      throw new ArgumentError(`option forcedTokens: token ${id} at position ${this.newTokens} is not one that the constraint allows`);
    }
    return id;
  }

  private edit(logits: Float32Array, mask: Uint32Array | undefined, endIds: readonly number[] | undefined): Float32Array {
    if (logits.length !== this.vocabSize) {
      throw new ArgumentError(`sample: there are ${show(logits.length)} logits, for a vocabulary of ${this.vocabSize}`);
    }
    return this.editsAlways || mask ? this.editorFor().edit(logits, mask, endIds, this.newTokens) : logits;
  }

  private editorFor(): LogitsEditor {
    return (this.editor ??= new LogitsEditor(this.vocabSize, this.settings));
  }

  /** Fills `weights` and `sum`. @returns the most probable id. */
  private weigh(logits: Float32Array): number {
    const { weights } = this;
    const { temperature } = this.settings;
    const best = argmax(logits);
    const maximum = logits[best]!;
    if (maximum === -Infinity) {
      throw new ArgumentError('sample: no token is left to choose: each is banned, outside of the constraint, or has the logit -Infinity');
    }
    let total = 0;
    if (temperature > 0) {
      for (let i = 0; i < weights.length; i++) {
        weights[i] = exp((logits[i]! - maximum) / temperature);
        total += weights[i]!;
      }
    }
    if (!(maximum < Infinity) || Number.isNaN(total)) throw new ArgumentError('sample: there is a NaN or an Infinity among the logits');
    this.sum = total;
    return best;
  }

  private sampleFromAll(best: number): number {
    const { weights } = this;
    const target = this.random.next() * this.sum;
    let running = 0;
    for (let i = 0; i < weights.length; i++) {
      running += weights[i]!;
      if (running > target) return i;
    }
    return best;
  }

  /** topK, topP, minP and typicalP. @returns whether there was any to do; then `first`, `end` and `sum` tell what is left. */
  private cut(logits: Float32Array, best: number): boolean {
    const { topK, topP, minP, typicalP } = this.settings;
    const cutsTop = topK > 0 || topP < 1 || minP > 0;
    if (!cutsTop && typicalP === 1) return false;
    this.fillHeap(this.sum);
    this.taken = 0;
    this.first = 0;
    this.end = this.size;
    if (cutsTop) this.keepTop(this.sum);
    if (typicalP < 1) this.keepTypical(logits, logits[best]!);
    return true;
  }

  private keepTop(total: number): void {
    const { weights, heap, size } = this;
    const { topK, topP, minP } = this.settings;
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
    this.taken = taken;
    this.end = kept;
    this.sum = sum;
  }

  /**
   * With l = (logit - max) / temperature, -log p is a constant minus l, and the entropy is the same constant minus the mean of l. So
   * the surprise differs from the entropy by |l - mean|, and what is kept, in order of weight, is one run around the mean.
   */
  private keepTypical(logits: Float32Array, maximum: number): void {
    const { weights, heap, size } = this;
    const { temperature, typicalP } = this.settings;
    const surplus = (k: number, mean: number): number => (logits[this.heaviest(k)]! - maximum) / temperature - mean;
    let mean = 0;
    for (let at = size - this.end; at < size; at++) {
      const id = heap[at]!;
      const weight = weights[id]!;
      if (weight > 0) mean += (weight * (logits[id]! - maximum)) / temperature;
    }
    mean /= this.sum;
    let first = 0;
    while (first < this.end && surplus(first, mean) >= 0) first++;
    let end = first;
    let farthest = 0;
    for (let mass = 0; ; ) {
      const above = first > 0 ? surplus(first - 1, mean) : Infinity;
      const below = end < this.end ? -surplus(end, mean) : Infinity;
      const nearest = Math.min(above, below);
      // All that are as far as the last one stay, as in transformers.
      if (nearest === Infinity || (end > first && mass >= typicalP * this.sum && nearest > farthest)) break;
      farthest = nearest;
      mass += weights[this.heaviest(above <= below ? --first : end++)]!;
    }
    let sum = 0;
    for (let k = first; k < end; k++) sum += weights[heap[size - 1 - k]!]!;
    this.first = first;
    this.end = end;
    this.sum = sum;
  }

  /** The id with the k-th largest weight. */
  private heaviest(k: number): number {
    while (this.taken <= k) this.pop(this.size - this.taken++);
    return this.heap[this.size - 1 - k]!;
  }

  /** Makes a heap of the ids that may be kept. */
  private fillHeap(total: number): void {
    const { weights, heap } = this;
    const { topK, topP, minP } = this.settings;
    // All tokens lighter than (1 - topP) / vocab of the total weigh less than 1 - topP together: none of them is needed to
    // reach topP. The 0.99 is for rounding.
    const spare = topK === 0 ? Math.max(minP, (0.99 * (1 - topP) * total) / weights.length) : 0;
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
