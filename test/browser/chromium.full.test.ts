import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { fixture } from '../support/files.js';
import { testBits } from './bits.js';
import { startBrowser, type Browser } from './browser.js';
import { NO_BROWSER, type Tab } from './chromium.js';
import type dropped from './pages/dropped.js';
import type forgotten from './pages/forgotten.js';
import type smooth from './pages/smooth.js';
import { watchTasks } from './tasks.js';
import { testWorker } from './worker.js';

describe.skipIf(NO_BROWSER)(`the library in Chromium${NO_BROWSER}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(['--js-flags=--expose-gc']);
  });
  afterAll(() => browser?.close());

  testBits(() => browser, { tokens: 80, isWhole: true });
  testWorker(() => browser, { isWhole: true });

  it('ends the worker of a model that nobody has any more, and lets go of such states', async () => {
    const found = await browser.run<Awaited<ReturnType<typeof forgotten>>>('forgotten', {}, { isolated: true });
    expect(found).toMatchObject({ workers: 2, freed: true, ended: true });
    expect(found.text.length).toBeGreaterThan(20);
  });

  it('takes files that are dropped on the page', async () => {
    const folder = fixture('models/bf16-sharded');
    const names = readdirSync(folder).filter((name) => name !== 'golden.safetensors');
    const drop = async (tab: Tab): Promise<void> => {
      const title = async () => ((await tab.send('Runtime.evaluate', { expression: 'document.title' }))['result'] as { value: string }).value;
      while ((await title()) !== 'ready') await new Promise((resolve) => setTimeout(resolve, 20));
      const files = names.map((name) => `${folder}/${name}`);
      for (const type of ['dragEnter', 'dragOver', 'drop']) {
        await tab.send('Input.dispatchDragEvent', { type, x: 50, y: 50, data: { items: [], files, dragOperationsMask: 1 } });
      }
    };
    const found = await browser.run<Awaited<ReturnType<typeof dropped>>>('dropped', {}, { isolated: true }, drop);
    const lm = await MatMulFreeLM.load(folder);
    let text = '';
    for await (const id of lm.generateIds([1, 2, 3], { maxNewTokens: 10 })) text += `${id} `;
    expect(found).toEqual({ names: names.sort(), text, threads: 2 });
    lm.dispose();
  });

  it('keeps the page free: no task of more than 50 ms while it loads and writes', async () => {
    let long: readonly number[] = [];
    const watch = async (tab: Tab, report: Promise<unknown>): Promise<void> => {
      const end = await watchTasks(tab);
      await report;
      long = await end();
    };
    const { frames, pieces } = await browser.run<Awaited<ReturnType<typeof smooth>>>('smooth', {}, { isolated: true }, watch);
    expect(long).toEqual([]);
    expect(pieces).toBeGreaterThan(100);
    expect(frames).toBeGreaterThan(5);
  });
});
