import { ArgumentError, show } from '../errors.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { leadingSpecialTokens } from './continuations.js';

/** A piece of a text, and its ids. */
export interface EncodedPiece {
  readonly text: string;
  readonly ids: readonly number[];
}

/** Characters of a piece: enough that encoding its surroundings twice costs little. */
const PIECE = 4096;
/** Characters before and after a piece that the tokenizer gets to see. */
const SURROUNDINGS = 64;
/** Places that are looked at with all that is before them, until more text has come. */
const MAX_CHECKS = 8;

/** Where a text may be cut: between lines, else between words, else, when so many characters wait, anywhere between two. */
const CUTS = [
  { tries: 4, waiting: 0, pattern: '\\S\\n(?=\\S)' },
  { tries: 16, waiting: 0, pattern: '\\S(?= \\S)' },
  { tries: 64, waiting: 65_536, pattern: '[^\\ud800-\\udbff](?=[^])' },
] as const;

/**
 * Encodes a text that comes in pieces, of any size, as `encode` does all of it: the first ids are the special ones that the tokenizer puts
 * before a text. Memory does not grow with the text. It is cut between lines or words (in a very long word anywhere), and
 * only where the ids up to there do not depend on what follows.
 * @throws ArgumentError for a piece that is no string.
 */
export async function* encodeStream(
  tokenizer: Tokenizer, chunks: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<EncodedPiece, void, undefined> {
  const cutter = new Cutter(tokenizer);
  let begin: readonly number[] = leadingSpecialTokens(tokenizer);
  for await (const chunk of chunks) {
    if (typeof chunk !== 'string') throw new ArgumentError(`perplexity: a piece of the text is ${show(chunk)}, not a string`);
    for (let at = 0; at < chunk.length; at += PIECE) {
      cutter.waiting += chunk.slice(at, at + PIECE);
      const piece = cutter.next();
      if (!piece) continue;
      yield { text: piece.text, ids: [...begin, ...piece.ids] };
      begin = [];
    }
  }
  const rest = cutter.rest();
  yield { text: rest.text, ids: [...begin, ...rest.ids] };
}

class Cutter {
  waiting = '';
  private readonly tokenizer: Tokenizer;
  /** Kinds of places, and how far each has been looked for in `waiting`. */
  private readonly cuts = CUTS.map((cut) => ({ ...cut, pattern: new RegExp(cut.pattern, 'g'), searched: PIECE }));
  /** The end of what has been given out. */
  private before = '';

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** The next piece, or undefined while it is not certain. */
  next(): EncodedPiece | undefined {
    let checks = MAX_CHECKS;
    for (const cut of this.places()) {
      const text = this.waiting.slice(0, cut);
      const following = this.waiting.slice(cut, cut + SURROUNDINGS);
      // First what is near, for most places that will not do show there.
      if (!this.encodesOn(text.slice(-SURROUNDINGS), following)) continue;
      if (checks-- === 0) break;
      if (!this.encodesOn(this.before + text, following)) continue;
      this.waiting = this.waiting.slice(cut);
      for (const kind of this.cuts) kind.searched = PIECE;
      return this.take(text);
    }
    return undefined;
  }

  rest(): EncodedPiece {
    return this.take(this.waiting);
  }

  /** Gives out the ids that follow those of what was given out before. */
  private take(text: string): EncodedPiece {
    const ids = this.encode(this.before + text).slice(this.before === '' ? 0 : this.encode(this.before).length);
    this.before = text.slice(-SURROUNDINGS);
    return { text, ids };
  }

  /** Where the text might be cut, with enough of it behind, the best places first. */
  private *places(): Generator<number, void, undefined> {
    const { waiting } = this;
    for (const kind of this.cuts) {
      for (let tries = kind.waiting <= waiting.length ? kind.tries : 0; tries > 0; tries--) {
        kind.pattern.lastIndex = kind.searched;
        const found = kind.pattern.exec(waiting);
        const cut = found ? found.index + found[0].length : Infinity;
        if (cut > waiting.length - SURROUNDINGS) break;
        kind.searched = cut;
        yield cut;
      }
    }
  }

  /** Whether the ids of `text` stay what they are when `following` follows. */
  private encodesOn(text: string, following: string): boolean {
    const further = this.encode(text + following);
    return this.encode(text).every((id, n) => id === further[n]);
  }

  private encode(text: string): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: false });
  }
}
