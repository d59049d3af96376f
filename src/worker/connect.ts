import { BackendError, messageOf } from '../errors.js';
import { nodeThreads } from '../platform/threads.js';
import { Client, workerDied } from './client.js';
import type { Reply } from './protocol.js';

/** A worker that answers calls. */
export interface Connection {
  readonly client: Client;
  /** Ends the worker at once; calls under way and later ones reject with `error`. */
  end(error: Error): void;
  /** Ends the worker when `owner` has been garbage-collected. */
  endWith(owner: object): void;
}

/**
 * Starts a worker, unless one is given, and waits until it answers.
 * @throws BackendError when it cannot be started; the signal's reason.
 */
export async function connect(given: Worker | undefined, signal: AbortSignal | undefined): Promise<Connection> {
  signal?.throwIfAborted();
  try {
    if (given) return await greet(webConnection(given), signal);
    const node = nodeThreads();
    if (node) return await greet(nodeConnection(node), signal);
    try {
      // Bundlers know this form, and bundle the file too.
      return await greet(webConnection(new Worker(new URL('./program.js', import.meta.url), { type: 'module' })), signal);
    } catch {
      signal?.throwIfAborted();
      return await connectToForeign(signal);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new BackendError(`a worker cannot be started here (${messageOf(error)}); give one with the option worker`);
  }
}

async function greet(connected: Connection, signal: AbortSignal | undefined): Promise<Connection> {
  const onAbort = (): void => connected.end(new BackendError('aborted'));
  signal?.addEventListener('abort', onAbort);
  try {
    await connected.client.call('hello', []);
    return connected;
  } catch (error) {
    connected.end(error as Error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** @param terminate ends the worker. */
function connection(client: Client, terminate: () => void): Connection {
  let registry: FinalizationRegistry<undefined> | undefined;
  const end = (error: Error): void => {
    registry = undefined; // until now the worker's handlers, which have this function, keep it
    terminate();
    client.end(error);
  };
  return {
    client,
    end,
    endWith(owner) {
      registry = new FinalizationRegistry(() => end(new BackendError('the model has been garbage-collected')));
      registry.register(owner, undefined);
    },
  };
}

function webConnection(worker: Worker): Connection {
  const client = new Client({ post: (message, transfer) => worker.postMessage(message, [...transfer]) });
  const connected = connection(client, () => worker.terminate());
  worker.onmessage = ({ data }: MessageEvent<Reply>) => client.receive(data);
  worker.onerror = (event) => {
    event.preventDefault();
    connected.end(workerDied(event.message));
  };
  worker.onmessageerror = () => connected.end(workerDied('a message could not be read'));
  return connected;
}

/** The program beside this file, on whatever server that is: workers start from the page's own origin only, but may import from others. */
async function connectToForeign(signal: AbortSignal | undefined): Promise<Connection> {
  const program = JSON.stringify(import.meta.url.replace(/[^/]*$/, 'program.js'));
  const url = URL.createObjectURL(new Blob([`import ${program};`], { type: 'text/javascript' }));
  try {
    return await greet(webConnection(new Worker(url, { type: 'module' })), signal);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** It does not keep the process alive, but for calls under way. */
function nodeConnection({ Worker }: NonNullable<ReturnType<typeof nodeThreads>>): Connection {
  // Not `new URL(…)`: a bundler would take the file along for a page that has no use for it.
  const worker = new Worker(new URL(import.meta.url.replace(/[^/]*$/, 'program.js')), { execArgv: [] });
  const client = new Client(
    { post: (message, transfer) => worker.postMessage(message, transfer as never) },
    (busy) => (busy ? worker.ref() : worker.unref()),
  );
  const connected = connection(client, () => void worker.terminate());
  worker.on('message', (reply: Reply) => client.receive(reply));
  worker.on('error', (error) => connected.end(workerDied(error.message)));
  worker.on('exit', (code) => connected.end(workerDied(`it ended with code ${code}`)));
  worker.unref();
  return connected;
}
