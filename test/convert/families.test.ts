import { describe, expect, it } from 'vitest';
import { checkConversion, convert, convertToSafetensors, MatMulFreeLM, readGguf, sourceFromContent, type LoadOptions, type ModelSource, type TernaryBlockType } from 'matmulfree';
import type { Files } from '../support/checkpoints.js';
import { configJson, json, safetensors } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { tries } from '../support/effort.js';
import { decoderConfig, decoderTensors, FAMILIES, hybridTensors, TINY_BITNET, TINY_LLAMA, tinyDecoder } from '../support/families.js';
import { fixture, HAS_SHARED, shared, SHARED_NOTE } from '../support/files.js';
import { floatFolder } from '../support/group-files.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { qwen35Folder, randomQwen35, TINY_QWEN35, TINY_ROTATED } from '../support/qwen35.js';
import { randomDecoder, randomHybrid } from '../support/random-shapes.js';
import { randomQwen3, TINY_QWEN3 } from '../support/ternary-models.js';

const seed = freshSeed();

async function toGguf(source: ModelSource, type: TernaryBlockType): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of convert(source, { type, name: 'm' })) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

async function toPacked(source: ModelSource): Promise<Files> {
  const files: Record<string, Uint8Array[]> = {};
  for await (const { file, bytes } of convertToSafetensors(source)) (files[file] ??= []).push(bytes);
  return Object.fromEntries(Object.entries(files).map(([name, parts]) => [name, new Uint8Array(Buffer.concat(parts))]));
}

interface Ran {
  readonly fingerprint: string;
  readonly logits: Float32Array;
  readonly state: Uint8Array;
  readonly config: MatMulFreeLM['config'];
}

async function run(source: ModelSource): Promise<Ran> {
  const options: LoadOptions = { threads: 1 };
  const lm = await MatMulFreeLM.load(source, options);
  const random = randomFrom(seed);
  const ids = Array.from({ length: 75 }, () => random.integer(0, lm.config.vocabSize - 1));
  const state = lm.createState();
  const ran = { logits: lm.forward(ids, state, { all: true }), state: state.serialize(), fingerprint: lm.info().fingerprint, config: lm.config };
  lm.dispose();
  return ran;
}

/** The same model, to the last bit, from all forms that it can be written in. */
async function expectSame(source: ModelSource, types: readonly TernaryBlockType[] = ['TQ1_0', 'TQ2_0']): Promise<void> {
  const original = await run(source);
  const packed = await toPacked(source);
  const forms: ModelSource[] = [packed];
  for (const type of types) {
    const gguf = await toGguf(source, type);
    forms.push(gguf, await toPacked(gguf)); // and back
    expect(await toGguf(packed, type)).toEqual(gguf);
  }
  for (const form of forms) {
    const again = await run(form);
    expectSameBits(again.logits, original.logits);
    expect(again.state).toEqual(original.state);
    expect(again.fingerprint).toBe(original.fingerprint);
    expect(again.config).toEqual(original.config);
  }
}

describe('a model, its GGUF file and its packed weights are the same to the last bit', () => {
  it.each(FAMILIES)(`$name (seed ${seed})`, ({ files }) => expectSame(files(seed)));
  it.each(['bitnet-packed', 'llama-bitnet-divide', 'llama-bitnet-llama3rope', 'hybrid-full'])('%s', (name) => expectSame(fixture(`models/${name}`)));

  it.skipIf(!HAS_SHARED).each(['bitnet-masters', 'hybrid-window', 'hybrid-all-attention'])(`%s${SHARED_NOTE}`, (name) => expectSame(shared(`models/tiny/${name}`), ['TQ2_0']));

  const seeds = Array.from({ length: tries(2, 40) }, (_, n) => seed + n);
  it.each(seeds)('a Transformer of any shape (seed %i)', (each) => {
    const { shape, extra } = randomDecoder(randomFrom(each));
    return expectSame({ 'config.json': json(decoderConfig(shape, extra)), 'model.safetensors': safetensors(decoderTensors(shape, each)) }, ['TQ2_0']);
  });
  it.each(seeds)('a hybrid of any shape (seed %i)', (each) => {
    const { shape, attn } = randomHybrid(randomFrom(each));
    return expectSame({ 'config.json': json(configJson(shape, { attn })), 'model.safetensors': safetensors(hybridTensors(shape, attn, each)) }, ['TQ2_0']);
  });

  it.each(['LL', 'AA', 'ALL', 'LAALA'])('Qwen3.5 with other layers than an interval gives: %s', (layers) => {
    const shape = layers === 'ALL' ? TINY_ROTATED : TINY_QWEN35;
    return expectSame(qwen35Folder(randomQwen35({ ...shape, layers }, seed)), ['TQ2_0']);
  });

  it('rotary embeddings whose numbers float32 cannot hold, and YaRN with a factor of its own', async () => {
    for (const extra of [
      { rope_theta: 10_000.1 },
      { rope_scaling: { rope_type: 'llama3', factor: 8.1, low_freq_factor: 1.1, high_freq_factor: 4.3, original_max_position_embeddings: 30 } },
      { rope_scaling: { rope_type: 'yarn', factor: 3.3, original_max_position_embeddings: 30 } },
      { rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 30, attention_factor: 1.7, beta_fast: 20.2, beta_slow: 1.3 } },
    ]) await expectSame(tinyDecoder(TINY_LLAMA, seed, extra), ['TQ2_0']);
  });
});

it('checkConversion agrees, and sees another model', async () => {
  const [a, b] = [tinyDecoder(TINY_LLAMA, 1), tinyDecoder(TINY_LLAMA, 2)];
  expect(await checkConversion(a, await toGguf(a, 'TQ1_0'))).toMatchObject({});
  await expect(checkConversion(b, await toGguf(a, 'TQ1_0'))).rejects.toThrow();
});

it('GGUF files tell the width of keys and of values: llama.cpp takes that of the model, divided by the heads, for what it is not told', async () => {
  for (const [family, files] of [['llama', tinyDecoder(TINY_LLAMA)], ['bitnet-b1.58', tinyDecoder({ ...TINY_BITNET, headDim: 12 })], ['qwen3', floatFolder(randomQwen3({ ...TINY_QWEN3, group: 256 }))]] as const) {
    const { metadata } = await readGguf(sourceFromContent('m.gguf', await toGguf(files, 'TQ2_0')));
    const width = family === 'qwen3' ? TINY_QWEN3.headDim : 12;
    for (const what of ['key', 'value']) expect(metadata.get(`${family}.attention.${what}_length`)?.value, `${family}, ${what}`).toBe(width);
  }
});

describe('rows of queries and keys in GGUF files', () => {
  /** `LlamaModel.permute` of llama.cpp's converter: reshape(heads, 2, rows / heads / 2, …).swapaxes(1, 2). */
  function permuted(rows: number, heads: number): number[] {
    const half = rows / heads / 2;
    const order: number[] = [];
    for (let head = 0; head < heads; head++) for (let j = 0; j < half; j++) for (const part of [0, 1]) order.push((head * 2 + part) * half + j);
    return order;
  }

  it.each(['llama', 'bitnet'] as const)('%s: neighbours in pairs, as llama.cpp turns them, or as they are', async (family) => {
    // The trits of a row spell its number.
    const shape = { ...TINY_LLAMA, family, layers: 1, heads: 4, kvHeads: 2, headDim: 12, hidden: 256, activation: 'silu' as const };
    const tensors = decoderTensors(shape, 1);
    for (const which of ['q', 'k', 'v']) {
      const name = `model.layers.0.self_attn.${which}_proj.weight`;
      const rows = tensors[name]!.shape[0]!;
      tensors[name] = { shape: [rows, 256], values: Float32Array.from({ length: rows * 256 }, (_, n) => (((n >> 8) >> (n % 8)) & 1 ? 1 : -1)) };
    }
    const bytes = await toGguf({ 'config.json': json(decoderConfig(shape)), 'model.safetensors': safetensors(tensors) }, 'TQ2_0');
    const file = await readGguf(sourceFromContent('m.gguf', bytes));
    /** Row numbers, of TQ2_0 blocks: 64 bytes of four trits, byte m has weights m, m + 32, … of its half, then a float16. */
    const rowsOf = (name: string): number[] => {
      const { offset, shape: [rows = 0] } = file.tensors.get(name)!;
      return Array.from({ length: rows }, (_, r) => Array.from({ length: 8 }, (_bit, m) => (bytes[offset + r * 66 + m]! & 3) === 2 ? 1 << m : 0).reduce((a, b) => a + b));
    };
    const plain = (rows: number): number[] => Array.from({ length: rows }, (_, r) => r);
    const isPaired = family === 'llama';
    expect(rowsOf('blk.0.attn_q.weight')).toEqual(isPaired ? permuted(48, 4) : plain(48));
    expect(rowsOf('blk.0.attn_k.weight')).toEqual(isPaired ? permuted(24, 2) : plain(24));
    expect(rowsOf('blk.0.attn_v.weight')).toEqual(plain(24));
  });
});
