import { rope } from './reference-decoder.js';
import { add, attend, rmsNorm, roundHalfToEven, sigmoid, turned, type Tensors, type Watch } from './reference-parts.js';

/*
 * Qwen3 in float64 (bonsai.md §3), for weights that are plain floats: the second implementation of Ternary Bonsai. Without q_norm and
 * k_norm it is a Llama, which is what TriLM is.
 */

export interface Qwen3Options {
  /**
   * How the inputs of all projections and of the head are rounded to int8: not at all (default), with one scale a token, or with one a
   * token and so many columns, counted from column 0; the last group may be shorter.
   */
  readonly activations?: 'float' | 'token' | number;
  /** The head takes its input as it is. */
  readonly floatHead?: boolean;
  /** Of RoPE, in place of those that config.json gives: goldens were made with float32 ones. */
  readonly frequencies?: ArrayLike<number>;
  readonly watch?: Watch;
}

/** @returns the logits of each position, and `[layer][position]` the residuals: the embeddings, then what each layer left. */
export function runQwen3Reference(
  tensors: Tensors, config: Readonly<Record<string, unknown>>, ids: readonly number[], { activations = 'float', floatHead = false, frequencies: given, watch }: Qwen3Options = {},
): { logits: number[][]; hidden: number[][][] } {
  const number = (key: string): number => Number(config[key]);
  const heads = number('num_attention_heads');
  const kvHeads = Number(config['num_key_value_heads'] ?? heads);
  const headDim = Number(config['head_dim'] ?? number('hidden_size') / heads);
  const eps = number('rms_norm_eps');
  const { frequencies, magnitude } = rope(config, headDim);
  const used = given ? Array.from(given) : frequencies;
  const norm = (name: string, x: readonly number[]): number[] => rmsNorm(x, tensors[`${name}.weight`]!.values, eps);
  const headNorm = (name: string, x: readonly number[]): readonly number[] =>
    tensors[`${name}.weight`] ? Array.from({ length: x.length / headDim }, (_, h) => norm(name, x.slice(h * headDim, (h + 1) * headDim))).flat() : x;
  const linear = (name: string, x: Float64Array): number[] => product(tensors[`${name}.weight`]!.values, x);
  const rounded = (x: readonly number[]): Float64Array => roundActivations(x, activations === 'float' ? 0 : activations === 'token' ? x.length : activations);
  const D = number('hidden_size');
  const table = tensors['model.embed_tokens.weight']!.values;
  const head = config['tie_word_embeddings'] === true ? 'model.embed_tokens' : 'lm_head';
  const layers = Array.from({ length: number('num_hidden_layers') }, () => ({ keys: [] as number[][], values: [] as number[][] }));
  const hidden: number[][][] = Array.from({ length: layers.length + 1 }, () => []);

  const logits = ids.map((id, position) => {
    let residual = Array.from(table.slice(id * D, (id + 1) * D));
    hidden[0]!.push(residual);
    layers.forEach(({ keys, values }, n) => {
      const attention = `model.layers.${n}.self_attn`;
      const mlp = `model.layers.${n}.mlp`;
      const turn = (x: readonly number[]): number[] => turned(x, headDim, position, used, magnitude);
      watch?.(n, 'before', residual);
      const a = rounded(norm(`model.layers.${n}.input_layernorm`, residual));
      keys.push(turn(headNorm(`${attention}.k_norm`, linear(`${attention}.k_proj`, a))));
      values.push(linear(`${attention}.v_proj`, a));
      const q = turn(headNorm(`${attention}.q_norm`, linear(`${attention}.q_proj`, a)));
      residual = add(residual, linear(`${attention}.o_proj`, rounded(attend(q, keys, values, headDim, kvHeads, Infinity))));
      watch?.(n, 'between', residual);
      const m = rounded(norm(`model.layers.${n}.post_attention_layernorm`, residual));
      const up = linear(`${mlp}.up_proj`, m);
      residual = add(residual, linear(`${mlp}.down_proj`, rounded(linear(`${mlp}.gate_proj`, m).map((z, j) => z * sigmoid(z) * up[j]!))));
      watch?.(n, 'after', residual);
      hidden[n + 1]!.push(residual);
    });
    const x = norm('model.norm', residual);
    return linear(head, floatHead ? Float64Array.from(x) : rounded(x));
  });
  return { logits, hidden };
}

/**
 * Each group as q · (max / 127), q = round(x / (max / 127)); the goldens divide in this order. `columns` 0: as they are.
 */
export function roundActivations(x: readonly number[], columns: number): Float64Array {
  const result = Float64Array.from(x);
  for (let start = 0; columns > 0 && start < x.length; start += columns) {
    const group = result.subarray(start, start + columns);
    const step = group.reduce((max, v) => Math.max(max, Math.abs(v)), 0) / 127;
    if (step > 0) for (let j = 0; j < group.length; j++) group[j] = roundHalfToEven(group[j]! / step) * step;
  }
  return result;
}

function product(weights: ArrayLike<number>, x: Float64Array): number[] {
  const result: number[] = [];
  for (let at = 0; at < weights.length; at += x.length) {
    let sum = 0;
    for (let j = 0; j < x.length; j++) sum += weights[at + j]! * x[j]!;
    result.push(sum);
  }
  return result;
}
