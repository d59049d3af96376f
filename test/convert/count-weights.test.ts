import { expect, it } from 'vitest';
import { convert, countWeights } from 'matmulfree';
import { cli } from '../support/run.js';
import { decoderTensors, FAMILIES, TINY_BITNET, tinyDecoder } from '../support/families.js';
import { fixture } from '../support/files.js';

it.each(FAMILIES)('counts the weights of $name, whatever the files are', async ({ files }) => {
  const model = files();
  const pieces: Uint8Array[] = [];
  for await (const piece of convert(model)) pieces.push(piece);
  const [before, after] = [[], []] as { name: string; shape: readonly number[]; minus: number; zero: number; plus: number; scales: readonly number[] }[][];
  for await (const counts of countWeights(model)) before!.push(counts);
  for await (const counts of countWeights(new Blob(pieces as BlobPart[]))) after!.push(counts);
  expect(before!.length).toBeGreaterThanOrEqual(8);
  expect(after).toEqual(before);
  for (const { shape, minus, zero, plus } of before!) expect(minus + zero + plus).toBe(shape[0]! * shape[1]!);
});

it('counts what the rule of absmean gives: round(w / mean |w|), within -1 and 1', async () => {
  const tensors = decoderTensors(TINY_BITNET, 3);
  for await (const { name, minus, zero, plus, scales } of countWeights(tinyDecoder(TINY_BITNET, 3))) {
    const values = Array.from(tensors[`${name}.weight`]!.values);
    const mean = values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
    const trits = values.map((value) => Math.max(-1, Math.min(1, Math.round(value / mean))));
    expect([minus, zero, plus], name).toEqual([-1, 0, 1].map((trit) => trits.filter((found) => found === trit).length));
    expect(scales[0]).toBeCloseTo(mean, 5);
    expect(scales[1]).toBe(scales[0]);
  }
});

it('stops at a signal, and tells of its progress', async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const seen: number[] = [];
  const counting = async (): Promise<void> => {
    for await (const _ of countWeights(tinyDecoder(TINY_BITNET), { signal: controller.signal, onProgress: ({ loaded, total }) => seen.push(loaded / total) })) {
      if (seen.length === 2) controller.abort(reason);
    }
  };
  await expect(counting()).rejects.toBe(reason);
  expect(seen.length).toBeGreaterThanOrEqual(2);
  expect(seen[0]).toBeLessThan(seen[1]!);
});

it('matmulfree info PATH --weights shows them', async () => {
  const { code, stdout } = await cli('info', fixture('models/bf16-sharded'), '--weights', '--quiet');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}tensor +shape +-1 +0 +\+1 +scale\n {2}model\.layers\.0\.attn\.i_proj +\[\d+, \d+\] +\d\d\.\d % +\d\d\.\d % +\d\d\.\d % +0\.\d+\n/);
  expect(await cli('info', '--weights')).toMatchObject({ code: 2 });
});

it('matmulfree info tells the family, its switches, and what a text takes', async () => {
  const transformer = (await cli('info', '--model', fixture('models/llama-bitnet-llama3rope'), '--quiet')).stdout;
  expect(transformer).toMatch(/^family +llama$/m);
  expect(transformer).toMatch(/^positions +RoPE, theta 500000, llama3 scaling by 8 \(rope_theta, rope_scaling\)$/m);
  expect(transformer).toMatch(/^a text takes +\d+ B for each token; there is memory for 8,192 tokens of all texts/m);
  const recurrent = (await cli('info', '--quiet')).stdout;
  expect(recurrent).toMatch(/^family +hgrn_bit$/m);
  expect(recurrent).toMatch(/^a text takes +8\.2 kB, whatever its length$/m);
});
