/** What a matcher has tried of a pattern at each place of a text. */

/** What became of a branch at a place: where it ended, or */
export const UNTRIED = -1;
export const FAILED = -2;

/** Ends are kept of so many: some 60 MB. */
const MAX_ENDS = 2 ** 21;

export class Notes {
  readonly #branches: number;
  readonly #places: number;
  readonly #tried: Uint32Array; // [branches, places], a bit each
  readonly #ended: Uint32Array; // the same: whether there is an end
  readonly #ends = new Map<number, number>();

  constructor(branches: number, places: number) {
    this.#branches = branches;
    this.#places = places;
    this.#tried = new Uint32Array((branches * places + 31) >>> 5);
    this.#ended = new Uint32Array(this.#tried.length);
  }

  index(branch: number, place: number): number {
    return branch * this.#places + place;
  }

  /** What became of a branch at a place before. It is tried now: within itself that is as good as failed. */
  take(index: number): number {
    const [word, bit] = [index >>> 5, 1 << (index & 31)];
    if ((this.#ended[word]! & bit) !== 0) return this.#ends.get(index)!;
    if ((this.#tried[word]! & bit) !== 0) return FAILED;
    this.#tried[word]! |= bit;
    return UNTRIED;
  }

  succeed(index: number, end: number): void {
    if (this.#ends.size === MAX_ENDS) {
      this.#forget(index);
      return;
    }
    this.#ends.set(index, end);
    this.#ended[index >>> 5]! |= 1 << (index & 31);
  }

  forgetPlace(place: number): void {
    for (let branch = 0; branch < this.#branches; branch++) this.#forget(this.index(branch, place));
  }

  #forget(index: number): void {
    this.#tried[index >>> 5]! &= ~(1 << (index & 31));
  }
}
