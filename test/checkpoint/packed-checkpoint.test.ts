import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkConversion, ConfigError, convert, convertToSafetensors, FormatError, inspect, MatMulFreeLM, type ModelSource } from 'matmulfree';
import { assemble, configJson, json, randomTensors, safetensors, TINY, type Files, type TinyConfig } from '../support/checkpoints.js';
import { expectSameBits } from '../support/compare.js';
import { EMBEDDED, fixture, type GoldenTensor } from '../support/files.js';
import { blocks, encode, gguf, isTernaryWeight, modelMetadata, modelTensors, quantise, scaleTensor, type Type } from '../support/gguf-files.js';
import { freshSeed } from '../support/random.js';

const seed = freshSeed();
const BITNET = { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'offline' };
/** Heights that are no multiples of four, and sizes that are no multiples of two. */
const ODD: TinyConfig = { hidden: 13, recurrent: 7, intermediate: 9, layers: 2, vocab: 11, lowerBounds: false };

type Tensors = Record<string, GoldenTensor>;
type Stored = Record<string, { dtype: string; shape: readonly number[]; bytes: Uint8Array }>;

const IDS = [1, 5, 0, 7, 7, 2];
async function logits(source: ModelSource): Promise<Float32Array> {
  const lm = await MatMulFreeLM.load(source);
  return lm.forward(IDS, lm.createState(), { all: true });
}

/** `pack_weights` of transformers, said another way: quarter by quarter. */
function pack(trits: Float64Array, rows: number, columns: number): Uint8Array {
  const group = Math.ceil(rows / 4);
  const bytes = new Uint8Array(group * columns);
  for (let quarter = 0; quarter < 4; quarter++) {
    const part = trits.slice(quarter * group * columns, (quarter + 1) * group * columns);
    part.forEach((trit, i) => { bytes[i]! += (trit + 1) * 4 ** quarter; });
  }
  return bytes;
}

/** A packed checkpoint; `scale` makes what stands for the scale of a weight. */
function packedTensors(tensors: Tensors, scale: (scale: number, rows: number) => number[] = (s) => [s], type: Type = 'F32'): Stored {
  const stored: Stored = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!isTernaryWeight(name)) stored[name] = { dtype: 'F32', shape: tensor.shape, bytes: encode('F32', tensor.values) };
    else {
      const [rows, columns] = tensor.shape as [number, number];
      const quantised = quantise(tensor);
      const scales = scale(quantised.scale, rows);
      stored[name] = { dtype: 'U8', shape: [Math.ceil(rows / 4), columns], bytes: pack(quantised.trits, rows, columns) };
      stored[`${name}_scale`] = { dtype: type, shape: [scales.length], bytes: encode(type, scales) };
    }
  }
  return stored;
}

function write(config: TinyConfig, stored: Stored, quantization: unknown = BITNET): Files {
  let end = 0;
  const header = Object.entries(stored).map(([name, { dtype, shape, bytes }]) =>
    [name, { dtype, shape, data_offsets: [end, (end += bytes.length)] }]);
  return {
    'config.json': json(configJson(config, quantization === undefined ? {} : { quantization_config: quantization })),
    'model.safetensors': assemble(JSON.stringify(Object.fromEntries(header)), new Uint8Array(Buffer.concat(Object.values(stored).map(({ bytes }) => bytes)))),
  };
}

const floats = (config: TinyConfig, tensors: Tensors, extra: Record<string, unknown> = {}): Files =>
  ({ 'config.json': json(configJson(config, extra)), 'model.safetensors': safetensors(tensors) });

async function collect(source: ModelSource): Promise<Files> {
  const files: Record<string, Uint8Array[]> = {};
  for await (const { file, bytes } of convertToSafetensors(source)) (files[file] ??= []).push(bytes);
  return Object.fromEntries(Object.entries(files).map(([name, parts]) => [name, new Uint8Array(Buffer.concat(parts))]));
}
async function toGguf(source: ModelSource): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of convert(source)) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

describe(`reading packed checkpoints (seed ${seed})`, () => {
  it.each([['tiny', TINY], ['odd', ODD]] as const)('of another writer: the logits of the floats, bit for bit (%s)', async (_name, config) => {
    const tensors = randomTensors(config, seed);
    expectSameBits(await logits(write(config, packedTensors(tensors))), await logits(floats(config, tensors)));
  });

  const tensors = randomTensors(TINY, seed);
  const of = (scale: (scale: number, rows: number) => number[], quantization: unknown = BITNET, type: Type = 'F32'): Promise<Float32Array> =>
    logits(write(TINY, packedTensors(tensors, scale, type), quantization));

  it('the scale is a factor or a divisor, one or one for each row, of any float type', async () => {
    const expected = await of(() => [0.25]);
    expectSameBits(await of(() => [4], { quant_method: 'bitnet' }), expected);
    expectSameBits(await of(() => [4], { quant_method: 'bitnet', linear_class: 'bitlinear', quantization_mode: 'online' }), expected);
    expectSameBits(await of((_, rows) => new Array<number>(rows).fill(0.25)), expected);
    for (const type of ['F16', 'BF16'] as const) expectSameBits(await of(() => [0.25], BITNET, type), expected);
    const ofRow = (_: number, rows: number): number[] => Array.from({ length: rows }, (_row, n) => 2 ** -(n % 3));
    expectSameBits(await of((_, rows) => ofRow(0, rows).map((s) => 1 / s), { quant_method: 'bitnet' }), await of(ofRow));
    const inGguf = gguf({ metadata: modelMetadata(TINY), tensors: modelTensors(tensors, 'F32', (name, tensor) =>
      ({ ...blocks('TQ2_0', name, tensor), ...scaleTensor(name, ofRow(0, tensor.shape[0]!)) })) });
    expectSameBits(await of(ofRow), await logits(inGguf));
  });

  it('floats beside packed weights are quantised; so are all when quantising is "online"', async () => {
    const stored = packedTensors(tensors);
    delete stored['lm_head.weight_scale'];
    stored['lm_head.weight'] = { dtype: 'F32', shape: tensors['lm_head.weight']!.shape, bytes: encode('F32', tensors['lm_head.weight']!.values) };
    expectSameBits(await logits(write(TINY, stored)), await logits(floats(TINY, tensors)));
    expectSameBits(await logits(floats(TINY, tensors, { quantization_config: { ...BITNET, quantization_mode: 'online' } })), await logits(floats(TINY, tensors)));
    expectSameBits(await logits(floats(TINY, tensors, { quantization_config: null })), await logits(floats(TINY, tensors)));
  });

  const name = 'model.layers.1.mlp.down_proj.weight';
  const edited = (edit: (stored: Stored) => void, quantization: unknown = BITNET): Files => {
    const stored = packedTensors(tensors);
    edit(stored);
    return write(TINY, stored, quantization);
  };
  it.each([
    ['another method', edited(() => {}, { quant_method: 'gptq' }), ConfigError, /quantization_config\.quant_method is "gptq"; only "bitnet" can be read/],
    ['no method', edited(() => {}, { __proto__: { quant_method: 'bitnet' } }), ConfigError, /quant_method is missing/],
    ['another class', edited(() => {}, { ...BITNET, linear_class: ['bitlinear'] }), ConfigError, /linear_class is \["bitlinear"\]; only "bitlinear" and "autobitlinear"/],
    ['another mode', edited(() => {}, { ...BITNET, quantization_mode: 'x' }), ConfigError, /quantization_mode is "x"/],
    ['no object', edited(() => {}, 5), ConfigError, /quantization_config is 5/],
    ['bytes that nothing explains', edited(() => {}, null), ConfigError, /"model\.layers\.0\.attn\.i_proj\.weight" is packed \(U8\), but config\.json has no quantization_config/],
    ['bytes where floats are said to be', edited(() => {}, { ...BITNET, quantization_mode: 'online' }), ConfigError, /is packed \(U8\), but/],
    ['no scale', edited((s) => { delete s[`${name}_scale`]; }), ConfigError, /down_proj\.weight" is packed \(U8\), but there is no "model\.layers\.1\.mlp\.down_proj\.weight_scale"/],
    ['a scale beside floats', edited((s) => { s[name] = { dtype: 'F32', shape: tensors[name]!.shape, bytes: encode('F32', tensors[name]!.values) }; }), ConfigError, /weight_scale" does not belong/],
    ['another height', edited((s) => { s[name] = { dtype: 'U8', shape: [12, 20], bytes: new Uint8Array(240) }; }), ConfigError, /down_proj\.weight" has shape \[12,20\], the configuration asks for \[3,20\]/],
    ['scales for another height', edited((s) => { s[`${name}_scale`] = { dtype: 'F32', shape: [3], bytes: new Uint8Array(12) }; }), FormatError, /weight_scale" must be one number or 12; it is \[3\]/],
    ['a scale of bytes', edited((s) => { s[`${name}_scale`] = { dtype: 'U8', shape: [1], bytes: new Uint8Array(1) }; }), FormatError, /weight_scale" has dtype U8/],
    ['a scale that is no number', edited((s) => { s[`${name}_scale`]!.bytes.set([0, 0, 0xc0, 0x7f]); }), FormatError, /weight_scale" holds NaN/],
    ['a divisor of zero', edited((s) => { s[`${name}_scale`]!.bytes.fill(0); }, { quant_method: 'bitnet' }), FormatError, /down_proj\.weight", row 0: the scale 1 \/ 0 is beyond float32/],
    ['a code of 3', edited((s) => { s[name]!.bytes[25]! |= 0b110000; }), FormatError, /down_proj\.weight", row 7: holds a code that no weight has/],
    ['packed norms', edited((s) => { s['model.norm.weight'] = { dtype: 'U8', shape: [12], bytes: new Uint8Array(12) }; }), FormatError, /"model\.norm\.weight" has dtype U8/],
  ] as [string, Files, new () => Error, RegExp][])('refuses %s', async (_what, files, kind, message) => {
    const error: unknown = await MatMulFreeLM.load(files).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(kind);
    expect(String(error)).toMatch(message);
  });
});

describe(`writing packed checkpoints (seed ${seed})`, () => {
  it.each([
    ['tiny', TINY], ['odd', ODD], ['wide', { hidden: 64, intermediate: 96, layers: 2, vocab: 12, lowerBounds: true }], ['a state wider by a third', { ...ODD, recurrent: 17 }],
  ] as [string, TinyConfig][])('%s: bit for bit the same model, from floats and from GGUF, and the same bytes', async (_name, config) => {
    const tensors = randomTensors(config, seed);
    const source = floats(config, tensors);
    const files = await collect(source);
    expect(Object.keys(files)).toEqual(['config.json', 'model.safetensors']);
    expectSameBits(await logits(files), await logits(source));
    await checkConversion(source, files);
    expect(await collect(source)).toEqual(files);
    const file = await toGguf(files);
    expect(Buffer.from(await toGguf(source)).equals(file)).toBe(true);
    expect((await collect(file))['model.safetensors']).toEqual(files['model.safetensors']);
    expect((await collect(files))['model.safetensors']).toEqual(files['model.safetensors']);
    // As another reader finds it.
    const expected = packedTensors(tensors);
    const own = files['model.safetensors']!;
    const header = JSON.parse(new TextDecoder().decode(own.subarray(8, 8 + new DataView(own.buffer).getUint32(0, true)))) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
    const data = own.subarray(own.length - Math.max(...Object.values(header).map((entry) => entry.data_offsets?.[1] ?? 0)));
    expect(new Set(Object.keys(header))).toEqual(new Set(['__metadata__', ...Object.keys(expected)]));
    for (const [name, { dtype, shape, bytes }] of Object.entries(expected)) {
      expect({ ...header[name], data_offsets: undefined }, name).toEqual({ dtype, shape, data_offsets: undefined });
      expect(data.slice(...header[name]!.data_offsets), name).toEqual(bytes);
    }
  });

  it('with a scale for each row, to both formats', async () => {
    const tensors = randomTensors(TINY, seed);
    const source = gguf({ metadata: modelMetadata(TINY), tensors: modelTensors(tensors, 'F32', (name, tensor) =>
      ({ ...blocks('TQ1_0', name, tensor), ...scaleTensor(name, Array.from({ length: tensor.shape[0]! }, (_, row) => 0.1 + row / 7)) })) });
    const expected = await logits(source);
    const file = await toGguf(source);
    expectSameBits(await logits(file), expected);
    const { tensors: listed } = await inspect(file);
    expect(listed.find(({ name }) => name === 'output.scale')).toMatchObject({ type: 'F32', shape: [11] });
    const files = await collect(source);
    expectSameBits(await logits(files), expected);
    expect((await inspect(files)).tensors.find(({ name }) => name === 'lm_head.weight_scale')).toMatchObject({ type: 'F32', shape: [11] });
    expectSameBits(await logits(await toGguf(files)), expected);
  });

  it('the configuration and the tokenizer go along, whatever they came in', async () => {
    const source = { ...floats(TINY, randomTensors(TINY, 1), { bos_token_id: null, eos_token_id: [3, 4], num_heads: 1, rms_norm_eps: 1e-5 }), 'generation_config.json': json({ eos_token_id: 5, more: 1 }) };
    const files = await collect(source);
    expect(files['generation_config.json']).toEqual(source['generation_config.json']);
    expect(JSON.parse(new TextDecoder().decode(files['config.json']))).toMatchObject({
      architectures: ['HGRNBitForCausalLM'], model_type: 'hgrn_bit', num_heads: 1, eos_token_id: 5, bos_token_id: null, quantization_config: BITNET,
    });
    for (const model of [{ ...source, 'generation_config.json': json({}) }, floats(TINY, randomTensors(TINY, 1), { eos_token_id: null }), source]) {
      const [before, after] = [await MatMulFreeLM.load(model), await MatMulFreeLM.load(await collect(model))];
      expect(after.config).toEqual(before.config);
    }
    const embedded = await collect(new Uint8Array(readFileSync(EMBEDDED)));
    expect(Object.keys(embedded)).toEqual(['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors']);
    const [before, after] = [await MatMulFreeLM.load(EMBEDDED), await MatMulFreeLM.load(embedded)];
    expect(after.tokenizer.encode('Once upon a time')).toEqual(before.tokenizer.encode('Once upon a time'));
    expect(after.info().fingerprint).toBe(before.info().fingerprint);
    expectSameBits(await logits(embedded), await logits(EMBEDDED));
  });

  it('sharded bfloat16, with progress, and stops at a signal', async () => {
    const model = fixture('models/bf16-sharded');
    const seen: string[] = [];
    const controller = new AbortController();
    for await (const _ of convertToSafetensors(model, { onProgress: ({ stage, loaded, total }) => { if (loaded === total) seen.push(stage); } })) void _;
    expect(seen).toEqual(['convert']);
    for await (const _ of convert(EMBEDDED, { onProgress: ({ stage, loaded, total }) => { if (loaded === total) seen.push(stage); } })) void _;
    expect(seen).toEqual(['convert', 'load', 'convert']); // the scales first
    const stopped = async (): Promise<void> => {
      for await (const { file } of convertToSafetensors(model, { signal: controller.signal })) if (file === 'model.safetensors') controller.abort();
    };
    await expect(stopped()).rejects.toMatchObject({ name: 'AbortError' });
    await expect(collect({ ...floats(TINY, randomTensors(TINY, 1)), 'config.json': json(`{"x": ${'['.repeat(1e5)}${']'.repeat(1e5)}, ${JSON.stringify(configJson(TINY)).slice(1)}`) }))
      .rejects.toThrow('config.json: is nested too deep to be written again');
    await expect(convertToSafetensors(model, { typo: 1 } as never).next()).rejects.toThrow(/unknown option "typo"/);
  });
});
