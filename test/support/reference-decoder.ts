import { absmean, add, attend, clamp, matrix, once, plainFrequencies, rmsNorm, roundHalfToEven, sigmoid, ternaryProduct, turned, type Tensors, type Ternary, type Watch } from './reference-parts.js';

/*
 * A second implementation of ternary Transformers (BitNet, ternary Llama) in float64: what the library is compared with. All switches are
 * read from config.json and from the tensors that there are (ternary-transformers.md §2).
 */

type Json = Record<string, unknown>;

/** @returns the logits of each position. */
export function runDecoderReference(tensors: Tensors, config: Json, ids: readonly number[], watch?: Watch): number[][] {
  const number = (key: string): number => Number(config[key]);
  const heads = number('num_attention_heads');
  const kvHeads = Number(config['num_key_value_heads'] ?? heads);
  const headDim = Number(config['head_dim'] ?? number('hidden_size') / heads);
  const eps = number('rms_norm_eps');
  const { frequencies, magnitude } = rope(config, headDim);
  const quantization = (config['quantization_config'] ?? {}) as Json;
  const ternary = once((name) => ternaryWeight(tensors, name, quantization['linear_class'] === 'autobitlinear'));
  const linear = (name: string, x: readonly number[]): number[] => ternaryProduct(ternary(name), x, roundHalfToEven);
  const norm = (name: string, x: readonly number[]): number[] => rmsNorm(x, tensors[`${name}.weight`]!.values, eps);
  /** A sub-norm is there if and only if its tensor is. */
  const subNorm = (names: readonly string[], x: readonly number[]): readonly number[] => {
    const found = names.find((name) => tensors[`${name}.weight`]);
    return found === undefined ? x : norm(found, x);
  };
  const activate = config['hidden_act'] === 'relu2' ? (z: number) => Math.max(z, 0) ** 2 : (z: number) => z * sigmoid(z);
  const embeddings = matrix(tensors['model.embed_tokens.weight']!);
  const head = config['tie_word_embeddings'] === true ? embeddings : matrix(tensors['lm_head.weight']!);
  const layers = Array.from({ length: number('num_hidden_layers') }, () => ({ keys: [] as number[][], values: [] as number[][] }));

  return ids.map((id, position) => {
    let residual: readonly number[] = embeddings[id]!;
    layers.forEach(({ keys, values }, n) => {
      const name = `model.layers.${n}`;
      const attention = `${name}.self_attn`;
      watch?.(n, 'before', residual);
      const a = norm(`${name}.input_layernorm`, residual);
      const turn = (x: readonly number[]): number[] => turned(x, headDim, position, frequencies, magnitude);
      keys.push(turn(linear(`${attention}.k_proj`, a)));
      values.push(linear(`${attention}.v_proj`, a));
      const o = attend(turn(linear(`${attention}.q_proj`, a)), keys, values, headDim, kvHeads, Infinity);
      residual = add(residual, linear(`${attention}.o_proj`, subNorm([`${attention}.attn_sub_norm`, `${attention}.inner_attn_ln`], o)));
      watch?.(n, 'between', residual);
      const m = norm(`${name}.post_attention_layernorm`, residual);
      const up = linear(`${name}.mlp.up_proj`, m);
      const u = linear(`${name}.mlp.gate_proj`, m).map((z, j) => activate(z) * up[j]!);
      residual = add(residual, linear(`${name}.mlp.down_proj`, subNorm([`${name}.mlp.ffn_sub_norm`, `${name}.mlp.ffn_layernorm`], u)));
      watch?.(n, 'after', residual);
    });
    const x = norm('model.norm', residual);
    return head.map((row) => row.reduce((sum, w, j) => sum + w * x[j]!, 0));
  });
}

/** Packed weights are what they are; floats are quantised, and their scale rounded to the type that they are stored in. */
function ternaryWeight(tensors: Tensors, name: string, isFactor: boolean): Ternary {
  const weight = tensors[`${name}.weight`]!;
  if (weight.dtype !== 'U8') {
    const { trits, scale } = absmean(weight);
    return { trits, scale: roundTo({ BF16: 8, F16: 11 }[weight.dtype ?? ''] ?? 24, scale) };
  }
  const stored = tensors[`${name}.weight_scale`]!.values[0]!;
  const packed = matrix(weight);
  // Byte (r, c): row r in bits 0 and 1, row r + R in bits 2 and 3, ….
  const trits = Array.from({ length: 4 * packed.length }, (_, r) => packed[r % packed.length]!.map((byte) => ((byte >> (2 * Math.floor(r / packed.length))) & 3) - 1));
  return { trits, scale: isFactor ? stored : 1 / stored };
}

/** To so many significant bits, half to even; within the normal range. */
function roundTo(bits: number, value: number): number {
  const step = 2 ** (Math.floor(Math.log2(value)) - bits + 1);
  return roundHalfToEven(value / step) * step;
}

/** The frequencies of config.json's RoPE, and what cos and sin are multiplied by. */
export function rope(config: Json, headDim: number): { frequencies: number[]; magnitude: number } {
  const scaling = (config['rope_parameters'] ?? config['rope_scaling'] ?? {}) as Json;
  const theta = Number(scaling['rope_theta'] ?? config['rope_theta']);
  const plain = plainFrequencies(headDim, theta);
  const [factor, old] = [Number(scaling['factor']), Number(scaling['original_max_position_embeddings'])];
  if (scaling['rope_type'] === 'llama3') {
    const [low, high] = [Number(scaling['low_freq_factor']), Number(scaling['high_freq_factor'])];
    return {
      magnitude: 1,
      frequencies: plain.map((frequency) => {
        const wavelength = (2 * Math.PI) / frequency;
        if (wavelength < old / high) return frequency;
        if (wavelength > old / low) return frequency / factor;
        const share = (old / wavelength - low) / (high - low);
        return ((1 - share) * frequency) / factor + share * frequency;
      }),
    };
  }
  if (scaling['rope_type'] === 'yarn') {
    // transformers, _compute_yarn_parameters: dimensions, of which a pair has two, by the turns they make.
    const dimension = (turns: number): number => (headDim * Math.log(old / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
    const low = Math.max(Math.floor(dimension(Number(scaling['beta_fast'] ?? 32))), 0);
    const high = Math.min(Math.ceil(dimension(Number(scaling['beta_slow'] ?? 1))), headDim - 1);
    return {
      magnitude: Number(scaling['attention_factor'] ?? 0.1 * Math.log(factor) + 1),
      frequencies: plain.map((frequency, j) => {
        const kept = 1 - clamp((j - low) / (high === low ? 0.001 : high - low), 0, 1);
        return (frequency / factor) * (1 - kept) + frequency * kept;
      }),
    };
  }
  return { frequencies: plain, magnitude: 1 };
}
