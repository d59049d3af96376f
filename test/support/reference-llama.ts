import type { GoldenTensor } from './files.js';
import { randomFrom } from './random.js';

/** A Llama written out in float64, slow and plain: what the baseline is compared with. */
export interface LlamaShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly headSize: number;
  readonly vocab: number;
  readonly theta: number;
}

type Tensors = Record<string, GoldenTensor>;
const EPS = 1e-6;

export function llamaConfigJson({ hidden, intermediate, layers, heads, headSize, vocab, theta }: LlamaShape): Record<string, unknown> {
  return {
    model_type: 'llama', hidden_act: 'silu', hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers,
    num_attention_heads: heads, head_dim: headSize, vocab_size: vocab, rope_theta: theta, rms_norm_eps: EPS,
  };
}

/** Random float32 tensors of such a model, under their names in a checkpoint. */
export function randomLlama({ hidden, intermediate, layers, heads, headSize, vocab }: LlamaShape, seed: number): Tensors {
  const random = randomFrom(seed);
  const tensors: Tensors = {};
  const put = (name: string, shape: number[], mean: number, deviation: number): void => {
    const count = shape.reduce((product, n) => product * n, 1);
    tensors[`${name}.weight`] = { shape, values: Float32Array.from({ length: count }, () => mean + random.normal() * deviation) };
  };
  const linear = (name: string, out: number, input: number): void => put(name, [out, input], 0, 1.5 / Math.sqrt(input));
  put('model.embed_tokens', [vocab, hidden], 0, 1);
  for (let n = 0; n < layers; n++) {
    const name = `model.layers.${n}`;
    put(`${name}.input_layernorm`, [hidden], 1, 0.2);
    put(`${name}.post_attention_layernorm`, [hidden], 1, 0.2);
    for (const which of ['q', 'k', 'v']) linear(`${name}.self_attn.${which}_proj`, heads * headSize, hidden);
    linear(`${name}.self_attn.o_proj`, hidden, heads * headSize);
    for (const which of ['gate', 'up']) linear(`${name}.mlp.${which}_proj`, intermediate, hidden);
    linear(`${name}.mlp.down_proj`, hidden, intermediate);
  }
  put('model.norm', [hidden], 1, 0.2);
  linear('lm_head', vocab, hidden);
  return tensors;
}

/** @returns the logits of each position. */
export function runLlamaReference(tensors: Tensors, { layers, heads, headSize, theta }: LlamaShape, ids: readonly number[]): number[][] {
  const linear = (name: string, x: readonly number[]): number[] => {
    const { shape: [rows = 0, columns = 0], values } = tensors[`${name}.weight`]!;
    return Array.from({ length: rows }, (_, r) => x.reduce((sum, v, j) => sum + v * values[r * columns + j]!, 0));
  };
  const norm = (name: string, x: readonly number[]): number[] => {
    const rms = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + EPS);
    return x.map((v, j) => (v / rms) * tensors[`${name}.weight`]!.values[j]!);
  };
  const rotated = (x: readonly number[], position: number): number[] => x.map((v, n) => {
    const half = headSize / 2;
    const j = n % headSize;
    const angle = position * theta ** (-2 * (j % half) / headSize);
    const other = j < half ? -x[n + half]! : x[n - half]!;
    return v * Math.cos(angle) + other * Math.sin(angle);
  });
  const add = (a: readonly number[], b: readonly number[]): number[] => a.map((v, j) => v + b[j]!);

  const { shape: [, hidden = 0], values: table } = tensors['model.embed_tokens.weight']!;
  let residuals = ids.map((id) => Array.from(table.slice(id * hidden, (id + 1) * hidden)));
  for (let n = 0; n < layers; n++) {
    const name = `model.layers.${n}`;
    const inputs = residuals.map((residual) => norm(`${name}.input_layernorm`, residual));
    const q = inputs.map((x, p) => rotated(linear(`${name}.self_attn.q_proj`, x), p));
    const k = inputs.map((x, p) => rotated(linear(`${name}.self_attn.k_proj`, x), p));
    const v = inputs.map((x) => linear(`${name}.self_attn.v_proj`, x));
    residuals = residuals.map((residual, p) => {
      const mixed = Array.from({ length: heads }, (_, head) => {
        const part = (x: readonly number[]): readonly number[] => x.slice(head * headSize, (head + 1) * headSize);
        const scores = k.slice(0, p + 1).map((key) => part(key).reduce((sum, value, j) => sum + value * part(q[p]!)[j]!, 0) / Math.sqrt(headSize));
        const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        return Array.from({ length: headSize }, (_, j) => weights.reduce((sum, weight, other) => sum + (weight / total) * part(v[other]!)[j]!, 0));
      }).flat();
      const middle = add(residual, linear(`${name}.self_attn.o_proj`, mixed));
      const x = norm(`${name}.post_attention_layernorm`, middle);
      const up = linear(`${name}.mlp.up_proj`, x);
      const activated = linear(`${name}.mlp.gate_proj`, x).map((g, j) => (g / (1 + Math.exp(-g))) * up[j]!);
      return add(middle, linear(`${name}.mlp.down_proj`, activated));
    });
  }
  return residuals.map((residual) => linear('lm_head', norm('model.norm', residual)));
}
