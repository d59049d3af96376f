import { missingPart } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import { MAX_COLUMNS } from '../kernels/kernels.js';
import { normedBitLinear, type BlockSpec, type Blueprint, type NormSpec } from './blueprint.js';
import { bosId, checkVocabulary, eosIds, MAX_CONTEXT, MAX_LAYERS, MAX_VOCABULARY, rmsEpsilon, type KeyReader, type ModelConfig } from './config.js';
import type { Family } from './family.js';
import type { Hybrid } from './hybrid.js';
import type { DerivedSizes } from './matmul-free-config.js';

/** MatMul-free LMs (hgrn-bit.md): MLGRU and GLU, every dense layer a BitLinear, the head too. */
export const matmulFree: Family = {
  architecture: 'hgrn_bit',
  metadata: [
    { json: 'num_hidden_layers', gguf: 'block_count', type: 'u32', isRequired: true },
    { json: 'max_position_embeddings', gguf: 'context_length', type: 'u32' },
    { json: 'hidden_size', gguf: 'embedding_length', type: 'u32', isRequired: true },
    { json: 'recurrent_size', gguf: 'recurrent_length', type: 'u32' },
    { json: 'intermediate_size', gguf: 'feed_forward_length', type: 'u32', isRequired: true },
    { json: 'vocab_size', gguf: 'vocab_size', type: 'u32', isRequired: true },
    { json: 'rms_norm_eps', gguf: 'attention.layer_norm_rms_epsilon', type: 'f32' },
    { json: 'use_lower_bound', gguf: 'use_lower_bound', type: 'bool' },
    // Of hybrids: a number for each layer, 0 for those that are recurrent.
    { json: 'attn_heads', gguf: 'attention.head_count', type: 'u32 list' },
    { json: 'attn_kv_heads', gguf: 'attention.head_count_kv', type: 'u32 list' },
    { json: 'attn_windows', gguf: 'attention.sliding_window', type: 'u32 list' },
    { json: 'attn_thetas', gguf: 'rope.freq_base', type: 'f32 list' },
  ],

  recognises: ({ model_type: type = 'hgrn_bit' }) => type === 'hgrn_bit',

  async blueprint(keys, generation, tensors) {
    const hiddenSize = keys.integer('hidden_size', 2048, 1, MAX_COLUMNS);
    // GGUF files have no other keys than those above.
    const sizes = tensors.has('token_embd.weight') ? {} : (await import('./matmul-free-config.js').catch(missingPart)).readPublished(keys, hiddenSize);
    const useLowerBound = keys.boolean('use_lower_bound', true);
    const config = readSizes(keys, generation, useLowerBound, hiddenSize, sizes);
    const isHybrid = keys.has('attn') || keys.has('attn_heads');
    return describeMatMulFree(config, useLowerBound, isHybrid ? (await import('./hybrid.js').catch(missingPart)).readHybrid(keys, config) : undefined);
  },

  keysOf: async (blueprint, layout) => (await import('./matmul-free-keys.js').catch(missingPart)).matMulFreeKeys(blueprint, layout),
};

/** Defaults: the authors' `HGRNBitConfig` (hgrn-bit.md). */
function readSizes(keys: KeyReader, generation: JsonObject, useLowerBound: boolean, hiddenSize: number, derived: DerivedSizes): ModelConfig {
  const recurrentSize = keys.integer('recurrent_size', derived.recurrentSize ?? hiddenSize, 1, MAX_COLUMNS);
  if (useLowerBound && recurrentSize !== hiddenSize) {
    keys.fail('expand_ratio', `gives the state width ${recurrentSize}; with lower bounds it must be hidden_size, ${hiddenSize}`);
  }
  const rmsNormEps = rmsEpsilon(keys, 1e-6);
  const vocabSize = keys.integer('vocab_size', 32000, 1, MAX_VOCABULARY);
  const intermediateSize = keys.integer('intermediate_size', derived.intermediateSize ?? NaN, 1, MAX_COLUMNS);
  checkVocabulary(keys, vocabSize, hiddenSize);
  return {
    vocabSize, hiddenSize, recurrentSize, intermediateSize, rmsNormEps,
    layers: keys.integer('num_hidden_layers', 24, 1, MAX_LAYERS),
    trainedContext: keys.integer('max_position_embeddings', 2048, 1, MAX_CONTEXT),
    bosTokenId: bosId(keys, 1),
    eosTokenIds: eosIds(keys, generation, 2),
  };
}

/** @param hybrid the layers that are attention, if any are. */
export function describeMatMulFree(config: ModelConfig, useLowerBound: boolean, hybrid?: Hybrid): Blueprint {
  const { vocabSize: V, hiddenSize: D, recurrentSize: I, intermediateSize: F, layers: L, rmsNormEps } = config;
  const norm = (hf: string, gguf: string, width: number): NormSpec => ({ weight: { hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape: [width] }, eps: rmsNormEps });
  const block = (n: number): BlockSpec => {
    const hf = `model.layers.${n}`;
    const gguf = `blk.${n}`;
    return {
      tokenNorm: norm(`${hf}.attn_norm`, `${gguf}.attn_norm`, D),
      tokenMixer: hybrid?.mixer(n, hf, gguf) ?? {
        kind: 'mlgru',
        parts: {
          inputProjection: normedBitLinear(`${hf}.attn.i_proj`, `${gguf}.attn_i`, I, D),
          forgetProjection: normedBitLinear(`${hf}.attn.f_proj`, `${gguf}.attn_f`, I, D),
          gateProjection: normedBitLinear(`${hf}.attn.g_proj`, `${gguf}.attn_g`, I, D),
          gateNorm: norm(`${hf}.attn.g_norm`, `${gguf}.attn_g_norm`, I),
          outputProjection: normedBitLinear(`${hf}.attn.o_proj`, `${gguf}.attn_o`, D, I),
        },
        stateSize: I,
        boundsRow: useLowerBound && n > 0 ? n : undefined, // layer 0 has the bound 0, which is none
      },
      channelNorm: norm(`${hf}.mlp_norm`, `${gguf}.ffn_norm`, D),
      channelMixer: {
        kind: 'glu',
        activation: 'silu',
        parts: {
          gateProjection: normedBitLinear(`${hf}.mlp.gate_proj`, `${gguf}.ffn_gate`, 2 * F, D),
          downProjection: normedBitLinear(`${hf}.mlp.down_proj`, `${gguf}.ffn_down`, D, F),
        },
      },
    };
  };
  return {
    architecture: matmulFree.architecture,
    config,
    embeddings: { hf: 'model.embeddings.weight', gguf: 'token_embd.weight', shape: [V, D] },
    lowerBounds: useLowerBound ? { hf: 'model.lower_bounds', gguf: 'attn_lower_bounds.weight', shape: [L, D] } : undefined,
    blocks: Array.from({ length: L }, (_, n) => block(n)),
    norm: norm('model.norm', 'output_norm', D),
    head: normedBitLinear('lm_head', 'output', V, D),
    roundsScales: false,
    transformer: !!hybrid,
    maxPositions: Infinity,
    switches: hybrid?.switches ?? [],
    identity: [V, D, I, F, L, ...(hybrid?.identity ?? [])],
  };
}
