import { show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import type { RopeSpec } from '../layers/rope.js';
import { log } from '../platform/numeric.js';
import { MAX_CONTEXT, type KeyReader } from './config.js';
import type { MetadataKey } from './family.js';
import { child } from './nested-keys.js';

/** Keys of rotary embeddings in GGUF. */
export const ROPE_METADATA: readonly MetadataKey[] = [
  { json: 'rope_theta', gguf: 'rope.freq_base', type: 'f32' },
  { json: 'rope_scaling.rope_type', gguf: 'rope.scaling.type', type: 'string' },
  { json: 'rope_scaling.factor', gguf: 'rope.scaling.factor', type: 'f32' },
  { json: 'rope_scaling.original_max_position_embeddings', gguf: 'rope.scaling.original_context_length', type: 'u32' },
  { json: 'rope_scaling.low_freq_factor', gguf: 'rope.scaling.low_freq_factor', type: 'f32' },
  { json: 'rope_scaling.high_freq_factor', gguf: 'rope.scaling.high_freq_factor', type: 'f32' },
  { json: 'rope_scaling.beta_fast', gguf: 'rope.scaling.yarn_beta_fast', type: 'f32' },
  { json: 'rope_scaling.beta_slow', gguf: 'rope.scaling.yarn_beta_slow', type: 'f32' },
  // Ours: llama.cpp's `attn_factor` comes on top of the factor that YaRN has by itself.
  { json: 'rope_scaling.attention_factor', gguf: 'rope.scaling.attention_factor', type: 'f32' },
];

/** A number as float32 holds it, as GGUF files do: the same model from either. */
export function positiveFloat(keys: KeyReader, key: string, fallback: number): number {
  const value = Math.fround(keys.positive(key, fallback));
  return value > 0 && value < Infinity ? value : keys.fail(key, `is ${show(keys.value(key))}, beyond float32`);
}

/** transformers 5 has rope_parameters in place of rope_theta and rope_scaling: both are read. @throws ConfigError for an unknown type. */
export function readRope(keys: KeyReader, pairs: number, defaultTheta: number): RopeSpec {
  const parameters = child(keys, 'rope_parameters');
  const theta = positiveFloat(parameters?.has('rope_theta') ? parameters : keys, 'rope_theta', defaultTheta);
  const scaling = parameters ?? child(keys, 'rope_scaling');
  const kind = scaling?.value('rope_type') ?? scaling?.value('type') ?? 'default';
  if (!scaling || kind === 'default' || kind === 'none') return { pairs, theta };
  if (kind === 'linear' && scaling.value('factor') === 1) return { pairs, theta };
  if (kind !== 'llama3' && kind !== 'yarn') return scaling.fail('rope_type', `is ${show(kind)}; only "default", "llama3" and "yarn" can be run`);
  const factor = positiveFloat(scaling, 'factor', NaN);
  const originalPositions = scaling.integer('original_max_position_embeddings', NaN, 1, MAX_CONTEXT);
  if (kind === 'llama3') {
    return {
      pairs, theta,
      scaling: {
        kind, factor, lowFrequencyFactor: positiveFloat(scaling, 'low_freq_factor', NaN), highFrequencyFactor: positiveFloat(scaling, 'high_freq_factor', NaN),
        originalPositions,
      },
    };
  }
  return {
    pairs, theta,
    scaling: {
      kind, factor, betaFast: positiveFloat(scaling, 'beta_fast', 32), betaSlow: positiveFloat(scaling, 'beta_slow', 1), originalPositions,
      magnitude: positiveFloat(scaling, 'attention_factor', factor <= 1 ? 1 : 0.1 * log(factor) + 1),
    },
  };
}

/** Whole numbers that tell it from others, for the fingerprint: a state's keys have been turned by it. */
export function ropeIdentity({ theta, scaling }: Omit<RopeSpec, 'pairs'>): number[] {
  const numbers = Object.values(scaling ?? {}).filter((value) => typeof value === 'number');
  return [...new Uint32Array(Float32Array.of(theta, ...numbers).buffer)];
}

/** The keys that give it again. */
export function ropeKeys({ theta, scaling }: RopeSpec): JsonObject {
  if (!scaling) return { rope_theta: theta };
  const common = { rope_type: scaling.kind, factor: scaling.factor, original_max_position_embeddings: scaling.originalPositions };
  return {
    rope_theta: theta,
    rope_scaling: scaling.kind === 'llama3'
      ? { ...common, low_freq_factor: scaling.lowFrequencyFactor, high_freq_factor: scaling.highFrequencyFactor }
      : { ...common, beta_fast: scaling.betaFast, beta_slow: scaling.betaSlow, attention_factor: scaling.magnitude },
  };
}
