import { setTimeout as wait } from 'node:timers/promises';
import { CHROMIUM, startChromium } from '../test/browser/chromium.js';
import { startPages } from '../test/browser/pages-server.js';
import { buildForBenchmarks } from '../test/support/build.js';
import { repository } from '../test/support/files.js';
import type { BrowserJob, BrowserRun } from './browser-page.js';
import type { Listener } from './host.js';
import type { Result } from './results.js';
import type { Part } from './suite-run.js';

export interface BrowserOptions {
  readonly quick: boolean;
  readonly parts: readonly Part[];
  readonly layers: number | undefined;
  /** Waits until somebody opens the page. */
  readonly byHand: boolean;
}

/** How often the page's messages are looked at. */
const LOOK_MS = 200;
/** A page that says nothing for so long has died. */
const PATIENCE_MS = 600_000;

/**
 * Runs the suite in a page's worker: in a headless Chromium, or in whatever browser somebody opens the page with. What it finds comes back
 * over HTTP.
 */
export async function runInBrowser({ byHand, ...job }: BrowserOptions, tell: Listener): Promise<{ engine: string; parts: Record<string, number> }> {
  if (!byHand && CHROMIUM === '') throw new TypeError('there is no Chromium here: set CHROMIUM to one, or add --by-hand');
  await buildForBenchmarks();
  const server = await startPages();
  server.folders.set('/shared/', repository('../shared/'));
  const messages: (['result', Result] | ['note' | 'failure', string])[] = [];
  server.onMessage = (message) => void messages.push(message as (typeof messages)[number]);
  const page = server.addPage({ isolated: true }, { module: '../../../bench/browser-page', input: job satisfies BrowserJob, inWorker: false });
  const chromium = byHand ? undefined : await startChromium();
  try {
    const tab = await chromium?.openTab();
    if (tab) await tab.send('Page.navigate', { url: page.url });
    else console.log(`Open ${page.url} in a browser on this machine, and leave its window in front.`);
    let done: { value?: BrowserRun; error?: { message: string } } | undefined;
    void page.report.then((report) => { done = report as typeof done; });
    for (let silent = 0; done === undefined || messages.length > 0; silent += LOOK_MS) {
      for (const [kind, content] of messages.splice(0)) {
        silent = 0;
        if (kind === 'result') tell.result(content);
        else tell[kind](content);
      }
      if (!byHand && silent > PATIENCE_MS) throw new Error(`the page has said nothing for ${PATIENCE_MS / 1000} s. Its log:\n${tab?.log.join('\n')}`);
      if (done === undefined) await wait(LOOK_MS);
    }
    if (!done.value) throw new Error(`the page has failed: ${done.error?.message}\n${tab?.log.join('\n')}`);
    const { userAgent, parts } = done.value;
    return { engine: chromium?.version ?? userAgent, parts };
  } finally {
    await chromium?.close();
    await server.close();
  }
}
