import { DraftLength, type Drafter } from './drafter.js';

/** So many tokens in a row must have come before for a guess. */
const NGRAM = 3;
/** Tokens that are searched: the last ones. */
const WINDOW = 1 << 16;
/** Guesses that were right in a row, in classes: up to 0, 1, 3, 7, 15, … */
const RUN_CLASSES = 6;
const SMOOTHING = 0.1;

/**
 * Prompt-lookup drafting (Saxena, 2023): when the last tokens have come before in the text, guesses that what followed then follows now.
 * How often that is right is learned on the way, also while nothing is guessed.
 */
export class PromptLookup implements Drafter {
  private readonly length = new DraftLength();
  private readonly ids = new Int32Array(2 * WINDOW); // the text's last tokens are ids[0, count)
  private count = 0;
  private lastPlaces = new Map<number, number>(); //    hash of an n-gram → where the token after it is
  private match = -1; //                                ids[match] is what is guessed to come next
  private run = 0; //                                   tokens in a row that came as guessed
  private readonly right = Array.from({ length: RUN_CLASSES }, (_, n) => 1 - 0.6 / (n + 1)); // by run: how often a guess is right

  read(ids: ArrayLike<number>): void {
    for (let n = Math.max(0, ids.length - WINDOW); n < ids.length; n++) this.push(ids[n]!);
  }

  draft(most: number): readonly number[] {
    if (this.match < 0) return [];
    const length = this.length.choose(this.right[this.runClass()]!, most);
    // A text may repeat what is still being guessed.
    const period = this.count - this.match;
    return Array.from({ length }, (_, n) => this.ids[this.match + (n % period)]!);
  }

  accept(id: number): void {
    if (this.match >= 0) {
      const found = this.ids[this.match] === id;
      const runClass = this.runClass();
      this.right[runClass]! += SMOOTHING * (Number(found) - this.right[runClass]!);
      this.run = found ? this.run + 1 : 0;
    }
    this.push(id);
  }

  observe(tokens: number, milliseconds: number): void {
    this.length.observe(tokens, milliseconds);
  }

  private runClass(): number {
    return Math.min(RUN_CLASSES - 1, Math.floor(Math.log2(this.run + 1)));
  }

  private push(id: number): void {
    if (this.count === this.ids.length) this.forgetHalf();
    const { ids } = this;
    const goesOn = this.match >= 0 && ids[this.match] === id;
    ids[this.count++] = id;
    const key = this.count >= NGRAM ? this.key() : -1;
    const before = this.lastPlaces.get(key) ?? -1;
    if (key >= 0) this.lastPlaces.set(key, this.count);
    // A match that goes on is longer than a new one.
    this.match = goesOn ? this.match + 1 : this.isMatch(before) ? before : -1;
    if (!goesOn) this.run = 0;
  }

  /** A hash of the last n-gram, below 2³². */
  private key(): number {
    let hash = 0;
    for (let n = 1; n <= NGRAM; n++) hash = Math.imul(hash ^ this.ids[this.count - n]!, 0x9e3779b1) ^ (hash >>> 15);
    return hash >>> 0;
  }

  private isMatch(place: number): boolean {
    for (let n = 1; n <= NGRAM; n++) if (place < n || this.ids[place - n] !== this.ids[this.count - n]) return false;
    return true;
  }

  private forgetHalf(): void {
    this.ids.copyWithin(0, WINDOW);
    this.count = WINDOW;
    this.match = this.match >= WINDOW ? this.match - WINDOW : -1;
    const places = [...this.lastPlaces].filter(([, place]) => place >= WINDOW);
    this.lastPlaces = new Map(places.map(([key, place]) => [key, place - WINDOW]));
  }
}
