import { show } from '../errors.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, ggufContents, readDecoderSizes, readTied } from './decoder.js';
import type { Family } from './family.js';
import { readRope } from './rope.js';
import { child, oneOf } from './nested-keys.js';

/** A key of ours: "float" for a model whose activations are not rounded. */
const ACTIVATIONS = 'ternary_activations';

/**
 * Llama with ternary projections: Llama3-8B-1.58, Falcon3-1.58bit, Falcon-E (ternary-transformers.md §1.3 to §1.5). And TriLM (§1.6): floats that
 * are ternary, with a scale for each of the shards that they were trained in, and activations that are not rounded. Shards are whole groups of columns.
 */
export const llama: Family = {
  architecture: 'llama',
  metadata: [
    ...DECODER_METADATA,
    { json: 'tie_word_embeddings', gguf: 'tie_word_embeddings', type: 'bool' },
    { json: ACTIVATIONS, gguf: ACTIVATIONS, type: 'string' },
  ],

  recognises: ({ model_type: type, architectures }) =>
    type === 'llama' && (!Array.isArray(architectures) || architectures.includes('LlamaForCausalLM')),

  async blueprint(keys, generation, tensors) {
    const isFloat = tensors.has('model.embed_tokens.weight') && !keys.has('quantization_config');
    const activations = oneOf(keys, ACTIVATIONS, isFloat ? 'float' : 'int8', ['float', 'int8']);
    const sizes = readDecoderSizes(keys, generation);
    const spared = child(keys, 'quantization_config')?.value('modules_to_not_convert');
    if (Array.isArray(spared) && spared.length === 0) {
      keys.fail('quantization_config', `has modules_to_not_convert ${show(spared)}: a ternary head; only a float one can be run`);
    }
    const blueprint = describeDecoder(keys, {
      ...sizes,
      architecture: llama.architecture,
      rope: readRope(keys, sizes.headDim / 2, 10_000),
      window: Infinity,
      activation: oneOf(keys, 'hidden_act', 'silu', ['silu']),
      isTied: readTied(keys, tensors),
      hasPairedRows: true,
      activations: activations === 'float' ? activations : undefined,
    });
    // Most Llamas in GGUF are of floats.
    return { ...blueprint, refusesFloats: ggufContents(keys) !== undefined };
  },

  keysOf: async (blueprint, layout) => ({
    architectures: ['LlamaForCausalLM'], model_type: 'llama', ...decoderKeys(blueprint, layout), ...(blueprint.activations && { [ACTIVATIONS]: blueprint.activations }),
  }),
};
