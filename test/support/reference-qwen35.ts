import { add, attend, rmsNorm, sigmoid, turned, type Tensors } from './reference-parts.js';
import { roundActivations } from './reference-qwen3.js';
import type { Rotation } from './qwen35.js';

/*
 * Qwen3.5's text model in float64 (bonsai.md §3.4, and §2.6 for a rotated one), straight from the formulas: weights are plain floats, the inputs of
 * ternary products are rounded to int8 in every 128 columns.
 */

/** @returns the logits of each position. */
export function runQwen35Reference(tensors: Tensors, config: Readonly<Record<string, unknown>>, ids: readonly number[]): number[][] {
  const number = (key: string): number => Number(config[key]);
  const [D, eps] = [number('hidden_size'), number('rms_norm_eps')];
  const [keyHeads, valueHeads, keyDim, valueDim] = ['linear_num_key_heads', 'linear_num_value_heads', 'linear_key_head_dim', 'linear_value_head_dim'].map(number) as [number, number, number, number];
  const [heads, headDim] = [number('num_attention_heads'), number('head_dim')];
  const rope = config['rope_parameters'] as Record<string, number>;
  const turnedPart = headDim * rope['partial_rotary_factor']!;
  const frequencies = Array.from({ length: turnedPart / 2 }, (_, j) => rope['rope_theta']! ** ((-2 * j) / turnedPart));
  const prism = config['prism_hadamard'] as Rotation | undefined;
  const values = (name: string): ArrayLike<number> => tensors[name]!.values;
  const norm = (name: string, x: readonly number[]): number[] => rmsNorm(x, Array.from(values(`${name}.weight`), (w) => 1 + w), eps);
  const product = (name: string, x: ArrayLike<number>): number[] => {
    const weights = values(`${name}.weight`);
    return Array.from({ length: weights.length / x.length }, (_, r) => Array.from(x).reduce((sum, v, j) => sum + weights[r * x.length + j]! * v, 0));
  };
  const signs = (width: number): number[] => {
    let at = 0;
    for (const own of prism!.sign_widths) {
      if (own === width) return Array.from(prism!.sign_values.slice(at, at + width), (sign) => (sign === '-' ? -1 : 1));
      at += own;
    }
    throw new Error(`no signs for ${width}`);
  };
  const rotated = (x: readonly number[]): number[] => (prism ? hadamard(x.map((v, j) => v * signs(x.length)[j]!), prism.block_size) : [...x]);
  const linear = (name: string, x: readonly number[]): number[] => product(name, roundActivations(rotated(x), 128));
  const embedding = (id: number): number[] => {
    const row = Array.from({ length: D }, (_, j) => values('model.embed_tokens.weight')[id * D + j]!);
    return prism ? hadamard(row, prism.block_size).map((v, j) => v * signs(D)[j]!) : row;
  };
  const silu = (x: number): number => x * sigmoid(x);
  const layers = (config['layer_types'] as string[]).map(() => ({ keys: [] as number[][], values: [] as number[][], inputs: [] as number[][], states: [] as number[][][] }));

  const attention = (name: string, x: readonly number[], position: number, memory: (typeof layers)[number]): number[] => {
    const turn = (v: readonly number[]): number[] => [...turned(v.slice(0, turnedPart), turnedPart, position, frequencies), ...v.slice(turnedPart)];
    const perHead = (v: readonly number[], width: number): number[][] => Array.from({ length: v.length / width }, (_, h) => v.slice(h * width, (h + 1) * width));
    const both = perHead(linear(`${name}.q_proj`, x), 2 * headDim);
    memory.keys.push(perHead(linear(`${name}.k_proj`, x), headDim).flatMap((k) => turn(norm(`${name}.k_norm`, k))));
    memory.values.push(linear(`${name}.v_proj`, x));
    const q = both.flatMap((head) => turn(norm(`${name}.q_norm`, head.slice(0, headDim))));
    const o = attend(q, memory.keys, memory.values, headDim, number('num_key_value_heads'), Infinity);
    if (q.length !== heads * headDim) throw new Error('heads');
    return linear(`${name}.o_proj`, o.map((v, j) => v * sigmoid(both[Math.floor(j / headDim)]![headDim + (j % headDim)]!)));
  };

  const deltaNet = (name: string, x: readonly number[], memory: (typeof layers)[number]): number[] => {
    memory.inputs.push(linear(`${name}.in_proj_qkv`, x));
    const taps = values(`${name}.conv1d.weight`);
    const mixed = memory.inputs.at(-1)!.map((_, c) => silu([0, 1, 2, 3].reduce((sum, n) => sum + taps[4 * c + n]! * (memory.inputs.at(n - 4)?.[c] ?? 0), 0)));
    const unit = (v: readonly number[]): number[] => v.map((e) => e / Math.sqrt(v.reduce((sum, w) => sum + w * w, 0) + 1e-6));
    const [b, a] = [product(`${name}.in_proj_b`, x), product(`${name}.in_proj_a`, x)];
    const z = linear(`${name}.in_proj_z`, x);
    const out = Array.from({ length: valueHeads }, (_, h) => {
      const own = Math.floor((h * keyHeads) / valueHeads) * keyDim;
      const q = unit(mixed.slice(own, own + keyDim)).map((v) => v / Math.sqrt(keyDim));
      const k = unit(mixed.slice(keyHeads * keyDim + own, keyHeads * keyDim + own + keyDim));
      const v = mixed.slice(2 * keyHeads * keyDim + h * valueDim, 2 * keyHeads * keyDim + (h + 1) * valueDim);
      const decay = Math.exp(-Math.exp(values(`${name}.A_log`)[h]!) * Math.log1p(Math.exp(a[h]! + values(`${name}.dt_bias`)[h]!)));
      const S = (memory.states[h] ??= Array.from({ length: keyDim }, () => new Array<number>(valueDim).fill(0)));
      for (const row of S) row.forEach((s, j) => { row[j] = decay * s; });
      const news = v.map((value, j) => sigmoid(b[h]!) * (value - S.reduce((sum, row, i) => sum + row[j]! * k[i]!, 0)));
      S.forEach((row, i) => news.forEach((u, j) => { row[j]! += k[i]! * u; }));
      const o = v.map((_, j) => S.reduce((sum, row, i) => sum + row[j]! * q[i]!, 0));
      return rmsNorm(o, values(`${name}.norm.weight`), eps).map((e, j) => e * silu(z[h * valueDim + j]!));
    }).flat();
    return linear(`${name}.out_proj`, out);
  };

  return ids.map((id, position) => {
    let residual = embedding(id);
    (config['layer_types'] as string[]).forEach((type, n) => {
      const name = `model.layers.${n}`;
      const x = norm(`${name}.input_layernorm`, residual);
      residual = add(residual, type === 'full_attention' ? attention(`${name}.self_attn`, x, position, layers[n]!) : deltaNet(`${name}.linear_attn`, x, layers[n]!));
      const m = norm(`${name}.post_attention_layernorm`, residual);
      const up = linear(`${name}.mlp.up_proj`, m);
      residual = add(residual, linear(`${name}.mlp.down_proj`, linear(`${name}.mlp.gate_proj`, m).map((v, j) => silu(v) * up[j]!)));
    });
    return linear(config['tie_word_embeddings'] === true ? 'model.embed_tokens' : 'lm_head', norm('model.norm', residual));
  });
}

/** H[r][c] = (-1)^popcount(r & c) / √block, by its definition. */
function hadamard(x: readonly number[], block: number): number[] {
  const sign = (n: number): number => (n.toString(2).replaceAll('0', '').length % 2 === 0 ? 1 : -1);
  return x.map((_, n) => {
    const [start, row] = [n - (n % block), n % block];
    let sum = 0;
    for (let c = 0; c < block; c++) sum += sign(row & c) * x[start + c]!;
    return sum / Math.sqrt(block);
  });
}
