import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Seen {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface TestServer {
  /** http://127.0.0.1:port */
  readonly url: string;
  readonly seen: Seen[];
  /** Called first; what it takes on, it returns true for. `n`: how many requests came before. */
  intercept: (request: IncomingMessage, response: ServerResponse, n: number) => boolean | Promise<boolean>;
  close(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function startServer(handler: Handler, host = '127.0.0.1'): Promise<TestServer> {
  const seen: Seen[] = [];
  const server: Server = createServer((request, response) => {
    const n = seen.length;
    seen.push({ path: request.url!, range: request.headers.range, authorization: request.headers.authorization });
    response.on('error', () => undefined);
    void Promise.resolve(test.intercept(request, response, n)).then((taken) => {
      if (!taken) handler(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const test: TestServer = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    seen,
    intercept: () => false,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return test;
}

export interface Sending {
  readonly headers?: Record<string, string>;
  readonly ranges?: boolean;
  /** Cut the connection after so many bytes of the body. */
  readonly cutAfter?: number;
}

/** Sends a file, or the part of it that is asked for. */
export function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, sending: Sending = {}): void {
  const { headers = {}, ranges = true, cutAfter } = sending;
  const [, from, to] = (ranges && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')) || [];
  let body = bytes;
  if (from === undefined) {
    response.writeHead(200, { 'content-length': bytes.length, ...headers });
  } else {
    const start = Number(from);
    const end = to ? Math.min(Number(to) + 1, bytes.length) : bytes.length;
    if (start >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    body = bytes.subarray(start, end);
    response.writeHead(206, { 'content-length': body.length, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}`, ...headers });
  }
  if (cutAfter === undefined) response.end(body);
  else response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 10));
}

const hashes = new WeakMap<Uint8Array, string>();

/** Of bytes that do not change. */
export function sha256(bytes: Uint8Array): string {
  const known = hashes.get(bytes) ?? createHash('sha256').update(bytes).digest('hex');
  hashes.set(bytes, known);
  return known;
}

const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript', css: 'text/css' };

/** A server of a folder, as of a site on the web; pages may use threads. */
export function startSite(folder: string): Promise<TestServer> {
  return startServer((request, response) => {
    const path = decodeURIComponent(request.url!.replace(/\?.*/, '')).replace(/\/$/, '/index.html');
    readFile(join(folder, path)).then((bytes) => {
      const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
      sendFile(request, response, bytes, { headers: { 'content-type': TYPES[/\w+$/.exec(path)![0]] ?? 'application/octet-stream', ...isolation } });
    }, () => response.writeHead(404).end());
  });
}

/** A server of plain files, with ETags. */
export function startFiles(files: Record<string, Uint8Array>): Promise<TestServer> {
  return startServer((request, response) => {
    const bytes = files[decodeURIComponent(request.url!.replace(/\?.*/, '').slice(1))];
    if (!bytes) return void response.writeHead(404).end('no such file');
    sendFile(request, response, bytes, { headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
  });
}

export interface HubOptions {
  /** Large files are sent to this server's `/blob/<sha256>`. */
  readonly cdn?: TestServer;
  readonly commit?: string;
  readonly token?: string;
  /** Leave sizes and checksums out of the list, as mirrors do. */
  readonly bareList?: boolean;
}

export const COMMIT = 'c0ffee0123456789c0ffee0123456789c0ffee01';

/** Plays the Hub for one model, `someone/model`. Files but .json are large ones. */
export function startHub(files: Record<string, Uint8Array>, options: HubOptions = {}): Promise<TestServer> {
  const { cdn, commit = COMMIT, token, bareList } = options;
  return startServer((request, response) => {
    const path = decodeURIComponent(request.url!.replace(/\?.*/, ''));
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      const got = request.headers.authorization ?? 'nothing';
      return void response.writeHead(401, { 'x-error-message': `Invalid credentials: ${got}` }).end('Invalid username or password.');
    }
    if (/^\/api\/models\/someone\/model\/revision\/(main|v1|refs\/pr\/3|[0-9a-f]{40})$/.test(path)) {
      const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
        rfilename,
        ...(bareList ? {} : { size: bytes.length, blobId: 'b'.repeat(40) }),
        ...(bareList || rfilename.endsWith('.json') ? {} : { lfs: { size: bytes.length, sha256: sha256(bytes), pointerSize: 130 } }),
      }));
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'someone/model', sha: commit, siblings }));
    }
    const file = new RegExp(`^/someone/model/resolve/${commit}/(.+)$`).exec(path)?.[1];
    const bytes = file === undefined ? undefined : files[file];
    if (!file || !bytes) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end('Entry not found');
    if (file.endsWith('.json')) return sendFile(request, response, bytes, { headers: { etag: '"git-hash"', 'x-repo-commit': commit } });
    const linked = { 'x-linked-size': String(bytes.length), 'x-linked-etag': `"${sha256(bytes)}"`, 'x-repo-commit': commit };
    if (!cdn) return sendFile(request, response, bytes, { headers: { ...linked, etag: `"${sha256(bytes)}"` } });
    response.writeHead(302, { ...linked, location: `${cdn.url}/blob/${sha256(bytes)}?X-Amz-Signature=secret` }).end();
  });
}

/** Sends what `startHub` redirects to. */
export function startCdn(files: Record<string, Uint8Array>, host?: string): Promise<TestServer> {
  const blobs = new Map(Object.values(files).map((bytes) => [`/blob/${sha256(bytes)}`, bytes]));
  return startServer((request, response) => {
    const bytes = blobs.get(request.url!.replace(/\?.*/, ''));
    if (!bytes) return void response.writeHead(404).end();
    sendFile(request, response, bytes, { headers: { etag: '"of-the-cdn"' } });
  }, host);
}
