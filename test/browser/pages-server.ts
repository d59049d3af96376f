import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, relative } from 'node:path';
import { compile } from '../support/compile.js';
import { repository } from '../support/files.js';
import { sendFile, sha256 } from '../support/servers.js';

/** How a page is served. */
export interface Serving {
  /** With the headers that allow shared memory. */
  readonly isolated?: boolean;
  /** The Content-Security-Policy of the page and of every script. */
  readonly csp?: string;
}

export interface PagesServer {
  /** http://127.0.0.1:port */
  readonly url: string;
  /** What has been asked for, and the header Range of each request. */
  readonly seen: { readonly path: string; readonly range: string | undefined }[];
  /** Paths that cannot be reached: the connection breaks. */
  readonly offline: Set<string>;
  /** Folders beside the repository, by the beginning of their paths: `/installed/`. */
  readonly folders: Map<string, string>;
  /** Told what a page posts to `message`, in JSON, while it works. */
  onMessage: (message: unknown) => void;
  /** Where a page goes that has reported; it stays where it is without this. */
  nextPage: (() => Promise<string>) | undefined;
  /** @returns the address of a page that does `job` and reports, and what it reports. */
  addPage(serving: Serving, job: unknown): { url: string; report: Promise<unknown> };
  close(): Promise<void>;
}

const TYPES: Record<string, string> = { '.js': 'text/javascript', '.html': 'text/html', '.json': 'application/json', '.css': 'text/css' };
const PAGE = '<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,"><script type="module" src="/test/browser/pages/runner.js"></script>';

/** A module of the repository, which finds the library by its place. */
function script(file: string): string {
  const library = relative(dirname(file), repository('src')).replaceAll('\\', '/');
  return compile(file).replaceAll("from 'matmulfree'", `from '${library}/index.js'`).replaceAll("from 'matmulfree/worker'", `from '${library}/worker/index.js'`);
}

/** Serves the repository, with .ts files as .js; and pages with jobs to do, in headers of their own. */
export async function startPages(): Promise<PagesServer> {
  const pages = new Map<string, { serving: Serving; job: string; resolve(report: unknown): void }>();
  const seen: { path: string; range: string | undefined }[] = [];
  const offline = new Set<string>();
  const folders = new Map<string, string>();

  function contentOf(path: string): string | Uint8Array | undefined {
    const [start, folder] = [...folders].find(([name]) => path.startsWith(name)) ?? ['/', repository('')];
    const file = join(folder, path.slice(start.length));
    const source = file.replace(/\.js$/, '.ts');
    if (source !== file && existsSync(source)) return script(source);
    return existsSync(file) ? readFileSync(file) : undefined;
  }

  function send(request: IncomingMessage, response: ServerResponse, serving: Serving, type: string, body: string | Uint8Array): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const headers = {
      'content-type': type, etag: `"${sha256(bytes)}"`, 'cache-control': 'no-store', 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin',
      ...(serving.isolated ? { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' } : {}),
      ...(serving.csp === undefined ? {} : { 'content-security-policy': serving.csp }),
    };
    sendFile(request, response, bytes, { headers });
  }

  const server = createServer((request, response) => {
    // The first part of every path is the page, so that its scripts and workers get its headers.
    const [, id = '', rest = ''] = /^\/(\d+)(\/[^?]*)/.exec(request.url!) ?? [];
    const page = pages.get(id);
    if (offline.has(rest)) return void request.socket.destroy();
    seen.push({ path: rest, range: request.headers.range });
    if (!page) return void response.writeHead(404).end();
    const { serving } = page;
    if (rest === '/') return send(request, response, serving, 'text/html', PAGE.replaceAll('"/', `"/${id}/`));
    if (rest === '/job') return send(request, response, serving, 'application/json', page.job);
    if (rest === '/report' || rest === '/message') {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
        (rest === '/report' ? page.resolve : pagesServer.onMessage)(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(204).end();
      });
      return;
    }
    if (rest === '/next') {
      if (!pagesServer.nextPage) return void response.writeHead(204).end();
      return void pagesServer.nextPage().then((url) => response.end(url));
    }
    const content = rest.includes('..') ? undefined : contentOf(decodeURIComponent(rest));
    if (content === undefined) return void response.writeHead(404).end();
    send(request, response, serving, TYPES[extname(rest)] ?? 'application/octet-stream', content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pagesServer: PagesServer = {
    url,
    seen,
    offline,
    folders,
    onMessage() {},
    nextPage: undefined,
    addPage(serving, job) {
      const id = String(pages.size + 1);
      const report = new Promise((resolve) => pages.set(id, { serving, job: JSON.stringify(job), resolve }));
      return { url: `${url}/${id}/`, report };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return pagesServer;
}
