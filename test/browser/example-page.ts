import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { serveSite, type SiteServer } from '../../examples/browser/server.js';
import { startChromium, type Chromium, type Tab } from './chromium.js';
import { drive, type Driver } from './driver.js';

export const READY = "document.querySelector('#model-name').textContent !== '…' && !document.querySelector('#write').disabled";
export const AT_REST = "document.querySelector('#write').textContent === 'Write'";
export const TROUBLE = "!document.querySelector('#trouble').hidden";
/** It is said when writing is over. */
const DONE = `/after \\d+ tokens\\.$/.test(document.querySelector('#announce').textContent) && ${AT_REST}`;

/** The example page in a tab of its own for each test. */
export interface ExamplePage extends Driver {
  readonly site: SiteServer;
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
}

export interface PageOptions {
  /** Of the browser. */
  readonly flags?: readonly string[];
  /** What may be logged. */
  readonly expected?: RegExp;
  /** What is so when a test begins. */
  readonly until?: string;
}

/** Opens the page before each test of a suite; afterwards, nothing unexpected may have been logged. */
export function withPage({ flags = [], expected, until = READY }: PageOptions = {}): () => ExamplePage {
  let chromium: Chromium | undefined;
  let site: SiteServer | undefined;
  let tab: Tab;
  let page: ExamplePage;
  beforeAll(async () => {
    [chromium, site] = await Promise.all([startChromium(flags), serveSite({ port: 0, isolated: true })]);
  });
  afterAll(async () => {
    await chromium?.close();
    await site?.close();
  });
  beforeEach(async () => {
    tab = await chromium!.openTab();
    page = examplePage(drive(tab), site!);
    await page.screen(1280, 800);
    await page.open(site!.url);
    await page.until(until);
  });
  afterEach(async () => {
    // A policy that is violated, a script that fails: the browser logs it.
    expect(tab.log.filter((line) => !expected?.test(line))).toEqual([]);
    await tab.close();
  });
  return () => page;
}

export function examplePage(driver: Driver, site: SiteServer): ExamplePage {
  const field = (id: string): string => `document.querySelector('#${id}')`;
  const page: ExamplePage = {
    ...driver,
    site,
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
  };
  return page;
}
