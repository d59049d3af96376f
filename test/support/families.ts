import { configJson, json, randomTensors, safetensors, type Files, type TinyConfig } from './checkpoints.js';
import type { GoldenTensor } from './files.js';
import { floatFolder } from './group-files.js';
import { randomFrom } from './random.js';
import { qwen35Folder, randomQwen35, TINY_QWEN35, TINY_ROTATED } from './qwen35.js';
import { randomQwen3, SMALL_QWEN3 } from './ternary-models.js';

/* Small random models of every family, in memory. Their weights are floats, which are quantised when they are loaded. */

export interface TinyDecoder {
  readonly family: 'bitnet' | 'llama';
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly positions: number;
  readonly theta: number;
  readonly isTied: boolean;
  readonly activation: 'silu' | 'relu2';
}

export const TINY_BITNET: TinyDecoder = {
  family: 'bitnet', hidden: 24, intermediate: 40, layers: 2, heads: 4, kvHeads: 2, headDim: 8, vocab: 11, positions: 4096, theta: 10_000, isTied: true, activation: 'relu2',
};
export const TINY_LLAMA: TinyDecoder = { ...TINY_BITNET, family: 'llama', hidden: 20, headDim: 12, isTied: false, activation: 'silu' };

export function decoderConfig(shape: TinyDecoder, extra: Record<string, unknown> = {}): Record<string, unknown> {
  const { family, hidden, intermediate, layers, heads, kvHeads, headDim, vocab, positions, theta, isTied, activation } = shape;
  return {
    architectures: [family === 'bitnet' ? 'BitNetForCausalLM' : 'LlamaForCausalLM'], model_type: family, hidden_act: activation, hidden_size: hidden,
    intermediate_size: intermediate, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim,
    vocab_size: vocab, max_position_embeddings: positions, rope_theta: theta, rms_norm_eps: 1e-5, tie_word_embeddings: isTied, bos_token_id: 1, eos_token_id: 2,
    quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'online' }, ...extra,
  };
}

/** Under their names in a checkpoint. */
export function decoderTensors({ family, hidden: D, intermediate: F, layers, heads, kvHeads, headDim, vocab, isTied }: TinyDecoder, seed: number): Record<string, GoldenTensor> {
  const random = randomFrom(seed);
  const tensors: Record<string, GoldenTensor> = {};
  const put = (name: string, shape: number[], mean = 0, deviation = 0.5): void => {
    const count = shape.reduce((product, n) => product * n, 1);
    tensors[`${name}.weight`] = { shape, values: Float32Array.from({ length: count }, () => mean + random.normal() * deviation) };
  };
  put('model.embed_tokens', [vocab, D], 0, 1);
  for (let n = 0; n < layers; n++) {
    const name = `model.layers.${n}`;
    put(`${name}.input_layernorm`, [D], 1);
    put(`${name}.post_attention_layernorm`, [D], 1);
    put(`${name}.self_attn.q_proj`, [heads * headDim, D]);
    for (const which of ['k', 'v']) put(`${name}.self_attn.${which}_proj`, [kvHeads * headDim, D]);
    put(`${name}.self_attn.o_proj`, [D, heads * headDim]);
    for (const which of ['gate', 'up']) put(`${name}.mlp.${which}_proj`, [F, D]);
    put(`${name}.mlp.down_proj`, [D, F]);
    if (family === 'bitnet') {
      put(`${name}.self_attn.attn_sub_norm`, [heads * headDim], 1);
      put(`${name}.mlp.ffn_sub_norm`, [F], 1);
    }
  }
  put('model.norm', [D], 1);
  if (!isTied) put('lm_head', [vocab, D]);
  return tensors;
}

export function tinyDecoder(shape: TinyDecoder, seed = 1, extra: Record<string, unknown> = {}): Files {
  return { 'config.json': json(decoderConfig(shape, extra)), 'model.safetensors': safetensors(decoderTensors(shape, seed)) };
}

export const TINY_HYBRID: TinyConfig = { hidden: 16, intermediate: 20, layers: 3, vocab: 11, lowerBounds: true };

/** An object of the key `attn`. */
export interface TinyAttention {
  readonly layers: readonly number[];
  readonly num_heads: number;
  readonly num_kv_heads?: number;
  readonly window_size?: number | null;
  readonly rope_theta?: number;
}

/** A MatMul-free LM some of whose layers are attention. */
export function hybridTensors(shape: TinyConfig, attn: readonly TinyAttention[], seed: number): Record<string, GoldenTensor> {
  const tensors = randomTensors(shape, seed);
  const random = randomFrom(seed + 1);
  const D = shape.hidden;
  for (const { layers, num_heads: heads, num_kv_heads: kvHeads = heads } of attn) {
    for (const n of layers) {
      const name = `model.layers.${n}.attn`;
      for (const key of Object.keys(tensors)) if (key.startsWith(`${name}.`)) delete tensors[key];
      for (const [which, out] of [['q', D], ['k', (D / heads) * kvHeads], ['v', (D / heads) * kvHeads], ['o', D]] as const) {
        tensors[`${name}.${which}_proj.weight`] = { shape: [out, D], values: Float32Array.from({ length: out * D }, () => random.normal() * 0.5) };
        tensors[`${name}.${which}_proj.norm.weight`] = { shape: [D], values: Float32Array.from({ length: D }, () => 1 + random.normal() * 0.5) };
      }
    }
  }
  return tensors;
}

export function tinyHybrid(attn: readonly TinyAttention[] = [{ layers: [1], num_heads: 4, num_kv_heads: 2 }], shape = TINY_HYBRID, seed = 1, extra: Record<string, unknown> = {}): Files {
  return { 'config.json': json(configJson(shape, { attn, ...extra })), 'model.safetensors': safetensors(hybridTensors(shape, attn, seed)) };
}

/** Models to try what every model can do: recurrent, attention, and both. */
export const FAMILIES: readonly { readonly name: string; readonly files: (seed?: number) => Files }[] = [
  { name: 'a Transformer with sub-norms', files: (seed) => tinyDecoder(TINY_BITNET, seed) },
  { name: 'a Transformer without', files: (seed) => tinyDecoder(TINY_LLAMA, seed) },
  { name: 'a Transformer whose scales are for groups', files: (seed) => floatFolder(randomQwen3(SMALL_QWEN3, seed)) },
  { name: 'gated delta nets', files: (seed) => qwen35Folder(randomQwen35(TINY_QWEN35, seed)) },
  { name: 'gated delta nets in a rotated basis', files: (seed) => qwen35Folder(randomQwen35(TINY_ROTATED, seed)) },
  { name: 'a hybrid', files: (seed) => tinyHybrid(undefined, TINY_HYBRID, seed) },
  { name: 'a hybrid with a window', files: (seed) => tinyHybrid([{ layers: [0], num_heads: 2, window_size: 70 }, { layers: [2], num_heads: 4, num_kv_heads: 1 }], TINY_HYBRID, seed) },
];
