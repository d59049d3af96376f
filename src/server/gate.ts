import { ApiError } from './errors.js';

interface Waiting {
  readonly tokens: number;
  readonly enter: () => void;
}

/** Lets so many texts in at a time, in the order in which they came, and no more than there is memory for. */
export class Gate {
  private readonly places: number;
  private readonly maxQueue: number;
  private readonly capacity: number;
  private readonly queue = new Set<Waiting>();
  private inside = 0;
  private tokens = 0;

  /** @param places for texts. @param capacity tokens of all texts inside. */
  constructor(places: number, maxQueue: number, capacity: number) {
    this.places = places;
    this.maxQueue = maxQueue;
    this.capacity = capacity;
  }

  /** @throws ApiError when there is no place in the queue for so many texts. */
  checkRoom(texts: number): void {
    const free = this.queue.size === 0 ? this.places - this.inside : 0;
    if (texts - free <= this.maxQueue - this.queue.size) return;
    throw new ApiError(429, `${this.queue.size} texts wait already, and ${this.maxQueue} may; try again later`, { code: 'queue_full', headers: { 'retry-after': '1' } });
  }

  /** Waits for a place. @returns what gives it back. @throws the signal's reason. */
  async enter(tokens: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.queue.delete(waiting);
        reject(signal.reason as Error);
        this.letIn(); // the next one may need less
      };
      const waiting: Waiting = {
        tokens,
        enter: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.queue.add(waiting);
      this.letIn();
    });
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.inside--;
      this.tokens -= tokens;
      this.letIn();
    };
  }

  private letIn(): void {
    for (const waiting of this.queue) {
      if (this.inside === this.places || (this.inside > 0 && this.tokens + waiting.tokens > this.capacity)) return;
      this.queue.delete(waiting);
      this.inside++;
      this.tokens += waiting.tokens;
      waiting.enter();
    }
  }
}
