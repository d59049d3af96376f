import { describe, expect, it } from 'vitest';
import { policyOf } from '../../examples/browser/site.js';
import { NO_BROWSER } from './chromium.js';
import { READY, withPage } from './example-page.js';
import { startPages } from './pages-server.js';
import type refused from './pages/refused.js';
import type { Report } from './pages/runner.js';
import { serveCopy } from './site-copy.js';

describe.skipIf(NO_BROWSER)(`a browser with little memory for WebAssembly${NO_BROWSER}`, () => {
  const open = withPage({ flags: ['--js-flags=--wasm-max-mem-pages=64'] }); // 4 MiB

  it('lets the example page write without it, and say why that is slower', async () => {
    const page = open();
    expect(await page.text('#runs-on')).toMatch(/^plain JavaScript, one thread\..*WebAssembly gets too little memory for this model here.*: that is some five times slower\.$/);
    await page.set('length', '30');
    await page.story();
    expect(await page.count()).toBeGreaterThan(20);
  });

  it.each(['page', 'worker'] as const)('a model on the %s: says so when it was asked for by name, and tells why it runs without', async (of) => {
    const [pages, tab] = await Promise.all([startPages(), open().openTab()]);
    try {
      const { url, report } = pages.addPage({ isolated: true }, { module: 'refused', input: { of }, inWorker: false });
      await tab.open(url);
      const { value } = (await report) as Report & { value: Awaited<ReturnType<typeof refused>> };
      const refusal = /cannot allocate \d+ MiB of WebAssembly memory for the model; close other programs or pages, take a smaller model, or use backend scalar/;
      expect(value.errors).toEqual(Array(2).fill(expect.stringMatching(new RegExp(`^BackendError: ${refusal.source}`))));
      expect(value.backend).toBe('scalar');
      expect(value.note).toMatch(refusal);
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
