import { describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { comparePosition, expectSameBits, maxDifference } from '../support/compare.js';
import { HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { qwen35Folder, rotatedGolden } from '../support/qwen35.js';

/* Qwen3.5 and Ternary Bonsai 2: gated delta nets with attention between, plain and rotated (bonsai.md §2.6, §3.4). */

function compare(actual: Float32Array, exact: ArrayLike<number>, vocab: number): { kl: number; sameTop: number; difference: number } {
  const tokens = actual.length / vocab;
  const rows = Float64Array.from(exact);
  const positions = Array.from({ length: tokens }, (_, t) => comparePosition(actual.subarray(t * vocab, (t + 1) * vocab), rows.subarray(t * vocab, (t + 1) * vocab)));
  const mean = rows.reduce((sum, v) => sum + v, 0) / rows.length;
  const deviation = Math.sqrt(rows.reduce((sum, v) => sum + (v - mean) ** 2, 0) / rows.length);
  return {
    kl: positions.reduce((sum, { kl }) => sum + kl, 0) / tokens, sameTop: positions.filter(({ sameTop }) => sameTop).length / tokens,
    difference: maxDifference(actual, exact) / deviation,
  };
}

describe.skipIf(!HAS_SHARED).each(SOME_BACKENDS)(`goldens, $name${SHARED_NOTE}`, ({ backend, threads }) => {
  it.each([
    { name: 'qwen35-plain', files: () => shared('models/tiny/qwen35-plain'), unflipped: 61, kl: 2e-3, klOfFloats: 0.03 },
    { name: 'qwen35-rotated', files: () => qwen35Folder(rotatedGolden()), unflipped: 12, kl: 1e-4, klOfFloats: 2e-3 },
  ])('$name: as the float64 evaluation until an int8 rounding falls the other way, which a state remembers; near transformers; one by one as all at once', async ({ name, files, unflipped, kl, klOfFloats }) => {
    const lm = await MatMulFreeLM.load(files(), { backend, threads, kvType: 'f32' });
    const golden = readTensors(shared(`models/tiny/${name}/golden.safetensors`));
    const ids = golden['input_ids']!.values;
    const vocab = lm.config.vocabSize;
    const state = lm.createState();
    const all = lm.forward(ids, state, { all: true });
    const exact = golden['logits_exact']!.values;
    expect(compare(all.slice(0, unflipped * vocab), exact.slice(0, unflipped * vocab), vocab).difference).toBeLessThan(1e-5);
    expect(compare(all, exact, vocab).kl).toBeLessThan(kl);
    // Without any rounding of activations.
    const floats = compare(all, golden['logits']!.values, vocab);
    expect(floats.kl).toBeLessThan(klOfFloats);
    expect(floats.sameTop).toBeGreaterThan(0.94);
    const single = lm.createState();
    for (let t = 0; t < ids.length; t++) expectSameBits(lm.forward(ids[t]!, single), all.slice(t * vocab, (t + 1) * vocab));
    expect(single.serialize()).toEqual(state.serialize());
    lm.dispose();
  });
});
