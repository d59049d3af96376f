import type { Part } from './suite-run.js';

/** What the page is asked to run. */
export interface BrowserJob {
  readonly quick: boolean;
  readonly parts: readonly Part[];
  readonly layers: number | undefined;
}

export interface BrowserRun {
  readonly userAgent: string;
  /** Seconds by part. */
  readonly parts: Record<string, number>;
}

/** From the worker: what it finds on the way, and how it ends. */
export type WorkerMessage = readonly ['result', unknown] | readonly ['note' | 'failure', string] | readonly ['done', BrowserRun] | readonly ['failed', string];

/** In the page: runs the suite in a worker, as a page would run a model, and sends on what that finds. */
export default async function run(job: BrowserJob): Promise<BrowserRun> {
  document.title = 'Benchmark';
  const list = document.body.appendChild(document.createElement('pre'));
  const worker = new Worker(new URL('./browser-worker.js', import.meta.url), { type: 'module' });
  const address = new URL('../message', import.meta.url);
  let sent: Promise<unknown> = Promise.resolve();
  try {
    return await new Promise<BrowserRun>((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(`the worker fails: ${message}`));
      worker.onmessage = ({ data }: { data: WorkerMessage }) => {
        const [kind, content] = data;
        if (kind === 'failed') reject(new Error(content));
        else if (kind === 'done') sent.then(() => resolve(content), reject);
        else {
          list.textContent += `${JSON.stringify(content)}\n`;
          sent = sent.then(() => fetch(address, { method: 'POST', body: JSON.stringify(data) })); // in order
        }
      };
      worker.postMessage(job);
    });
  } finally {
    worker.terminate();
  }
}
