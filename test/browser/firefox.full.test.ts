import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testBits } from './bits.js';
import { startFirefoxBrowser, type FirefoxBrowser } from './browser.js';
import { NO_FIREFOX } from './firefox.js';
import type begin from './pages/begin.js';
import type { Bits, BitsInput } from './pages/bits.js';
import { testPageInFirefox } from './page-firefox.js';
import { testWorker } from './worker.js';

describe.skipIf(NO_FIREFOX)(`the library, and the example page, in Firefox${NO_FIREFOX}`, () => {
  let browser: FirefoxBrowser;
  beforeAll(async () => {
    browser = await startFirefoxBrowser();
  });
  afterAll(() => browser?.close());

  testBits(() => browser, { tokens: 80, isWhole: true });
  testWorker(() => browser, { isWhole: true });
  testPageInFirefox(() => browser);
});

const input: Omit<BitsInput, 'on'> = {
  tiny: [], model: 'examples/models/tinystories-9m.gguf', ids: [1, 496, 510], prompt: 'The dragon',
  options: { temperature: 0.8, topP: 0.95, seed: 7, maxNewTokens: 20 },
};

// about:config turns off what older versions, and some people's, do not have.
describe.skipIf(NO_FIREFOX)(`a Firefox without some of its features${NO_FIREFOX}`, () => {
  it.each([
    ['no relaxed SIMD', { 'javascript.options.wasm_relaxed_simd': false }, ['scalar', 'simd'], 2],
    ['no WebAssembly', { 'javascript.options.wasm': false }, ['scalar'], 1],
  ] as const)('%s: takes the best backend that there is', async (_, preferences, backends, threads) => {
    const browser = await startFirefoxBrowser(preferences);
    try {
      expect(await browser.run<Awaited<ReturnType<typeof begin>>>('begin', {})).toMatchObject({ backends });
      const on: BitsInput['on'] = [{ backend: 'auto', threads: 2, tiny: [], isTrained: true }, { backend: 'scalar', threads: 2, tiny: [], isTrained: true }];
      const [bits, scalar] = (await browser.run<Bits[]>('bits', { ...input, on } satisfies BitsInput, { isolated: true })) as [Bits, Bits];
      expect(bits).toMatchObject({ backend: backends.at(-1), threads });
      expect([bits.logits, bits.text]).toEqual([scalar.logits, scalar.text]);
    } finally {
      await browser.close();
    }
  });
});
