import { ArgumentError, disposed } from '../errors.js';
import type { Model } from '../model/model.js';
import { hasRoomFor } from '../model/room.js';
import type { PageKeeper } from '../model/pages.js';
import { StateMark, type ModelState } from '../model/state.js';
import { DraftLength, MAX_DRAFT, type Drafter } from './drafter.js';
import { argmax } from '../sampling/sampler.js';

const SMOOTHING = 0.05;
/** Tokens of a long text that the draft model reads at a time, so that nothing else has to wait for it. */
const READ_STEP = 64;
/** When guessing has not been worth it, it is tried again after so many tokens. */
const PAUSE = 32;

/** Guesses with a smaller model of the same vocabulary: what it finds most probable, token by token. */
export class ModelDrafter implements Drafter, PageKeeper {
  private readonly model: Model;
  private readonly length = new DraftLength();
  private readonly logits: Float32Array;
  private readonly state: ModelState; //                after the text but `unread`, or where it was before `guesses`
  private unread: number[] = [];
  private guesses: number[] = []; //                    of the last draft
  private readonly marks: readonly StateMark[]; //      where the state was before each of them
  private cursor = -1; //                               how many of them have come; -1: another token has
  private right = 0.7;
  private sinceDraft = 0;
  private draftMs = 0; // for one token, smoothed
  private hasGivenUp = false;

  /** @throws ArgumentError when the vocabularies differ. */
  constructor(model: Model, vocabSize: number) {
    const own = model.parts.config.vocabSize;
    if (own !== vocabSize) throw new ArgumentError(`option draftModel: has a vocabulary of ${own}, the model one of ${vocabSize}; they must be the same`);
    this.model = model;
    this.state = model.createState();
    model.parts.pages?.askUnderPressure(this);
    this.logits = new Float32Array(vocabSize);
    this.marks = Array.from({ length: MAX_DRAFT }, () => new StateMark(model.parts.stateShape));
  }

  read(ids: ArrayLike<number>): void {
    for (let n = 0; n < ids.length; n++) this.unread.push(ids[n]!);
  }

  draft(most: number): readonly number[] {
    const { model, state, logits, marks } = this;
    if (model.isDisposed) throw new ArgumentError(`option draftModel: ${disposed().message}`);
    if (this.hasGivenUp) return [];
    if (this.unread.length > READ_STEP) {
      if (hasRoomFor(model, [{ ids: { length: READ_STEP }, state }])) model.advance(this.unread.splice(0, READ_STEP), state, 'option draftModel');
      return [];
    }
    const chosen = this.length.choose(this.right, most, this.draftMs);
    const count = chosen === 0 && this.sinceDraft >= PAUSE ? Math.min(1, most) : chosen;
    if (count === 0 || !hasRoomFor(model, [{ ids: { length: this.unread.length + count }, state }])) return [];
    this.guesses = [];
    const start = performance.now();
    let input = this.unread;
    for (let n = 0; n < count; n++) {
      model.forwardLast(input, state, logits);
      state.remember(marks[n]!);
      input = [argmax(logits)];
      this.guesses.push(input[0]!);
    }
    const time = (performance.now() - start) / count;
    this.draftMs = this.draftMs === 0 ? time : this.draftMs + SMOOTHING * (time - this.draftMs);
    this.unread = [];
    this.cursor = 0;
    this.sinceDraft = 0;
    return this.guesses;
  }

  accept(id: number): void {
    this.sinceDraft++;
    if (this.cursor < 0 || this.cursor === this.guesses.length) {
      // All guesses came, or none count any more: this one is read with the next draft.
      this.unread.push(id);
      return;
    }
    const isRight = this.guesses[this.cursor] === id;
    this.right += SMOOTHING * (Number(isRight) - this.right);
    this.state.goBack(this.marks[this.cursor]!);
    this.unread = [id];
    this.cursor = isRight ? this.cursor + 1 : -1;
  }

  observe(tokens: number, milliseconds: number): void {
    this.length.observe(tokens, milliseconds);
  }

  close(): void {
    this.evict();
  }

  /** A text needs the memory that its guesses take: there are none any more. */
  evict(): boolean {
    if (this.hasGivenUp) return false;
    this.hasGivenUp = true;
    this.state.release();
    return true;
  }
}
