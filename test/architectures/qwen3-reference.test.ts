import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { comparePosition, maxDifference } from '../support/compare.js';
import { HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { runQwen3Reference } from '../support/reference-qwen3.js';
import { readModel } from '../support/ternary-models.js';

/* The reference that other tests compare with meets goldens that somebody else computed. */

describe.skipIf(!HAS_SHARED)(`the tests' own Qwen3, against goldens${SHARED_NOTE}`, () => {
  const COUNT = 20;
  for (const name of ['qwen3-tied-g128', 'qwen3-g64-binary', 'qwen3-untied-yarn']) {
    it(`${name}: rounded activations within 1e-6 of the logits' spread, float ones within 1e-4`, () => {
      const folder = shared(`models/tiny/${name}`);
      const { config, tensors } = readModel(folder);
      const golden = readTensors(`${folder}/golden.safetensors`);
      const { logits_std: spread } = JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8')) as { logits_std: number };
      const ids = Array.from(golden['input_ids']!.values).slice(0, COUNT);
      const frequencies = golden['inv_freq']!.values; // float32 ones of transformers, by which the goldens' angles were made
      const vocab = golden['logits']!.shape[1]!;
      const expected = (key: string): ArrayLike<number> => golden[key]!.values.slice(0, COUNT * vocab);

      const { logits, hidden } = runQwen3Reference(tensors, config, ids, { activations: 128, frequencies });
      expect(maxDifference(logits.flat(), expected('logits_exact'))).toBeLessThan(1e-6 * spread);
      const { shape: [, positions = 0, width = 0], values } = golden['hidden_exact']!;
      hidden.forEach((layer, n) => expect(maxDifference(layer.flat(), values.slice(n * positions * width, (n * positions + COUNT) * width))).toBeLessThan(1e-5));
      const float = runQwen3Reference(tensors, config, ids, { frequencies });
      expect(maxDifference(float.logits.flat(), expected('logits'))).toBeLessThan(1e-4 * spread);
      // With frequencies in float64, roundings at ties may flip.
      const own = runQwen3Reference(tensors, config, ids, { activations: 128 });
      own.logits.forEach((row, p) => expect(comparePosition(row, golden['logits_exact']!.values.slice(p * vocab, (p + 1) * vocab)).kl).toBeLessThan(1e-3));
    });
  }
});
