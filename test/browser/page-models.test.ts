import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMBEDDED, fixture } from '../support/files.js';
import { NO_BROWSER } from './chromium.js';
import { AT_REST, READY, TROUBLE, withPage } from './example-page.js';

describe.skipIf(NO_BROWSER)(`other models on the example page${NO_BROWSER}`, () => {
  const open = withPage({ expected: /status of 404/ });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-page-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('takes a model that is dropped on it: a GGUF file', async () => {
    const page = open();
    const file = join(folder, 'my model.gguf');
    await writeFile(file, readFileSync(EMBEDDED));
    await page.click('#write');
    await page.until('document.querySelectorAll(".t").length > 3');
    await page.drop(file);
    await page.until("document.querySelector('#model-name').textContent === 'my model'");
    await page.until(AT_REST);
    expect(await page.count()).toBe(0);
    expect(await page.evaluate(TROUBLE)).toBe(false); // what was being written with the other one has ended in peace
    await page.set('pace', 'Infinity');
    await page.write();
    expect(await page.count()).toBeGreaterThan(20);
  });

  /** Each with the words that are to be read. */
  const broken: [string, (bytes: Buffer) => Buffer, RegExp][] = [
    ['that is cut off', (bytes) => bytes.subarray(0, 2_000_000), /cut off.*Download the file again/s],
    ['that is none', () => Buffer.from('<!doctype html><p>Not found'.repeat(50)), /not a GGUF file.*Download the model again/s],
    ['that is damaged', (bytes) => Buffer.concat([bytes.subarray(0, 40), Buffer.alloc(400, 0xff), bytes.subarray(440)]), /damaged.*Download it again/s],
    ['of a Transformer', (bytes) => Buffer.from(bytes.toString('latin1').replace('hgrn_bit', 'llamaxyz'), 'latin1'), /not a MatMul-free model.*Transformers/s],
  ];
  it.each(broken)('says in plain words what is wrong with a file %s, and keeps its model', async (_, change, said) => {
    const page = open();
    const file = join(folder, 'broken.gguf');
    await writeFile(file, change(readFileSync(EMBEDDED)));
    await page.drop(file);
    await page.until(TROUBLE);
    expect(await page.text('#trouble')).toMatch(said);
    expect(await page.words('#trouble code')).toMatch(/^(Format|Config)Error: broken\.gguf/);
    await page.click('#trouble .bar .link');
    await page.set('pace', 'Infinity');
    await page.write();
    expect(await page.count()).toBeGreaterThan(20);
  });

  it('says what is wrong with a checkpoint without a tokenizer, with files that are no model, and with names', async () => {
    const page = open();
    const dropped = async (...names: string[]): Promise<string> => {
      await page.drop(...names.map((name) => fixture(`models/no-lower-bound/${name}`)));
      await page.until(TROUBLE);
      const said = await page.text('#trouble');
      await page.click('#trouble .bar .link');
      return said;
    };
    expect(await dropped('config.json', 'model.safetensors')).toMatch(/came without a tokenizer/);
    expect(await dropped('model.safetensors')).toMatch(/There is no model among these files/);
    for (const [address, said] of [
      ['hf:nobody', /not a name or an address/], ['C:\\models\\mine.gguf', /not a name or an address/], ['my model', /not a name or an address/],
      ['http://192.0.2.1/far.gguf', /may not load from there.*begins with https/s], [`${page.site.url}models/other.gguf`, /There is no model with this name/],
      [page.site.url, /no model among these files|no model with this name/],
    ] as const) {
      await page.click('#model');
      await page.set('address', address);
      await page.click('#address-form button');
      await page.until(TROUBLE);
      expect(await page.text('#trouble')).toMatch(said);
      await page.click('#trouble .bar .link');
    }
  });

  it('loads from an address, shows how far it is, and can be told to leave it', async () => {
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
        await page.click('#model');
        await page.set('address', `http://127.0.0.1:${(server.address() as AddressInfo).port}/far.gguf`);
        await page.click('#address-form button');
        await page.until("/^Fetching far\\.gguf: [\\d.]+ kB of 4\\.1 MB/.test(document.querySelector('#loading-text').textContent)");
      };
      await load();
      const value = await page.evaluate<number>("document.querySelector('#loading-bar').value");
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(0.2);
      await page.click('#loading-cancel');
      await page.until("document.querySelector('#loading').hidden");
      expect(await page.text('#model-name')).toBe('tinystories-9m');
      held.length = 0;
      await load();
      const timer = setInterval(() => held.splice(0).forEach((rest) => rest()), 20);
      await page.until("document.querySelector('#model-name').textContent === 'far'");
      clearInterval(timer);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe.skipIf(NO_BROWSER)(`the example page where WebAssembly is not allowed${NO_BROWSER}`, () => {
  // Its files are not those that its service worker knows.
  const open = withPage({ expected: /integrity/i });
  let server: Server;
  afterAll(() => {
    server?.closeAllConnections();
    server?.close();
  });

  it('writes all the same, and says that it is slower', async () => {
    const page = open();
    const strip = (text: string): string => text.replace(" 'wasm-unsafe-eval'", '');
    server = createServer(async (request, response) => {
      const { status, headers, body } = await fetch(new URL(request.url!, page.site.url), { headers: request.headers.range === undefined ? {} : { range: request.headers.range } });
      const bytes = Buffer.from(await new Response(body).arrayBuffer());
      const isPage = /html/.test(headers.get('content-type') ?? '');
      const kept = [...headers].filter(([name]) => !/^(content-length|connection|keep-alive|date|transfer-encoding)$/.test(name));
      response.writeHead(status, Object.fromEntries(kept.map(([name, value]) => [name, strip(value)])));
      response.end(isPage ? strip(bytes.toString()) : bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    await page.open(`http://localhost:${(server.address() as AddressInfo).port}/`);
    await page.until(READY);
    expect(await page.text('#runs-on')).toMatch(/^plain JavaScript, one thread\..*WebAssembly is not allowed here, or this browser has none: that is some five times slower\.$/);
    await page.set('pace', 'Infinity');
    await page.write();
    expect(await page.count()).toBeGreaterThan(20);
    await page.until("document.querySelector('#offline').textContent === 'This page needs a network here.'");
  });
});

describe.skipIf(NO_BROWSER)(`the example page in a browser with little memory${NO_BROWSER}`, () => {
  const open = withPage({ flags: ['--js-flags=--wasm-max-mem-pages=64'], until: TROUBLE }); // 4 MiB

  it('says so, and what to do', async () => {
    const page = open();
    expect(await page.text('#trouble')).toMatch(/not enough memory for this model.*Close other tabs/s);
    await page.click('#write'); // tries again, to no avail
    await page.until(TROUBLE);
    expect(await page.count()).toBe(0);
    expect(await page.text('#write')).toBe('Write');
  });
});
