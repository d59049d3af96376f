import { show } from '../errors.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, readDecoderSizes, readTied, refuseMlx } from './decoder.js';
import type { Family } from './family.js';
import { oneOf } from './nested-keys.js';
import { readRope } from './rope.js';

/** Ternary Bonsai (bonsai.md §1, §3): Qwen3 whose weights, embeddings and head are ternary, with a scale for each row and 128 columns. */
export const qwen3: Family = {
  architecture: 'qwen3',
  metadata: [...DECODER_METADATA, { json: 'tie_word_embeddings', gguf: 'tie_word_embeddings', type: 'bool' }],

  recognises: ({ model_type: type, architectures }) =>
    type === 'qwen3' || (Array.isArray(architectures) && architectures.includes('Qwen3ForCausalLM')),

  async blueprint(keys, generation, tensors) {
    refuseMlx(keys);
    const layerTypes = keys.value('layer_types') ?? [];
    if (!Array.isArray(layerTypes) || layerTypes.some((type) => type !== 'full_attention')) {
      keys.fail('layer_types', `is ${show(layerTypes)}; only "full_attention" can be run`);
    }
    const sizes = readDecoderSizes(keys, generation);
    return describeDecoder(keys, {
      ...sizes,
      architecture: qwen3.architecture,
      rope: readRope(keys, sizes.headDim / 2, 1_000_000),
      window: Infinity,
      activation: oneOf(keys, 'hidden_act', 'silu', ['silu']),
      isTied: readTied(keys, tensors),
      hasQKNorm: true,
      activations: 'int8',
      hasTernaryTables: true,
    });
  },

  keysOf: async (blueprint, layout) => ({ architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', ...decoderKeys(blueprint, layout) }),
};
