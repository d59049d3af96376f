import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, ConfigError, FormatError, MatMulFreeLM, type LoadOptions } from 'matmulfree';
import { assemble, configJson, json, safetensors, TINY, tinyCheckpoint, type Files } from '../support/checkpoints.js';
import { decoderConfig, decoderTensors, hybridTensors, TINY_BITNET, TINY_HYBRID, TINY_LLAMA, tinyDecoder, tinyHybrid, type TinyDecoder } from '../support/families.js';
import { expectSameBits } from '../support/compare.js';
import type { Tensors } from '../support/reference-parts.js';

/* Models of other families than MatMul-free LMs that cannot be run, and options that they do not take: each with an error that names what is wrong. */

type ErrorClass = new (message?: string) => Error;

/** Loading fails with exactly this kind of error, and says this. */
async function refuses(files: Files, kind: ErrorClass, message: RegExp, options: LoadOptions = {}): Promise<void> {
  const error = await MatMulFreeLM.load(files, { threads: 1, ...options }).then((lm) => lm.dispose(), (reason: unknown) => reason);
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).not.toMatch(/\n|undefined|NaN|\[object/);
}

async function accepts(files: Files): Promise<void> {
  const lm = await MatMulFreeLM.load(files, { threads: 1 });
  expect(lm.forward([1, 2], lm.createState()).every(Number.isFinite)).toBe(true);
  lm.dispose();
}

function edited(shape: TinyDecoder, edit: (tensors: Tensors) => void, extra: Record<string, unknown> = {}): Files {
  const tensors: Tensors = decoderTensors(shape, 1);
  edit(tensors);
  return { 'config.json': json(decoderConfig(shape, extra)), 'model.safetensors': safetensors(tensors) };
}

const bitnet = (extra: Record<string, unknown>): Files => tinyDecoder(TINY_BITNET, 1, extra);
const llama = (extra: Record<string, unknown>): Files => tinyDecoder(TINY_LLAMA, 1, extra);

it('the checkpoints that the cases below spoil are good', async () => {
  for (const files of [bitnet({}), llama({}), tinyHybrid()]) await accepts(files);
});

describe('how weights are quantised', () => {
  it.each([
    ['linear_class', { quant_method: 'bitnet', linear_class: 'bitlinear2' }, /quantization_config\.linear_class is "bitlinear2"; only "bitlinear" and "autobitlinear"/],
    ['quant_method', { quant_method: 'gptq', bits: 2 }, /quantization_config\.quant_method is "gptq"; only "bitnet"/],
    ['no quant_method', { linear_class: 'autobitlinear' }, /quantization_config\.quant_method is missing/],
    ['quantization_mode', { quant_method: 'bitnet', quantization_mode: 'sideways' }, /quantization_config\.quantization_mode is "sideways"/],
    ['a list', ['bitnet'], /quantization_config is \["bitnet"\], not an object/],
  ])('%s', async (_name, quantization_config, message) => {
    for (const family of [bitnet, llama]) await refuses(family({ quantization_config }), ConfigError, message);
  });
  it('a layout of other tools', async () => {
    await refuses(bitnet({ packed: true }), ConfigError, /packed is true: weights of another packing/);
    await refuses(bitnet({ quant_bits: 2, group_size: 128 }), ConfigError, /quant_bits is 2: weights of another packing/);
    await accepts(bitnet({ packed: false }));
  });
  it('a Llama whose weights are floats that are not ternary', () => refuses(llama({ quantization_config: undefined }), FormatError, /tensor "model.layers.0.self_attn.q_proj.weight" is not ternary: row 0/));
  it('a ternary head', async () => {
    await refuses(llama({ quantization_config: { quant_method: 'bitnet', modules_to_not_convert: [] } }), ConfigError, /modules_to_not_convert \[\]: a ternary head/);
    await accepts(llama({ quantization_config: { quant_method: 'bitnet', modules_to_not_convert: null, linear_class: 'autobitlinear', quantization_mode: 'online' } }));
  });

  /** One projection of the first layer is packed: 48 rows in 12. */
  const name = 'model.layers.0.self_attn.q_proj.weight';
  function packed(byte: (n: number) => number, shape = [12, 20], scale = 0.5): Files {
    const tensors = decoderTensors(TINY_LLAMA, 1);
    delete tensors[name];
    tensors[`${name}_scale`] = { shape: [1], values: [scale] };
    const floats = safetensors(tensors);
    const headerEnd = 8 + new DataView(floats.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(floats.subarray(8, headerEnd))) as Record<string, unknown>;
    const data = floats.subarray(headerEnd);
    const bytes = Uint8Array.from({ length: shape[0]! * shape[1]! }, (_, n) => byte(n));
    header[name] = { dtype: 'U8', shape, data_offsets: [data.length, data.length + bytes.length] };
    return {
      'config.json': json(decoderConfig(TINY_LLAMA, { quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear' } })),
      'model.safetensors': assemble(JSON.stringify(header), Uint8Array.from([...data, ...bytes])),
    };
  }

  it('packed weights with a code that no weight has, in each of the four places of a byte', async () => {
    await accepts(packed(() => 0b00_10_01_00));
    for (let place = 0; place < 4; place++) {
      const code = (n: number): number => (n === 45 ? 3 << (2 * place) : 0b01_01_01_00);
      await refuses(packed(code), FormatError, new RegExp(`"${name}", row ${12 * place + 2}: holds a code that no weight has`));
    }
  });
  it('packed weights without a scale, with one that is no number, of another height', async () => {
    await refuses(packed(() => 0, undefined, Infinity), FormatError, /q_proj\.weight_scale" holds Infinity at element 0; weights must be finite/);
    const files = packed(() => 0);
    const unscaled = Buffer.from(files['model.safetensors']!).toString('latin1').replace('q_proj.weight_scale', 'q_proj.weight_scalf');
    await refuses({ ...files, 'model.safetensors': Uint8Array.from(Buffer.from(unscaled, 'latin1')) }, ConfigError, /q_proj\.weight" is packed \(U8\), but there is no "model\.layers\.0\.self_attn\.q_proj\.weight_scale"/);
    await refuses(packed(() => 0b1010, [48, 20]), ConfigError, new RegExp(`"${name}" has shape \\[48,20\\], the configuration asks for \\[12,20\\]`));
  });
  it('a projection that is nothing but zeros', async () => {
    await refuses(packed(() => 0b01_01_01_01), FormatError, new RegExp(`"${name}" holds nothing but zeros`));
    for (const projection of ['model.layers.1.mlp.down_proj.weight', 'model.layers.0.self_attn.v_proj.weight']) {
      const zeros = edited(TINY_BITNET, (tensors) => { tensors[projection] = { shape: tensors[projection]!.shape, values: Array.from(tensors[projection]!.values, () => 0) }; });
      await refuses(zeros, FormatError, new RegExp(`"${projection}" holds nothing but zeros`));
    }
  });
});

describe('keys of config.json', () => {
  it('what a layer computes: no default where it would be a guess', async () => {
    await refuses(bitnet({ hidden_act: undefined }), ConfigError, /hidden_act is missing; it must be "relu2" or "silu"/);
    for (const family of [bitnet, llama]) await refuses(family({ hidden_act: 'gelu' }), ConfigError, /hidden_act is "gelu"/);
    await refuses(llama({ hidden_act: 'relu2' }), ConfigError, /hidden_act is "relu2"/);
  });
  it.each(['hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'vocab_size', 'max_position_embeddings', 'rms_norm_eps'])('%s is missing, or out of range', async (key) => {
    for (const family of [bitnet, llama]) {
      await refuses(family({ [key]: undefined }), ConfigError, new RegExp(`${key} is missing`));
      for (const value of [0, -1, 'x', 1e40]) await refuses(family({ [key]: value }), ConfigError, new RegExp(`${key} is `));
    }
  });
  it('heads that do not divide', async () => {
    await refuses(bitnet({ num_key_value_heads: 3 }), ConfigError, /num_key_value_heads is 3, which does not divide num_attention_heads, 4/);
    await refuses(bitnet({ num_key_value_heads: 8 }), ConfigError, /num_key_value_heads is 8/);
    await refuses(bitnet({ num_attention_heads: 5, num_key_value_heads: 5, head_dim: undefined }), ConfigError, /num_attention_heads is 5, which does not divide hidden_size, 24/);
    for (const head_dim of [6, 7]) await refuses(bitnet({ head_dim }), ConfigError, new RegExp(`head_dim is ${head_dim}, not a multiple of 4`));
    await refuses(bitnet({ head_dim: 65536 }), ConfigError, /head_dim is 65536: 4 heads of it are wider/);
  });
  it('biases', async () => {
    for (const key of ['attention_bias', 'mlp_bias']) for (const family of [bitnet, llama]) await refuses(family({ [key]: true }), ConfigError, new RegExp(`${key} is true`));
  });
  it.each(['rope_scaling', 'rope_parameters'])('rotary embeddings: %s', async (key) => {
    for (const rope_type of ['dynamic', 'longrope', 'su', 7]) await refuses(llama({ [key]: { rope_type, factor: 2 } }), ConfigError, new RegExp(`${key}: rope_type is ${JSON.stringify(rope_type)}`));
    await refuses(llama({ [key]: { type: 'linear', factor: 2 } }), ConfigError, /rope_type is "linear"/);
    await refuses(llama({ [key]: { rope_type: 'mrope' } }), ConfigError, /rope_type is "mrope"/);
    await refuses(llama({ [key]: 'llama3' }), ConfigError, new RegExp(`${key} is "llama3", not an object`));
    const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    await accepts(llama({ [key]: llama3 }));
    for (const missing of Object.keys(llama3).slice(1)) await refuses(llama({ [key]: { ...llama3, [missing]: undefined } }), ConfigError, new RegExp(`${key}: ${missing} is missing`));
    await refuses(llama({ [key]: { ...llama3, factor: -1 } }), ConfigError, /factor is -1, not a positive number/);
    for (const type of ['linear', 'default']) await accepts(llama({ [key]: { type, factor: 1 } }));
    await accepts(llama({ [key]: null }));
  });
  it('what would run, and be another model', async () => {
    for (const family of [bitnet, llama]) {
      for (const [key, value] of [['sliding_window', 4096], ['rope_interleaved', true], ['partial_rotary_factor', 0.5], ['rotary_pct', 0.25], ['parallel_attn', true], ['use_parallel_residual', true]] as const) {
        await refuses(family({ [key]: value }), ConfigError, new RegExp(`${key} is ${value}; only`));
      }
      for (const key of ['drop_attn_list', 'drop_mlp_list']) {
        for (const list of [[2], [-1], [0.5], ['1'], [true], [false, true, false], [0, true], 1, 'all', {}]) await refuses(family({ [key]: list }), ConfigError, new RegExp(`${key} is .*, not a list of layers from 0 to 1, or of 2 booleans`));
      }
      await accepts(family({
        sliding_window: 4096, use_sliding_window: false, rope_interleaved: false, partial_rotary_factor: 1, rotary_pct: 1, parallel_attn: false,
        drop_attn_list: null, drop_mlp_list: [], auto_map: { AutoConfig: 'configuration_bitnet.BitNetConfig' }, activation: 'swiglu', pretraining_tp: 1,
      }));
      await accepts(family({ sliding_window: null, drop_attn_list: [false, false] }));
    }
  });
  it('theta', () => refuses(llama({ rope_theta: 0 }), ConfigError, /rope_theta is 0, not a positive number/));
});

describe('tensors', () => {
  it('sub-norms that are not wanted, or missing in one layer', async () => {
    const put = (name: string, width: number) => (tensors: Tensors): void => { tensors[name] = { shape: [width], values: new Float32Array(width).fill(1) }; };
    await refuses(edited(TINY_LLAMA, put('model.layers.1.mlp.ffn_sub_norm.weight', 40)), ConfigError, /"model\.layers\.1\.mlp\.ffn_sub_norm\.weight" does not belong to a model of this configuration/);
    await refuses(edited(TINY_LLAMA, put('model.layers.0.self_attn.q_proj.norm.weight', 20)), ConfigError, /"model\.layers\.0\.self_attn\.q_proj\.norm\.weight" does not belong/);
    for (const name of ['model.layers.1.self_attn.attn_sub_norm.weight', 'model.layers.0.mlp.ffn_sub_norm.weight']) {
      await refuses(edited(TINY_BITNET, (tensors) => { delete tensors[name]; }), ConfigError, new RegExp(`tensor "${name}" \\[\\d+\\] is missing`));
    }
    // In the first layer: then there is one in a layer that should have none.
    await refuses(edited(TINY_BITNET, (tensors) => { delete tensors['model.layers.0.self_attn.attn_sub_norm.weight']; }), ConfigError, /sub_norm\.weight" does not belong/);
    await refuses(edited(TINY_BITNET, (tensors) => { tensors['model.layers.1.self_attn.attn_sub_norm.weight'] = { shape: [8], values: new Float32Array(8).fill(1) }; }),
      ConfigError, /attn_sub_norm\.weight" has shape \[8\], the configuration asks for \[32\]/);
  });
  it('a head of its own that is missing, or there beside a tied one', async () => {
    await refuses(llama({ tie_word_embeddings: undefined, vocab_size: 12 }), ConfigError, /"(model\.embed_tokens|lm_head)\.weight" has shape \[11,20\]/);
    await refuses(edited(TINY_LLAMA, (tensors) => { delete tensors['lm_head.weight']; }), ConfigError, /"lm_head\.weight" \[11,20\] is missing/);
    await refuses(bitnet({ tie_word_embeddings: 'yes' }), ConfigError, /tie_word_embeddings is "yes", not true or false/);
  });
  it('the BitNet of flash-linear-attention', () => {
    const tensors = decoderTensors(TINY_BITNET, 1);
    tensors['model.embeddings.weight'] = tensors['model.embed_tokens.weight']!;
    delete tensors['model.embed_tokens.weight'];
    return refuses({ 'config.json': json({ ...decoderConfig(TINY_BITNET), hidden_act: 'swish' }), 'model.safetensors': safetensors(tensors) }, ConfigError, /model_type is "bitnet", but the tensors are those of flash-linear-attention/);
  });
});

describe('layers of attention in a MatMul-free LM', () => {
  const good = { layers: [1], num_heads: 4, num_kv_heads: 2 };
  const hybrid = (attn: unknown): Files => ({ 'config.json': json(configJson(TINY_HYBRID, { attn })), 'model.safetensors': safetensors(hybridTensors(TINY_HYBRID, [good], 1)) });

  it.each<[string, unknown, RegExp]>([
    ['beyond the last layer', { ...good, layers: [1, 3] }, /attn: layers has 3, not a layer from 0 to 2/],
    ['below the first one', { ...good, layers: [-1] }, /layers has -1/],
    ['between two', { ...good, layers: [0.5] }, /layers has 0\.5/],
    ['twice', { ...good, layers: [1, 1] }, /attn: layers has layer 1 twice/],
    ['in two objects', [good, { ...good, num_heads: 2 }], /layers has layer 1 twice/],
    ['booleans', { ...good, layers: [false, true, false] }, /layers has false, not a layer/],
    ['texts', { ...good, layers: ['1'] }, /layers has "1"/],
    ['a number', { ...good, layers: 1 }, /attn: layers is 1, not a list/],
    ['missing', { num_heads: 4 }, /attn: layers is missing/],
    ['not an object', 7, /attn is 7, not an object or a list of objects/],
    ['a list of numbers', [1], /attn is 1, not an object/],
    ['heads that do not divide', { ...good, num_heads: 3 }, /attn: num_heads is 3/],
    ['heads too narrow', { ...good, num_heads: 8 }, /num_heads is 8: heads of 2 channels/],
    ['no heads', { layers: [1] }, /attn: num_heads is missing/],
    ['kv heads that do not divide', { ...good, num_kv_heads: 3 }, /num_kv_heads is 3, which does not divide num_heads, 4/],
    ['more kv heads than heads', { ...good, num_kv_heads: 8 }, /num_kv_heads is 8/],
    ['biases', { ...good, qkv_bias: true }, /attn: qkv_bias is true/],
    ['no window at all', { ...good, window_size: 0 }, /attn: window_size is 0/],
    ['a window of half a token', { ...good, window_size: 2.5 }, /window_size is 2\.5/],
    ['theta', { ...good, rope_theta: -1 }, /attn: rope_theta is -1, not a positive number/],
  ])('%s', (_name, attn, message) => refuses(hybrid(attn), ConfigError, message));

  it('of another layer than the tensors', () => refuses(hybrid({ ...good, layers: [2] }), ConfigError, /tensor "model\.layers\.1\.attn\.i_proj\.weight" \[16,16\] is missing|tensor "model\.layers\.1\.attn\.i_proj\.norm\.weight" \[16\] is missing/));
  it('null, none, a list of one, and keys that nobody knows are all right', async () => {
    for (const attn of [null, [], { layers: [], num_heads: 1 }]) await accepts({ ...tinyCheckpoint(TINY, 1, { attn }) });
    for (const attn of [[good], { ...good, window_size: null, qkv_bias: false, whatever: 7 }]) await accepts(hybrid(attn));
  });
});

describe('texts, memory and states', () => {
  let short: MatMulFreeLM;
  beforeAll(async () => {
    short = await MatMulFreeLM.load(tinyDecoder({ ...TINY_BITNET, positions: 10 }), { threads: 1 });
  });
  afterAll(() => short.dispose());

  it('a text beyond max_position_embeddings is refused before anything is computed', () => {
    const state = short.createState();
    short.forward([1, 2, 3, 4, 5, 6, 7], state);
    const before = state.serialize();
    expect(() => short.forward([1, 2, 3, 4], state)).toThrow(ArgumentError);
    expect(() => short.forward([1, 2, 3, 4], state)).toThrow(/the text would have 11 tokens; this model can take 10/);
    expect(state.serialize()).toEqual(before);
    expect(state.tokens).toBe(7);
    const rest = short.forward([1, 2, 3], state); // exactly as many
    expectSameBits(rest, short.forward([1, 2, 3, 4, 5, 6, 7, 1, 2, 3], short.createState()));
    expect(() => short.forward(1, state)).toThrow(/11 tokens/);
  });

  it.each([0, -1, 1.5, '8', 2 ** 40])('contextTokens: %j', (contextTokens) =>
    refuses(tinyDecoder(TINY_BITNET), ArgumentError, /contextTokens/, { contextTokens } as LoadOptions));
  it.each(['f64', 'F16', 16, true])('kvType: %j', (kvType) => refuses(tinyDecoder(TINY_BITNET), ArgumentError, /kvType is .*, not "f16" or "f32"/, { kvType } as never));

  it('contextTokens used up by two texts: an error that says so, and both as they were', async () => {
    const lm = await MatMulFreeLM.load(tinyDecoder(TINY_BITNET), { threads: 1, contextTokens: 128 });
    const [a, b] = [lm.createState(), lm.createState()];
    const ids = Array.from({ length: 64 }, (_, n) => n % 11);
    lm.forward(ids, a);
    lm.forward(ids, b);
    const before = [a.serialize(), b.serialize()];
    expect(() => lm.forward(1, a)).toThrow(ArgumentError);
    expect(() => lm.forward(1, a)).toThrow(/memory for keys and values is used up.*contextTokens/);
    expect([a.serialize(), b.serialize()]).toEqual(before);
    b.dispose();
    expect(lm.forward(1, a).every(Number.isFinite)).toBe(true);
    lm.dispose();
  });

  it('a saved state of another family, of another model, of another kvType, cut off, or spoilt', async () => {
    const load = (files: Files, options: LoadOptions = {}): Promise<MatMulFreeLM> => MatMulFreeLM.load(files, { threads: 1, ...options });
    const models = await Promise.all([load(tinyDecoder(TINY_BITNET)), load(tinyDecoder(TINY_LLAMA)), load(tinyHybrid()), load(tinyCheckpoint()), load(tinyDecoder(TINY_BITNET, 2))]);
    const saved = models.map((lm) => {
      const state = lm.createState();
      lm.forward([1, 2, 3], state);
      return state.serialize();
    });
    models.forEach((lm, m) => saved.forEach((bytes, n) => {
      if (m === n) expect(lm.restoreState(bytes).serialize()).toEqual(bytes);
      else expect(() => lm.restoreState(bytes)).toThrow(ArgumentError);
    }));
    const [lm, bytes] = [models[0]!, saved[0]!];
    for (const length of [3, 31, 33, bytes.length - 1]) expect(() => lm.restoreState(bytes.slice(0, length)), `${length} bytes`).toThrow(ArgumentError);
    expect(() => lm.restoreState(Uint8Array.from([...bytes, 0]))).toThrow(ArgumentError);
    const spoilt = bytes.slice();
    spoilt.fill(0xff, bytes.length - 2); // a float16 that is no number
    expect(() => lm.restoreState(spoilt)).toThrow(/damaged/);
    const inFloat32 = await load(tinyDecoder(TINY_BITNET), { kvType: 'f32' });
    expect(() => inFloat32.restoreState(bytes)).toThrow(/2 bytes, this model of 4; load it with the same kvType/);
    for (const each of [...models, inFloat32]) each.dispose();
  });

  it('a saved state of a model that differs in nothing but how its keys are turned', async () => {
    const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    const yarn = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 64 };
    const models = await Promise.all([
      {}, { rope_theta: 10_000.25 }, { rope_scaling: llama3 }, { rope_scaling: { ...llama3, factor: 4 } }, { rope_scaling: { ...llama3, original_max_position_embeddings: 65 } },
      { rope_scaling: yarn }, { rope_scaling: { ...yarn, attention_factor: 1 } },
    ].map((extra) => MatMulFreeLM.load(llama(extra), { threads: 1 })));
    expect(new Set(models.map((lm) => lm.info().fingerprint)).size).toBe(models.length);
    const saved = models[0]!.createState().serialize();
    for (const lm of models.slice(1)) expect(() => lm.restoreState(saved)).toThrow(ArgumentError);
    for (const lm of models) lm.dispose();
  });
});
