import { describe, expect, it } from 'vitest';
import { policyOf } from '../../examples/browser/site.js';
import { NO_BROWSER } from './chromium.js';
import { AT_REST, READY, TROUBLE, withPage } from './example-page.js';
import { startPages } from './pages-server.js';
import type { Report } from './pages/runner.js';
import { serveCopy } from './site-copy.js';

describe.skipIf(NO_BROWSER)(`a browser with little memory for WebAssembly${NO_BROWSER}`, () => {
  const open = withPage({ flags: ['--js-flags=--wasm-max-mem-pages=64'], until: TROUBLE }); // 4 MiB

  it('is told of by the example page, and what to do', async () => {
    const page = open();
    await page.click('#write'); // tries again, to no avail
    await page.until(`${TROUBLE} && ${AT_REST}`);
    expect(await page.text('#trouble')).toMatch(/not enough memory for this model.*Close other tabs/s);
    expect(await page.count()).toBe(0);
  });

  it.each(['page', 'worker'] as const)('is what a model on the %s says', async (of) => {
    const [pages, tab] = await Promise.all([startPages(), open().openTab()]);
    try {
      const { url, report } = pages.addPage({ isolated: true }, { module: 'refused', input: { of }, inWorker: false });
      await tab.open(url);
      const { value } = (await report) as Report & { value: { name: string; message: string }[] };
      expect(value).toHaveLength(2);
      for (const { name, message } of value) {
        expect(name).toBe('BackendError');
        expect(message).toMatch(/^cannot allocate \d+ MiB of WebAssembly memory for the model; close other programs or pages, or take a smaller model$/);
      }
    } finally {
      await tab.tab.close();
      await pages.close();
    }
  });

  // Plain JavaScript has memory enough.
  it('lets the example page write where WebAssembly is not allowed at all, and say that it is slower', async () => {
    const page = open();
    const strip = (text: string): string => text.replace(" 'wasm-unsafe-eval'", '');
    const site = await serveCopy(({ type, bytes }, files) => ({
      bytes: type.startsWith('text/html') ? new TextEncoder().encode(strip(new TextDecoder().decode(bytes))) : bytes,
      headers: { 'content-security-policy': strip(policyOf(files)) },
    }));
    try {
      await page.open(site.url);
      await page.until(READY);
      expect(await page.text('#runs-on')).toMatch(/^plain JavaScript, one thread\..*WebAssembly is not allowed here, or this browser has none: that is some five times slower\.$/);
      await page.set('length', '30');
      await page.story();
      expect(await page.count()).toBeGreaterThan(20);
      // Its files are not those that its service worker knows.
      await page.until("document.querySelector('#offline').textContent === 'This page needs a network here.'");
      expect(page.tab.log.splice(0).filter((line) => !/integrity/i.test(line))).toEqual([]);
    } finally {
      await site.close();
    }
  });
});
