import { rope } from '../test/support/reference-decoder.js';
import { roundHalfToEven } from '../test/support/reference-parts.js';
import type { TernaryModel } from '../test/support/ternary-models.js';

/** Of the inputs of ternary products: none, int8 with one scale a token, or with one a token and so many columns. */
export type Rounding = 'none' | 'token' | number;

/** Of a text: one row a token, one after another. */
type Rows = Float64Array;

/**
 * A BitNet in float64 (ternary-transformers.md §2), a whole text at once: the formulas of the tests' `runDecoderReference` with plain
 * matrices, fast enough for thousands of tokens.
 *
 * @returns `[token][vocabulary]` logits of a text.
 */
export function createRoundingReference({ config, tensors }: TernaryModel): (ids: readonly number[], rounding: Rounding) => Rows {
  const number = (key: string): number => Number(config[key]);
  const [D, heads, kvHeads, eps] = [number('hidden_size'), number('num_attention_heads'), number('num_key_value_heads'), number('rms_norm_eps')];
  const headDim = Number(config['head_dim'] ?? D / heads);
  if (config['hidden_act'] !== 'relu2') throw new TypeError('this is no BitNet: its activation is not relu2');
  const { frequencies } = rope(config, headDim);
  const weights = new Map(Object.entries(tensors).map(([name, { values }]) => [name, Float64Array.from(values)]));
  const weight = (name: string): Float64Array => weights.get(`${name}.weight`)!;
  const head = config['tie_word_embeddings'] === true ? 'model.embed_tokens' : 'lm_head';

  return (ids, rounding) => {
    const linear = (name: string, x: Rows): Rows => multiply(weight(name), x, ids.length);
    const norm = (name: string, x: Rows): Rows => rmsNorm(x, weight(name), eps);
    const rounded = (x: Rows): Rows => roundRows(x, x.length / ids.length, rounding);
    const residual = new Float64Array(ids.length * D);
    ids.forEach((id, t) => residual.set(weight('model.embed_tokens').subarray(id * D, (id + 1) * D), t * D));
    for (let n = 0; n < number('num_hidden_layers'); n++) {
      const [attention, mlp] = [`model.layers.${n}.self_attn`, `model.layers.${n}.mlp`];
      const a = rounded(norm(`model.layers.${n}.input_layernorm`, residual));
      const q = turn(linear(`${attention}.q_proj`, a), ids.length, headDim, frequencies);
      const k = turn(linear(`${attention}.k_proj`, a), ids.length, headDim, frequencies);
      const o = attend(q, k, linear(`${attention}.v_proj`, a), ids.length, headDim, kvHeads);
      addTo(residual, linear(`${attention}.o_proj`, rounded(norm(`${attention}.attn_sub_norm`, o))));
      const m = rounded(norm(`model.layers.${n}.post_attention_layernorm`, residual));
      const up = linear(`${mlp}.up_proj`, m);
      const u = linear(`${mlp}.gate_proj`, m).map((z, j) => Math.max(z, 0) ** 2 * up[j]!);
      addTo(residual, linear(`${mlp}.down_proj`, rounded(norm(`${mlp}.ffn_sub_norm`, u))));
    }
    return linear(head, norm('model.norm', residual));
  };
}

/** x · Wᵀ; W is [out, in]. Four tokens and two rows at a time, for speed. */
function multiply(w: Float64Array, x: Rows, count: number): Rows {
  const columns = x.length / count;
  const rows = w.length / columns;
  const padded = new Float64Array(Math.ceil(count / 4) * 4 * columns);
  padded.set(x);
  const result = new Float64Array(padded.length / columns * rows);
  for (let t = 0; t < count; t += 4) {
    const [x0, x1, x2, x3] = [0, 1, 2, 3].map((n) => padded.subarray((t + n) * columns, (t + n + 1) * columns)) as [Rows, Rows, Rows, Rows];
    for (let r = 0; r < rows; r += 2) {
      const at = r * columns;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let j = 0; j < columns; j++) {
        const a = w[at + j]!;
        const b = w[at + columns + j]!;
        const y0 = x0[j]!, y1 = x1[j]!, y2 = x2[j]!, y3 = x3[j]!;
        a0 += a * y0; a1 += a * y1; a2 += a * y2; a3 += a * y3;
        b0 += b * y0; b1 += b * y1; b2 += b * y2; b3 += b * y3;
      }
      [a0, a1, a2, a3].forEach((sum, n) => { result[(t + n) * rows + r] = sum; });
      [b0, b1, b2, b3].forEach((sum, n) => { result[(t + n) * rows + r + 1] = sum; });
    }
  }
  return result.subarray(0, count * rows);
}

function rmsNorm(x: Rows, weight: Float64Array, eps: number): Rows {
  const result = new Float64Array(x.length);
  const width = weight.length;
  for (let start = 0; start < x.length; start += width) {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += x[start + j]! ** 2;
    const factor = 1 / Math.sqrt(sum / width + eps);
    for (let j = 0; j < width; j++) result[start + j] = x[start + j]! * factor * weight[j]!;
  }
  return result;
}

function roundRows(x: Rows, width: number, rounding: Rounding): Rows {
  if (rounding === 'none') return x;
  const columns = rounding === 'token' ? width : rounding;
  const result = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    for (let start = row; start < row + width; start += columns) {
      const end = Math.min(start + columns, row + width);
      let max = 1e-5;
      for (let j = start; j < end; j++) max = Math.max(max, Math.abs(x[j]!));
      for (let j = start; j < end; j++) result[j] = roundHalfToEven(x[j]! * (127 / max)) * (max / 127);
    }
  }
  return result;
}

function turn(x: Rows, count: number, headDim: number, frequencies: readonly number[]): Rows {
  const width = x.length / count;
  const half = headDim / 2;
  for (let t = 0; t < count; t++) {
    for (let j = 0; j < half; j++) {
      const [cos, sin] = [Math.cos(t * frequencies[j]!), Math.sin(t * frequencies[j]!)];
      for (let at = t * width + j; at < (t + 1) * width; at += headDim) {
        const [a, b] = [x[at]!, x[at + half]!];
        x[at] = a * cos - b * sin;
        x[at + half] = b * cos + a * sin;
      }
    }
  }
  return x;
}

function attend(q: Rows, k: Rows, v: Rows, count: number, headDim: number, kvHeads: number): Rows {
  const [width, kvWidth] = [q.length / count, k.length / count];
  const shared = width / headDim / kvHeads;
  const result = new Float64Array(q.length);
  for (let t = 0; t < count; t++) {
    for (let head = 0; head < width / headDim; head++) {
      const [at, kv] = [t * width + head * headDim, Math.floor(head / shared) * headDim];
      const scores = new Float64Array(t + 1);
      for (let s = 0; s <= t; s++) {
        let sum = 0;
        for (let j = 0; j < headDim; j++) sum += q[at + j]! * k[s * kvWidth + kv + j]!;
        scores[s] = sum / Math.sqrt(headDim);
      }
      const max = scores.reduce((most, score) => Math.max(most, score), -Infinity);
      const powers = scores.map((score) => Math.exp(score - max));
      const total = powers.reduce((sum, power) => sum + power, 0);
      for (let s = 0; s <= t; s++) {
        const share = powers[s]! / total;
        for (let j = 0; j < headDim; j++) result[at + j]! += share * v[s * kvWidth + kv + j]!;
      }
    }
  }
  return result;
}

function addTo(x: Rows, y: Rows): void {
  for (let i = 0; i < x.length; i++) x[i]! += y[i]!;
}
