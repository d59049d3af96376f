import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLlama } from '../../bench/baselines/llama-checkpoint.js';
import { buildTransformer, type TransformerConfig } from '../../bench/baselines/transformer.js';
import { writeTransformerFiles } from '../../bench/model-files.js';
import { filesFromDisk } from '../../src/platform/disk.js';

const CONFIG: TransformerConfig = {
  name: 'tiny', hiddenSize: 48, intermediateSize: 64, layers: 2, heads: 2, headSize: 32, vocabSize: 64, rmsNormEps: 1e-6, ropeTheta: 10_000,
};
const OPTIONS = { backend: 'js', threads: 1 } as const;

describe('files of random transformers', () => {
  let folder: string;
  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'matmulfree-test-')); });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('load as models of their sizes, each tensor with numbers of its own', async () => {
    const { config, weights, close } = await openLlama(await filesFromDisk(await writeTransformerFiles(folder, CONFIG)));
    expect(config).toEqual({ ...CONFIG, name: expect.any(String) as string });
    const model = await buildTransformer(config, weights, 16, OPTIONS);
    const rows: number[][] = [];
    await weights.readRows('model.layers.1.mlp.down_proj.weight', 48, 64, (_, row) => rows.push(Array.from(row)));
    await close();
    expect(new Set(rows.map(String)).size).toBe(48);
    expect(Math.max(...rows.flat().map(Math.abs))).toBeLessThan(Math.sqrt(3 / 64));
    expect(model.parts.weightBytes).toBe(4 * (2 * 64 * 48 + 2 * (7 * 64 * 48 + 2 * 48) + 48));
    const logits = model.forward([3, 1, 4]);
    expect(logits.every(Number.isFinite) && new Set(logits).size > 32).toBe(true);
  });
});
