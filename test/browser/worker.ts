import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { EMBEDDED, fixture } from '../support/files.js';
import type { Browser, Place } from './browser.js';
import { startPages } from './pages-server.js';
import { NO_WASM, STRICT } from './policies.js';
import type aborts from './pages/aborts.js';
import type cached from './pages/cached.js';
import type foreign from './pages/foreign.js';
import type { InWorker, InWorkerInput, Source } from './pages/in-worker.js';

const TOKENS = 32;
const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];
const OPTIONS = { temperature: 0.8, topP: 0.95, seed: 7, maxNewTokens: TOKENS };
const hash = (array: Float32Array | Uint8Array): string =>
  createHash('sha256').update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)).digest('hex');

/** `matmulfree/worker` in a browser. @param isWhole from all kinds of sources, also where they differ little. */
export function testWorker(browser: () => Browser, { isWhole }: { readonly isWhole: boolean }): void {
  const ids = stories[0]!.slice(0, TOKENS).map((id) => id % 259); // the small vocabulary's, too
  const right = new Map<string, Promise<object>>();

  /** What Node computes without a worker. */
  async function compute(model: string): Promise<object> {
    const lm = await MatMulFreeLM.load(model, { threads: 1 });
    const state = lm.createState();
    const logits = hash(lm.forward(ids, state, { all: true }));
    let text = '';
    if (lm.hasTokenizer) for await (const piece of lm.generate('The dragon', OPTIONS)) text += piece;
    return { logits, saved: hash(state.serialize()), text, nll: lm.score(ids).nll, late: 'ArgumentError' };
  }

  async function use(sources: readonly Source[], place: Place): Promise<InWorker[]> {
    const input: InWorkerInput = { sources, threads: 2, prompt: 'The dragon', options: OPTIONS, ids };
    const found = await browser().run<InWorker[]>('in-worker', input, place);
    expect(found).toHaveLength(sources.length);
    for (const [n, source] of sources.entries()) {
      const model = source === 'folder' ? fixture('models/bf16-sharded') : EMBEDDED;
      if (!right.has(model)) right.set(model, compute(model));
      expect(found[n], source).toMatchObject(await right.get(model)!);
    }
    return found;
  }

  describe('matmulfree/worker', () => {
    const sources: readonly Source[] = isWhole ? ['url', 'file', 'blob', 'bytes', 'folder'] : ['url', 'file', 'folder'];
    it(`from sources of these kinds: ${sources.join(', ')}: bit for bit as in Node`, async () => {
      for (const found of await use(sources, { isolated: true })) {
        expect(found).toMatchObject({ backend: expect.stringMatching(/^(relaxed|dot)$/) as string, threads: 2 });
        expect(found.stages).toContain('load');
      }
    });

    it('without isolation: one thread', async () => expect(await use(['folder'], {})).toMatchObject([{ backend: expect.stringMatching(/^(relaxed|dot)$/) as string, threads: 1 }]));

    it('under a strict Content-Security-Policy: all threads', async () =>
      expect(await use(['folder'], { isolated: true, csp: STRICT })).toMatchObject([{ backend: expect.stringMatching(/^(relaxed|dot)$/) as string, threads: 2 }]));

    it('under a policy without WebAssembly: scalar', async () =>
      expect(await use(['folder'], { isolated: true, csp: NO_WASM })).toMatchObject([{ backend: 'scalar', threads: 1 }]));

    it('downloads once: later pages have it from the cache, also when the server is gone', async () => {
      const { server } = browser();
      const path = '/examples/models/tinystories-9m.gguf';
      const url = `${server.folderFor({ isolated: true })}${path.slice(1)}?for=this-test`; // others leave theirs in the cache
      const bytes = readFileSync(EMBEDDED).length;
      type Found = Awaited<ReturnType<typeof cached>>;
      const sent = (): number => server.seen.filter((request) => request.path === path).reduce((sum, { range }) => {
        const [, from = 0, to = bytes - 1] = /^bytes=(\d+)-(\d+)?/.exec(range ?? '') ?? [];
        return sum + Math.min(Number(to), bytes - 1) - Number(from) + 1;
      }, 0);
      const before = sent();
      const first = await browser().run<Found>('cached', { url }, { isolated: true });
      const downloaded = sent() - before;
      expect(first.stages).toEqual(['download', 'load']);
      expect(downloaded).toBeGreaterThanOrEqual(bytes);
      expect(downloaded).toBeLessThan(bytes * 1.1);
      const second = await browser().run<Found>('cached', { url }, { isolated: true });
      expect(sent() - before - downloaded).toBeLessThan(bytes * 0.1);
      server.offline.add(path);
      const third = await browser().run<Found>('cached', { url }, { isolated: true });
      server.offline.clear();
      expect([second.text, third.text]).toEqual([first.text, first.text]);
      expect(third.stages).toContain('offline');
      console.log(`${browser().version}: first token after ${first.ms.toFixed(0)} ms with the download, ${second.ms.toFixed(0)} ms from the cache, ${third.ms.toFixed(0)} ms offline`);
    });

    it.each(isWhole ? [true, false] : [true])('from another origin, isolated: %s', async (isolated) => {
      const cdn = await startPages();
      try {
        const library = `${cdn.folderFor({ isolated })}src/worker/index.js`;
        const found = await browser().run<Awaited<ReturnType<typeof foreign>>>('foreign', { library }, { isolated });
        expect(found).toMatchObject({ isolated, threads: isolated ? 2 : 1 });
        expect(found.text.length).toBeGreaterThan(20);
      } finally {
        await cdn.close();
      }
    });

    it.each(isWhole ? (['page', 'worker'] as const) : (['worker'] as const))('aborts: loads, generation, scoring, of a model on the %s', async (of) => {
      const found = await browser().run<Awaited<ReturnType<typeof aborts>>>('aborts', { of }, { isolated: true });
      expect(found).toMatchObject({ url: 'reason', file: 'reason', generate: 'reason', score: 'reason' });
      expect(found['after']).toBeGreaterThan(3);
    });
  });
}
