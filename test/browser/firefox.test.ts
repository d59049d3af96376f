import { afterAll, beforeAll, describe } from 'vitest';
import { testBits } from './bits.js';
import { startFirefoxBrowser, type FirefoxBrowser } from './browser.js';
import { NO_FIREFOX } from './firefox.js';
import { testPageInFirefox } from './page-firefox.js';
import { testWorker } from './worker.js';

describe.skipIf(NO_FIREFOX)(`the library, and the example page, in Firefox${NO_FIREFOX}`, () => {
  let browser: FirefoxBrowser;
  beforeAll(async () => {
    browser = await startFirefoxBrowser();
  });
  afterAll(() => browser?.close());

  testBits(() => browser, { tokens: 32, isWhole: false });
  testWorker(() => browser, { isWhole: false });
  testPageInFirefox(() => browser);
});
