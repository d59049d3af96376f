const FIRST_CAPACITY = 64;

/** The last `limit` ids of a text, in order, in one piece: at most 8 · limit bytes, constant time for each id on average. */
export class TokenHistory {
  private readonly limit: number;
  private buffer: Int32Array;
  private start = 0; // the ids are buffer[start, end)
  private end = 0;

  /** @param limit at least 1. */
  constructor(limit: number) {
    this.limit = limit;
    this.buffer = new Int32Array(Math.min(FIRST_CAPACITY, 2 * limit));
  }

  /** A view, valid until the next `push`. */
  get ids(): Int32Array {
    return this.buffer.subarray(this.start, this.end);
  }

  /** @returns the id that falls out at the other end, or -1. */
  push(id: number): number {
    if (this.end === this.buffer.length) this.makeRoom();
    this.buffer[this.end++] = id;
    return this.end - this.start > this.limit ? this.buffer[this.start++]! : -1;
  }

  copyFrom({ buffer, start, end }: TokenHistory): void {
    if (this.buffer.length < buffer.length) this.buffer = new Int32Array(buffer.length);
    this.buffer.set(buffer);
    this.start = start;
    this.end = end;
  }

  /** Moves the ids to the front, of a larger array unless half of this one is free. */
  private makeRoom(): void {
    const { buffer, start, end, limit } = this;
    if (start < end - start) {
      this.buffer = new Int32Array(Math.min(2 * buffer.length, 2 * limit));
      this.buffer.set(buffer.subarray(start, end));
    } else {
      buffer.copyWithin(0, start, end);
    }
    this.start = 0;
    this.end = end - start;
  }
}
