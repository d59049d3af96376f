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
  /** A path that cannot be reached. */
  readonly missing?: string;
}

export interface PagesServer {
  /** http://127.0.0.1:port */
  readonly url: string;
  /** What has been asked for, and the header Range of each request. */
  readonly seen: { readonly path: string; readonly range: string | undefined }[];
  /** Paths that cannot be reached from now on: the connection breaks. Modules may still be in the browser's cache. */
  readonly offline: Set<string>;
  /** Folders beside the repository, by the beginning of their paths: `/installed/`. */
  readonly folders: Map<string, string>;
  /** Told what a page posts to `message`, in JSON, while it works. */
  onMessage: (message: unknown) => void;
  /** Where a page goes that has reported; it stays where it is without this. */
  nextPage: (() => Promise<string>) | undefined;
  /** The folder in which all files of the repository are sent in this way: its address ends with a slash. */
  folderFor(serving: Serving): string;
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
  const pages: { job: string; resolve(report: unknown): void }[] = [];
  const servings: Serving[] = [];
  const seen: { path: string; range: string | undefined }[] = [];
  const offline = new Set<string>();
  const folders = new Map<string, string>();

  /** By path, those of the repository: they stay as they are while tests run. */
  const known = new Map<string, Buffer>();

  function contentOf(path: string): Buffer | undefined {
    if (known.has(path)) return known.get(path);
    const [start, folder] = [...folders].find(([name]) => path.startsWith(name)) ?? ['/', repository('')];
    const file = join(folder, path.slice(start.length));
    const source = file.replace(/\.js$/, '.ts');
    const content = source !== file && existsSync(source) ? Buffer.from(script(source)) : existsSync(file) ? readFileSync(file) : undefined;
    if (start === '/' && content) known.set(path, content);
    return content;
  }

  function send(request: IncomingMessage, response: ServerResponse, serving: Serving, path: string, bytes: Buffer): void {
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    const headers = {
      'content-type': type, etag: `"${sha256(bytes)}"`, 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin',
      'cache-control': known.get(path) === bytes && extname(path) === '.js' ? 'max-age=600' : 'no-store', // a hundred modules a page
      ...(serving.isolated ? { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' } : {}),
      ...(serving.csp === undefined ? {} : { 'content-security-policy': serving.csp }),
    };
    sendFile(request, response, bytes, { headers });
  }

  const server = createServer((request, response) => {
    // The first part of every path is how it is served, so that scripts and workers get the headers of their page.
    const [, folder = '', path = '', page = ''] = /^\/(\d+)(\/[^?]*)(?:\?page=(\d+)$)?/.exec(request.url!) ?? [];
    const serving = servings[Number(folder)];
    if (offline.has(path) || serving?.missing === path) return void request.socket.destroy();
    seen.push({ path, range: request.headers.range });
    if (!serving) return void response.writeHead(404).end();
    if (path === '/') return send(request, response, serving, '/index.html', Buffer.from(PAGE.replaceAll('"/', `"/${folder}/`)));
    if (path === '/job') return send(request, response, serving, '/job.json', Buffer.from(pages[Number(page)]!.job));
    if (path === '/report' || path === '/message') {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
        (path === '/report' ? pages[Number(page)]!.resolve : pagesServer.onMessage)(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(204).end();
      });
      return;
    }
    if (path === '/next') {
      if (!pagesServer.nextPage) return void response.writeHead(204).end();
      return void pagesServer.nextPage().then((url) => response.end(url));
    }
    const content = path.includes('..') ? undefined : contentOf(decodeURIComponent(path));
    if (content === undefined) return void response.writeHead(404).end();
    send(request, response, serving, path, content);
  });
  // A page that has worked for five seconds would report on a connection that is just being closed.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pagesServer: PagesServer = {
    url,
    seen,
    offline,
    folders,
    onMessage() {},
    nextPage: undefined,
    folderFor({ isolated, csp, missing }) {
      const known = servings.findIndex((serving) => serving.isolated === isolated && serving.csp === csp && serving.missing === missing);
      return `${url}/${known < 0 ? servings.push({ isolated, csp, missing }) - 1 : known}/`;
    },
    addPage(serving, job) {
      const report = new Promise((resolve) => pages.push({ job: JSON.stringify(job), resolve }));
      return { url: `${this.folderFor(serving)}?page=${pages.length - 1}`, report };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return pagesServer;
}
