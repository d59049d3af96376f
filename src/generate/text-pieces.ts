import type { DecodeStream, Tokenizer } from '../tokenizer/tokenizer.js';
import type { TokenLogprob } from '../sampling/logprobs.js';
import { StopStrings } from './stop-strings.js';

/** A token as `generateTokens` gives it out. */
export interface TokenPiece {
  readonly id: number;
  /** What it adds to the text: '' while a character is incomplete, all of a character with its last token, or U+FFFD if the text ends before. */
  readonly text: string;
  /** Natural logarithm of the probability that the model gave it: of its raw logits, whatever the options made of them. */
  readonly logprob: number;
  /** As many of the most probable tokens as `topLogprobs` asked for, the most probable first. */
  readonly topLogprobs: readonly (TokenLogprob & { readonly token: string })[];
}

/** Ids → text, up to a stop string. */
export class TextPieces {
  private readonly tokenizer: Tokenizer;
  private readonly decoder: DecodeStream;
  private readonly stops: StopStrings;
  private isEmpty = true;

  /** @param before ids of the text before, which the decoder must know of to put spaces right. */
  constructor(tokenizer: Tokenizer, before: ArrayLike<number>, stops: readonly string[]) {
    this.tokenizer = tokenizer;
    this.stops = new StopStrings(stops);
    this.decoder = tokenizer.createDecodeStream({ prompt: Array.from(before).filter((id) => this.isToken(id)) });
  }

  /** The stop string that was found, if one was. */
  get stopString(): string | undefined {
    return this.stops.found;
  }

  /** The text that an id adds, whether it can be shown yet or not. */
  decode(id: number): string {
    this.isEmpty = false;
    return this.isToken(id) ? this.decoder.push(id) : '';
  }

  /** @returns the text that can be shown now: never a part of a stop string. */
  show(text: string): string {
    return this.stops.push(text);
  }

  /** The end of the text, if no stop string was found: what an incomplete character leaves, and what is left to show. */
  finish(): { last: string; shown: string } {
    if (this.stops.found !== undefined) return { last: '', shown: '' };
    const last = this.isEmpty ? '' : this.decoder.flush(); // without an id of its own, what is left is that of the text before
    return { last, shown: this.stops.push(last) + this.stops.flush() };
  }

  /** A vocabulary may be padded with ids that stand for nothing. */
  private isToken(id: number): boolean {
    return this.tokenizer.idToToken(id) !== undefined;
  }
}
