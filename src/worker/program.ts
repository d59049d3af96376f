/** The program of the worker, for Web Workers and Node's worker threads: it waits for calls. */
import { nodeThreads } from '../platform/threads.js';
import { serve } from './host.js';
import { createMethods } from './methods.js';
import type { Link, Request } from './protocol.js';

const scope = globalThis as unknown as { postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void; onmessage: unknown };
const port = nodeThreads()?.parentPort;
const link: Link = {
  post: (message, transfer) => (port ? port.postMessage(message, transfer as never) : scope.postMessage(message, transfer)),
};
const receive = serve(link, createMethods());
if (port) port.on('message', receive);
else scope.onmessage = ({ data }: MessageEvent<Request>) => receive(data);
