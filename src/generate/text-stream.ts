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
/** Places that are tried before more text is waited for. */
const TRIES = 64;

/** Where a text may be cut when so many characters wait: between lines, else between words, else between any two characters. */
const CUTS = [
  { waiting: 0, pattern: '\\S\\n(?=\\S)' },
  { waiting: 16_384, pattern: '\\S(?= \\S)' },
  { waiting: 65_536, pattern: '[^\\ud800-\\udbff](?=[^])' },
] as const;

/**
 * Encodes a text that comes in pieces, of any size, as `encode` does all of it: the first ids are the special ones that the tokenizer puts
 * before a text. Memory does not grow with the text. It is cut between lines (in a very long line between words, in a very long word
 * anywhere), and only where the ids up to there do not depend on what follows.
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
  private readonly cuts = CUTS.map(({ waiting, pattern }) => ({ waiting, pattern: new RegExp(pattern, 'g') }));
  /** The end of what has been given out. */
  private before = '';
  /** In `waiting`, up to here there is no place to cut. */
  private searched = PIECE;

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
  }

  /** The next piece, or undefined while it is not certain. */
  next(): EncodedPiece | undefined {
    for (let tries = 0; tries < TRIES; tries++) {
      const cut = this.findCut();
      if (cut === 0) break;
      const text = this.waiting.slice(0, cut);
      const ids = this.encode(this.before + text);
      const further = this.encode(this.before + text + this.waiting.slice(cut, cut + SURROUNDINGS));
      if (ids.every((id, n) => id === further[n])) {
        this.waiting = this.waiting.slice(cut);
        this.searched = PIECE;
        return this.take(text, ids);
      }
    }
    return undefined;
  }

  rest(): EncodedPiece {
    return this.take(this.waiting, this.encode(this.before + this.waiting));
  }

  /** Gives out the ids that follow those of what was given out before. */
  private take(text: string, ids: readonly number[]): EncodedPiece {
    const piece = { text, ids: ids.slice(this.before === '' ? 0 : this.encode(this.before).length) };
    this.before = text.slice(-SURROUNDINGS);
    return piece;
  }

  /** Where the text may be cut, so that enough of it follows; 0 where there is no such place yet. */
  private findCut(): number {
    const { waiting } = this;
    for (const { waiting: least, pattern } of this.cuts) {
      if (waiting.length < least) break;
      pattern.lastIndex = this.searched;
      const found = pattern.exec(waiting);
      const cut = found ? found.index + found[0].length : Infinity;
      if (cut > waiting.length - SURROUNDINGS) continue;
      this.searched = cut;
      return cut;
    }
    return 0;
  }

  private encode(text: string): number[] {
    return this.tokenizer.encode(text, { addSpecialTokens: false });
  }
}
