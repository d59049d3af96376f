import { checkNumber } from '../options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { ChosenToken } from './generation.js';
import { stopStrings, type GenerateTokensOptions } from './options.js';
import type { Output } from './output.js';
import { TextPieces, type TokenPiece } from './text-pieces.js';

const MAX_TOP_LOGPROBS = 100;

/**
 * Tokens, with their text and log-probabilities. One comes as soon as all of its text can be shown; one that may end within a character
 * comes with the next.
 */
export function tokenOutput(tokenizer: Tokenizer, { stop, topLogprobs = 0 }: GenerateTokensOptions, before: ArrayLike<number>): Output<TokenPiece> {
  const pieces = new TextPieces(tokenizer, before, stopStrings(stop));
  const queue = new TokenQueue(tokenizer);
  return {
    topLogprobs: checkNumber('topLogprobs', topLogprobs, 0, MAX_TOP_LOGPROBS, 'whole'),
    get stopString() {
      return pieces.stopString;
    },
    push(token) {
      const text = pieces.decode(token.id);
      queue.push(token, text);
      return queue.release(pieces.show(text).length);
    },
    finish() {
      const { last, shown } = pieces.finish();
      return queue.finish(last, shown.length);
    },
  };
}

/** Holds tokens back until their text can be shown. */
class TokenQueue {
  private readonly tokenizer: Tokenizer;
  private readonly held: { token: ChosenToken; text: string; mayGrow: boolean }[] = [];
  private shown = 0; // units of the held text that can be shown

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  push(token: ChosenToken, text: string): void {
    // It gets what is left of an incomplete character if nothing more comes.
    const mayGrow = text === '' || this.tokenizer.decode([token.id]).endsWith('\ufffd');
    this.held.push({ token, text, mayGrow });
  }

  /** Tells that so much more text can be shown. @returns the tokens that can be given out whole. */
  release(units: number, isEnd = false): TokenPiece[] {
    this.shown += units;
    const out: TokenPiece[] = [];
    while (this.held.length > 0 && this.held[0]!.text.length <= this.shown) {
      if (this.held.length === 1 && this.held[0]!.mayGrow && !isEnd) break;
      const { token, text } = this.held.shift()!;
      this.shown -= text.length;
      out.push(this.piece(token, text));
    }
    return out;
  }

  /** The end: `last` goes to the last token, and of a token whose text is cut by a stop string what can be shown. */
  finish(last: string, units: number): TokenPiece[] {
    const end = this.held.at(-1);
    if (end) end.text += last;
    const out = this.release(units, true);
    const cut = this.held[0];
    return cut && this.shown > 0 ? [...out, this.piece(cut.token, cut.text.slice(0, this.shown))] : out;
  }

  private piece({ id, logprob, top }: ChosenToken, text: string): TokenPiece {
    const named = top!.map((each) => ({ ...each, token: this.tokenizer.idToToken(each.id) ?? '' }));
    return { id, text, logprob: logprob!, topLogprobs: named };
  }
}
