import type { Perplexity, PerplexityOptions } from '../scoring/perplexity.js';
import type { Handle } from './protocol.js';
import type { Caller } from './worker-state.js';

/**
 * The perplexity of a text that comes in pieces: the next one is read, and sent, when the worker has read those before.
 * @throws what the worker throws; what reading the text throws; the signal's reason.
 */
export async function perplexityOfPieces(call: Caller, text: AsyncIterable<string>, { signal, onProgress, ...rest }: PerplexityOptions): Promise<Perplexity> {
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal!.reason);
  let pieces: AsyncIterator<string> | undefined;
  let isOver = false;
  const send = async (reader: Handle): Promise<void> => {
    try {
      pieces ??= text[Symbol.asyncIterator]();
      const { done = false, value } = await pieces.next();
      isOver = done;
      await call('perplexityPiece', [reader, done ? [] : [value]]);
    } catch (error) {
      stop.abort(error);
    }
  };
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  try {
    return await call('perplexityOfPieces', [rest], {
      signal: stop.signal, onItem: (item) => ('reader' in item ? void send(item.reader) : onProgress?.(item)),
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    // Not waited for: a text that gives nothing more may never hear of it.
    if (!isOver) void (async () => pieces?.return?.())().catch(() => undefined);
  }
}
