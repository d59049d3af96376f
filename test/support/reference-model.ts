import type { GoldenTensor } from './files.js';

/**
 * A second implementation of the whole model in float64, straight from the formulas, slow and plain: what the library is
 * compared with.
 */
export interface ReferenceResult {
  readonly logits: number[][]; // [tokens][vocab]
  readonly hidden: number[][][]; // [layers + 1][tokens][hidden]
  readonly state: number[][]; // [layers][width]
}

type Tensors = Record<string, GoldenTensor>;

export function runReference(
  tensors: Tensors, config: Record<string, unknown>, ids: readonly number[], activations: 'int8' | 'as they are' = 'int8',
): ReferenceResult {
  const layers = Number(config['num_hidden_layers']);
  const useLowerBound = config['use_lower_bound'] !== false;
  const eps = 1e-6;
  const values = (name: string): number[] => Array.from(tensors[name]!.values);
  const embeddings = matrix(tensors['model.embeddings.weight']!);
  const bounds = useLowerBound ? lowerBounds(matrix(tensors['model.lower_bounds']!)) : undefined;
  const linears = new Map<string, (x: number[]) => number[]>();
  const bitLinear = (name: string, x: number[]): number[] => {
    let apply = linears.get(name);
    if (!apply) {
      apply = makeBitLinear(matrix(tensors[`${name}.weight`]!), values(`${name}.norm.weight`), activations === 'int8');
      linears.set(name, apply);
    }
    return apply(x);
  };
  const state: number[][] = [];
  const logits: number[][] = [];
  const hidden: number[][][] = Array.from({ length: layers + 1 }, () => []);
  for (const id of ids) {
    let residual = [...embeddings[id]!];
    hidden[0]!.push([...residual]);
    for (let n = 0; n < layers; n++) {
      const name = `model.layers.${n}`;
      const x = rmsNorm(residual, values(`${name}.attn_norm.weight`), eps);
      const i = bitLinear(`${name}.attn.i_proj`, x);
      const f = bitLinear(`${name}.attn.f_proj`, x).map(sigmoid);
      const g = bitLinear(`${name}.attn.g_proj`, x);
      const h = (state[n] ??= new Array<number>(i.length).fill(0));
      for (let j = 0; j < i.length; j++) {
        const bound = bounds && n > 0 ? bounds[n]![j]! : 0;
        const forget = bound + (1 - bound) * f[j]!;
        h[j] = forget * h[j]! + i[j]! * sigmoid(i[j]!) * (1 - forget);
      }
      const o = rmsNorm(g, values(`${name}.attn.g_norm.weight`), eps).map((v, j) => v * h[j]! * sigmoid(h[j]!));
      residual = add(residual, bitLinear(`${name}.attn.o_proj`, o));
      const gateUp = bitLinear(`${name}.mlp.gate_proj`, rmsNorm(residual, values(`${name}.mlp_norm.weight`), eps));
      const width = gateUp.length / 2;
      const activated = Array.from({ length: width }, (_, j) => gateUp[j]! * sigmoid(gateUp[j]!) * gateUp[width + j]!);
      residual = add(residual, bitLinear(`${name}.mlp.down_proj`, activated));
      hidden[n + 1]!.push([...residual]);
    }
    logits.push(bitLinear('lm_head', rmsNorm(residual, values('model.norm.weight'), eps)));
  }
  return { logits, hidden, state };
}

function makeBitLinear(weight: number[][], norm: number[], quantize: boolean): (x: number[]) => number[] {
  const all = weight.flat();
  const weightScale = 1 / Math.max(all.reduce((sum, w) => sum + Math.abs(w), 0) / all.length, 1e-5);
  const trits = weight.map((row) => row.map((w) => clamp(roundHalfToEven(w * weightScale), -1, 1)));
  return (x) => {
    const y = rmsNorm(x, norm, 1e-6);
    const scale = quantize ? 127 / Math.max(Math.max(...y.map(Math.abs)), 1e-5) : 1;
    const q = quantize ? y.map((v) => clamp(roundHalfAway(v * scale), -128, 127)) : y;
    return trits.map((row) => row.reduce((sum, t, j) => sum + t * q[j]!, 0) / (scale * weightScale));
  };
}

function rmsNorm(x: number[], weight: number[], eps: number): number[] {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  return x.map((v, j) => (v / Math.sqrt(mean + eps)) * weight[j]!);
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

function matrix({ shape, values }: GoldenTensor): number[][] {
  const [rows = 0, columns = 0] = shape;
  return Array.from({ length: rows }, (_, r) => Array.from(values.slice(r * columns, (r + 1) * columns)));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const add = (a: number[], b: number[]): number[] => a.map((v, j) => v + b[j]!);
const clamp = (v: number, min: number, max: number): number => Math.min(max, Math.max(min, v));
const roundHalfAway = (v: number): number => Math.sign(v) * Math.round(Math.abs(v));

function roundHalfToEven(v: number): number {
  const below = Math.floor(v);
  const rest = v - below;
  if (rest !== 0.5) return Math.round(v);
  return below % 2 === 0 ? below : below + 1;
}
