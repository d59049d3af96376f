/** Measures how long the page waits for tokens. Where two stories are written at the same time, no moment counts twice. */
export class Meter {
  private waiting = 0;
  private since = 0;
  private spent = 0;

  async time<T>(wait: () => Promise<T>): Promise<T> {
    if (this.waiting++ === 0) this.since = performance.now();
    try {
      return await wait();
    } finally {
      this.count();
      this.waiting--;
    }
  }

  /** @returns milliseconds waited since the last time this was asked. */
  take(): number {
    this.count();
    const ms = this.spent;
    this.spent = 0;
    return ms;
  }

  private count(): void {
    const now = performance.now();
    if (this.waiting > 0) this.spent += now - this.since;
    this.since = now;
  }
}
