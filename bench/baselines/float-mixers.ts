import type { Arena } from 'matmulfree';
import { applyLinear, type Workbench, type FloatLinear, type FloatMixer } from './float-layers.js';

export interface MLGRUWeights {
  readonly inputProjection: FloatLinear;
  readonly forgetProjection: FloatLinear;
  readonly gateProjection: FloatLinear;
  readonly gateNorm: Float32Array;
  readonly outputProjection: FloatLinear;
  readonly lowerBound: Float32Array | undefined;
}

/** The library's MLGRU (src/layers/mlgru.ts) with float products. */
export function createMLGRU(bench: Workbench, arena: Arena, weights: MLGRUWeights, width: number, eps: number): FloatMixer {
  const { kernels, workspace: { first: i, second: f, third: g } } = bench;
  const state = arena.f32(width);
  return {
    forward(x, tokens, _position, out) {
      applyLinear(bench, weights.inputProjection, x, tokens, i);
      applyLinear(bench, weights.forgetProjection, x, tokens, f);
      applyLinear(bench, weights.gateProjection, x, tokens, g);
      kernels.mlgruRecurrence(i, f, weights.lowerBound, state, tokens, i);
      kernels.gatedRmsNorm(g, weights.gateNorm, eps, i, tokens, g);
      applyLinear(bench, weights.outputProjection, g, tokens, out);
    },
    pretend() {}, // what is in the state makes no difference, and its size is the same at any position
    reset: () => void state.fill(0),
  };
}

export interface AttentionWeights {
  readonly query: FloatLinear;
  readonly key: FloatLinear;
  readonly value: FloatLinear;
  readonly output: FloatLinear;
}

export interface AttentionShape {
  readonly heads: number;
  readonly headSize: number;
  /** Positions that the cache has room for. */
  readonly contextLength: number;
}

/** Multi-head causal attention with rotary positions and a cache of keys and values, as in Llama 2 (7B, 13B). */
export function createAttentionMixer(
  bench: Workbench, arena: Arena, weights: AttentionWeights, { heads, headSize, contextLength }: AttentionShape, angles: RotaryAngles,
): FloatMixer {
  const { kernels, workspace: { first: q, second: k, third: v, maxTokens } } = bench;
  const cache = kernels.createCache(arena, heads, headSize, contextLength);
  return {
    forward(x, tokens, position, out) {
      applyLinear(bench, weights.query, x, tokens, q);
      applyLinear(bench, weights.key, x, tokens, k);
      applyLinear(bench, weights.value, x, tokens, v);
      const table = angles.at(position, tokens);
      kernels.rotate(q, heads, headSize, table, tokens);
      kernels.rotate(k, heads, headSize, table, tokens);
      kernels.store(cache, k, v, position, tokens);
      kernels.attention(cache, q, position, tokens, q);
      applyLinear(bench, weights.output, q, tokens, out);
    },
    pretend(position) {
      for (let j = 0; j < k.length; j++) k[j] = v[j] = ((j * 7919) % 1009) / 1009 - 0.5;
      for (let at = 0; at < position; at += maxTokens) kernels.store(cache, k, v, at, Math.min(maxTokens, position - at));
    },
    reset() {}, // positions are stored before they are looked at
  };
}

/** The angles of rotary embeddings for the chunk of tokens that is being worked on, shared by all layers of one memory. */
export interface RotaryAngles {
  /** [tokens, headSize]: cosines of the pairs, then their sines. */
  at(position: number, tokens: number): Float32Array;
}

export function createRotaryAngles(arena: Arena, headSize: number, theta: number, maxTokens: number): RotaryAngles {
  const half = headSize / 2;
  const table = arena.f32(maxTokens * headSize);
  const frequencies = Float32Array.from({ length: half }, (_, j) => theta ** (-j / half));
  let [first, count] = [0, 0];
  return {
    at(position, tokens) {
      if (position !== first || tokens !== count) {
        [first, count] = [position, tokens];
        for (let t = 0; t < tokens; t++) {
          for (let j = 0; j < half; j++) {
            const angle = Math.fround((position + t) * frequencies[j]); // as the model was trained
            table[t * headSize + j] = Math.cos(angle);
            table[t * headSize + half + j] = Math.sin(angle);
          }
        }
      }
      return table;
    },
  };
}
