import { ArgumentError, BackendError, messageOf } from '../errors.js';
import { publicName, unpackError, type Args, type Item, type Link, type MethodName, type Reply, type Result } from './protocol.js';

export interface CallOptions<I> {
  readonly signal?: AbortSignal | undefined;
  /** Told of each item; what it throws stops the call. */
  readonly onItem?: ((item: I) => void) | undefined;
  readonly transfer?: readonly ArrayBuffer[];
  /** Not garbage-collected while the call is under way. */
  readonly keep?: object;
}

interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** Items that the worker may make before they are asked for. */
  readonly ahead: number;
  readonly keep?: object;
}

/** A call that waits for its answer. */
interface Waiting {
  readonly keep: object | undefined;
  onItem(item: unknown): void;
  end(outcome: Outcome): void;
}

type Outcome = { readonly result: unknown } | { readonly error: Error };

/** The page's end: makes calls, and takes the worker's replies to those that wait for them. */
export class Client {
  private readonly link: Link;
  private readonly onBusy: (busy: boolean) => void;
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;
  private ended: Error | undefined;

  /** @param onBusy told when the first call begins and when the last one has ended. */
  constructor(link: Link, onBusy: (busy: boolean) => void = () => {}) {
    this.link = link;
    this.onBusy = onBusy;
  }

  receive(reply: Reply): void {
    const waiting = this.waiting.get(reply.call);
    if (!waiting) return;
    if ('item' in reply) return waiting.onItem(reply.item);
    this.forget(reply.call);
    waiting.end('error' in reply ? { error: unpackError(reply.error) } : { result: reply.result });
  }

  /** Nothing more will come: all that wait are told so, and later calls too. */
  end(error: Error): void {
    this.ended ??= error;
    for (const [call, { end }] of this.waiting) {
      this.forget(call);
      end({ error: this.ended });
    }
  }

  /**
   * @throws what the worker threw, in its class; the signal's reason once the worker has stopped; ArgumentError for what cannot be
   * sent to a worker; BackendError when the worker has died.
   */
  call<M extends MethodName>(method: M, args: Args<M>, options: CallOptions<Item<M>> = {}): Promise<Result<M>> {
    const { signal, onItem, transfer = [], keep } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      let thrown: { readonly error: unknown } | undefined;
      const call = this.start(method, args, Infinity, transfer, {
        keep,
        onItem: (item) => {
          if (thrown) return;
          try {
            onItem?.(item as Item<M>);
          } catch (error) {
            thrown = { error };
            stop();
          }
        },
        end: (outcome) => {
          signal?.removeEventListener('abort', stop);
          if (thrown) reject(thrown.error);
          else if (signal?.aborted) reject(signal.reason); // also if it was done before it heard of that
          else if ('result' in outcome) resolve(outcome.result as Result<M>);
          else reject(outcome.error);
        },
      });
      const stop = (): void => this.stop(call);
      signal?.addEventListener('abort', stop);
    });
  }

  /** As `call`, for a method with items to iterate over. The call begins with the first `next()`; `return()` stops it. */
  async *stream<M extends MethodName>(method: M, args: Args<M>, options: StreamOptions): AsyncGenerator<Item<M>, Result<M>, undefined> {
    const { signal, ahead, keep } = options;
    signal?.throwIfAborted();
    const items: Item<M>[] = [];
    let outcome: Outcome | undefined;
    let wake = (): void => {};
    const call = this.start(method, args, ahead, [], {
      keep,
      onItem: (item) => {
        items.push(item as Item<M>);
        wake();
      },
      end: (end) => {
        outcome = end;
        wake();
      },
    });
    const news = (): Promise<void> => new Promise((resolve) => { wake = resolve; });
    const stop = (): void => this.stop(call);
    signal?.addEventListener('abort', stop);
    try {
      let eaten = 0;
      for (;;) {
        while (!outcome && (items.length === 0 || signal?.aborted)) await news();
        signal?.throwIfAborted();
        if (items.length === 0) break;
        yield items.shift()!;
        if (!outcome && ++eaten >= ahead / 2) {
          this.post({ call, more: eaten });
          eaten = 0;
        }
      }
      if ('error' in outcome!) throw outcome.error;
      return outcome!.result as Result<M>;
    } finally {
      signal?.removeEventListener('abort', stop);
      if (!outcome) {
        stop();
        while (!outcome) await news(); // so that a state is at rest when the loop is left
      }
    }
  }

  private start(method: MethodName, args: readonly unknown[], ahead: number, transfer: readonly ArrayBuffer[], waiting: Waiting): number {
    if (this.ended) throw this.ended;
    const call = ++this.count;
    try {
      this.link.post({ call, method, args, ahead }, transfer);
    } catch (error) {
      throw new ArgumentError(`${publicName(method)}: an argument cannot be sent to the worker: ${messageOf(error)}`);
    }
    this.waiting.set(call, waiting);
    if (this.waiting.size === 1) this.onBusy(true);
    return call;
  }

  private stop(call: number): void {
    if (this.waiting.has(call)) this.post({ call, stop: true });
  }

  private post(message: { call: number; more: number } | { call: number; stop: true }): void {
    if (!this.ended) this.link.post(message, []);
  }

  private forget(call: number): void {
    this.waiting.delete(call);
    if (this.waiting.size === 0) this.onBusy(false);
  }
}

/** @param reason what is known of it. */
export function workerDied(reason: string): BackendError {
  return new BackendError(`the worker has failed (${reason || 'no reason was given'}); load the model again`);
}
