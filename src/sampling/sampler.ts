import { ArgumentError, show } from '../errors.js';
import { Candidates } from './candidates.js';
import { LogitsEditor } from './logits-editor.js';
import { Random } from './random.js';
import { checkSamplerOptions, type SamplerOptions, type SamplerSettings } from './sampling-options.js';

/** Index of the largest value of `logits[0, count)`; of equal ones the lowest. */
export function argmax(logits: Float32Array, count = logits?.length): number {
  if (!(logits instanceof Float32Array)) throw new ArgumentError(`argmax: got ${show(logits)}, not a Float32Array`);
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
  private readonly vocabSize: number;
  private settings: SamplerSettings;
  private readonly random: Random;
  private accepted = 0;
  private editor: LogitsEditor | undefined;
  private readonly editsAlways: boolean;
  private readonly candidates: Candidates | undefined; // undefined: greedy

  /** @throws ArgumentError naming an option that does not exist, is of the wrong kind, or out of range. */
  constructor(vocabSize: number, options: SamplerOptions) {
    this.vocabSize = vocabSize;
    this.settings = checkSamplerOptions(vocabSize, options);
    this.random = new Random(this.settings.seed);
    this.editsAlways = LogitsEditor.isNeeded(this.settings);
    this.editor = this.editsAlways ? new LogitsEditor(vocabSize, this.settings) : undefined;
    this.candidates = this.settings.temperature > 0 ? new Candidates(vocabSize, this.settings) : undefined;
  }

  /** Tokens accepted after the prompt. */
  get newTokens(): number {
    return this.accepted;
  }

  /** Tells what comes before the new tokens. @throws ArgumentError after `accept`, and for an id out of range. */
  readPrompt(ids: ArrayLike<number>): void {
    if (this.accepted > 0) throw new ArgumentError('readPrompt: there are new tokens already');
    if (typeof ids?.length !== 'number') throw new ArgumentError(`readPrompt: got ${show(ids)}, not a list of token ids`);
    for (let n = 0; n < ids.length; n++) this.push(ids[n]!, true);
  }

  /** Tells that `id` comes next in the text. @throws ArgumentError for an id out of range. */
  accept(id: number): void {
    this.push(id, false);
    this.accepted++;
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
    const best = this.mostProbable(edited);
    if (!this.candidates) return best;
    if (!this.candidates.weigh(edited, edited[best]!)) throw notFinite();
    return this.candidates.pick(this.random.next());
  }

  /** What `sample` would draw from: the probability of each id, [vocab]. Draws nothing. @throws as `sample`. */
  distribution(logits: Float32Array, mask?: Uint32Array, endIds?: readonly number[]): Float64Array {
    const probabilities = new Float64Array(this.vocabSize);
    const forced = this.forced(mask, endIds);
    const edited = forced < 0 ? this.edit(logits, mask, endIds) : logits;
    const best = forced < 0 ? this.mostProbable(edited) : forced;
    if (forced >= 0 || !this.candidates) {
      probabilities[best] = 1;
    } else {
      if (!this.candidates.weigh(edited, edited[best]!)) throw notFinite();
      this.candidates.probabilities(probabilities);
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
    if (other?.settings !== this.settings) throw new ArgumentError('copyFrom: the sampler is not a clone of this one');
    this.accepted = other.accepted;
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
    const id = forcedTokens.size > 0 ? forcedTokens.get(this.accepted) : undefined;
    if (id === undefined) return -1;
    if (mask && !this.editorFor().allows(id, mask, endIds)) {
      throw new ArgumentError(`option forcedTokens: token ${id} at position ${this.accepted} is not one that the constraint allows`);
    }
    return id;
  }

  private edit(logits: Float32Array, mask: Uint32Array | undefined, endIds: readonly number[] | undefined): Float32Array {
    if (logits?.length !== this.vocabSize) {
      throw new ArgumentError(`sample: there are ${logits?.length ?? 'no'} logits, for a vocabulary of ${this.vocabSize}`);
    }
    return this.editsAlways || mask ? this.editorFor().edit(logits, mask, endIds, this.accepted) : logits;
  }

  private editorFor(): LogitsEditor {
    return (this.editor ??= new LogitsEditor(this.vocabSize, this.settings));
  }

  /** The largest of the logits. @returns its id. */
  private mostProbable(logits: Float32Array): number {
    const best = argmax(logits);
    if (logits[best] === -Infinity) {
      throw new ArgumentError('sample: no token is left to choose: each is banned, outside of the constraint, or has the logit -Infinity');
    }
    if (!(logits[best]! < Infinity)) throw notFinite();
    return best;
  }
}

function notFinite(): ArgumentError {
  return new ArgumentError('sample: there is a NaN or an Infinity among the logits');
}
