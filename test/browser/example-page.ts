import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { serveSite, type SiteServer } from '../../examples/browser/server.js';
import { compile } from '../support/compile.js';
import { startChromium, type Chromium } from './chromium.js';
import { drive, type Driver } from './driver.js';

export const PROMPT = 'Once upon a time, there was a little robot who';
export const READY = "document.querySelector('#model-name').textContent !== '…' && !document.querySelector('#write').disabled";
export const AT_REST = "document.querySelector('#write').textContent === 'Write'";
export const TROUBLE = "!document.querySelector('#trouble').hidden";
/** It is said when writing is over. */
const DONE = `/after \\d+ tokens\\.$/.test(document.querySelector('#announce').textContent) && ${AT_REST}`;

/** The controls as they are at first, but the seed is kept; nothing lies over the page. The story stays until another one is written. */
const TIDY = `(() => {
  const at = (id) => document.querySelector('#' + id);
  at('chooser').close();
  at('trouble').querySelector('.link')?.click();
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  if (at('write').textContent === 'Stop') at('write').click();
  at('controls').reset();
  at('keep-seed').checked = true;
  at('sure').dispatchEvent(new Event('change'));
  at('temperature').dispatchEvent(new Event('input'));
  document.querySelector('details').open = false;
  at('prompt').textContent = ${JSON.stringify(PROMPT)};
  at('prompt').dispatchEvent(new Event('input'));
  document.activeElement?.blur();
  scrollTo(0, 0);
})()`;

/** The example page, in one tab for all tests of a suite: each finds the controls as they are at first, and the seed 7 kept. */
export interface ExamplePage extends Driver {
  readonly site: SiteServer;
  /** Another tab of the same browser. */
  openTab(): Promise<Driver>;
  /** All text of the first element, seen or not. */
  words(selector: string): Promise<string>;
  /** How many words of the model there are. */
  count(selector?: string): Promise<number>;
  /** What a field of the controls is set to. */
  value(id: string): Promise<string>;
  set(id: string, value: string): Promise<void>;
  /** Clicks, and waits until what is written then has been written. */
  write(selector?: string): Promise<void>;
  /** Waits until the words have been written. */
  written(): Promise<void>;
  /** Begins a story, and waits until there are more than so many words. */
  begin(words: number): Promise<void>;
  /** Writes a story with the seed 7 as fast as the model. */
  story(): Promise<void>;
  tidy(): Promise<void>;
}

export interface PageOptions {
  /** Of the browser. */
  readonly flags?: readonly string[];
  /** What may be logged. */
  readonly expected?: RegExp;
  /** What is so when a page is open. */
  readonly until?: string;
  /** Run in a page before its own scripts. */
  readonly script?: string;
}

/** Opens the page for a suite, and once more after a test that has failed; after each, nothing unexpected may have been logged. */
export function withPage({ flags = [], expected, until = READY, script = '' }: PageOptions = {}): () => ExamplePage {
  let chromium: Chromium | undefined;
  let site: SiteServer | undefined;
  let page: ExamplePage | undefined;
  beforeAll(async () => {
    [chromium, site] = await Promise.all([startChromium(flags), serveSite({ port: 0, isolated: true, compile })]);
  });
  afterAll(async () => {
    await chromium?.close();
    await site?.close();
  });
  beforeEach(async () => {
    if (page) {
      await page.tidy();
      await page.screen(1280, 800);
      return;
    }
    page = await openExample(chromium!, site!);
    await page.tab.send('Page.addScriptToEvaluateOnNewDocument', { source: script });
    await page.screen(1280, 800);
    await page.open(site!.url);
    await page.until(until);
  });
  afterEach(async ({ task }) => {
    // A policy that is violated, a script that fails: the browser logs it.
    const log = page?.tab.log.splice(0) ?? [];
    if (task.result?.state === 'fail') {
      await page?.tab.close();
      page = undefined;
    }
    expect(log.filter((line) => !expected?.test(line))).toEqual([]);
  });
  return () => page!;
}

/** A tab for the page, which is not open yet. */
export async function openExample(chromium: Chromium, site: SiteServer): Promise<ExamplePage> {
  const openTab = async (): Promise<Driver> => drive(await chromium.openTab());
  const driver = await openTab();
  const field = (id: string): string => `document.querySelector('#${id}')`;
  const page: ExamplePage = {
    ...driver,
    site,
    openTab,
    words: (selector) => driver.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`),
    count: (selector = '#story') => driver.evaluate(`document.querySelectorAll(${JSON.stringify(`${selector} .t`)}).length`),
    value: (id) => driver.evaluate(`${field(id)}.value`),
    set: (id, value) => driver.evaluate(`void (${field(id)}.value = ${JSON.stringify(value)})`),
    async write(selector = '#write') {
      await driver.evaluate("void (document.querySelector('#announce').textContent = '')");
      await driver.click(selector);
      await page.written();
    },
    written: () => driver.until(DONE),
    async begin(words) {
      await driver.click('#write');
      await driver.until(`!(${AT_REST})`);
      await driver.until(`document.querySelectorAll("#story .t").length > ${words}`);
    },
    async story() {
      await page.set('pace', 'Infinity');
      await page.write();
    },
    async tidy() {
      await driver.evaluate(TIDY);
      await driver.until(AT_REST);
    },
  };
  return page;
}
