import type { ConstraintState } from '../constrain/constraint.js';
import type { ModelConfig } from '../architectures/config.js';
import type { FinishReason, GenerateIdsOptions, Limits } from './options.js';
import { randomSeed } from '../sampling/random.js';
import { Sampler } from '../sampling/sampler.js';
import { pickSamplingOptions } from '../sampling/sampling-options.js';

const NONE: readonly number[] = [];

/**
 * What comes next in one text, and when it ends: sampler, constraint and limits, from logits to ids. Knows nothing of the model or of what
 * else runs at the same time, so a text is the same alone, in a batch, and with guesses.
 */
export class Continuation {
  readonly seed: number;
  /** Set with the last id, or when there is none. */
  finishReason: FinishReason | undefined;
  private readonly limits: Limits;
  private readonly sampler: Sampler;
  private constraint: ConstraintState | undefined;
  private chosen = 0;

  /** @param text what the penalties look at: the text so far. @throws ArgumentError for an option. */
  constructor(
    { vocabSize }: ModelConfig, text: ArrayLike<number>, limits: Limits, options: GenerateIdsOptions, constraint: ConstraintState | undefined,
  ) {
    this.limits = limits;
    this.seed = options.seed ?? randomSeed();
    this.sampler = new Sampler(vocabSize, { ...pickSamplingOptions(options), seed: this.seed });
    this.sampler.readPrompt(text);
    this.constraint = constraint;
    if (limits.maxNewTokens === 0) this.finishReason = 'length';
    if (constraint?.complete && limits.eosTokenIds.length === 0 && isEmpty(constraint.mask)) this.finishReason = 'complete'; // there is only ''
  }

  /** Ids that may still come. */
  get room(): number {
    return this.limits.maxNewTokens - this.chosen;
  }

  /**
   * The next id, from the logits [vocab] after all ids so far; undefined when the text ends here.
   * @throws ArgumentError when nothing may be chosen, or for what a `logitsProcessor` did.
   */
  choose(logits: Float32Array): number | undefined {
    const { constraint, sampler, limits: { eosTokenIds } } = this;
    const endIds = !constraint || constraint.complete ? eosTokenIds : NONE;
    const id = sampler.sample(logits, constraint?.mask, constraint ? endIds : undefined);
    if (eosTokenIds.includes(id)) {
      this.finishReason = 'eos';
      return undefined;
    }
    sampler.accept(id);
    this.chosen++;
    const after = constraint?.next(id);
    this.constraint = after;
    // Without an end-of-text token nothing else would tell that this is all.
    if (after?.complete && (eosTokenIds.length === 0 || isEmpty(after.mask))) this.finishReason = 'complete';
    else if (this.chosen === this.limits.maxNewTokens) this.finishReason = after?.complete ? 'complete' : 'length';
    return id;
  }
}

function isEmpty(mask: Uint32Array): boolean {
  return mask.every((bits) => bits === 0);
}
