/// <reference lib="webworker" />
import { openSource } from '../src/sources/source.js';
import type { BrowserJob, WorkerMessage } from './browser-page.js';
import type { Host } from './host.js';
import { browserPlan } from './plans.js';
import { runPlan } from './suite-run.js';

const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
/** The folder of this page on the server, which has ../shared as a folder inside. */
const base = new URL('../', import.meta.url);

/** What a page may take without the system killing its process; browsers do not tell. */
const PAGE_BYTES = 12e9;

const host: Host = {
  processors: navigator.hardwareConcurrency,
  freeBytes: () => PAGE_BYTES,
  collectGarbage() {},
  async open(path, names) {
    const found: File[] = [];
    const folder = path.replace(/^\.\.\//, '');
    for (const name of names ?? ['']) {
      const response = await fetch(new URL(name === '' ? folder : `${folder}/${name}`, base));
      if (!response.ok) return undefined;
      found.push(new File([await response.blob()], name === '' ? path.replace(/.*\//, '') : name));
    }
    return openSource(found);
  },
};

const say = (message: WorkerMessage): void => scope.postMessage(message);

scope.onmessage = async ({ data }: { data: BrowserJob }) => {
  const { quick, parts, layers } = data;
  try {
    const seconds = await runPlan(browserPlan(host.processors, quick), host, {
      result: (result) => say(['result', result]), note: (text) => say(['note', text]), failure: (text) => say(['failure', text]),
    }, { parts, layers });
    say(['done', { userAgent: navigator.userAgent, parts: seconds }]);
  } catch (error) {
    say(['failed', error instanceof Error ? (error.stack ?? error.message) : String(error)]);
  }
};
