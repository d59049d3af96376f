import { ApiError, busy, tellError } from './errors.js';

/** Past its time, what writes has ended by itself; this is for what still waits or reads. */
const GRACE_MS = 1000;

/** What a request keeps at work. It stops when the client goes away, or the time is over. */
export class Job {
  private readonly controller = new AbortController();
  private readonly client: AbortSignal;
  private readonly timer: ReturnType<typeof setTimeout>;

  constructor(client: AbortSignal, maxTimeMs: number) {
    this.client = client;
    this.timer = setTimeout(() => this.controller.abort(busy(`there was no answer within ${maxTimeMs / 1000} s`)), maxTimeMs + GRACE_MS);
    if (client.aborted) this.leave();
    else client.addEventListener('abort', this.leave, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Nobody waits for the answer any more. */
  readonly leave = (): void => {
    this.controller.abort(new ApiError(499, 'the client went away')); // as nginx has it; nobody reads it
  };

  /** Stops what else goes on, after an error. @returns what is said of it. */
  fail(error: unknown, onError: (error: unknown) => void): ApiError {
    const said = tellError(error, onError);
    this.controller.abort(said);
    return said;
  }

  /** To be called once, when all is done. */
  end(): void {
    clearTimeout(this.timer);
    this.client.removeEventListener('abort', this.leave);
  }
}
