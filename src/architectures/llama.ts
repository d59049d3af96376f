import { show } from '../errors.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, readDecoderSizes } from './decoder.js';
import type { Family } from './family.js';
import { readRope } from './rope.js';
import { child, oneOf } from './nested-keys.js';

/** Llama with ternary projections: Llama3-8B-1.58, Falcon3-1.58bit, Falcon-E (ternary-transformers.md §1.3 to §1.5). */
export const llama: Family = {
  architecture: 'llama',
  metadata: [...DECODER_METADATA, { json: 'tie_word_embeddings', gguf: 'tie_word_embeddings', type: 'bool' }],

  recognises: ({ model_type: type, architectures }) =>
    type === 'llama' && (!Array.isArray(architectures) || architectures.includes('LlamaForCausalLM')),

  async blueprint(keys, generation, tensors) {
    if (tensors.has('model.embed_tokens.weight') && !keys.has('quantization_config')) {
      keys.fail('model_type', 'is "llama" without quantization_config: its weights are floats; only a Llama that is ternary (quant_method "bitnet") can be run');
    }
    const sizes = readDecoderSizes(keys, generation);
    const spared = child(keys, 'quantization_config')?.value('modules_to_not_convert');
    if (Array.isArray(spared) && spared.length === 0) {
      keys.fail('quantization_config', `has modules_to_not_convert ${show(spared)}: a ternary head; only a float one can be run`);
    }
    return describeDecoder(keys, {
      ...sizes,
      architecture: llama.architecture,
      rope: readRope(keys, sizes.headDim / 2, 10_000),
      window: Infinity,
      activation: oneOf(keys, 'hidden_act', 'silu', ['silu']),
      isTied: keys.boolean('tie_word_embeddings', false),
      hasPairedRows: true,
    });
  },

  keysOf: async (blueprint) => ({ architectures: ['LlamaForCausalLM'], model_type: 'llama', ...decoderKeys(blueprint) }),
};
