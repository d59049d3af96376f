import { NO_BROWSER, startChromium, type Tab } from './chromium.js';
import { firefoxVersion, NO_FIREFOX, startFirefox, type Firefox } from './firefox.js';
import { startPages, type PagesServer, type Serving } from './pages-server.js';
import type { Report } from './pages/runner.js';

/** Where a job is done. */
export interface Place extends Serving {
  /** In a Web Worker instead of on the page's main thread. */
  readonly inWorker?: boolean;
}

type During = (tab: Tab, report: Promise<unknown>) => Promise<void>;

export interface Browser {
  /** Such as "Chrome/140.0.7339.80". */
  readonly version: string;
  readonly server: PagesServer;
  /**
   * Runs the default export of test/browser/pages/`module`.ts in a page of its own.
   * @param during may act on the tab, by the DevTools protocol, while it works, and after its report: in Chromium.
   * @returns what it returned, by way of JSON. @throws an error with its name and message, and with what the tab has logged.
   */
  run<T>(module: string, input: unknown, place?: Place, during?: During): Promise<T>;
  close(): Promise<void>;
}

/** Firefox can only be driven by the pages in it. */
export interface FirefoxBrowser extends Browser {
  /** Goes to a page of another server, and waits until that goes to `back`. */
  visit(address: (back: string) => string): Promise<void>;
}

/** A page that has not reported by then is closed. */
const PATIENCE_MS = 60_000;

/** Rejects when it has taken too long. */
async function within<T>(work: Promise<T>, ms = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no report after ${ms / 1000} s`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function valueOf(report: Report): unknown {
  if ('value' in report) return report.value;
  throw Object.assign(new Error(report.error.message), { name: report.error.name, inPage: report.error.stack });
}

/** Starts a Chromium, and the server of the pages that it opens. */
export async function startBrowser(flags: readonly string[] = []): Promise<Browser> {
  const server = await startPages();
  const chromium = await startChromium(flags).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  return {
    version: chromium.version,
    server,
    async run<T>(module: string, input: unknown, place: Place = {}, during?: During): Promise<T> {
      const tab = await chromium.openTab();
      try {
        const { url, report } = server.addPage(place, { module, input, inWorker: place.inWorker ?? false });
        const work = async (): Promise<unknown> => {
          await tab.send('Page.navigate', { url });
          const [done] = await Promise.all([report, during?.(tab, report)]);
          return done;
        };
        return valueOf((await within(work())) as Report) as T;
      } catch (error) {
        if (error instanceof Error && tab.log.length > 0) error.message += `\nThe page's log:\n${tab.log.join('\n')}`;
        throw error;
      } finally {
        await tab.close().catch(() => undefined);
      }
    },
    async close() {
      await chromium.close();
      await server.close();
    },
  };
}

/**
 * Starts a Firefox, and the server of its pages. There is one tab: each page, when it has reported, goes to the next one. After a page
 * that does not report, another Firefox is started. @param preferences those of about:config.
 */
export async function startFirefoxBrowser(preferences: Readonly<Record<string, boolean | number | string>> = {}): Promise<FirefoxBrowser> {
  const server = await startPages();
  const idle: ((url: string) => void)[] = []; // at most one: where the page that has reported goes on
  let arrived: (() => void) | undefined;
  server.nextPage = () => new Promise((resolve) => {
    idle.push(resolve);
    arrived?.();
  });
  let firefox: Firefox | undefined;

  /** In a new browser, or in the one that waits. */
  async function open(url: string): Promise<Firefox> {
    if (!firefox) return (firefox = await startFirefox(url, preferences));
    if (idle.length === 0) await within(new Promise<void>((resolve) => { arrived = resolve; }));
    idle.pop()!(url);
    return firefox;
  }

  /** @param report of a page that is reached by way of `url`. */
  async function reportOf(url: string, report: Promise<unknown>): Promise<Report> {
    const work = async (): Promise<unknown> => {
      const { ended } = await open(url);
      return Promise.race([report, ended.then(() => { throw new Error('Firefox has ended'); })]);
    };
    try {
      return (await within(work())) as Report;
    } catch (error) {
      if (error instanceof Error) error.message += `; the last that was asked for: ${server.seen.slice(-3).map(({ path }) => path).join(', ')}`;
      await firefox?.close();
      firefox = undefined;
      idle.length = 0;
      throw error;
    }
  }

  return {
    version: firefoxVersion(),
    server,
    async run<T>(module: string, input: unknown, place: Place = {}): Promise<T> {
      const { url, report } = server.addPage(place, { module, input, inWorker: place.inWorker ?? false });
      return valueOf(await reportOf(url, report)) as T;
    },
    async visit(address) {
      const { url, report } = server.addPage({}, { module: 'begin', input: {}, inWorker: false });
      await reportOf(address(url), report);
    },
    async close() {
      await firefox?.close();
      await server.close();
    },
  };
}

/** Those that tests of the library run in, one after the other; `missing` says why one is skipped. */
export const BROWSERS = [
  { name: 'Chromium', missing: NO_BROWSER, start: startBrowser },
  { name: 'Firefox', missing: NO_FIREFOX, start: startFirefoxBrowser },
] as const;
