import { randomFrom } from './random.js';
import type { GoldenTensor } from './files.js';

/** Files by name, as `MatMulFreeLM.load` takes them. */
export type Files = Record<string, Uint8Array>;

export interface TinyConfig {
  readonly hidden: number;
  readonly recurrent?: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly vocab: number;
  readonly lowerBounds: boolean;
}

export const TINY: TinyConfig = { hidden: 12, intermediate: 20, layers: 2, vocab: 11, lowerBounds: true };

/** The configuration of a small model, as config.json spells it. */
export function configJson(config: TinyConfig, extra: Record<string, unknown> = {}): Record<string, unknown> {
  const { hidden, recurrent = hidden, intermediate, layers, vocab, lowerBounds } = config;
  return {
    model_type: 'hgrn_bit', hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers,
    vocab_size: vocab, use_lower_bound: lowerBounds, expand_ratio: recurrent / hidden, ...extra,
  };
}

/** Random float32 tensors of a small model, under their names in a checkpoint. */
export function randomTensors(config: TinyConfig, seed: number): Record<string, GoldenTensor> {
  const { hidden: D, recurrent: I = D, intermediate: F, layers, vocab, lowerBounds } = config;
  const random = randomFrom(seed);
  const tensors: Record<string, GoldenTensor> = {};
  const put = (name: string, shape: number[], mean: number): void => {
    const count = shape.reduce((product, n) => product * n, 1);
    tensors[name] = { shape, values: Float32Array.from({ length: count }, () => mean + random.normal() * 0.5) };
  };
  const linear = (name: string, out: number, input: number): void => {
    put(`${name}.weight`, [out, input], 0);
    put(`${name}.norm.weight`, [input], 1);
  };
  put('model.embeddings.weight', [vocab, D], 0);
  if (lowerBounds) put('model.lower_bounds', [layers, D], 0);
  for (let n = 0; n < layers; n++) {
    const name = `model.layers.${n}`;
    put(`${name}.attn_norm.weight`, [D], 1);
    put(`${name}.mlp_norm.weight`, [D], 1);
    for (const gate of ['i', 'f', 'g']) linear(`${name}.attn.${gate}_proj`, I, D);
    put(`${name}.attn.g_norm.weight`, [I], 1);
    linear(`${name}.attn.o_proj`, D, I);
    linear(`${name}.mlp.gate_proj`, 2 * F, D);
    linear(`${name}.mlp.down_proj`, D, F);
  }
  put('model.norm.weight', [D], 1);
  linear('lm_head', vocab, D);
  return tensors;
}

export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Writes float32 tensors as one safetensors file; `edit` may spoil the header first. */
export function safetensors(
  tensors: Record<string, GoldenTensor>, edit: (header: Record<string, HeaderEntry>) => void = () => {},
): Uint8Array {
  const header = Object.create(null) as Record<string, HeaderEntry>; // a tensor may be called __proto__
  let end = 0;
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape: [...shape], data_offsets: [end, end + values.length * 4] };
    end += values.length * 4;
  }
  const data = Float32Array.from(Object.values(tensors).flatMap(({ values }) => Array.from(values)));
  edit(header);
  return assemble(JSON.stringify(header), new Uint8Array(data.buffer));
}

/** Length, header text, data. */
export function assemble(header: string, data: Uint8Array, claimedLength?: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(claimedLength ?? text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
}

/** A whole random checkpoint without a tokenizer. */
export function tinyCheckpoint(config: TinyConfig = TINY, seed = 1, extra: Record<string, unknown> = {}): Files {
  return { 'config.json': json(configJson(config, extra)), 'model.safetensors': safetensors(randomTensors(config, seed)) };
}
