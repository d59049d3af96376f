import { missingPart } from '../errors.js';
import type { ConstraintState } from '../constrain/constraint.js';
import type { Model } from '../model/model.js';
import type { SequenceInput } from '../model/chunk.js';
import { StateMark, type ModelState } from '../model/state.js';
import { Pace } from '../platform/pace.js';
import { Continuation } from './continuation.js';
import type { Drafting } from '../speculate/drafting.js';
import { logProbabilities, type TokenLogprob } from '../sampling/logprobs.js';
import { checkLimits, type GenerateIdsOptions, type GenerateResult, type Limits } from './options.js';
import type { PrefixPlace } from './prefix-cache.js';
import { checkPrefixCache } from './prefix-option.js';

/** A token that was chosen. */
export interface ChosenToken {
  readonly id: number;
  /** Natural logarithm of the probability that the model gives it, and the most probable ones; only if they were asked for. */
  readonly logprob?: number;
  readonly top?: readonly TokenLogprob[];
}

/** What a generation goes on from, beside the options that users give. */
export interface GenerationStart {
  /** The caller's function, for messages. */
  readonly what?: string | undefined;
  /** Advanced over all ids but the last: `unread` tells which are missing. */
  readonly state: ModelState;
  /** Who has taken the state into use. */
  readonly holder?: object | undefined;
  /** Ids that the state has not read: the prompt. */
  readonly unread: readonly number[];
  /** The text so far, `unread` included, as far as penalties and guesses look back. */
  readonly text: ArrayLike<number>;
  readonly constraint?: ConstraintState | undefined;
  /** How many of the most probable tokens to tell; undefined: no log-probabilities at all. */
  readonly topLogprobs?: number | undefined;
  /** Leave the last id of the text unread, also when the model ended it: the next generation goes on from its logits. */
  readonly keepLast?: boolean;
}

const NOTHING: readonly number[] = [];

/** One text on its way: `next()` reads what is unread and gives the token that follows. */
export class Generation {
  /** Ids that are in the text but not in the state. */
  unread: readonly number[];
  readonly continuation: Continuation;
  private readonly model: Model;
  private readonly state: ModelState;
  private readonly options: GenerateIdsOptions;
  private readonly start: GenerationStart;
  private readonly limits: Limits;
  private readonly pace: Pace;
  /** To be closed after `settle`. */
  drafting: Drafting | undefined;
  private readonly previous: StateMark | undefined; //  where the state was before the last pass
  private readonly begun = performance.now();
  private readonly promptTokens: number;
  private queue: ChosenToken[] = []; // chosen in the last pass
  private delivered = 0; //             so many of them have been given out
  private firstRow = 0; //              queue[n] follows position firstRow + n of the last pass,
  private stateRow = 0; //              and the state is after position stateRow
  private hasStarted = false;
  private hasReadPrompt = false;
  private newTokens = 0;
  private cachedTokens = 0;
  private draftedTokens = 0;
  private acceptedTokens = 0;
  private prefillMs = 0;
  private decodeMs = 0;

  /** @param start checked: a bad id would leave the state half-way. @throws ArgumentError for an option. */
  constructor(model: Model, options: GenerateIdsOptions, start: GenerationStart) {
    this.limits = checkLimits(options, model.parts.config);
    this.model = model;
    this.options = options;
    this.start = start;
    this.state = start.state;
    this.unread = start.unread;
    this.promptTokens = this.unread.length;
    this.pace = new Pace(options.signal);
    this.continuation = new Continuation(model.parts.config, start.text, this.limits, options, start.constraint);
    checkPrefixCache(options.prefixCache, start.state);
    this.previous = start.keepLast ? new StateMark(model.parts.stateShape) : undefined;
  }

  /** The next token, or undefined after the last one. @throws the signal's reason. */
  async next(): Promise<ChosenToken | undefined> {
    if (!this.hasStarted) await this.prefill();
    await this.pace.giveWay();
    if (this.isOver()) return undefined;
    if (this.delivered === this.queue.length) {
      const start = performance.now();
      const isPrompt = this.newTokens === 0;
      this.step();
      const time = performance.now() - start;
      if (isPrompt) this.prefillMs += time;
      else this.decodeMs += time;
    }
    const token = this.queue[this.delivered];
    if (!token) return undefined;
    this.delivered++;
    this.newTokens++;
    return token;
  }

  private isOver(): boolean {
    const { continuation, newTokens } = this;
    if (this.delivered === this.queue.length) {
      if (this.isFull) continuation.finishReason ??= 'length';
      if (continuation.finishReason) return true;
    }
    if (newTokens === 0 || performance.now() - this.begun < this.limits.maxTimeMs) return false;
    continuation.finishReason = 'time';
    return true;
  }

  /** Whether the model has no position for what is unread: nothing can follow it. */
  private get isFull(): boolean {
    return this.state.tokens + this.unread.length > this.model.parts.blueprint.maxPositions;
  }

  /** Reads the prompt up to its last tokens. */
  private async prefill(): Promise<void> {
    this.options.signal?.throwIfAborted();
    this.hasStarted = true;
    const { model, state, options, start: { what, holder } } = this;
    const { prefixCache, speculate, draftModel } = options;
    if ((speculate ?? false) !== false || draftModel !== undefined) {
      this.drafting = new (await import('../speculate/drafting.js').catch(missingPart)).Drafting(model, options);
      this.drafting.read(this.start.text);
    }
    const { maxTokens } = model.parts.workspace;
    const prompt = this.unread;
    const start = performance.now();
    let place: PrefixPlace | undefined = prefixCache?.restore(prompt, state);
    let done = this.cachedTokens = place?.length ?? 0;
    try {
      for (; prompt.length - done > maxTokens; done += maxTokens) {
        await this.pace.giveWay();
        model.advance(prompt.slice(done, done + maxTokens), state, what, holder);
        if (place) place = prefixCache!.store(prompt, place, state);
      }
      this.hasReadPrompt = true;
    } finally {
      this.unread = prompt.slice(done);
      this.prefillMs = performance.now() - start;
    }
  }

  /** One pass over what is unread, and over guesses of what follows: fills the queue. */
  private step(): void {
    const { model, state, previous, drafting, start: { what, holder } } = this;
    const before = this.unread;
    const draft = (before.length === 1 && drafting?.draft(this.continuation.room, state)) || NOTHING;
    const ids = draft.length > 0 ? [...before, ...draft] : before;
    const chosen: ChosenToken[] = [];
    const tokens = state.tokens;
    let done = false;
    this.firstRow = before.length - 1;
    this.stateRow = ids.length - 1;
    this.queue = NO_TOKENS;
    this.delivered = 0;
    if (previous) state.remember(previous);
    try {
      const input: SequenceInput = draft.length > 0 ? { ids, state, what, holder, want: 'all', history: drafting!.history } : { ids, state, what, holder, want: 'last' };
      const start = drafting ? performance.now() : 0;
      model.forwardSequences([input], (logits, row) => {
        if (done) return;
        const id = this.continuation.choose(logits);
        if (id !== undefined) chosen.push(this.token(id, logits));
        done = id === undefined || this.continuation.finishReason !== undefined || ids[row + 1] !== id;
        if (done) this.stateRow = row;
      });
      drafting?.learn(ids.length, performance.now() - start, chosen);
    } catch (error) {
      this.takeBack(before, ids.length, tokens);
      throw error;
    }
    if (this.stateRow < ids.length - 1) drafting!.history.rollBack(state, this.stateRow, ids.length);
    this.draftedTokens += draft.length;
    this.acceptedTokens += this.stateRow - this.firstRow;
    this.queue = chosen;
    if (this.continuation.finishReason === 'eos') this.unreadLast(before, ids);
    else this.unread = [chosen.at(-1)!.id];
  }

  /** After an error in a pass: what it chose has not been given out, so nothing of it is in the text. */
  private takeBack(before: readonly number[], length: number, tokens: number): void {
    const { state, previous, drafting, firstRow } = this;
    if (previous) return state.goBack(previous);
    if (state.tokens === tokens) return; // it failed before the model moved on
    if (length > before.length) drafting!.history.rollBack(state, firstRow, length);
    this.unread = NOTHING;
  }

  private token(id: number, logits: Float32Array): ChosenToken {
    const { topLogprobs } = this.start;
    return topLogprobs === undefined ? { id } : { id, ...logProbabilities(logits, id, topLogprobs) };
  }

  /** The model ended the text: all of it has been read. Takes the last id of it out of the state again, if the next generation is to go on from there. */
  private unreadLast(before: readonly number[], ids: readonly number[]): void {
    const { state, previous, drafting, stateRow } = this;
    this.unread = NOTHING;
    if (!previous) return;
    if (stateRow === this.firstRow) {
      state.goBack(previous);
      this.unread = before;
      return;
    }
    drafting!.history.rollBack(state, stateRow - 1, stateRow + 1);
    this.unread = [ids[stateRow]!];
    this.stateRow--;
  }

  /** At the end, once: leaves in the state, or unread, what was given out, and nothing more; lets go of a state of its own. */
  settle(): void {
    if (!this.options.state && !this.start.keepLast) return this.state.release();
    if (this.delivered < this.queue.length) {
      const row = this.firstRow + this.delivered - 1;
      if (row < this.stateRow) this.drafting!.history.rollBack(this.state, row, this.stateRow + 1);
      this.unread = [this.queue[this.delivered - 1]!.id];
    }
    // An abort in the middle of the prompt is not made up for; nor can be what a model had left to do that is no more.
    const { model, unread, start: { keepLast, what, holder } } = this;
    if (keepLast || !this.hasReadPrompt || unread.length === 0 || model.isDisposed || this.isFull) return;
    model.advance(unread, this.state, what, holder);
    this.unread = NOTHING;
  }

  result(stopString?: string): GenerateResult {
    const { promptTokens, cachedTokens, newTokens, draftedTokens, acceptedTokens, prefillMs, decodeMs, continuation: { seed } } = this;
    const finishReason = stopString === undefined ? this.continuation.finishReason! : 'stop';
    return {
      finishReason, ...(stopString === undefined ? {} : { stopString }),
      promptTokens, cachedTokens, newTokens, draftedTokens, acceptedTokens, seed, prefillMs, decodeMs,
    };
  }
}

const NO_TOKENS: ChosenToken[] = [];
