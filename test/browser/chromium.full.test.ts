import { afterAll, beforeAll, describe } from 'vitest';
import { testBits } from './bits.js';
import { startBrowser, type Browser } from './browser.js';
import { NO_BROWSER } from './chromium.js';

describe.skipIf(NO_BROWSER)(`all backends and thread counts in Chromium${NO_BROWSER}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  testBits(() => browser, { tokens: 200, isWhole: true });
});
