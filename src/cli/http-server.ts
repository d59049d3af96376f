import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { SourceError } from '../index.js';
import type { Handler } from '../server/index.js';

export const DEFAULT_PORT = 8080;
export const DEFAULT_HOST = '127.0.0.1';

/** For the head of a request, and for all of it. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const UNREAD_MS = 3000;

export interface HttpServer {
  /** http://host:port */
  readonly url: string;
  /** Whether it listens on this machine alone. */
  readonly isLocal: boolean;
  /** Takes nothing new, and resolves when what runs has been answered. Connections on which nothing has been asked are not waited for. */
  close(): Promise<void>;
}

/** Puts a handler behind `node:http`. @param unreadMs for clients to read what they have been sent, when it stops. @throws SourceError when it cannot listen there. */
export async function startHttp(handler: Handler, host: string, port: number, unreadMs = UNREAD_MS): Promise<HttpServer> {
  const isLocal = isLoopback(host);
  const open = new Set<ServerResponse>();
  const server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS }, (request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    void answer(handler, isLocal, request, response).catch(() => response.destroy());
  });
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another program listens there; give another --port' : code === 'EACCES' ? 'that is not allowed; give a --port from 1024 on' : message;
    throw new SourceError(`cannot listen at ${host}:${port}: ${why}`);
  }
  const { address, port: given } = server.address() as AddressInfo;
  return {
    url: `http://${isIP(address) === 6 ? `[${address}]` : address}:${given}`,
    isLocal,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await handler.close();
      const late = setTimeout(() => server.closeAllConnections(), unreadMs);
      for (const response of open) await once(response, 'close');
      clearTimeout(late);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(handler: Handler, isLocal: boolean, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  outgoing.on('error', () => gone.abort());
  // A page elsewhere can give its own name the address of this machine (DNS rebinding).
  if (isLocal && !isLoopback(hostOf(incoming.headers.host))) return refuse(outgoing, 403, 'this server answers on this machine alone; start it with --host for others');
  let request: Request;
  try {
    request = toRequest(incoming, gone.signal);
  } catch {
    return refuse(outgoing, 400, 'this request cannot be understood');
  }
  const response = await handler(request);
  if (!incoming.complete) outgoing.setHeader('connection', 'close'); // what is left of the body is not read
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  const reader = response.body?.getReader();
  for (;;) {
    const step = await reader?.read();
    if (!step || step.done) break;
    if (gone.signal.aborted) return void reader!.cancel();
    if (!outgoing.write(step.value)) await once(outgoing, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  outgoing.end(() => {
    if (!incoming.complete) incoming.destroy();
  });
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', url = '/', headers: given } = incoming;
  const headers = new Headers();
  for (const [key, value] of Object.entries(given)) if (value !== undefined) headers.set(key, Array.isArray(value) ? value.join(', ') : value);
  const hasBody = method !== 'GET' && method !== 'HEAD';
  // Half duplex: the answer comes when the body has been read. The types do not know of it.
  const init: RequestInit & { duplex: 'half' } = { method, headers, signal, duplex: 'half', ...(hasBody ? { body: bodyOf(incoming) } : {}) };
  return new Request(new URL(url, 'http://localhost'), init);
}

/** Not `Readable.toWeb`: that would end the connection where reading is given up, and with it the answer that says why. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = incoming.iterator({ destroyOnReturn: false });
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  outgoing.end(JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } }));
}

function hostOf(header = 'localhost'): string {
  return header.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);
}
