import type { Token } from './strand.js';

/** The model waits when so many tokens wait for the pen, until only so few do: it is quicker, and saves power, in one go. */
const MOST = 128;
const FEW = 16;

/** Puts tokens on the page frame by frame, at a pace at which people can follow: a small model is much faster than that. */
export class Pen {
  private readonly perMs: number;
  private readonly onTokens: (tokens: readonly Token[]) => void;
  private readonly queue: Token[] = [];
  private ink = 1;
  private last = 0;
  private frame = 0;
  private wake = (): void => {};

  /** @param pace tokens a second. @param onTokens writes them. */
  constructor(pace: number, onTokens: (tokens: readonly Token[]) => void, signal: AbortSignal) {
    this.perMs = pace / 1000;
    this.onTokens = onTokens;
    signal.addEventListener('abort', () => this.close());
  }

  /** Waits until there is room for more. */
  async push(token: Token): Promise<void> {
    this.queue.push(token);
    this.start();
    if (this.queue.length >= MOST) while (this.queue.length > FEW) await this.next();
  }

  /** Waits until all is written. */
  async finish(): Promise<void> {
    while (this.queue.length > 0) await this.next();
  }

  /** Writes nothing more. */
  close(): void {
    cancelAnimationFrame(this.frame);
    this.queue.length = 0;
    this.wake();
  }

  private next(): Promise<void> {
    return new Promise((resolve) => { this.wake = resolve; });
  }

  private start(): void {
    if (this.frame !== 0) return;
    this.last = performance.now();
    this.frame = requestAnimationFrame(this.draw);
  }

  private readonly draw = (now: number): void => {
    this.ink += Math.max(0.1, now - this.last) * this.perMs; // a frame may have begun before it was asked for
    this.last = now;
    const count = Math.min(this.queue.length, Math.floor(this.ink));
    if (count > 0) this.onTokens(this.queue.splice(0, count));
    // A pen that had to wait for the model does not catch up at once.
    this.ink = this.queue.length === 0 ? 1 : this.ink - count;
    this.frame = this.queue.length === 0 ? 0 : requestAnimationFrame(this.draw);
    this.wake();
  };
}
