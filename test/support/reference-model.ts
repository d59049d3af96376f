import { absmean, add, attend, matrix, once, plainFrequencies, rmsNorm, roundHalfAway, sigmoid, ternaryProduct, turned, type Tensors, type Watch } from './reference-parts.js';

/**
 * A second implementation of the whole model in float64, straight from the formulas, slow and plain: what the library is
 * compared with.
 */
export interface ReferenceResult {
  readonly logits: number[][]; // [tokens][vocab]
  readonly hidden: number[][][]; // [layers + 1][tokens][hidden]
  readonly state: number[][]; // [layers][width], empty for a layer of attention
}

/** An object of the key `attn` (ternary-transformers.md §5.1). */
interface AttentionConfig {
  readonly layers: readonly number[];
  readonly num_heads: number;
  readonly num_kv_heads?: number;
  readonly window_size?: number | null;
  readonly rope_theta?: number;
}

export function runReference(
  tensors: Tensors, config: Record<string, unknown>, ids: readonly number[], activations: 'int8' | 'as they are' = 'int8', watch?: Watch,
): ReferenceResult {
  const layers = Number(config['num_hidden_layers']);
  const useLowerBound = config['use_lower_bound'] !== false;
  const eps = 1e-6;
  const values = (name: string): ArrayLike<number> => tensors[name]!.values;
  const embeddings = matrix(tensors['model.embeddings.weight']!);
  const bounds = useLowerBound ? lowerBounds(matrix(tensors['model.lower_bounds']!)) : undefined;
  const ternary = once((name) => absmean(tensors[`${name}.weight`]!));
  const bitLinear = (name: string, x: readonly number[]): number[] =>
    ternaryProduct(ternary(name), rmsNorm(x, values(`${name}.norm.weight`), 1e-6), activations === 'int8' ? roundHalfAway : undefined);
  const attn = [(config['attn'] ?? []) as AttentionConfig | AttentionConfig[]].flat();
  const memories = once(() => ({ keys: [] as number[][], values: [] as number[][] }));
  /** Attention whose projections are BitLinears with norms of their own. */
  const attention = (name: string, { num_heads: heads, num_kv_heads: kvHeads = heads, window_size: window, rope_theta: theta = 10_000 }: AttentionConfig, x: readonly number[], position: number): number[] => {
    const headDim = x.length / heads;
    const turn = (y: readonly number[]): number[] => turned(y, headDim, position, plainFrequencies(headDim, theta));
    const memory = memories(name);
    memory.keys.push(turn(bitLinear(`${name}.k_proj`, x)));
    memory.values.push(bitLinear(`${name}.v_proj`, x));
    return attend(turn(bitLinear(`${name}.q_proj`, x)), memory.keys, memory.values, headDim, kvHeads, window ?? Infinity);
  };
  const state: number[][] = [];
  const mlgru = (n: number, x: readonly number[]): number[] => {
    const name = `model.layers.${n}.attn`;
    const i = bitLinear(`${name}.i_proj`, x);
    const f = bitLinear(`${name}.f_proj`, x).map(sigmoid);
    const g = bitLinear(`${name}.g_proj`, x);
    const h = (state[n] ??= new Array<number>(i.length).fill(0));
    for (let j = 0; j < i.length; j++) {
      const bound = bounds && n > 0 ? bounds[n]![j]! : 0;
      const forget = bound + (1 - bound) * f[j]!;
      h[j] = forget * h[j]! + i[j]! * sigmoid(i[j]!) * (1 - forget);
    }
    return rmsNorm(g, values(`${name}.g_norm.weight`), eps).map((v, j) => v * h[j]! * sigmoid(h[j]!));
  };
  const logits: number[][] = [];
  const hidden: number[][][] = Array.from({ length: layers + 1 }, () => []);
  for (const [position, id] of ids.entries()) {
    let residual = [...embeddings[id]!];
    hidden[0]!.push([...residual]);
    for (let n = 0; n < layers; n++) {
      const name = `model.layers.${n}`;
      watch?.(n, 'before', residual);
      const x = rmsNorm(residual, values(`${name}.attn_norm.weight`), eps);
      const layer = attn.find((each) => each.layers.includes(n));
      if (layer) state[n] = [];
      const o = layer ? attention(`${name}.attn`, layer, x, position) : mlgru(n, x);
      residual = add(residual, bitLinear(`${name}.attn.o_proj`, o));
      watch?.(n, 'between', residual);
      const gateUp = bitLinear(`${name}.mlp.gate_proj`, rmsNorm(residual, values(`${name}.mlp_norm.weight`), eps));
      const width = gateUp.length / 2;
      const activated = Array.from({ length: width }, (_, j) => gateUp[j]! * sigmoid(gateUp[j]!) * gateUp[width + j]!);
      residual = add(residual, bitLinear(`${name}.mlp.down_proj`, activated));
      watch?.(n, 'after', residual);
      hidden[n + 1]!.push([...residual]);
    }
    logits.push(bitLinear('lm_head', rmsNorm(residual, values('model.norm.weight'), eps)));
  }
  return { logits, hidden, state };
}

function lowerBounds(raw: number[][]): number[][] {
  const width = raw[0]!.length;
  const bounds = raw.map(() => new Array<number>(width).fill(0));
  for (let j = 0; j < width; j++) {
    const powers = raw.map((row) => Math.exp(row[j]!));
    const total = powers.reduce((sum, v) => sum + v, 0);
    let sum = 0;
    powers.forEach((power, l) => {
      sum += power / total;
      bounds[l]![j] = sum - powers[0]! / total;
    });
  }
  return bounds;
}
