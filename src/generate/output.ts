import type { ChosenToken } from './generation.js';

/** What is made of the tokens of one text. */
export interface Output<Item> {
  /** The stop string that was found: nothing comes after it. */
  readonly stopString?: string | undefined;
  /** How many of the most probable tokens it wants to know of each; undefined: no log-probabilities at all. */
  readonly topLogprobs?: number;
  push(token: ChosenToken): readonly Item[];
  /** What is left at the end. */
  finish(): readonly Item[];
}
