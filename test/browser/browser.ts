import { startChromium, type Chromium, type Tab } from './chromium.js';
import { startPages, type PagesServer, type Serving } from './pages-server.js';
import type { Report } from './pages/runner.js';

/** Where a job is done. */
export interface Place extends Serving {
  /** In a Web Worker instead of on the page's main thread. */
  readonly inWorker?: boolean;
}

export interface Browser {
  readonly chromium: Chromium;
  readonly server: PagesServer;
  /**
   * Runs the default export of test/browser/pages/`module`.ts in a tab of its own.
   * @param during may act on the tab, by the DevTools protocol, while it works.
   * @returns what it returned, by way of JSON. @throws an error with its name and message, and with what the tab has logged.
   */
  run<T>(module: string, input: unknown, place?: Place, during?: (tab: Tab) => Promise<void>): Promise<T>;
  close(): Promise<void>;
}

/** A page that has not reported by then is closed. */
const PATIENCE_MS = 60_000;

/** Starts a browser, and the server of the pages that it opens. */
export async function startBrowser(flags: readonly string[] = []): Promise<Browser> {
  const server = await startPages();
  const chromium = await startChromium(flags).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  return {
    chromium,
    server,
    async run<T>(module: string, input: unknown, place: Place = {}, during?: (tab: Tab) => Promise<void>): Promise<T> {
      const tab = await chromium.openTab();
      let timer: NodeJS.Timeout | undefined;
      try {
        const { url, report } = server.addPage(place, { module, input, inWorker: place.inWorker ?? false });
        const late = new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no report after ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
        });
        late.catch(() => undefined);
        await Promise.race([tab.send('Page.navigate', { url }), late]);
        const acted = during?.(tab);
        const done = (await Promise.race([report, late, ...(acted ? [acted.then(() => report)] : [])])) as Report;
        if ('value' in done) return done.value as T;
        throw Object.assign(new Error(done.error.message), { name: done.error.name, inPage: done.error.stack });
      } catch (error) {
        if (error instanceof Error && tab.log.length > 0) error.message += `\nThe page's log:\n${tab.log.join('\n')}`;
        throw error;
      } finally {
        clearTimeout(timer);
        await tab.close().catch(() => undefined);
      }
    },
    async close() {
      await chromium.close();
      await server.close();
    },
  };
}
