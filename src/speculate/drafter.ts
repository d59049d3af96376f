import type { Model } from '../model/model.js';

/** Guesses how a text goes on, for speculative decoding: a guess costs little, and is checked before it counts. */
export interface Drafter {
  /** Tells what the text is so far, before anything else. */
  read(ids: ArrayLike<number>): void;
  /** At most `most` ids that may come next; none if it is not worth it. Any other answer is an error, and leaves the text as it is. */
  draft(most: number): readonly number[];
  /** Tells the id that did come next, whether it had been guessed or not. */
  accept(id: number): void;
  /** Tells how long a forward pass over so many tokens took. */
  observe(tokens: number, milliseconds: number): void;
  /** Told when the text is over. */
  close?(): void;
}

/** How a text is written ahead: speculative decoding. */
export interface SpeculateOptions {
  /**
   * Guess the next tokens, and check several guesses in one pass over the weights. The text is the same to the last bit; it comes
   * faster if the guesses are good. `true`: guess what followed the same words earlier in the text (prompt lookup), for texts that
   * repeat themselves. Or a function that makes a drafter of your own for a text.
   */
  readonly speculate?: boolean | DrafterFactory | undefined;
  /** Guess with a smaller model of the same vocabulary, a `MatMulFreeLM` too, in place of `speculate`. */
  readonly draftModel?: { readonly model: Model } | undefined;
}

/** Makes a drafter for one text. */
export type DrafterFactory = () => Drafter;

/** Most tokens that are guessed at once: with the one before them a token tile. */
export const MAX_DRAFT = 15;

/** Lengths of guesses: passes over 2, 4, 8 and 16 tokens. */
const LENGTHS = [1, 3, 7, MAX_DRAFT];
/** What a pass over 1, 2, 4, 8, 16 tokens costs, until it has been measured: times that of one token. */
const FIRST_COSTS = [1, 1.6, 2.2, 3.5, 6];
/** A guess must promise to gain so much, because the promise is an estimate. */
const MIN_GAIN = 1.15;
/** Of a new measurement, by which a cost goes down, and up: passes are disturbed, and the first of a kind is compiled, but none is too fast. */
const FASTER = 0.5;
const SLOWER = 0.1;
/** By which a cost goes back to the first estimate with each pass of another length, so that a length that was slow once is tried again. */
const FORGETTING = 0.01;

/** Chooses how many tokens to guess: what is expected to be right against what the check costs on this machine. */
export class DraftLength {
  private readonly costs: number[] = []; // [log2 tokens] milliseconds of a pass, smoothed

  observe(tokens: number, milliseconds: number): void {
    const slot = Math.log2(tokens);
    if (!Number.isInteger(slot) || slot >= FIRST_COSTS.length) return;
    const before = this.costs[slot] ?? milliseconds;
    this.costs[slot] = before + (milliseconds < before ? FASTER : SLOWER) * (Math.min(milliseconds, 2 * before) - before);
    const single = this.costs[0];
    if (single === undefined) return;
    this.costs.forEach((cost, n) => {
      if (n > 0 && n !== slot) this.costs[n] = cost + FORGETTING * (single * FIRST_COSTS[n]! - cost);
    });
  }

  /**
   * @param right the probability that a guessed token is right, if those before it are.
   * @param guessMs what a guess costs by itself, milliseconds a token.
   * @returns tokens to guess, or 0.
   */
  choose(right: number, most: number, guessMs = 0): number {
    const single = this.costs[0];
    if (single === undefined) return 0;
    let best = 0;
    let bestRate = MIN_GAIN;
    LENGTHS.forEach((length, n) => {
      const cost = ((this.costs[n + 1] ?? single * FIRST_COSTS[n + 1]!) + guessMs * length) / single;
      const rate = expectedTokens(right, length) / cost;
      if (length <= most && rate > bestRate) {
        best = length;
        bestRate = rate;
      }
    });
    return best;
  }
}

/** Tokens that a pass with `length` guesses yields on average: 1 + p + p² + … + p^length. */
function expectedTokens(right: number, length: number): number {
  let sum = 1;
  let all = 1;
  for (let n = 0; n < length; n++) {
    all *= right;
    sum += all;
  }
  return sum;
}
