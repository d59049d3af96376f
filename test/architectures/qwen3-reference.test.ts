import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { comparePosition, maxDifference } from '../support/compare.js';
import { HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { runQwen3Reference } from '../support/reference-qwen3.js';
import { readModel } from '../support/ternary-models.js';

/* The reference that other tests compare with meets goldens that somebody else computed. */

describe.skipIf(!HAS_SHARED)(`the tests' own Qwen3, against goldens${SHARED_NOTE}`, () => {
  for (const [name, count] of [['qwen3-tied-g128', 37], ['qwen3-g64-binary', 70], ['qwen3-untied-yarn', 60]] as const) {
    const folder = shared(`models/tiny/${name}`);
    const load = () => ({ ...readModel(folder), golden: readTensors(`${folder}/golden.safetensors`), spread: (JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8')) as { logits_std: number }).logits_std });

    it(`${name}: rounded activations, and float ones, within 1e-4 of the logits' spread`, () => {
      const { config, tensors, golden, spread } = load();
      const ids = Array.from(golden['input_ids']!.values).slice(0, count);
      const frequencies = golden['inv_freq']!.values; // float32 ones of transformers, by which the goldens' angles were made
      for (const [activations, key, bound] of [[128, 'logits_exact', 1e-6], ['float', 'logits', 1e-4]] as const) {
        const { logits, hidden } = runQwen3Reference(tensors, config, ids, { activations, frequencies });
        const expected = golden[key]!.values.slice(0, count * logits[0]!.length);
        expect(maxDifference(logits.flat(), expected)).toBeLessThan(bound * spread);
        if (key === 'logits_exact') {
          const exact = golden['hidden_exact']!;
          const [, positions = 0, width = 0] = exact.shape;
          hidden.forEach((layer, n) => expect(maxDifference(layer.flat(), exact.values.slice(n * positions * width, (n * positions + count) * width))).toBeLessThan(1e-5));
        }
      }
    });

    it(`${name}: with float64 frequencies, the same distributions`, () => {
      const { config, tensors, golden } = load();
      const ids = Array.from(golden['input_ids']!.values).slice(0, count);
      const { logits } = runQwen3Reference(tensors, config, ids, { activations: 128 });
      const vocab = logits[0]!.length;
      const worst = Math.max(...logits.map((row, p) => comparePosition(row, golden['logits_exact']!.values.slice(p * vocab, (p + 1) * vocab)).kl));
      expect(worst).toBeLessThan(1e-3); // a rounding that flips at a tie
    });
  }
});
