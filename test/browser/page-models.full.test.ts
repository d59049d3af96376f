import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMBEDDED, fixture } from '../support/files.js';
import { NO_BROWSER } from './chromium.js';
import { AT_REST, TROUBLE, withPage, type ExamplePage } from './example-page.js';

const LOADING = "!document.querySelector('#loading').hidden";
const OPEN = "document.querySelector('#chooser').open";
const named = (name: string): string => `document.querySelector('#model-name').textContent === '${name}'`;

/** That something is seen, whole, where the page has been scrolled to. */
async function expectInSight(page: ExamplePage, selector: string): Promise<void> {
  const found = await page.evaluate<{ top: number; bottom: number; height: number; isOnTop: boolean }>(`(() => {
    const box = document.querySelector('${selector}');
    const { top, bottom, left, right } = box.getBoundingClientRect();
    return { top, bottom, height: innerHeight, isOnTop: box.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2)) };
  })()`);
  expect(found.top, selector).toBeGreaterThanOrEqual(0);
  expect(found.bottom, selector).toBeLessThanOrEqual(found.height);
  expect(found.isOnTop, selector).toBe(true);
}

/** Writes the name or address of a model into the dialog. */
async function ask(page: ExamplePage, address: string): Promise<void> {
  if (!(await page.evaluate(OPEN))) await page.click('#model');
  await page.set('address', address);
  await page.click('#address-form button');
}

describe.skipIf(NO_BROWSER)(`other models on the example page${NO_BROWSER}`, () => {
  const open = withPage({
    expected: /status of 404/, script: 'globalThis.workers = []; globalThis.Worker = class extends Worker { constructor(...given) { super(...given); workers.push(this); } };',
  });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-page-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  /** A file that is no model. */
  async function broken(change: (bytes: Buffer) => Buffer = () => Buffer.from('<!doctype html><p>Not found'.repeat(50))): Promise<string> {
    const file = join(folder, 'broken.gguf');
    await writeFile(file, change(readFileSync(EMBEDDED)));
    return file;
  }

  it('takes a model that is dropped on it: a GGUF file', async () => {
    const page = open();
    const file = join(folder, 'my model.gguf');
    await writeFile(file, readFileSync(EMBEDDED));
    await page.begin(3);
    await page.drop(file);
    await page.until(named('my model'));
    await page.until(AT_REST);
    expect(await page.count()).toBe(0);
    expect(await page.evaluate(TROUBLE)).toBe(false); // what was being written with the other one has ended in peace
    await page.story();
    expect(await page.count()).toBeGreaterThan(20);
  });

  it('says in plain words what is wrong with a file, and keeps its model', async () => {
    const page = open();
    const name = await page.text('#model-name');
    for (const [change, said] of [
      [(bytes) => bytes.subarray(0, 2_000_000), /cut off.*Download the file again/s],
      [undefined, /not a GGUF file.*Download the model again/s],
      [(bytes) => Buffer.concat([bytes.subarray(0, 40), Buffer.alloc(400, 0xff), bytes.subarray(440)]), /damaged.*Download it again/s],
      [(bytes) => Buffer.from(bytes.toString('latin1').replace('hgrn_bit', 'llamaxyz'), 'latin1'), /not a ternary model, or not one of a kind that runs here.*BitNet/s],
    ] as [Parameters<typeof broken>[0], RegExp][]) {
      await page.drop(await broken(change));
      await page.until(TROUBLE);
      expect(await page.text('#trouble')).toMatch(said);
      expect(await page.words('#trouble code')).toMatch(/^(Format|Config)Error: broken\.gguf/);
      await page.click('#trouble .bar .link');
    }
    expect(await page.text('#model-name')).toBe(name);
    await page.story();
    expect(await page.count()).toBeGreaterThan(20);
  });

  it('says what is wrong with a checkpoint without a tokenizer, and with files that are no model', async () => {
    const page = open();
    for (const [names, said] of [[['config.json', 'model.safetensors'], /came without a tokenizer/], [['model.safetensors'], /There is no model among these files/]] as const) {
      await page.drop(...names.map((name) => fixture(`models/no-lower-bound/${name}`)));
      await page.until(TROUBLE);
      expect(await page.text('#trouble')).toMatch(said);
      await page.click('#trouble .bar .link');
    }
  });

  it('says what is wrong where its reader is, in a long story as on a small screen', async () => {
    const page = open();
    await page.set('length', '200');
    await page.story();
    await page.write('#continue');
    const file = await broken();
    for (const [width, height, phone] of [[320, 568, true], [1280, 800, false], [640, 400, false]] as const) {
      await page.screen(width, height, { phone });
      for (const where of [0, 0.5, 1]) {
        await page.evaluate(`scrollTo(0, ${where} * document.documentElement.scrollHeight)`);
        const before = await page.evaluate<number>('scrollY');
        await page.drop(file);
        await page.until(TROUBLE);
        await expectInSight(page, '#trouble');
        await expectInSight(page, '#bar');
        expect(Math.abs((await page.evaluate<number>('scrollY')) - before), 'the page jumps').toBeLessThan(height / 2);
        await page.click('#trouble .bar .link');
      }
    }
  });

  it('keeps the dialog open with what is wrong, until the model is there; the keyboard stays in it', async () => {
    const page = open();
    const focused = (): Promise<string> => page.evaluate('document.activeElement.id');
    for (const [address, said] of [
      ['hf:nobody', /not a name or an address/], ['C:\\models\\mine.gguf', /not a name or an address/], ['my model', /not a name or an address/],
      ['http://192.0.2.1/far.gguf', /may not load from there.*begins with https/s], [`${page.site.url}models/other.gguf`, /There is no model with this name/],
      [page.site.url, /no model among these files|no model with this name/],
    ] as const) {
      await ask(page, address);
      await page.until(TROUBLE);
      expect(await page.text('#chooser #trouble')).toMatch(said);
      expect([await page.evaluate(OPEN), await page.value('address')]).toEqual([true, address]);
      await expectInSight(page, '#trouble');
      await page.click('#trouble .bar .link');
    }
    await page.evaluate("document.querySelector('#address').focus()");
    await page.press('Enter');
    await page.until(TROUBLE);
    const { nodes } = (await page.tab.send('Accessibility.getFullAXTree')) as { nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[] };
    expect(nodes.filter(({ ignored, role }) => !ignored && /^(alert|dialog)$/.test(role?.value ?? '')).map(({ role }) => role!.value)).toEqual(['dialog', 'alert']);
    await page.evaluate("document.querySelector('#trouble .bar .link').focus()");
    await page.press('Enter');
    expect(await focused()).toBe('address');
    await page.drop(await broken()); // beside a dialog that is open
    await page.until(TROUBLE);
    expect(await page.text('#chooser #trouble')).toMatch(/not a GGUF file/);
    await page.set('address', `${page.site.url}models/tinystories-9m.gguf`);
    await page.click('#address-form button');
    await page.until(`!${OPEN} && ${named('tinystories-9m')}`);
    expect([await page.evaluate(TROUBLE), await focused()]).toEqual([false, 'model']);
    // What was said in the dialog goes with it.
    await ask(page, 'hf:nobody');
    await page.until(TROUBLE);
    await page.press('Escape');
    await page.until(`!${OPEN} && !(${TROUBLE}) && document.querySelector('#dock #trouble')`);
  });

  it('loads from an address, shows how far it is, in the dialog and beside it, and can be told to leave it', async () => {
    const page = open();
    const bytes = readFileSync(EMBEDDED);
    // Sends the beginning of each range, and then nothing until it is told to.
    const held: (() => void)[] = [];
    const server = createServer((request, response) => {
      const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
      const part = bytes.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
      response.writeHead(206, {
        'access-control-allow-origin': '*', 'access-control-expose-headers': 'content-range, etag', etag: '"1"', 'content-length': part.length,
        'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`,
      });
      response.write(part.subarray(0, 300_000));
      const rest = (): void => void response.end(part.subarray(300_000));
      if (part.length <= 300_000) rest();
      else held.push(rest);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const load = async (): Promise<void> => {
        await ask(page, `http://127.0.0.1:${(server.address() as AddressInfo).port}/far.gguf`);
        await page.until(`${LOADING} && /^Fetching far\\.gguf: [\\d.]+ kB of 4\\.1 MB/.test(document.querySelector('#loading-text').textContent)`);
      };
      await load();
      const value = await page.evaluate<number>("document.querySelector('#loading-bar').value");
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(0.2);
      await expectInSight(page, '#chooser #loading');
      const before = await page.text('#model-name');
      await page.click('#loading-cancel');
      await page.until(`!(${LOADING})`);
      expect([await page.evaluate(OPEN), await page.text('#model-name'), await page.words('#chooser #announce')]).toEqual([true, before, 'Cancelled.']);
      held.length = 0;
      await load();
      await page.click('#chooser-close');
      await page.until("document.querySelector('#dock #loading')");
      for (const where of [1, 0]) {
        await page.evaluate(`scrollTo(0, ${where} * document.documentElement.scrollHeight)`);
        await expectInSight(page, '#loading');
      }
      // Somebody looks for another one meanwhile: the dialog is not closed under their hands.
      await page.click('#model');
      await page.evaluate('void (globalThis.said = [], new MutationObserver(() => said.push(document.querySelector("#announce").textContent)).observe(document.querySelector("#announce"), { childList: true }))');
      const timer = setInterval(() => held.splice(0).forEach((rest) => rest()), 20);
      await page.until(named('far'));
      clearInterval(timer);
      expect(await page.evaluate(OPEN)).toBe(true);
      expect(await page.evaluate<string[]>('said')).toContain('far is ready.');
      expect((await page.evaluate<string[]>('said')).length).toBeLessThan(6); // not each of its bytes
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('goes on with a story whose model has died, once it has been loaded again', async () => {
    const page = open();
    await page.set('length', '30');
    await page.story();
    await page.write('#fork');
    const shown = async (): Promise<string> => page.words('#story');
    const before = await shown();
    await page.evaluate("workers.forEach((worker) => worker.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' })))");
    await page.click('#continue');
    await page.until(TROUBLE);
    expect(await page.text('#trouble')).toMatch(/The browser has stopped the model/);
    await expectInSight(page, '#trouble');
    expect(await shown()).toBe(before);
    await page.click('#trouble .primary');
    await page.until(`!(${TROUBLE}) && /is ready/.test(document.querySelector('#announce').textContent)`);
    expect(await shown()).toBe(before);
    await page.write('#continue');
    const after = await shown();
    expect(after.length).toBeGreaterThan(before.length);
    // The same that the first model would have written.
    await page.story();
    await page.write('#fork');
    await page.write('#continue');
    expect(await shown()).toBe(after);
  });
});
