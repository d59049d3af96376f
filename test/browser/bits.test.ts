import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, type BackendName } from 'matmulfree';
import { EMBEDDED, fixture, readTensors, repository } from '../support/files.js';
import { maxDifference } from '../support/compare.js';
import { BROWSERS, type Browser, type Place } from './browser.js';
import { NO_WASM, STRICT } from './policies.js';
import type { Bits, BitsInput } from './pages/bits.js';

const TINY = ['bf16-sharded', 'no-lower-bound', 'f16-bin'];
const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];
const input: Omit<BitsInput, 'backend' | 'threads'> = {
  tiny: TINY.map((name) => ({
    folder: `test/fixtures/models/${name}`,
    files: readdirSync(fixture(`models/${name}`)).filter((file) => file !== 'golden.safetensors'),
    ids: Array.from(readTensors(fixture(`models/${name}/golden.safetensors`))['input_ids']!.values),
  })),
  model: 'examples/models/tinystories-9m.gguf',
  ids: stories[0]!,
  prompt: 'The dragon',
  options: { temperature: 0.8, topP: 0.95, seed: 7, maxNewTokens: 200 },
};

const hash = (bytes: Float32Array | Uint8Array): string =>
  createHash('sha256').update(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)).digest('hex');

/** What Node computes, by the definition of every result. */
async function bitsOfNode(): Promise<Pick<Bits, 'tiny' | 'logits' | 'text'>> {
  const tiny: Bits['tiny'][number][] = [];
  for (const { folder, ids } of input.tiny) {
    const lm = await MatMulFreeLM.load(repository(folder), { backend: 'scalar' });
    const state = lm.createState();
    const logits = lm.forward(ids, state, { all: true });
    const golden = readTensors(repository(`${folder}/golden.safetensors`));
    expect(maxDifference(logits, golden['logits_exact']!.values)).toBeLessThan(1e-4);
    tiny.push({ logits: hash(logits), state: hash(state.serialize()) });
  }
  const lm = await MatMulFreeLM.load(EMBEDDED, { backend: 'scalar' });
  const logits = hash(lm.forward(input.ids, lm.createState(), { all: true }));
  let text = '';
  for await (const piece of lm.generate(input.prompt, input.options)) text += piece;
  return { tiny, logits, text };
}

let expected: Pick<Bits, 'tiny' | 'logits' | 'text'> | undefined;

for (const { name, missing, start } of BROWSERS) describe.skipIf(missing)(`in ${name}, bit for bit as in Node${missing}`, () => {
  let browser: Browser;
  /** What has run, by place. */
  const ran = new Map<string, Set<string>>();
  beforeAll(async () => {
    [browser, expected] = await Promise.all([start(), expected ?? bitsOfNode()]);
  });
  afterAll(async () => {
    if (!browser) return;
    const lines = Array.from(ran, ([place, found]) => `\n  ${place}: ${[...found].join(', ')}`);
    console.log(`${browser.version}, bit for bit as in Node ${process.version} (backend × threads):${lines.join('')}`);
    await browser.close();
  });

  async function expectBits(
    place: Place, backend: 'auto' | BackendName, threads: 'auto' | number, found: { backend: BackendName; threads: number | RegExp },
  ): Promise<void> {
    const bits = await browser.run<Bits>('bits', { ...input, backend, threads }, place);
    expect(bits).toMatchObject({ ...expected, isolated: place.isolated ?? false, backend: found.backend });
    if (typeof found.threads === 'number') expect(bits.threads).toBe(found.threads);
    else expect(String(bits.threads)).toMatch(found.threads);
    const policy = place.csp === undefined ? '' : place.csp === NO_WASM ? ', CSP without WebAssembly' : ', strict CSP';
    const where = `${place.inWorker ? 'worker' : 'main thread'}, ${place.isolated ? 'isolated' : 'not isolated'}${policy}`;
    ran.set(where, (ran.get(where) ?? new Set()).add(`${bits.backend} × ${bits.threads}`));
  }

  describe.each([{ inWorker: false, where: 'the main thread' }, { inWorker: true, where: 'a Web Worker' }])('on $where', ({ inWorker }) => {
    it('scalar', () => expectBits({ inWorker, isolated: true }, 'scalar', 4, { backend: 'scalar', threads: 1 }));

    it.each([1, 2, 3, 4])('simd and relaxed, %i threads, isolated', async (threads) => {
      for (const backend of ['simd', 'relaxed'] as const) await expectBits({ inWorker, isolated: true }, backend, threads, { backend, threads });
    });

    it('simd and relaxed, not isolated: one thread', async () => {
      for (const backend of ['simd', 'relaxed'] as const) await expectBits({ inWorker }, backend, 4, { backend, threads: 1 });
    });

    it('auto: the best there is, with threads only if isolated', async () => {
      await expectBits({ inWorker }, 'auto', 'auto', { backend: 'relaxed', threads: 1 });
      await expectBits({ inWorker, isolated: true }, 'auto', 'auto', { backend: 'relaxed', threads: /^[1-9]\d?$/ });
    });

    it('under a strict Content-Security-Policy: threads, from files', () =>
      expectBits({ inWorker, isolated: true, csp: STRICT }, 'simd', 3, { backend: 'simd', threads: 3 }));

    it('without the file of the threads: from a text, and where that is forbidden, one thread', async () => {
      const path = '/src/kernels/wasm/kernel-thread.js';
      browser.server.offline.add(path);
      try {
        await expectBits({ inWorker, isolated: true }, 'simd', 3, { backend: 'simd', threads: 3 });
        await expectBits({ inWorker, isolated: true, csp: STRICT }, 'simd', 3, { backend: 'simd', threads: 1 });
      } finally {
        browser.server.offline.delete(path);
      }
    });

    it('under a Content-Security-Policy without WebAssembly: auto is scalar', () =>
      expectBits({ inWorker, isolated: true, csp: NO_WASM }, 'auto', 2, { backend: 'scalar', threads: 1 }));

    it('and others say why they cannot be', async () => {
      const refused = browser.run('bits', { ...input, backend: 'simd', threads: 2 }, { inWorker, csp: NO_WASM });
      await expect(refused).rejects.toThrow(/^backend "simd" is not available here \(available: auto, scalar\): .*WebAssembly/);
      await expect(refused).rejects.toMatchObject({ name: 'BackendError' });
    });
  });
});
