import { readFileSync } from 'node:fs';
import { decoderConfig, decoderTensors, type TinyDecoder } from './families.js';
import { halfToNumber, readTensors } from './files.js';
import { halfBits, quantise } from './gguf-files.js';
import { randomFrom } from './random.js';

/*
 * Small ternary models as data: a configuration as config.json has it, and floats under their names in a checkpoint. A ternary
 * weight holds 0 and ± one number in each of its groups.
 */

export interface TernaryTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface TernaryModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, TernaryTensor>>;
}

export interface TinyQwen3 extends Omit<TinyDecoder, 'family' | 'activation'> {
  readonly yarn?: { readonly factor: number; readonly original: number };
  /** Columns that have a scale in common; with 256, the model can be written in TQ blocks. The last group of a row may be shorter. */
  readonly group: number;
  /** Only ±, no zeros. */
  readonly isBinary?: boolean;
  /** How many of a hundred groups are all zeros. Default: none. */
  readonly zeroGroups?: number;
  /** Significant bits of all numbers: 11, as float16 holds them, or 8, which bfloat16 holds too. */
  readonly bits?: 8 | 11;
}

/** Wide enough for every format if `group` is 256; queries are wider than the hidden state. */
export const TINY_QWEN3: TinyQwen3 = {
  hidden: 256, intermediate: 256, layers: 2, heads: 8, kvHeads: 2, headDim: 64, vocab: 67, positions: 512, theta: 1_000_000, isTied: true, group: 128,
};
/** For tests that load thousands of files. */
export const SMALL_QWEN3: TinyQwen3 = { ...TINY_QWEN3, hidden: 128, intermediate: 128, layers: 1, heads: 2, kvHeads: 1, vocab: 11 };

export function randomQwen3(shape: TinyQwen3 = TINY_QWEN3, seed = 1): TernaryModel {
  const { hidden: D, intermediate: F, layers, heads, kvHeads, headDim, vocab, isTied, group, isBinary = false, zeroGroups = 0, bits = 11 } = shape;
  const random = randomFrom(seed);
  const tensors: Record<string, TernaryTensor> = {};
  const round = roundTo(bits);
  const norm = (name: string, length: number): void => {
    tensors[`${name}.weight`] = { shape: [length], values: Float32Array.from({ length }, () => round(1 + random.normal() * 0.25)) };
  };
  const weight = (name: string, rows: number, columns: number, size = Math.sqrt(1.5 / columns)): void => {
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      for (let start = 0; start < columns; start += group) {
        const scale = random.integer(1, 100) <= zeroGroups ? 0 : round(size * (0.5 + random.unit()));
        for (let column = start; column < Math.min(start + group, columns); column++) {
          values[row * columns + column] = scale * (isBinary ? 2 * random.integer(0, 1) - 1 : random.integer(-1, 1));
        }
      }
    }
    tensors[`${name}.weight`] = { shape: [rows, columns], values };
  };
  weight('model.embed_tokens', vocab, D, isTied ? 0.2 : 1);
  for (let n = 0; n < layers; n++) {
    const name = `model.layers.${n}`;
    norm(`${name}.input_layernorm`, D);
    weight(`${name}.self_attn.q_proj`, heads * headDim, D);
    weight(`${name}.self_attn.k_proj`, kvHeads * headDim, D);
    weight(`${name}.self_attn.v_proj`, kvHeads * headDim, D);
    weight(`${name}.self_attn.o_proj`, D, heads * headDim);
    norm(`${name}.self_attn.q_norm`, headDim);
    norm(`${name}.self_attn.k_norm`, headDim);
    norm(`${name}.post_attention_layernorm`, D);
    weight(`${name}.mlp.gate_proj`, F, D);
    weight(`${name}.mlp.up_proj`, F, D);
    weight(`${name}.mlp.down_proj`, D, F);
  }
  norm('model.norm', D);
  if (!isTied) weight('lm_head', vocab, D);
  return { config: qwen3Config(shape), tensors };
}

/** As transformers writes it since version 5; `rope_scaling` and `rope_theta` stood at the top before. */
function qwen3Config({ hidden, intermediate, layers, heads, kvHeads, headDim, vocab, positions, theta, isTied, yarn }: TinyQwen3): Record<string, unknown> {
  return {
    architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', dtype: 'float16', hidden_act: 'silu', hidden_size: hidden, intermediate_size: intermediate,
    num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim, vocab_size: vocab,
    max_position_embeddings: positions, rms_norm_eps: 1e-6, attention_bias: false, use_sliding_window: false, tie_word_embeddings: isTied,
    rope_parameters: { rope_theta: theta, ...(yarn ? { rope_type: 'yarn', factor: yarn.factor, original_max_position_embeddings: yarn.original } : { rope_type: 'default' }) },
    bos_token_id: 1, eos_token_id: 2,
  };
}

/**
 * A BitNet or ternary Llama with one scale a matrix, a float16 number. Its float32 norms and embeddings are as `decoderTensors` has them,
 * rounded to float16. `packedTensors` makes of it what transformers packs, and what the reference takes.
 */
export function randomDecoder(shape: TinyDecoder, seed = 1): TernaryModel {
  const tensors: Record<string, TernaryTensor> = {};
  for (const [name, tensor] of Object.entries(decoderTensors(shape, seed))) {
    if (!isProjection(name)) tensors[name] = { shape: tensor.shape, values: Float32Array.from(tensor.values, roundTo(11)) };
    else {
      const { trits, scale } = quantise(tensor);
      tensors[name] = { shape: tensor.shape, values: Float32Array.from(trits, (trit) => trit * roundTo(11)(scale)) };
    }
  }
  return { config: decoderConfig(shape, { quantization_config: PACKED }), tensors };
}

const PACKED = { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'offline' };

/** TriLM's form (ternary-transformers.md §1.6): a scale for each shard of a matrix, rows of q, k, v, gate, up, columns of o and down. No rounding of activations. */
export function randomTriLm(shape: TinyDecoder, shards: number, seed = 1): TernaryModel {
  const random = randomFrom(seed + 1);
  const tensors: Record<string, TernaryTensor> = {};
  for (const [name, tensor] of Object.entries(decoderTensors({ ...shape, family: 'llama', isTied: false }, seed))) {
    const [rows = 0, columns = 0] = tensor.shape;
    if (!isProjection(name)) {
      tensors[name] = { shape: tensor.shape, values: Float32Array.from(tensor.values, roundTo(11)) };
      continue;
    }
    const { trits, scale } = quantise(tensor);
    const scales = Array.from({ length: shards }, () => roundTo(11)(scale * (0.5 + random.unit())));
    const isByColumn = /\.(o|down)_proj\./.test(name);
    const shard = (i: number): number => (isByColumn ? Math.floor(((i % columns) * shards) / columns) : Math.floor((Math.floor(i / columns) * shards) / rows));
    tensors[name] = { shape: tensor.shape, values: Float32Array.from(trits, (trit, i) => trit * scales[shard(i)]!) };
  }
  const { quantization_config: _, ...config } = decoderConfig({ ...shape, family: 'llama', isTied: false }, { pretraining_model_parallel: shards });
  return { config, tensors };
}

/** A folder of config.json and one model.safetensors, of floats or of packed weights (ternary-transformers.md §3). */
export function readModel(folder: string): TernaryModel {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as Record<string, unknown>;
  const isFactor = (config['quantization_config'] as Record<string, unknown> | undefined)?.['linear_class'] === 'autobitlinear';
  const stored = readTensors(`${folder}/model.safetensors`);
  const tensors: Record<string, TernaryTensor> = {};
  for (const [name, { shape, values, dtype }] of Object.entries(stored)) {
    if (name.endsWith('.weight_scale')) continue;
    if (dtype !== 'U8') tensors[name] = { shape, values: Float32Array.from(values) };
    else {
      const factor = stored[`${name}_scale`]!.values[0]!;
      const scale = Math.fround(isFactor ? factor : 1 / factor);
      const whole = Float32Array.from({ length: 4 * values.length }, (_, i) => (((values[i % values.length]! >> (2 * Math.floor(i / values.length))) & 3) - 1) * scale);
      tensors[name] = { shape: [4 * shape[0]!, shape[1]!], values: whole };
    }
  }
  return { config, tensors };
}

export function isProjection(name: string): boolean {
  return name.endsWith('_proj.weight');
}

/** To so many significant bits, in the range of float16. */
export function roundTo(bits: number): (value: number) => number {
  return (value) => {
    if (bits === 11) return halfToNumber(halfBits(value));
    const step = 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - bits + 1);
    return Math.round(value / step) * step;
  };
}
