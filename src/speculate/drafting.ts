import { ArgumentError, messageOf, show } from '../errors.js';
import { Model } from '../model/model.js';
import { hasRoomFor } from '../model/room.js';
import type { ModelState } from '../model/state.js';
import { keepsHistory, StateHistory } from '../model/state-history.js';
import { ModelDrafter } from './draft-model.js';
import { MAX_DRAFT, type Drafter, type SpeculateOptions } from './drafter.js';
import { PromptLookup } from './prompt-lookup.js';

/** Guesses for one text: a drafter, which may be the user's and is not trusted, and the states to take the model back to. */
export class Drafting {
  readonly history: StateHistory;
  private readonly model: Model;
  private readonly drafter: Drafter;
  private readonly vocabSize: number;

  /** @throws ArgumentError for the options `speculate` and `draftModel`, or a model that cannot take guesses back. */
  constructor(model: Model, { speculate, draftModel }: SpeculateOptions) {
    if (!keepsHistory(model.parts)) {
      throw new ArgumentError('options speculate and draftModel: a token mixer of this model keeps no history, so guesses cannot be taken back');
    }
    this.model = model;
    this.vocabSize = model.parts.config.vocabSize;
    this.history = new StateHistory(model.parts.stateShape, MAX_DRAFT + 1);
    if (draftModel === undefined) {
      this.drafter = drafterFor(speculate);
      return;
    }
    if (speculate) throw new ArgumentError('options speculate and draftModel exclude each other');
    const draft = modelOf(draftModel);
    if (!(draft instanceof Model)) throw new ArgumentError(`option draftModel is ${show(draftModel)}, not a model`);
    this.drafter = new ModelDrafter(draft, this.vocabSize);
  }

  read(ids: ArrayLike<number>): void {
    this.drafter.read(ids);
  }

  /**
   * @param room ids that may still come: the last one needs no guess. @param state has read all of the text but the last id.
   * @throws ArgumentError for what is no guess; whatever the drafter throws.
   */
  draft(room: number, state: ModelState): readonly number[] {
    const { parts } = this.model;
    const most = Math.min(MAX_DRAFT, room - 1, parts.blueprint.maxPositions - state.tokens - 1);
    const draft: readonly unknown[] = most > 0 ? this.drafter.draft(most) : [];
    if (!Array.isArray(draft) || draft.length > most) {
      throw new ArgumentError(`option speculate: the drafter guessed ${show(draft)}, not a list of at most ${most} token ids`);
    }
    const ids = Array.from<unknown>(draft); // without holes, and nobody else's
    const wrong = ids.findIndex((id) => !(Number.isInteger(id) && (id as number) >= 0 && (id as number) < this.vocabSize));
    if (wrong >= 0) throw new ArgumentError(`option speculate: the drafter guessed ${show(ids[wrong])}, not a token id from 0 to ${this.vocabSize - 1}`);
    return hasRoomFor(this.model, [{ ids: { length: 1 + ids.length }, state }]) ? (ids as number[]) : []; // a guess must not fail what goes without
  }

  /** Tells the drafter how long a pass over so many tokens took, and what came of it. */
  learn(tokens: number, milliseconds: number, chosen: readonly { readonly id: number }[]): void {
    this.drafter.observe(tokens, milliseconds);
    for (const { id } of chosen) this.drafter.accept(id);
  }

  close(): void {
    this.drafter.close?.();
  }
}

/** @throws ArgumentError naming the option: the model that writes is another one. */
function modelOf(draftModel: NonNullable<SpeculateOptions['draftModel']>): Model {
  try {
    return draftModel.model;
  } catch (error) {
    throw new ArgumentError(`option draftModel: ${messageOf(error)}`);
  }
}

function drafterFor(speculate: SpeculateOptions['speculate']): Drafter {
  if (speculate === true) return new PromptLookup();
  if (typeof speculate !== 'function') throw new ArgumentError(`option speculate is ${show(speculate)}, not true, false or a function`);
  const made = speculate();
  const missing = (['read', 'draft', 'accept', 'observe'] as const).find((method) => typeof made?.[method] !== 'function');
  if (missing) throw new ArgumentError(`option speculate: its function made ${show(made)}, which is no drafter: it has no method ${missing}`);
  return made;
}
