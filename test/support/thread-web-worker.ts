import { resolveObjectURL } from 'node:buffer';
import { Worker as NodeWorker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { compile } from './compile.js';

/** The scope of a Web Worker, as far as the library uses it: no `process`, messages through globalThis. */
const SHIM = `
  const { parentPort, workerData: { program } } = require('node:worker_threads');
  const { exit } = process;
  Object.defineProperty(globalThis, 'process', { value: undefined });
  Object.assign(globalThis, { postMessage: (data) => parentPort.postMessage(data), close: exit });
  (0, eval)(program);
  parentPort.on('message', (data) => globalThis.onmessage({ data }));
`;

interface Failure {
  readonly message: string;
}

/** What the library needs of a Web Worker, on a thread of Node. */
export class WebWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: Failure) => void) | null = null;
  readonly url: string;
  ended = false;
  private readonly started: Promise<NodeWorker>;

  constructor(url: string | URL) {
    this.url = String(url);
    this.started = programAt(this.url).then((program) => {
      const worker = new NodeWorker(SHIM, { eval: true, execArgv: [], workerData: { program } });
      worker.on('message', (data) => this.onmessage?.({ data }));
      worker.on('error', ({ message }) => this.onerror?.({ message }));
      worker.unref();
      return worker;
    });
  }

  postMessage(data: unknown): void {
    void this.started.then((worker) => worker.postMessage(data));
  }

  terminate(): void {
    this.ended = true;
    void this.started.then((worker) => worker.terminate());
  }

  /** The worker fails, as if its program had thrown. */
  fail(message: string): void {
    this.terminate();
    this.onerror?.({ message });
  }
}

/** A text behind a `blob:` address, which may be revoked once the worker has answered; or a file of the sources, compiled. */
async function programAt(url: string): Promise<string> {
  if (url.startsWith('blob:')) return resolveObjectURL(url)!.text();
  return compile(fileURLToPath(url).replace(/\.js$/, '.ts')).replace('export {};', '');
}

/** Makes this process look like a page: no worker threads of Node, but Web Workers. Undone by vi.restoreAllMocks, unstubAllGlobals. */
export function playBrowser(create: (url: string | URL) => WebWorker = (url) => new WebWorker(url)): WebWorker[] {
  const workers: WebWorker[] = [];
  const get = process.getBuiltinModule.bind(process) as (name: string) => object | undefined;
  vi.spyOn(process, 'getBuiltinModule').mockImplementation(((name: string) => (name === 'node:worker_threads' ? undefined : get(name))) as never);
  vi.stubGlobal('Worker', class {
    constructor(url: string | URL) {
      const worker = create(url);
      workers.push(worker);
      return worker;
    }
  });
  return workers;
}
