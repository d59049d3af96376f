import { show } from '../errors.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, readDecoderSizes, readTied } from './decoder.js';
import type { Family } from './family.js';
import { readRope } from './rope.js';
import { oneOf } from './nested-keys.js';

/** Microsoft's names of the two sub-norms, and those of the 1bitLLM reproductions. */
const SUB_NORMS = [
  { attention: 'attn_sub_norm', feedForward: 'ffn_sub_norm' },
  { attention: 'inner_attn_ln', feedForward: 'ffn_layernorm' },
];

/**
 * BitNet b1.58: 2B4T and its kin (architectures BitNetForCausalLM), and the reproductions of the paper by 1bitLLM (BitnetForCausalLM, whose
 * model_type says llama). A norm before o_proj and before down_proj where the files have them (ternary-transformers.md §1.1, §1.2).
 */
export const bitnet: Family = {
  architecture: 'bitnet-b1.58',
  metadata: [
    ...DECODER_METADATA,
    { json: 'hidden_act', gguf: 'hidden_activation', type: 'string' },
    { json: 'tie_word_embeddings', gguf: 'tie_word_embeddings', type: 'bool' },
  ],

  recognises: ({ model_type: type, architectures, weight_bits: bits }, tensors) =>
    type === 'bitnet' || (Array.isArray(architectures) && architectures.includes('BitnetForCausalLM')) || bits === 1 ||
    SUB_NORMS.some(({ attention }) => tensors.has(`model.layers.0.self_attn.${attention}.weight`)),

  async blueprint(keys, generation, tensors) {
    if (tensors.has('model.embeddings.weight')) {
      keys.fail('model_type', 'is "bitnet", but the tensors are those of flash-linear-attention\'s BitNet, whose MLP is not ternary; it cannot be run');
    }
    for (const key of ['packed', 'quant_bits']) {
      if (keys.has(key) && keys.value(key) !== false) keys.fail(key, `is ${show(keys.value(key))}: weights of another packing, which cannot be read; take the model that this one was made from`);
    }
    const sizes = readDecoderSizes(keys, generation);
    return describeDecoder(keys, {
      ...sizes,
      architecture: bitnet.architecture,
      rope: readRope(keys, sizes.headDim / 2, 10_000),
      window: Infinity,
      activation: oneOf(keys, 'hidden_act', undefined, ['relu2', 'silu']),
      isTied: readTied(keys, tensors),
      subNorms: SUB_NORMS.find(({ attention }) =>
        tensors.has(`model.layers.0.self_attn.${attention}.weight`) || tensors.has('blk.0.attn_sub_norm.weight')),
    });
  },

  keysOf: async (blueprint) => ({ architectures: ['BitNetForCausalLM'], model_type: 'bitnet', ...decoderKeys(blueprint) }),
};
