import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkConversion, convert, convertToSafetensors, countWeights, FormatError, MatMulFreeLM, type ConvertType, type LoadOptions, type ModelSource } from 'matmulfree';
import { FASTEST, SOME_BACKENDS, type Backend } from '../support/backends.js';
import type { Files } from '../support/checkpoints.js';
import { comparePosition, expectSameBits, maxDifference } from '../support/compare.js';
import { TINY_LLAMA } from '../support/families.js';
import { HAS_SHARED, readTensors, shared, SHARED_NOTE } from '../support/files.js';
import { floatFolder, ggufFiles, torchFolder } from '../support/group-files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { runQwen3Reference } from '../support/reference-qwen3.js';
import { randomQwen3, randomTriLm, TINY_QWEN3, type TernaryModel } from '../support/ternary-models.js';

/* Models whose ternary weights have scales for groups of columns: Ternary Bonsai (Qwen3) and TriLM, in every form they come in. */

const SEED = freshSeed();
const TOKENS = 9;

interface Ran {
  readonly fingerprint: string;
  readonly logits: Float32Array;
}

const optionsOf = ({ backend, threads }: Backend): LoadOptions => ({ backend, threads, kvType: 'f32' });

async function run(source: ModelSource, on: Backend = FASTEST): Promise<Ran> {
  const lm = await MatMulFreeLM.load(source, optionsOf(on));
  const random = randomFrom(SEED);
  const ids = Array.from({ length: TOKENS }, () => random.integer(0, lm.config.vocabSize - 1));
  const ran = { fingerprint: lm.info().fingerprint, logits: lm.forward(ids, lm.createState(), { all: true }) };
  await lm.dispose();
  return ran;
}

function expectSame(actual: Ran, expected: Ran): void {
  expectSameBits(actual.logits, expected.logits);
  expect(actual.fingerprint).toBe(expected.fingerprint);
}

async function toGguf(source: ModelSource, type?: ConvertType): Promise<Files> {
  const parts: Uint8Array[] = [];
  for await (const part of convert(source, { type, name: 'm' })) parts.push(part);
  return { 'm.gguf': new Uint8Array(Buffer.concat(parts)) };
}

async function toPacked(source: ModelSource): Promise<Files> {
  const files: Record<string, Uint8Array[]> = {};
  for await (const { file, bytes } of convertToSafetensors(source)) (files[file] ??= []).push(bytes);
  return Object.fromEntries(Object.entries(files).map(([name, parts]) => [name, new Uint8Array(Buffer.concat(parts))]));
}

const YARN = { factor: 4, original: 8 };

describe(`one model in every form (seed ${SEED})`, () => {
  it.each([
    { name: 'tied', model: randomQwen3({ ...TINY_QWEN3, group: 256, zeroGroups: 10, bits: 8 }, SEED) },
    { name: 'untied, with YaRN', model: randomQwen3({ ...TINY_QWEN3, group: 256, isTied: false, yarn: YARN, bits: 8 }, SEED + 1) },
  ])('$name: files of others', async ({ model }) => {
    const expected = await run(floatFolder(model));
    for (const files of [floatFolder(model, 'F32'), floatFolder(model, 'BF16'), torchFolder(model)]) expectSame(await run(files), expected);
    for (const format of ['Q2_0', 'Q2_0 old', 'PQ2_0', 'TQ2_0', 'TQ1_0', 'F16', 'F32'] as const) expectSame(await run(ggufFiles(model, { format, otherwise: 'F16' })), expected);
    for (const backend of SOME_BACKENDS) expectSame(await run(ggufFiles(model, { format: 'Q2_0' }), backend), expected);
    expectSame(await run(ggufFiles(model, { format: 'PQ2_0', zeroScale: 3 })), expected);
  });

  it('binary: Q1_0 as well', async () => {
    const model = randomQwen3({ ...TINY_QWEN3, isBinary: true }, SEED);
    const expected = await run(floatFolder(model));
    for (const format of ['Q1_0', 'Q2_0', 'PQ2_0'] as const) expectSame(await run(ggufFiles(model, { format })), expected);
  });

  it('groups of 64: no wider ones are seen in them', async () => {
    const model = randomQwen3({ ...TINY_QWEN3, group: 64, hidden: 192, zeroGroups: 20 }, SEED);
    const expected = await run(floatFolder(model));
    for (const backend of SOME_BACKENDS) expectSame(await run(ggufFiles(model, { format: 'Q2_0' }), backend), expected);
  });

  it('convert: to every type that holds it, and back', async () => {
    const model = randomQwen3({ ...TINY_QWEN3, group: 256 }, SEED);
    const source = floatFolder(model);
    const expected = await run(source);
    for (const type of [undefined, 'Q2_0', 'PQ2_0', 'TQ2_0', 'TQ1_0'] as const) {
      const converted = await toGguf(source, type);
      expectSame(await run(converted), expected);
      expect(await toGguf(converted, type)).toEqual(converted);
    }
    const packed = await toPacked(ggufFiles(model, { format: 'PQ2_0' }));
    expectSame(await run(packed), expected);
    expectSame(await run(await toGguf(packed, 'PQ2_0')), expected);
    expect(await checkConversion(source, packed)).toMatchObject({ tokens: 20 });
    for await (const { name, minus, zero, plus, shape } of countWeights(packed)) {
      const weights = Array.from(model.tensors[`${name}.weight`]!.values, Math.sign);
      expect([minus, zero, plus]).toEqual([-1, 0, 1].map((sign) => weights.filter((weight) => weight === sign).length));
      expect(minus + zero + plus).toBe(shape[0]! * shape[1]!);
    }
  });

  it('convert refuses by name what a type does not hold', async () => {
    const narrow = floatFolder(randomQwen3({ ...TINY_QWEN3, group: 64 }, SEED));
    await expect(toGguf(narrow, 'PQ2_0')).rejects.toThrow(/"token_embd\.weight", row 0: a block of the type PQ2_0 has one scale.*Q2_0 has smaller blocks/);
    await expect(toGguf(narrow, 'TQ2_0')).rejects.toThrow(FormatError);
    expectSame(await run(await toGguf(narrow)), await run(narrow));
    const { config, tensors } = randomQwen3(TINY_QWEN3, SEED);
    const name = 'model.layers.1.mlp.up_proj.weight';
    const odd: TernaryModel = { config, tensors: { ...tensors, [name]: { ...tensors[name]!, values: tensors[name]!.values.map((value) => value * 1.001) } } };
    await expect(toGguf(floatFolder(odd, 'F32'))).rejects.toThrow(/"blk\.1\.ffn_up\.weight", row 0: the scale .* is no float16.*safetensors/);
    expectSame(await run(await toPacked(floatFolder(odd, 'F32'))), await run(floatFolder(odd, 'F32')));
  });

  it('floats that are not ternary are refused, with the place', async () => {
    const { config, tensors } = randomQwen3(TINY_QWEN3, SEED);
    const name = 'model.layers.1.self_attn.o_proj.weight';
    const values = tensors[name]!.values.slice();
    values[3 * 512 + 70] = 0.375;
    const model = { config, tensors: { ...tensors, [name]: { ...tensors[name]!, values } } };
    await expect(run(floatFolder(model))).rejects.toThrow(/"model\.layers\.1\.self_attn\.o_proj\.weight" is not ternary: row 3, columns 64 to 95 hold/);
    await expect(run(ggufFiles(model, { format: 'F16' }))).rejects.toThrow(/"blk\.1\.attn_output\.weight" is not ternary: row 3, columns 64 to 95/);
  });
});

describe('what Qwen3 computes', () => {
  it.each([11, 12, 13])('as a float64 reference with the same roundings, and with one token at a time (seed %i)', async (seed) => {
    const model = randomQwen3({ ...TINY_QWEN3, hidden: 192, isTied: seed !== 12, yarn: seed === 13 ? YARN : undefined }, seed);
    const lm = await MatMulFreeLM.load(floatFolder(model), optionsOf(FASTEST));
    const random = randomFrom(seed);
    const vocab = lm.config.vocabSize;
    const ids = Array.from({ length: 30 }, () => random.integer(0, vocab - 1));
    const all = lm.forward(ids, lm.createState(), { all: true });
    const { logits } = runQwen3Reference(model.tensors, model.config, ids, { activations: 128 });
    logits.forEach((row, t) => expect(comparePosition(all.subarray(t * vocab, (t + 1) * vocab), row).kl).toBeLessThan(1e-2)); // a rounding may flip
    expect(maxDifference(all.subarray(0, vocab), logits[0]!)).toBeLessThan(1e-4 * Math.max(...logits[0]!.map(Math.abs)));
    const state = lm.createState();
    ids.forEach((id, t) => expectSameBits(lm.forward(id, state), all.slice(t * vocab, (t + 1) * vocab)));
    await lm.dispose();
  });

  it.skipIf(!HAS_SHARED).each(['qwen3-tied-g128', 'qwen3-g64-binary', 'qwen3-untied-yarn'])(`%s against its goldens${SHARED_NOTE}`, async (name) => {
    const folder = shared(`models/tiny/${name}`);
    const golden = readTensors(`${folder}/golden.safetensors`);
    const { logits_std: spread } = JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8')) as { logits_std: number };
    const lm = await MatMulFreeLM.load(folder, optionsOf(FASTEST));
    const vocab = lm.config.vocabSize;
    const ids = golden['input_ids']!.values;
    const all = lm.forward(ids, lm.createState(), { all: true });
    const exact = golden['logits_exact']!.values;
    // Of untied-yarn, a norm's weight is half of the largest: whether that is rounded up is a matter of the last bit in the golden.
    const first = { 'qwen3-tied-g128': 37, 'qwen3-g64-binary': 68, 'qwen3-untied-yarn': 60 }[name]!;
    expect(maxDifference(all.subarray(0, first * vocab), exact.slice(0, first * vocab))).toBeLessThan(1e-4 * spread);
    let kl = 0;
    for (let t = 0; t < ids.length; t++) kl += comparePosition(all.subarray(t * vocab, (t + 1) * vocab), exact.slice(t * vocab, (t + 1) * vocab)).kl / ids.length;
    expect(kl).toBeLessThan(name === 'qwen3-untied-yarn' ? 4e-4 : 1e-6);
    await lm.dispose();
  });
});

describe('TriLM', () => {
  const shape = { ...TINY_LLAMA, hidden: 256, intermediate: 512, heads: 4, kvHeads: 4, headDim: 64 };

  it.each([1, 2])('%i shards: activations are not rounded; the same from all files', async (shards) => {
    const model = randomTriLm(shape, shards, SEED);
    const lm = await MatMulFreeLM.load(floatFolder(model), optionsOf(FASTEST));
    const vocab = lm.config.vocabSize;
    const ids = Array.from({ length: 16 }, (_, n) => (7 * n) % vocab);
    const all = lm.forward(ids, lm.createState(), { all: true });
    const { logits } = runQwen3Reference(model.tensors, model.config, ids, { floatHead: true });
    const most = Math.max(...logits.flat().map(Math.abs));
    expect(maxDifference(all, logits.flat())).toBeLessThan(2e-5 * most);
    expect(lm.info().switches.find(({ name }) => name === 'activations')?.value).toBe('not rounded');
    await lm.dispose();

    const expected = await run(floatFolder(model));
    for (const backend of SOME_BACKENDS) expectSame(await run(floatFolder(model), backend), expected);
    const files = ggufFiles(model, { architecture: 'llama', format: 'TQ2_0', otherwise: 'F16', metadata: { 'llama.ternary_activations': ['string', 'float'] } });
    expectSame(await run(files), expected);
    for (const type of ['Q2_0', 'PQ2_0'] as const) expectSame(await run(await toGguf(floatFolder(model), type)), expected);
    expectSame(await run(await toPacked(floatFolder(model))), expected);
  });
});
