import type { ConstraintState } from '../constrain/constraint.js';
import type { SequenceInput } from '../model/chunk.js';
import type { Model } from '../model/model.js';
import type { ModelState } from '../model/state.js';
import { logProbabilities } from '../sampling/logprobs.js';
import { Continuation } from './continuation.js';
import { checkLimits, type FinishReason, type GenerateOptions, type Limits } from './options.js';
import type { Output } from './output.js';
import { PREFIX_STEP, type PrefixCache, type PrefixPlace } from './prefix-cache.js';

/** A text to be written beside others, checked. */
export interface SequenceText {
  readonly ids: ArrayLike<number>;
  readonly options: GenerateOptions;
  readonly constraint: ConstraintState | undefined;
}

/** What becomes of a text. */
export interface SequenceUse<Item> {
  /** The caller's function, for messages. */
  readonly what: string;
  readonly prefixCache?: PrefixCache | undefined;
  /** What is made of its tokens; undefined: nothing. */
  readonly output?: Output<Item> | undefined;
  onItem(item: Item): void;
  /** Called once, unless there was an error. */
  onEnd(result: SequenceResult): void;
}

/** How a text ended that was written beside others. */
export interface SequenceResult {
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly stopString?: string;
  readonly promptTokens: number;
  /** Of these, how many came out of the prefix cache. */
  readonly cachedTokens: number;
  /** All that were chosen, those of a stop string too. */
  readonly newTokens: number;
  /** Alone, with this seed, the same prompt gives the same text. */
  readonly seed: number;
}

/** What a batch knows of a text that is at work. */
export interface Sequence {
  readonly state: ModelState;
  readonly isOver: boolean;
  /** Whether all of the prompt has been read. */
  readonly isWriting: boolean;
  /** What went wrong in this text alone. */
  readonly error: unknown;
  /** What is to be read next: what was chosen last, or at most `room` ids of the prompt. */
  input(room: number): SequenceInput;
  /** Takes note that the last input has been read. */
  haveRead(input: SequenceInput): void;
  /** Chooses the next token, from the logits after the last input. */
  choose(logits: Float32Array): void;
  /** Tells whose text it is that it is over. */
  end(): void;
}

/** One text that is written beside others. */
export class BatchSequence<Item> implements Sequence {
  readonly state: ModelState;
  isOver: boolean;
  error: unknown;
  private readonly use: SequenceUse<Item>;
  private readonly continuation: Continuation;
  private readonly limits: Limits;
  private readonly maxPositions: number;
  private readonly prompt: readonly number[];
  private readonly ids: number[] = [];
  private begun: number | undefined;
  private cachedTokens = 0;
  private place: PrefixPlace | undefined;
  private read = 0; // ids of the prompt that have been read

  constructor(model: Model, { ids, options, constraint }: SequenceText, use: SequenceUse<Item>) {
    const { config, blueprint } = model.parts;
    this.state = model.createState();
    this.use = use;
    this.prompt = Array.from(ids);
    this.limits = checkLimits(options, config);
    this.maxPositions = blueprint.maxPositions;
    this.continuation = new Continuation(config, this.prompt, this.limits, options, constraint);
    this.isOver = this.continuation.finishReason !== undefined;
  }

  get isWriting(): boolean {
    return this.read === this.prompt.length;
  }

  input(room: number): SequenceInput {
    const { prompt, state, use: { what } } = this;
    if (this.isWriting) return { ids: this.ids.slice(-1), state, what, want: 'last' };
    if (this.begun === undefined) this.begin();
    const most = this.place ? Math.min(room, PREFIX_STEP - (this.read % PREFIX_STEP)) : room;
    const ids = prompt.slice(this.read, this.read + most);
    return { ids, state, what, want: this.read + ids.length === prompt.length ? 'last' : 'nothing' };
  }

  private begin(): void {
    this.begun = performance.now();
    this.place = this.use.prefixCache?.restore(this.prompt, this.state);
    this.read = this.cachedTokens = this.place?.length ?? 0;
  }

  haveRead({ ids, want }: SequenceInput): void {
    if (this.isWriting) return;
    this.read += ids.length;
    if (this.place && want === 'nothing' && this.read % PREFIX_STEP === 0) {
      this.place = this.use.prefixCache!.store(this.prompt, this.place, this.state);
    }
  }

  choose(logits: Float32Array): void {
    try {
      this.write(logits);
    } catch (error) {
      this.error = error; // of this text: the others go on
      this.isOver = true;
    }
  }

  private write(logits: Float32Array): void {
    const { continuation, use: { output } } = this;
    const id = continuation.choose(logits);
    if (id !== undefined) {
      this.ids.push(id);
      if (output) this.give(output.push({ id, ...(output.topLogprobs === undefined ? {} : logProbabilities(logits, id, output.topLogprobs)) }));
    }
    if (this.state.tokens === this.maxPositions) continuation.finishReason ??= 'length';
    if (!continuation.finishReason && performance.now() - this.begun! >= this.limits.maxTimeMs) continuation.finishReason = 'time';
    if (output?.stopString === undefined && !continuation.finishReason) return;
    this.isOver = true;
    if (output) this.give(output.finish());
  }

  private give(items: readonly Item[]): void {
    for (const item of items) this.use.onItem(item);
  }

  end(): void {
    if (this.error !== undefined) return;
    const { ids, cachedTokens, continuation: { finishReason, seed }, use: { output } } = this;
    const stopString = output?.stopString;
    this.use.onEnd({
      ids, promptTokens: this.prompt.length, cachedTokens, newTokens: ids.length, seed,
      ...(stopString === undefined ? { finishReason: finishReason! } : { finishReason: 'stop', stopString }),
    });
  }
}
