import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { serve, type Handlers } from '../../src/worker/host.js';
import { createMethods } from '../../src/worker/methods.js';
import type { Reply, Request } from '../../src/worker/protocol.js';

/** A worker whose program runs in this thread, behind a real message channel. */
export class WorkerInProcess {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null;
  onmessageerror: (() => void) | null = null;
  readonly requests: Request[] = [];
  readonly replies: Reply[] = [];
  terminated = false;
  private readonly port: MessagePort;

  constructor(handlers: Handlers = createMethods()) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const receive = serve({
      post: (message, transfer) => {
        this.replies.push(message as Reply);
        port2.postMessage(message, transfer as never);
      },
    }, handlers);
    port2.on('message', receive);
    port1.on('message', (data: unknown) => this.onmessage?.({ data }));
    port1.unref();
    port2.unref();
  }

  postMessage(message: Request, transfer: readonly Transferable[]): void {
    this.port.postMessage(message, transfer as never);
    this.requests.push(message);
  }

  terminate(): void {
    this.terminated = true;
    this.port.close();
  }

  /** The worker throws an error that nobody catches. */
  fail(message: string): void {
    this.onerror?.({ message, preventDefault() {} });
  }
}
