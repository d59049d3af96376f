import { readFileSync } from 'node:fs';
import { json, type Files } from './checkpoints.js';
import { readTensors, shared } from './files.js';
import { gguf, type Entry, type TensorToWrite } from './gguf-files.js';
import { encodeExactly, encodeWeight, fits, type Format } from './group-blocks.js';
import { storedSafetensors } from './group-files.js';
import { randomFrom } from './random.js';
import { roundTo, type TernaryModel, type TernaryTensor } from './ternary-models.js';

/* Qwen3.5's text model, small and random, as `TernaryModel` has it; and rotated models (bonsai.md §2.6). */

export interface TinyQwen35 {
  readonly hidden: number;
  readonly intermediate: number;
  /** L: a gated delta net, A: attention. */
  readonly layers: string;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly vocab: number;
  readonly positions: number;
  readonly isTied: boolean;
  /** Columns that have a scale in common. */
  readonly group: number;
  /** Names begin with model.language_model, and the keys are in `text_config`. */
  readonly isInside?: boolean;
  /** The model is in a rotated basis of such blocks. */
  readonly block?: number;
}

export const TINY_QWEN35: TinyQwen35 = {
  hidden: 64, intermediate: 64, layers: 'LAL', heads: 4, kvHeads: 2, headDim: 16, keyHeads: 2, valueHeads: 4, keyDim: 8, valueDim: 16, vocab: 11, positions: 4096,
  isTied: true, group: 64,
};
export const TINY_ROTATED: TinyQwen35 = { ...TINY_QWEN35, layers: 'LLA', isTied: false, block: 32 };

/** @param extra keys of config.json, at its top. */
export function randomQwen35(shape: TinyQwen35 = TINY_QWEN35, seed = 1, extra: Record<string, unknown> = {}): TernaryModel {
  const { hidden: D, intermediate: F, layers, heads, kvHeads, headDim, keyHeads, valueHeads, keyDim, valueDim, vocab, isTied, group, isInside = false } = shape;
  const random = randomFrom(seed);
  const tensors: Record<string, TernaryTensor> = {};
  const round = roundTo(11);
  const root = isInside ? 'model.language_model' : 'model';
  const floats = (name: string, dimensions: number[], mean = 0, deviation = 0.25): void => {
    tensors[name] = { shape: dimensions, values: Float32Array.from({ length: dimensions.reduce((a, b) => a * b) }, () => round(mean + random.normal() * deviation)) };
  };
  const weight = (name: string, rows: number, columns: number, size = Math.sqrt(1.5 / columns)): void => {
    const values = new Float32Array(rows * columns);
    for (let at = 0; at < values.length; at += group) {
      const scale = round(size * (0.5 + random.unit()));
      for (let j = 0; j < group; j++) values[at + j] = scale * random.integer(-1, 1);
    }
    tensors[`${name}.weight`] = { shape: [rows, columns], values };
  };
  weight(`${root}.embed_tokens`, vocab, D, isTied ? 0.3 : 1);
  Array.from(layers).forEach((kind, n) => {
    const name = `${root}.layers.${n}`;
    floats(`${name}.input_layernorm.weight`, [D]);
    floats(`${name}.post_attention_layernorm.weight`, [D]);
    if (kind === 'A') {
      weight(`${name}.self_attn.q_proj`, 2 * heads * headDim, D);
      for (const which of ['k', 'v']) weight(`${name}.self_attn.${which}_proj`, kvHeads * headDim, D);
      weight(`${name}.self_attn.o_proj`, D, heads * headDim);
      for (const which of ['q', 'k']) floats(`${name}.self_attn.${which}_norm.weight`, [headDim]);
    } else {
      const [key, value] = [keyHeads * keyDim, valueHeads * valueDim];
      const own = `${name}.linear_attn`;
      weight(`${own}.in_proj_qkv`, 2 * key + value, D);
      weight(`${own}.in_proj_z`, value, D);
      for (const which of ['a', 'b']) floats(`${own}.in_proj_${which}.weight`, [valueHeads, D], 0, 0.1);
      floats(`${own}.conv1d.weight`, [2 * key + value, 1, 4], 0.2, 0.5);
      floats(`${own}.A_log`, [valueHeads], -1, 1);
      floats(`${own}.dt_bias`, [valueHeads], 0, 0.5);
      floats(`${own}.norm.weight`, [valueDim], 1);
      weight(`${own}.out_proj`, D, value);
    }
    for (const which of ['gate', 'up']) weight(`${name}.mlp.${which}_proj`, F, D);
    weight(`${name}.mlp.down_proj`, D, F);
  });
  floats(`${root}.norm.weight`, [D]);
  if (!isTied) weight('lm_head', vocab, D);
  return { config: { ...qwen35Config(shape), ...(shape.block ? { prism_hadamard: randomRotation(shape, seed) } : {}), ...extra }, tensors };
}

function qwen35Config(shape: TinyQwen35): Record<string, unknown> {
  const { hidden, intermediate, layers, heads, kvHeads, headDim, keyHeads, valueHeads, keyDim, valueDim, vocab, positions, isTied, isInside } = shape;
  const text = {
    model_type: 'qwen3_5_text', dtype: 'float16', hidden_act: 'silu', hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers.length,
    num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim, vocab_size: vocab, max_position_embeddings: positions, rms_norm_eps: 1e-6,
    attention_bias: false, attn_output_gate: true, layer_types: Array.from(layers, (kind) => (kind === 'A' ? 'full_attention' : 'linear_attention')),
    linear_conv_kernel_dim: 4, linear_key_head_dim: keyDim, linear_value_head_dim: valueDim, linear_num_key_heads: keyHeads, linear_num_value_heads: valueHeads,
    rope_parameters: { rope_theta: 10_000, rope_type: 'default', partial_rotary_factor: 0.25, mrope_section: [1, 1, 0], mrope_interleaved: true },
  };
  const ids = { bos_token_id: 1, eos_token_id: 2 };
  return isInside
    ? { architectures: ['Qwen3_5ForConditionalGeneration'], model_type: 'qwen3_5', text_config: { ...text, ...ids }, tie_word_embeddings: isTied, vision_config: { depth: 2 } }
    : { architectures: ['Qwen3_5ForCausalLM'], ...text, ...ids, tie_word_embeddings: isTied };
}

/** `prism.hadamard.*` without the prefix, of a model all of whose ternary weights are rotated; signs as + and -. */
export interface Rotation {
  readonly version: number;
  readonly block_size: number;
  readonly sign_widths: readonly number[];
  readonly sign_values: string;
  readonly weight_names: readonly string[];
  readonly [key: string]: unknown;
}

function rotation(block: number, signs: ReadonlyMap<number, string>, weight_names: readonly string[], isTied: boolean): Rotation {
  return {
    version: isTied ? 2 : 1, block_size: block, transform: 'normalized-sylvester-walsh-hadamard', axis: 'input-last-dimension', sign_mode: 'explicit',
    sign_widths: [...signs.keys()], sign_values: [...signs.values()].join(''), weight_names, inverse_weight_names: ['token_embd.weight'], gdn_v_grouped: true,
    ...(isTied ? { tied_output: true } : {}),
  };
}

function randomRotation({ hidden, intermediate, layers, heads, headDim, valueHeads, valueDim, isTied, block }: TinyQwen35, seed: number): Rotation {
  const random = randomFrom(seed + 77);
  const widths = [hidden, intermediate, ...(layers.includes('A') ? [heads * headDim] : []), ...(layers.includes('L') ? [valueHeads * valueDim] : [])];
  const signs = new Map(widths.map((width) => [width, Array.from({ length: width }, () => (random.unit() < 0.5 ? '+' : '-')).join('')]));
  return rotation(block!, signs, rotatedNames(layers, isTied), isTied);
}

/** Names in GGUF of the weights of a model that are rotated. */
function rotatedNames(layers: string, isTied: boolean): string[] {
  const mixers: Record<string, string[]> = { A: ['attn_q', 'attn_k', 'attn_v', 'attn_output'], L: ['attn_qkv', 'attn_gate', 'ssm_out'] };
  const names = Array.from(layers).flatMap((kind, n) => [...mixers[kind]!, 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) => `blk.${n}.${name}.weight`));
  return isTied ? names : [...names, 'output.weight'];
}

const ROTATED = 'models/tiny/qwen35-rotated';

/** The golden model whose weights are rotated, with what tells of it. */
export function rotatedGolden(): TernaryModel {
  const config = JSON.parse(readFileSync(shared(`${ROTATED}/config.json`), 'utf8')) as Record<string, unknown>;
  const all = Object.entries(readTensors(shared(`${ROTATED}/model.safetensors`)));
  const signs = new Map(all.filter(([name]) => name.startsWith('prism.signs.')).map(([name, { values }]) => [Number(name.slice(12)), Array.from(values, (sign) => (sign < 0 ? '-' : '+')).join('')]));
  return {
    config: { ...config, prism_hadamard: rotation(128, signs, rotatedNames('LLLA', false), false) },
    tensors: Object.fromEntries(all.filter(([name]) => !name.startsWith('prism.')).map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }])),
  };
}

/** A folder in Hugging Face layout, with a rotation as convert keeps it: in config.json. */
export function qwen35Folder({ config, tensors }: TernaryModel): Files {
  const stored = Object.entries(tensors).map(([name, { shape, values }]) => ({ name, dtype: 'F16', shape, bytes: encodeExactly('F16', values) }));
  return { 'config.json': json(config), 'model.safetensors': storedSafetensors(stored) };
}

/** How its tensors are called in GGUF. */
function ggufNameOf(hf: string): string {
  const name = hf.replace('model.language_model.', 'model.');
  const ends: Record<string, string> = { 'model.embed_tokens.weight': 'token_embd.weight', 'model.norm.weight': 'output_norm.weight', 'lm_head.weight': 'output.weight' };
  const inLayer: readonly (readonly [string, string])[] = [
    ['model.layers', 'blk'], ['input_layernorm', 'attn_norm'], ['post_attention_layernorm', 'post_attention_norm'], ['linear_attn.in_proj_qkv', 'attn_qkv'],
    ['linear_attn.in_proj_z', 'attn_gate'], ['linear_attn.in_proj_a', 'ssm_alpha'], ['linear_attn.in_proj_b', 'ssm_beta'], ['linear_attn.conv1d', 'ssm_conv1d'],
    ['linear_attn.A_log', 'ssm_a'], ['linear_attn.dt_bias', 'ssm_dt.bias'], ['linear_attn.norm', 'ssm_norm'], ['linear_attn.out_proj', 'ssm_out'],
    ['self_attn.q_proj', 'attn_q'], ['self_attn.k_proj', 'attn_k'], ['self_attn.v_proj', 'attn_v'], ['self_attn.o_proj', 'attn_output'],
    ['self_attn.q_norm', 'attn_q_norm'], ['self_attn.k_norm', 'attn_k_norm'], ['mlp.gate_proj', 'ffn_gate'], ['mlp.up_proj', 'ffn_up'], ['mlp.down_proj', 'ffn_down'],
  ];
  return ends[name] ?? inLayer.reduce((text, [from, to]) => text.replace(from, to), name);
}

export interface Qwen35GgufOptions {
  readonly format: Format;
  /** Of what the format cannot hold. */
  readonly otherwise?: Format;
  readonly metadata?: Readonly<Record<string, Entry | undefined>>;
  readonly edit?: (tensors: Record<string, TensorToWrite>) => void;
}

/** `model.gguf` as llama.cpp's converter writes it (bonsai.md §3.4): value heads in tiled order, norms with 1 added, decays as they are used. */
export function qwen35Gguf({ config, tensors }: TernaryModel, { format, otherwise = 'F16', metadata = {}, edit = () => {} }: Qwen35GgufOptions): Files {
  const text = { ...config, ...(config['text_config'] as object | undefined) } as Record<string, unknown>;
  const number = (key: string): number => Number(text[key]);
  const [keyHeads, valueHeads, keyDim, valueDim] = ['linear_num_key_heads', 'linear_num_value_heads', 'linear_key_head_dim', 'linear_value_head_dim'].map(number) as [number, number, number, number];
  const prism = config['prism_hadamard'] as Rotation | undefined;
  /** Rows, of `width` for each value head from row `first` on: value j of key head k comes to place j · keyHeads + k. */
  const tiled = (values: ArrayLike<number>, rowLength: number, first: number, width: number): Float32Array => {
    const result = Float32Array.from(values);
    const perKey = valueHeads / keyHeads;
    for (let k = 0; k < keyHeads; k++) {
      for (let j = 0; j < perKey; j++) {
        const [from, to] = [first + (k * perKey + j) * width, first + (j * keyHeads + k) * width];
        for (let n = 0; n < width * rowLength; n++) result[to * rowLength + n] = values[from * rowLength + n]!;
      }
    }
    return result;
  };
  const turned = (values: ArrayLike<number>, rows: number, columns: number): Float32Array =>
    Float32Array.from({ length: rows * columns }, (_, n) => values[(n % rows) * columns + Math.floor(n / rows)]!);
  const written: Record<string, TensorToWrite> = {};
  for (const [hf, { shape, values: stored }] of Object.entries(tensors)) {
    const name = ggufNameOf(hf);
    const kind = name.replace(/\.(weight|bias)$/, '').split('.').at(-1)!;
    const [rows = 1, columns = 1] = kind === 'ssm_conv1d' ? [shape[0], 4] : shape;
    let values: Float32Array = stored;
    if (kind === 'attn_qkv' || kind === 'ssm_conv1d') values = tiled(values, columns, 2 * keyHeads * keyDim, valueDim);
    if (kind === 'attn_gate') values = tiled(values, columns, 0, valueDim);
    if (['ssm_alpha', 'ssm_beta', 'ssm_a', 'ssm_dt'].includes(kind)) values = tiled(values, columns, 0, 1);
    const isGrouped = prism?.['gdn_v_grouped'] === true && prism.weight_names.includes(name);
    if (kind === 'ssm_out' && !isGrouped) values = turned(tiled(turned(values, rows, columns), rows, 0, valueDim), columns, rows);
    if (kind === 'ssm_a') values = values.map((value) => -Math.exp(value));
    if (/norm$/.test(kind) && kind !== 'ssm_norm') values = values.map((value) => 1 + value);
    const isTernary = /^(token_embd|output|attn_qkv|attn_gate|ssm_out|attn_[qkv]|attn_output|ffn_gate|ffn_up|ffn_down)$/.test(kind);
    const dimensions = kind === 'ssm_conv1d' ? [rows, columns] : shape;
    const tensor = { shape: dimensions, values };
    written[name] = encodeWeight(!isTernary ? 'F32' : fits(format, tensor) ? format : otherwise, tensor);
  }
  edit(written);
  const rope = text['rope_parameters'] as Record<string, number>;
  const keys: Record<string, Entry | undefined> = {
    'general.architecture': ['string', 'qwen35'], 'general.file_type': ['u32', 41],
    'qwen35.block_count': ['u32', number('num_hidden_layers')], 'qwen35.context_length': ['u32', number('max_position_embeddings')],
    'qwen35.embedding_length': ['u32', number('hidden_size')], 'qwen35.feed_forward_length': ['u32', number('intermediate_size')],
    'qwen35.attention.head_count': ['u32', number('num_attention_heads')], 'qwen35.attention.head_count_kv': ['u32', number('num_key_value_heads')],
    'qwen35.attention.key_length': ['u32', number('head_dim')], 'qwen35.attention.value_length': ['u32', number('head_dim')],
    'qwen35.attention.layer_norm_rms_epsilon': ['f32', number('rms_norm_eps')], 'qwen35.rope.freq_base': ['f32', rope['rope_theta']!],
    'qwen35.rope.dimension_count': ['u32', number('head_dim') * rope['partial_rotary_factor']!], 'qwen35.rope.dimension_sections': [['i32'], [1, 1, 0, 0]],
    'qwen35.full_attention_interval': ['u32', (text['layer_types'] as string[]).indexOf('full_attention') + 1],
    'qwen35.ssm.conv_kernel': ['u32', 4], 'qwen35.ssm.state_size': ['u32', keyDim], 'qwen35.ssm.group_count': ['u32', keyHeads], 'qwen35.ssm.time_step_rank': ['u32', valueHeads],
    'qwen35.ssm.inner_size': ['u32', valueHeads * valueDim], 'tokenizer.ggml.bos_token_id': ['u32', 1], 'tokenizer.ggml.eos_token_id': ['u32', 2],
    ...(prism ? prismMetadata(prism) : {}), ...metadata,
  };
  const kept = Object.entries(keys).filter((entry): entry is [string, Entry] => entry[1] !== undefined);
  return { 'model.gguf': gguf({ metadata: Object.fromEntries(kept), tensors: written }) };
}

function prismMetadata(prism: Rotation): Record<string, Entry> {
  const texts = ['transform', 'axis', 'sign_mode'].map((key) => [key, ['string', prism[key]]]);
  const numbers = [['version', ['u32', prism.version]], ['block_size', ['u32', prism.block_size]], ['sign_widths', [['i32'], prism.sign_widths]]];
  const signs = ['sign_values', [['i32'], Array.from(prism.sign_values, (sign) => (sign === '-' ? -1 : 1))]];
  const names = ['weight_names', 'inverse_weight_names'].map((key) => [key, [['string'], prism[key]]]);
  const flags = ['gdn_v_grouped', 'tied_output'].filter((key) => prism[key] !== undefined).map((key) => [key, ['bool', prism[key]]]);
  return Object.fromEntries([...numbers, ...texts, signs, ...names, ...flags].map(([key, value]) => [`prism.hadamard.${String(key)}`, value as unknown as Entry]));
}
