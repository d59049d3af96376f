import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { EMBEDDED, fixture } from '../support/files.js';
import { BROWSERS, startBrowser, type Browser, type Place } from './browser.js';
import { NO_BROWSER, type Tab } from './chromium.js';
import { startPages } from './pages-server.js';
import { NO_WASM, STRICT } from './policies.js';
import type aborts from './pages/aborts.js';
import type cached from './pages/cached.js';
import type dropped from './pages/dropped.js';
import type foreign from './pages/foreign.js';
import type forgotten from './pages/forgotten.js';
import type inWorker from './pages/in-worker.js';
import type { InWorkerInput } from './pages/in-worker.js';
import type refused from './pages/refused.js';
import type smooth from './pages/smooth.js';

const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];
const OPTIONS = { temperature: 0.8, topP: 0.95, seed: 7, maxNewTokens: 200 };
const hash = (array: Float32Array | Uint8Array): string =>
  createHash('sha256').update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)).digest('hex');

for (const { name, missing, start } of BROWSERS) describe.skipIf(missing)(`matmulfree/worker in ${name}${missing}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await start();
  });
  afterAll(() => browser?.close());

  /** What Node computes without a worker. */
  async function expected(folder: string, ids: readonly number[]): Promise<object> {
    const lm = await MatMulFreeLM.load(folder, { threads: 1 });
    const state = lm.createState();
    const logits = hash(lm.forward(ids, state, { all: true }));
    let text = '';
    if (lm.hasTokenizer) for await (const piece of lm.generate('The dragon', OPTIONS)) text += piece;
    return { logits, saved: hash(state.serialize()), text, nll: lm.score(ids).nll, late: 'ArgumentError' };
  }

  async function use(source: InWorkerInput['source'], place: Place, threads = 3): ReturnType<typeof inWorker> {
    const ids = source === 'folder' ? stories[0]!.map((id) => id % 259) : stories[0]!;
    const found = await browser.run<Awaited<ReturnType<typeof inWorker>>>('in-worker', { source, threads, prompt: 'The dragon', options: OPTIONS, ids }, place);
    expect(found).toMatchObject(await expected(source === 'folder' ? fixture('models/bf16-sharded') : EMBEDDED, ids));
    return found;
  }

  it.each(['url', 'file', 'blob', 'bytes', 'folder'] as const)('from a %s: bit for bit as in Node', async (source) => {
    const found = await use(source, { isolated: true });
    expect(found).toMatchObject({ backend: 'relaxed', threads: 3 });
    expect(found.stages).toContain('load');
  });

  it('without isolation: one thread', async () => expect(await use('file', {})).toMatchObject({ backend: 'relaxed', threads: 1 }));

  it('under a strict Content-Security-Policy: all threads', async () =>
    expect(await use('file', { isolated: true, csp: STRICT })).toMatchObject({ backend: 'relaxed', threads: 3 }));

  it('under a policy without WebAssembly: scalar', async () =>
    expect(await use('file', { isolated: true, csp: NO_WASM })).toMatchObject({ backend: 'scalar', threads: 1 }));

  it('downloads once: later pages have it from the cache, also when the server is gone', async () => {
    const { server } = browser;
    const path = '/examples/models/tinystories-9m.gguf';
    const url = `${server.addPage({ isolated: true }, {}).url}${path.slice(1)}`;
    const bytes = readFileSync(EMBEDDED).length;
    type Found = Awaited<ReturnType<typeof cached>>;
    const sent = (): number => server.seen.filter((request) => request.path === path).reduce((sum, { range }) => {
      const [, from = 0, to = bytes - 1] = /^bytes=(\d+)-(\d+)?/.exec(range ?? '') ?? [];
      return sum + Math.min(Number(to), bytes - 1) - Number(from) + 1;
    }, 0);
    const before = sent();
    const first = await browser.run<Found>('cached', { url }, { isolated: true });
    const downloaded = sent() - before;
    expect(first.stages).toEqual(['download', 'load']);
    expect(downloaded).toBeGreaterThanOrEqual(bytes);
    expect(downloaded).toBeLessThan(bytes * 1.1);
    const second = await browser.run<Found>('cached', { url }, { isolated: true });
    expect(sent() - before - downloaded).toBeLessThan(bytes * 0.1);
    server.offline.add(path);
    const third = await browser.run<Found>('cached', { url }, { isolated: true });
    server.offline.clear();
    expect([second.text, third.text]).toEqual([first.text, first.text]);
    expect(third.stages).toContain('offline');
    console.log(`${browser.version}: first token after ${first.ms.toFixed(0)} ms with the download, ${second.ms.toFixed(0)} ms from the cache, ${third.ms.toFixed(0)} ms offline`);
  });

  it.each([true, false])('from another origin, isolated: %s', async (isolated) => {
    const cdn = await startPages();
    try {
      const library = `${cdn.addPage({ isolated }, {}).url}src/worker/index.js`;
      const found = await browser.run<Awaited<ReturnType<typeof foreign>>>('foreign', { library }, { isolated });
      expect(found).toMatchObject({ isolated, threads: isolated ? 2 : 1 });
      expect(found.text.length).toBeGreaterThan(20);
    } finally {
      await cdn.close();
    }
  });

  it.each(['page', 'worker'] as const)('aborts: loads, generation, scoring, of a model on the %s', async (of) => {
    const found = await browser.run<Awaited<ReturnType<typeof aborts>>>('aborts', { of }, { isolated: true });
    expect(found).toMatchObject({ url: 'reason', file: 'reason', generate: 'reason', score: 'reason' });
    expect(found['after']).toBeGreaterThan(3);
  });
});

describe.skipIf(NO_BROWSER)(`matmulfree/worker with Chromium's tools${NO_BROWSER}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(['--js-flags=--expose-gc']);
  });
  afterAll(() => browser?.close());

  it('ends the worker of a model that nobody has any more, and lets go of such states', async () => {
    const found = await browser.run<Awaited<ReturnType<typeof forgotten>>>('forgotten', {}, { isolated: true });
    expect(found).toMatchObject({ workers: 2, freed: true, ended: true });
    expect(found.text.length).toBeGreaterThan(20);
  });

  it('takes files that are dropped on the page: one, and a folder\'s', async () => {
    const folder = fixture('models/bf16-sharded');
    const several = readdirSync(folder).filter((name) => name !== 'golden.safetensors').map((name) => `${folder}/${name}`);
    for (const paths of [[EMBEDDED], several]) {
      const drop = async (tab: Tab): Promise<void> => {
        const title = async () => ((await tab.send('Runtime.evaluate', { expression: 'document.title' }))['result'] as { value: string }).value;
        while ((await title()) !== 'ready') await new Promise((resolve) => setTimeout(resolve, 20));
        for (const type of ['dragEnter', 'dragOver', 'drop']) {
          await tab.send('Input.dispatchDragEvent', { type, x: 50, y: 50, data: { items: [], files: paths, dragOperationsMask: 1 } });
        }
      };
      const found = await browser.run<Awaited<ReturnType<typeof dropped>>>('dropped', {}, { isolated: true }, drop);
      const lm = await MatMulFreeLM.load(paths.length === 1 ? EMBEDDED : folder);
      let text = '';
      for await (const id of lm.generateIds([1, 2, 3], { maxNewTokens: 10 })) text += `${id} `;
      expect(found).toEqual({ names: paths.map((path) => path.replace(/.*\//, '')).sort(), text, threads: 2 });
      lm.dispose();
    }
  });

  // On a busy machine the operating system may stop the page for as long: one quiet run will do.
  it('keeps the page free: no task of more than 50 ms while it loads and writes', { retry: 4 }, async () => {
    const { long, frames, pieces } = await browser.run<Awaited<ReturnType<typeof smooth>>>('smooth', {}, { isolated: true });
    expect(long).toEqual([]);
    expect(pieces).toBeGreaterThan(100);
    expect(frames).toBeGreaterThan(5);
  });
});

describe.skipIf(NO_BROWSER)(`a browser with little memory${NO_BROWSER}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(['--js-flags=--wasm-max-mem-pages=64']); // 4 MiB
  });
  afterAll(() => browser?.close());

  it.each(['page', 'worker'] as const)('says what a model on the %s cannot have', async (of) => {
    const errors = await browser.run<Awaited<ReturnType<typeof refused>>>('refused', { of }, { isolated: true });
    expect(errors).toHaveLength(2);
    for (const { name, message } of errors) {
      expect(name).toBe('BackendError');
      expect(message).toMatch(/^cannot allocate \d+ MiB of WebAssembly memory for the model; close other programs or pages, or take a smaller model$/);
    }
  });
});
