import { Kept } from './kept.js';
import type { Handle, Wanted } from './protocol.js';

type Give = (pieces: readonly string[]) => void;

/** Texts that the page sends in pieces: one at a time, when it is asked for. */
export class PieceReaders {
  private readonly waiting = new Kept<Give>('reader');

  /** @throws the signal's reason, also while it waits for a page that sends nothing. */
  async *read(signal: AbortSignal, ask: (wanted: Wanted) => void): AsyncGenerator<string, void, undefined> {
    let give: Give = () => {};
    const reader = this.waiting.keep((pieces) => give(pieces));
    const stop = (): void => give([]);
    signal.addEventListener('abort', stop);
    try {
      for (;;) {
        signal.throwIfAborted();
        const given = new Promise<readonly string[]>((resolve) => { give = resolve; });
        ask({ reader });
        const pieces = await given;
        signal.throwIfAborted();
        if (pieces.length === 0) return;
        yield* pieces;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.waiting.free(reader);
    }
  }

  /** What comes when the call is over is too late, and dropped. */
  give(reader: Handle, pieces: readonly string[]): void {
    if (this.waiting.has(reader)) this.waiting.at(reader)(pieces);
  }
}
