import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveSite, type SiteServer } from '../../examples/browser/server.js';
import { compile } from '../support/compile.js';
import { NO_BROWSER, startChromium, type Chromium } from './chromium.js';
import { openExample, READY, type ExamplePage } from './example-page.js';
import { watchTasks } from './tasks.js';

const KEPT = "/works without a network/.test(document.querySelector('#offline').textContent)";
/** Presses the button as soon as it can be, and notes when the first word of the model was on the page. */
const WRITE_AT_ONCE = `addEventListener('DOMContentLoaded', function press() {
  const button = document.querySelector('#write');
  if (button.disabled) return void setTimeout(press, 1);
  document.querySelector('#pace').value = 'Infinity';
  button.click();
});`;

describe.skipIf(NO_BROWSER)(`the example page, when it is opened again${NO_BROWSER}`, () => {
  let chromium: Chromium;
  let site: SiteServer;
  let page: ExamplePage;
  beforeAll(async () => {
    [chromium, site] = await Promise.all([startChromium(), serveSite({ port: 0, isolated: true, compile })]);
    page = await openExample(chromium, site);
    await page.screen(1280, 800);
    await page.open(site.url);
    await page.until(READY);
    await page.until(KEPT);
  });
  afterAll(async () => {
    await chromium?.close();
    await site?.close();
  });
  const firstToken = async (): Promise<number> => {
    await page.until("performance.getEntriesByName('first-token').length > 0");
    return page.evaluate("performance.getEntriesByName('first-token')[0].startTime");
  };

  it('never keeps its main thread for 50 ms while it writes', async () => {
    const end = await watchTasks(page.tab);
    for (const [pace, length] of [['40', '40'], ['Infinity', '400']] as const) {
      await page.set('pace', pace);
      await page.set('length', length);
      await page.write();
      await page.write('#continue');
    }
    expect(await end()).toEqual([]);
    expect(await page.count()).toBeGreaterThan(300);
  });

  it('writes in the first second; also without a server', async () => {
    const { identifier } = await page.tab.send('Page.addScriptToEvaluateOnNewDocument', { source: WRITE_AT_ONCE });
    await page.tab.send('Page.reload');
    const online = await firstToken();
    await page.written();
    await site.close();
    page.tab.log.length = 0;
    await page.tab.send('Page.reload');
    const offline = await firstToken();
    await page.written();
    expect(await page.count()).toBeGreaterThan(20);
    expect(await page.evaluate('crossOriginIsolated')).toBe(true);
    expect(page.tab.log.filter((line) => !/ERR_CONNECTION_REFUSED|service-worker|Failed to update/i.test(line))).toEqual([]);
    console.log(`first token after a reload: ${online.toFixed(0)} ms from the cache, ${offline.toFixed(0)} ms without a server`);
    await page.tab.send('Page.removeScriptToEvaluateOnNewDocument', { identifier });
  });

  it('is of one version: the next one waits until it is asked for', async () => {
    await site.close();
    site = await serveSite({ port: Number(new URL(site.url).port), isolated: false, compile });
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
  });
});
