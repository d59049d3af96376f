import { show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { normedBitLinear, type AttentionSpec, type Switch } from './blueprint.js';
import { KeyReader, type ModelConfig } from './config.js';
import { listOf } from './nested-keys.js';
import { positiveFloat, ropeIdentity } from './rope.js';

/*
 * Layers of a MatMul-free LM that are attention: the key `attn`, an object or a list of them, as flash-linear-attention has it
 * (ternary-transformers.md §5.1). In GGUF files they stand in lists with a number for each layer, 0 where a layer is none.
 */

export interface HybridLayer {
  readonly heads: number;
  readonly kvHeads: number;
  readonly window: number;
  readonly theta: number;
}

const DEFAULT_THETA = 10_000;
/** Of GGUF files. */
const LISTS = ['attn_heads', 'attn_kv_heads', 'attn_windows', 'attn_thetas'];

/** What the layers that are attention differ in. */
export interface Hybrid {
  /** The token mixer of layer `n`; undefined for one that is recurrent. */
  mixer(n: number, hf: string, gguf: string): AttentionSpec | undefined;
  readonly identity: readonly number[];
  readonly switches: readonly Switch[];
}

/** @throws ConfigError naming the key that is wrong. */
export function readHybrid(keys: KeyReader, { layers, hiddenSize: D }: ModelConfig): Hybrid {
  const found = readLayers(keys, layers, D);
  return {
    mixer(n, hf, gguf) {
      const layer = found[n];
      if (!layer) return undefined;
      const { heads, kvHeads, window, theta } = layer;
      const headDim = D / heads;
      return {
        kind: 'attention', kvHeads, headDim, window,
        rope: { pairs: headDim / 2, theta },
        parts: {
          queryProjection: normedBitLinear(`${hf}.attn.q_proj`, `${gguf}.attn_q`, D, D),
          keyProjection: normedBitLinear(`${hf}.attn.k_proj`, `${gguf}.attn_k`, kvHeads * headDim, D),
          valueProjection: normedBitLinear(`${hf}.attn.v_proj`, `${gguf}.attn_v`, kvHeads * headDim, D),
          outputProjection: normedBitLinear(`${hf}.attn.o_proj`, `${gguf}.attn_output`, D, D),
        },
      };
    },
    switches: found.flatMap((layer, n) => (layer ? [{ name: `layer ${n}`, value: describeLayer(layer), why: 'attn' }] : [])),
    identity: found.flatMap((layer, n) => (layer ? [n, layer.heads, layer.kvHeads, Number.isFinite(layer.window) ? layer.window : 0, ...ropeIdentity(layer)] : [])),
  };
}

function describeLayer({ heads, kvHeads, window, theta }: HybridLayer): string {
  return `attention, ${heads} heads on ${kvHeads}, ${Number.isFinite(window) ? `the last ${window} tokens` : 'all tokens'}, RoPE theta ${theta}`;
}

/** Which of the layers are attention. */
function readLayers(keys: KeyReader, layers: number, hiddenSize: number): (HybridLayer | undefined)[] {
  const found: (HybridLayer | undefined)[] = new Array<HybridLayer | undefined>(layers).fill(undefined);
  const add = (reader: KeyReader, index: unknown): void => {
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= layers) {
      reader.fail('layers', `has ${show(index)}, not a layer from 0 to ${layers - 1}`);
    }
    if (found[index]) reader.fail('layers', `has layer ${index} twice`);
    found[index] = readLayer(reader, hiddenSize);
  };
  const attn = keys.value('attn');
  if (attn !== undefined) {
    for (const each of Array.isArray(attn) ? (attn as unknown[]) : [attn]) {
      if (!isJsonObject(each)) return keys.fail('attn', `is ${show(each)}, not an object or a list of objects`);
      const reader = new KeyReader(`${keys.file}: attn`, each);
      const list = each['layers'];
      if (!Array.isArray(list)) return reader.fail('layers', list === undefined ? 'is missing' : `is ${show(list)}, not a list of layers`);
      for (const index of list as unknown[]) add(reader, index);
    }
  }
  const lists = LISTS.map((key) => keys.value(key));
  if (lists.every((list) => list === undefined)) return found;
  const [heads, kvHeads, windows, thetas] = lists.map((list, n) => numberList(keys, LISTS[n]!, list, layers)) as [number[], number[], number[], number[]];
  heads.forEach((count, n) => {
    if (count === 0) return;
    add(new KeyReader(keys.file, {
      num_heads: count, num_kv_heads: kvHeads[n] || count, window_size: windows[n] || null, rope_theta: thetas[n] || DEFAULT_THETA,
    }), n);
  });
  return found;
}

function numberList(keys: KeyReader, key: string, value: unknown, length: number): readonly number[] {
  if (value === undefined) return new Array<number>(length).fill(0);
  const list = listOf(value) ?? [];
  if (list.length === length && list.every((item) => typeof item === 'number')) return list;
  return keys.fail(key, `is not a list of ${length} numbers, one a layer`);
}

function readLayer(reader: KeyReader, hiddenSize: number): HybridLayer {
  const heads = reader.integer('num_heads', NaN, 1, hiddenSize);
  const kvHeads = reader.integer('num_kv_heads', heads, 1, heads);
  if (hiddenSize % heads !== 0 || (hiddenSize / heads) % 4 !== 0) reader.fail('num_heads', `is ${heads}: heads of ${hiddenSize / heads} channels, not of a multiple of 4`);
  if (heads % kvHeads !== 0) reader.fail('num_kv_heads', `is ${kvHeads}, which does not divide num_heads, ${heads}`);
  if (reader.boolean('qkv_bias', false)) reader.fail('qkv_bias', 'is true; ternary attention has no biases');
  const window = reader.has('window_size') ? reader.integer('window_size', NaN, 1, 2 ** 29) : Infinity;
  return { heads, kvHeads, window, theta: positiveFloat(reader, 'rope_theta', DEFAULT_THETA) };
}
