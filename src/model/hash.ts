/** FNV-1a over 32-bit words, with a mix after each: tells data apart by accident, not against intent. */
export class Hash {
  private state: number;

  constructor(start = 0x811c9dc5) {
    this.state = start | 0;
  }

  /** Takes in the low 32 bits of a whole number. */
  add(word: number): void {
    this.words(Int32Array.of(word));
  }

  /** As `add` of each. */
  words(words: Int32Array): void {
    this.state = mixAll(this.state, words);
  }

  floats(values: Float32Array): void {
    this.words(new Int32Array(values.buffer, values.byteOffset, values.length));
  }

  /** 32 bits, not negative. */
  get value(): number {
    return this.state >>> 0;
  }
}

/** A large model has millions of words: all of one type here, and nothing is written to but a variable. */
function mixAll(state: number, words: Int32Array): number {
  const { length } = words;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ words[i]!, 0x01000193);
    state ^= state >>> 15;
  }
  return state;
}
