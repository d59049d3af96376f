import { buffersOf, packError, type Args, type Item, type Link, type MethodName, type Reply, type Request, type Result } from './protocol.js';

/** What a handler knows of the call that it answers. */
export interface Call<M extends MethodName> {
  /** Aborted when the page stops the call. */
  readonly signal: AbortSignal;
  /** Sends an item, at once: for progress. */
  report(item: Item<M>): void;
}

/** What the worker does for a call. The items of a generator are sent as the page grants them. */
export type Handlers = {
  readonly [M in MethodName]: (
    call: Call<M>, ...args: Args<M>
  ) => Result<M> | Promise<Result<M>> | AsyncGenerator<Item<M>, Result<M>, undefined>;
};

/** A call under way. */
interface Running {
  readonly controller: AbortController;
  granted: number;
  /** Goes on after a grant or a stop. */
  wake(): void;
}

/** Answers calls. @returns what takes the page's messages. */
export function serve(link: Link, handlers: Handlers): (message: Request) => void {
  const calls = new Map<number, Running>();
  const send = (reply: Reply, value?: unknown): void => link.post(reply, buffersOf(value));

  async function answer(call: number, method: MethodName, args: readonly unknown[], running: Running): Promise<unknown> {
    const { signal } = running.controller;
    const handler = handlers[method] as (call: Call<MethodName>, ...args: readonly unknown[]) => unknown;
    const answer = handler({ signal, report: (item: unknown) => send({ call, item }) }, ...args);
    return isStream(answer) ? pump(call, answer, running) : answer;
  }

  /** One item at a time, and none that was not granted: what a stream does to a state is then what the page has seen. */
  async function pump(call: number, stream: AsyncGenerator<unknown, unknown, undefined>, running: Running): Promise<unknown> {
    const { signal } = running.controller;
    for (;;) {
      while (running.granted === 0 && !signal.aborted) await new Promise<void>((resolve) => { running.wake = resolve; });
      if (signal.aborted) {
        await stream.return(undefined);
        throw signal.reason;
      }
      const { done, value } = await stream.next();
      if (done) return value;
      running.granted--;
      send({ call, item: value });
    }
  }

  async function start({ call, method, args, ahead }: Extract<Request, { method: MethodName }>): Promise<void> {
    const running: Running = { controller: new AbortController(), granted: ahead, wake() {} };
    calls.set(call, running);
    try {
      const result = await answer(call, method, args, running);
      send({ call, result }, result);
    } catch (error) {
      send({ call, error: packError(error) });
    } finally {
      calls.delete(call);
    }
  }

  return (message) => {
    if ('method' in message) return void start(message);
    const running = calls.get(message.call);
    if (!running) return; // it has ended meanwhile
    if ('more' in message) running.granted += message.more;
    else running.controller.abort();
    running.wake();
  };
}

function isStream(value: unknown): value is AsyncGenerator<unknown, unknown, undefined> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
