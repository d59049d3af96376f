import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSite, policyOf, type Compile, type SiteFile } from './site.js';

export interface SiteServer {
  /** http://localhost:port/ */
  readonly url: string;
  close(): Promise<void>;
}

export interface SiteOptions {
  readonly port: number;
  /** With the headers that let a page share memory with its workers: without them there is one thread. */
  readonly isolated: boolean;
  /** As for `buildSite`. */
  readonly compile?: Compile;
}

/**
 * Serves the page on this machine.
 * @throws the server's error, such as EADDRINUSE.
 */
export async function serveSite({ port, isolated, compile }: SiteOptions): Promise<SiteServer> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', resolve);
  });
  // The port is known to be free before the work begins. What is asked for meanwhile has to wait.
  const building = buildSite(isolated ? 'isolated' : '', compile);
  server.on('request', async (request, response) => {
    const site = await building;
    const headers = {
      'content-security-policy': policyOf(site), 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer',
      ...(isolated ? { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' } : {}),
    };
    // Paths are looked up among the site's files, and never on the disk.
    const path = (request.url ?? '/').replace(/[?#].*$/, '').slice(1);
    const file = site.get(path);
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405, { ...headers, allow: 'GET, HEAD' }).end();
    else if (!file) response.writeHead(404, { ...headers, 'content-type': 'text/plain' }).end('There is no such file.\n');
    else send(request, response, file, headers);
  });
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  await building.catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { url: `http://localhost:${(server.address() as AddressInfo).port}/`, close };
}

/** All of a file, or the range that is asked for, or the news that it is still the same. */
function send({ headers: asked, method }: IncomingMessage, response: ServerResponse, { type, bytes, integrity }: SiteFile, headers: Record<string, string>): void {
  const etag = `"${integrity}"`;
  const all = { ...headers, 'content-type': type, etag, 'accept-ranges': 'bytes' };
  if (asked['if-none-match'] === etag) return void response.writeHead(304, all).end();
  const range = asked['if-range'] === undefined || asked['if-range'] === etag ? /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? '') : null;
  const from = Number(range?.[1] ?? 0);
  const to = Math.min(bytes.length, range?.[2] ? Number(range[2]) + 1 : bytes.length);
  if (range && from >= to) return void response.writeHead(416, { ...all, 'content-range': `bytes */${bytes.length}` }).end();
  const length = { 'content-length': String(to - from) };
  if (range) response.writeHead(206, { ...all, ...length, 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` });
  else response.writeHead(200, { ...all, ...length });
  response.end(method === 'HEAD' ? undefined : bytes.subarray(from, to));
}
