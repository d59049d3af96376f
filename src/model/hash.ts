/** Two FNV-1a hashes over 32-bit words, with a mix after each: tells data apart by accident, not against intent. */
export class Hash {
  private first = 0x811c9dc5 | 0;
  private second = 0x1b873593;

  /** A large model has millions of words: all of one type here, and nothing is written to but variables. */
  words(words: Int32Array): void {
    let { first, second } = this;
    const { length } = words;
    for (let i = 0; i < length; i++) {
      const word = words[i]!;
      first = Math.imul(first ^ word, 0x01000193);
      first ^= first >>> 15;
      second = Math.imul(second ^ word, 0x01000193);
      second ^= second >>> 15;
    }
    this.first = first;
    this.second = second;
  }

  floats(values: Float32Array): void {
    this.words(new Int32Array(values.buffer, values.byteOffset, values.length));
  }

  /** The first hash: 32 bits, not negative. */
  get value(): number {
    return this.first >>> 0;
  }

  /** Both: 16 hexadecimal digits. */
  get digits(): string {
    return [this.first, this.second].map((state) => (state >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
