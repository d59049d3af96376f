/// <reference lib="webworker" />
/*
 * What every page of the tests runs: it fetches its job, does it here or in a Web Worker, and reports. In the worker, the same file
 * does the job and hands the report to the page.
 */

interface Job {
  readonly module: string;
  readonly input: unknown;
  readonly inWorker: boolean;
}

export type Report = { readonly value: unknown } | { readonly error: { readonly name: string; readonly message: string; readonly stack: string } };

/** The folder of this page on the server. */
const base = new URL('../../../', import.meta.url);

async function perform({ module, input }: Job): Promise<Report> {
  try {
    const { default: run } = (await import(new URL(`test/browser/pages/${module}.js`, base).href)) as { default(input: unknown): Promise<unknown> };
    return { value: await run(input) };
  } catch (error) {
    const { name, message, stack = '' } = error as Error;
    return { error: { name, message, stack } };
  }
}

async function performInWorker(job: Job): Promise<Report> {
  const worker = new Worker(import.meta.url, { type: 'module' });
  const report = await new Promise<Report>((resolve) => {
    worker.onmessage = ({ data }) => resolve(data as Report);
    worker.onerror = ({ message }) => resolve({ error: { name: 'Error', message: `the test's worker fails: ${message}`, stack: '' } });
    worker.postMessage(job);
  });
  worker.terminate();
  return report;
}

if (typeof document === 'undefined') {
  const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
  scope.onmessage = async ({ data }) => scope.postMessage(await perform(data as Job));
} else {
  const job = (await (await fetch(new URL(`job${location.search}`, base))).json()) as Job;
  const report = await (job.inWorker ? performInWorker(job) : perform(job));
  await fetch(new URL(`report${location.search}`, base), { method: 'POST', body: JSON.stringify(report) });
  // When the server has gone, nobody waits for this page.
  const next = await fetch(new URL('next', base)).then((response) => response.text(), () => close());
  if (next) location.replace(next);
}
