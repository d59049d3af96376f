import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveSite } from '../../examples/browser/server.js';
import { NO_BROWSER, startChromium, type Chromium } from './chromium.js';
import { drive, type Driver } from './driver.js';
import { examplePage, READY, type ExamplePage } from './example-page.js';

const KEPT = "/works without a network/.test(document.querySelector('#offline').textContent)";
/** Presses the button as soon as it can be, and notes when the first word of the model was on the page. */
const WRITE_AT_ONCE = `addEventListener('DOMContentLoaded', function press() {
  const button = document.querySelector('#write');
  if (button.disabled) return void setTimeout(press, 1);
  document.querySelector('#pace').value = 'Infinity';
  button.click();
});`;
/** What kept the main thread for more than 50 ms. */
const WATCH_LONG_TASKS = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration })))).observe({ type: 'longtask' });`;

describe.skipIf(NO_BROWSER)(`the example page,${NO_BROWSER}`, () => {
  let chromium: Chromium;
  beforeAll(async () => {
    chromium = await startChromium();
  });
  afterAll(() => chromium?.close());

  async function tab(...scripts: string[]): Promise<Driver> {
    const opened = await chromium.openTab();
    for (const source of scripts) await opened.send('Page.addScriptToEvaluateOnNewDocument', { source });
    const driver = drive(opened);
    await driver.screen(1280, 800);
    return driver;
  }
  const firstToken = async (page: ExamplePage): Promise<number> => {
    await page.until("performance.getEntriesByName('first-token').length > 0");
    return page.evaluate("performance.getEntriesByName('first-token')[0].startTime");
  };

  it('once it was open, writes without a server; in the first second', async () => {
    const site = await serveSite({ port: 0, isolated: true });
    const page = examplePage(await tab(), site);
    await page.open(site.url);
    await page.until(READY);
    await page.until(KEPT);
    await page.tab.send('Page.addScriptToEvaluateOnNewDocument', { source: WRITE_AT_ONCE });
    await page.tab.send('Page.reload');
    const online = await firstToken(page);
    await page.written();
    await site.close();
    page.tab.log.length = 0;
    await page.tab.send('Page.reload');
    const offline = await firstToken(page);
    await page.written();
    expect(await page.count()).toBeGreaterThan(20);
    expect(await page.evaluate('crossOriginIsolated')).toBe(true);
    expect(page.tab.log.filter((line) => !/ERR_CONNECTION_REFUSED|service-worker|Failed to update/i.test(line))).toEqual([]);
    console.log(`first token after a reload: ${online.toFixed(0)} ms from the cache, ${offline.toFixed(0)} ms without a server`);
    await page.tab.close();
  });

  it('is of one version: the next one waits until it is asked for', async () => {
    const site = await serveSite({ port: 0, isolated: true });
    const port = Number(new URL(site.url).port);
    const page = examplePage(await tab(), site);
    await page.open(site.url);
    await page.until(READY);
    await page.until(KEPT);
    await site.close();
    const other = await serveSite({ port, isolated: false });
    try {
      await page.tab.send('Page.reload');
      await page.until(READY);
      await page.until("document.querySelector('#offline button')");
      expect(await page.text('#offline')).toBe('There is a new version of this page: use it now.');
      expect(await page.evaluate('crossOriginIsolated')).toBe(true); // all of it is from the old version
      await page.click('#offline button');
      await page.until('!crossOriginIsolated');
      await page.until(READY);
      expect(await page.text('#runs-on')).toMatch(/one thread.*More threads need a server that isolates the page/);
      expect(await page.evaluate("caches.keys().then((names) => names.filter((name) => name.startsWith('matmulfree-page-')).length)")).toBe(1);
      await page.until(KEPT);
    } finally {
      await other.close();
      await page.tab.close();
    }
  });

  // On a busy machine the operating system may stop the page for as long: one quiet run will do.
  it('never keeps its main thread for 50 ms while it writes', { retry: 4 }, async () => {
    const site = await serveSite({ port: 0, isolated: true });
    const page = examplePage(await tab(WATCH_LONG_TASKS), site);
    try {
      await page.open(site.url);
      await page.until(READY);
      for (const [pace, length] of [['40', '120'], ['Infinity', '1000']] as const) {
        await page.set('pace', pace);
        await page.set('length', length);
        const begin = await page.evaluate<number>('performance.now()');
        await page.write();
        await page.write('#continue');
        const long = await page.evaluate<{ startTime: number; duration: number }[]>('longTasks');
        expect(long.filter(({ startTime }) => startTime > begin)).toEqual([]);
      }
      expect(await page.count()).toBeGreaterThan(500);
    } finally {
      await site.close();
      await page.tab.close();
    }
  });
});
