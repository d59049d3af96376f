/** FNV-1a over 32-bit words, with a mix after each: tells data apart by accident, not against intent. */
export class Hash {
  private state: number;

  constructor(start = 0x811c9dc5) {
    this.state = start;
  }

  /** Takes in the low 32 bits of a whole number. */
  add(word: number): void {
    this.state = Math.imul(this.state ^ word, 0x01000193);
    this.state ^= this.state >>> 15;
  }

  floats(values: Float32Array): void {
    for (const word of new Uint32Array(values.buffer, values.byteOffset, values.length)) this.add(word);
  }

  /** 32 bits, not negative. */
  get value(): number {
    return this.state >>> 0;
  }
}
