import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, type BackendName } from 'matmulfree';
import { maxDifference } from '../support/compare.js';
import { EMBEDDED, fixture, readTensors, repository } from '../support/files.js';
import type { Browser, Place } from './browser.js';
import { NO_WASM, STRICT } from './policies.js';
import type { Bits, BitsInput } from './pages/bits.js';

const TINY = ['bf16-sharded', 'no-lower-bound', 'f16-bin'];
const stories = JSON.parse(readFileSync(fixture('tinystories-9m/validation-stories.json'), 'utf8')) as number[][];

export interface BitsPlan {
  /** Tokens that the trained model reads, and writes. */
  readonly tokens: number;
  /**
   * Every backend with 1, 2, 4 threads, all models, in every place, on the main thread and in workers. Else each backend once, and a
   * tiny model tells what a place allows; worker.ts is about workers.
   */
  readonly isWhole: boolean;
}

/** What is wanted of a model, and what it is to be. */
type Run = readonly [backend: 'auto' | BackendName, threads: 'auto' | number, found: { readonly backend: BackendName | RegExp; readonly threads: number | RegExp }];

/** What auto takes: dot products where they are one instruction. */
const BEST = /^(relaxed|dot)$/;

const hash = (array: Float32Array | Uint8Array): string =>
  createHash('sha256').update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)).digest('hex');

/** What Node computes, by the definition of every result. */
async function bitsOfNode(input: Omit<BitsInput, 'on'>): Promise<Pick<Bits, 'tiny' | 'logits' | 'text'>> {
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

/** Every backend in a browser, in all kinds of places, against Node's bits. */
export function testBits(browser: () => Browser, { tokens, isWhole }: BitsPlan): void {
  const input: Omit<BitsInput, 'on'> = {
    tiny: TINY.map((name) => ({
      folder: `test/fixtures/models/${name}`,
      files: readdirSync(fixture(`models/${name}`)).filter((file) => file !== 'golden.safetensors'),
      ids: Array.from(readTensors(fixture(`models/${name}/golden.safetensors`))['input_ids']!.values),
    })),
    model: 'examples/models/tinystories-9m.gguf',
    ids: stories[0]!.slice(0, tokens),
    prompt: 'The dragon',
    options: { temperature: 0.8, topP: 0.95, seed: 7, maxNewTokens: tokens },
  };
  let expected: Pick<Bits, 'tiny' | 'logits' | 'text'>;
  /** What has run, by place. */
  const ran = new Map<string, Set<string>>();
  beforeAll(async () => {
    expected = await bitsOfNode(input);
  });
  afterAll(() => {
    const lines = Array.from(ran, ([place, found]) => `\n  ${place}: ${[...found].join(', ')}`);
    console.log(`${browser().version}, bit for bit as in Node ${process.version} (backend × threads):${lines.join('')}`);
  });

  /** @param isTrained with the trained model too. */
  async function expectBits(place: Place, runs: readonly Run[], isTrained = isWhole): Promise<void> {
    const all = TINY.map((_, index) => index);
    const on = runs.map(([backend, count], n) => ({ backend, threads: count, tiny: isWhole ? all : [n % TINY.length], isTrained }));
    const found = await browser().run<Bits[]>('bits', { ...input, on } satisfies BitsInput, place);
    expect(found).toHaveLength(runs.length);
    const policy = place.csp === undefined ? '' : place.csp === NO_WASM ? ', CSP without WebAssembly' : ', strict CSP';
    const where = `${place.inWorker ? 'worker' : 'main thread'}, ${place.isolated ? 'isolated' : 'not isolated'}${policy}`;
    for (const [n, [, , wanted]] of runs.entries()) {
      const bits = found[n]!;
      const tiny = on[n]!.tiny.map((index) => expected.tiny[index]!);
      expect(bits).toMatchObject({ ...(isTrained ? expected : {}), tiny, isolated: place.isolated ?? false, backend: typeof wanted.backend === 'string' ? wanted.backend : (expect.stringMatching(wanted.backend) as string) });
      if (typeof wanted.threads === 'number') expect(bits.threads).toBe(wanted.threads);
      else expect(String(bits.threads)).toMatch(wanted.threads);
      ran.set(where, (ran.get(where) ?? new Set()).add(`${bits.backend} × ${bits.threads}`));
    }
  }

  for (const inWorker of isWhole ? [false, true] : [false]) describe(`bit for bit as in Node, ${inWorker ? 'in a Web Worker' : 'on the main thread'}`, () => {
    const counts = isWhole ? ([1, 2, 4] as const).flatMap((threads): Run[] => [['simd', threads, { backend: 'simd', threads }], ['relaxed', threads, { backend: 'relaxed', threads }], ['dot', threads, { backend: 'dot', threads }]])
      : ([['simd', 3], ['relaxed', 1], ['dot', 1]] as const).map(([backend, threads]): Run => [backend, threads, { backend, threads }]);
    it(`isolated: ${counts.map(([backend, threads]) => `${backend} × ${threads}`).join(', ')}, scalar; and auto is the best there is`, () => expectBits({ inWorker, isolated: true }, [
      ['scalar', 4, { backend: 'scalar', threads: 1 }], ...counts, ['auto', 'auto', { backend: BEST, threads: /^[1-9]\d?$/ }],
    ], true));

    it('under a strict Content-Security-Policy: threads, from files', () =>
      expectBits({ inWorker, isolated: true, csp: STRICT }, [['simd', 3, { backend: 'simd', threads: 3 }]]));

    it('not isolated: one thread', () => expectBits({ inWorker }, [
      ['simd', 4, { backend: 'simd', threads: 1 }], ['relaxed', 4, { backend: 'relaxed', threads: 1 }], ['auto', 'auto', { backend: BEST, threads: 1 }],
    ]));

    it('without the file of the threads: from a text, and where that is forbidden, one thread', async () => {
      const place = { inWorker, isolated: true, missing: '/src/kernels/wasm/kernel-thread.js' };
      await expectBits(place, [['simd', 3, { backend: 'simd', threads: 3 }]]);
      await expectBits({ ...place, csp: STRICT }, [['simd', 3, { backend: 'simd', threads: 1 }]]);
    });

    it('under a Content-Security-Policy without WebAssembly: auto is scalar', () =>
      expectBits({ inWorker, isolated: true, csp: NO_WASM }, [['auto', 2, { backend: 'scalar', threads: 1 }]]));

    it('and others say why they cannot be', async () => {
      const refused = browser().run('bits', { ...input, on: [{ backend: 'simd', threads: 2, tiny: [0], isTrained: false }] } satisfies BitsInput, { inWorker, csp: NO_WASM });
      await expect(refused).rejects.toThrow(/^backend "simd" is not available here \(available: auto, scalar\): .*WebAssembly/);
      await expect(refused).rejects.toMatchObject({ name: 'BackendError' });
    });
  });
}
