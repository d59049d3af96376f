import { describe, expect, it } from 'vitest';
import { MatMulFreeLM, Sampler } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { effort } from '../support/effort.js';
import { EMBEDDED } from '../support/files.js';
import { collectGarbage } from '../support/garbage.js';

const TYPED_ARRAYS = ['Float32Array', 'Float64Array', 'Int8Array', 'Int16Array', 'Int32Array', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'ArrayBuffer', 'DataView'] as const;

/** Counts typed arrays and buffers made while `run` runs, by `new` or by slicing. */
function countAllocations(run: () => void): number {
  let count = 0;
  const restore: (() => void)[] = [];
  const scope = globalThis as unknown as Record<string, unknown>;
  for (const name of TYPED_ARRAYS) {
    const original = scope[name] as new (...args: never[]) => object;
    scope[name] = new Proxy(original, { construct: (target, args: never[]) => (count++, new target(...args)) });
    restore.push(() => { scope[name] = original; });
  }
  const prototype = Object.getPrototypeOf(Int8Array.prototype) as Record<string, (...args: unknown[]) => unknown>;
  for (const method of ['slice', 'subarray', 'map', 'filter']) {
    const original = prototype[method]!;
    prototype[method] = function (this: unknown, ...args: unknown[]) { count++; return original.apply(this, args); };
    restore.push(() => { prototype[method] = original; });
  }
  try {
    run();
  } finally {
    restore.forEach((undo) => undo());
  }
  return count;
}

it('the counter counts', () => {
  expect(countAllocations(() => void new Float32Array(3).slice(1).subarray(1))).toBe(3);
});

describe.each(SOME_BACKENDS)('decoding, $name', ({ backend, threads }) => {
  it('allocates no typed array, and neither heap nor buffers grow with the text', async () => {
    const lm = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const state = lm.createState();
    const out = new Float32Array(lm.config.vocabSize);
    const sampler = new Sampler(lm.config.vocabSize, { temperature: 0.8, topP: 0.9, topK: 50, seed: 1 });
    const next = [1];
    const decode = (tokens: number): void => {
      for (let n = 0; n < tokens; n++) {
        lm.forward(next, state, { out });
        next[0] = sampler.sample(out);
      }
    };
    decode(200);
    expect(countAllocations(() => decode(50))).toBe(0);
    collectGarbage();
    const before = process.memoryUsage();
    decode(effort(200, 1000));
    collectGarbage();
    const after = process.memoryUsage();
    expect(after.arrayBuffers).toBeLessThanOrEqual(before.arrayBuffers);
    // Less than a kilobyte for each token: what is left is the engine's own (code it compiled, the test runner's timers).
    expect(after.heapUsed - before.heapUsed).toBeLessThan(300_000);
    lm.dispose();
  });
});
