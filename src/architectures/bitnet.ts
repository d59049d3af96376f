import { show } from '../errors.js';
import type { Activation } from '../kernels/kernels.js';
import { MAX_LAYERS, type KeyReader } from './config.js';
import { decoderKeys, DECODER_METADATA, describeDecoder, ggufContents, readDecoderSizes, type DecoderSizes } from './decoder.js';
import type { Family, TensorNames } from './family.js';
import { readRope } from './rope.js';
import { oneOf } from './nested-keys.js';

/** Microsoft's names of the two sub-norms, and those of the 1bitLLM reproductions. */
const SUB_NORMS = [
  { attention: 'attn_sub_norm', feedForward: 'ffn_sub_norm' },
  { attention: 'inner_attn_ln', feedForward: 'ffn_layernorm' },
];

/** Which of them a checkpoint has: by the first layer with attention, or with a feed-forward part where no layer has attention left. */
function subNormsIn(tensors: TensorNames, layers: number): (typeof SUB_NORMS)[number] | undefined {
  const numbers = Array.from({ length: layers }, (_, n) => String(n));
  const isBefore = (norm: string, projection: string): boolean | undefined => {
    const has = (name: string, n: string): boolean => tensors.has(`${name.replace('#', n)}.weight`);
    const first = numbers.find((n) => has(projection, n));
    return first === undefined ? undefined : has(norm, first);
  };
  return SUB_NORMS.find(({ attention, feedForward }) =>
    isBefore(`model.layers.#.self_attn.${attention}`, 'model.layers.#.self_attn.o_proj') ?? isBefore('blk.#.attn_sub_norm', 'blk.#.attn_output') ??
    isBefore(`model.layers.#.mlp.${feedForward}`, 'model.layers.#.mlp.down_proj') ?? isBefore('blk.#.ffn_sub_norm', 'blk.#.ffn_down'));
}

/** Which of the family's names a GGUF file has. */
const ARCHITECTURE = 'general.architecture';

/**
 * GGUF files say it since August 2026 only. Before, it went with the architecture's name; but some of 2B4T are called `bitnet`, which is
 * silu to llama.cpp (ternary-transformers.md §4.1).
 */
function activationOf(keys: KeyReader, { config: { layers, hiddenSize, intermediateSize, vocabSize } }: DecoderSizes): { activation: Activation; activationWhy?: string } {
  const name = ggufContents(keys)?.metadata.get(ARCHITECTURE)?.value;
  if (name === undefined || keys.has('hidden_act')) return { activation: oneOf(keys, 'hidden_act', undefined, ['relu2', 'silu']) };
  const because = `no hidden_activation; ${ARCHITECTURE} is ${show(name)}`;
  if (name !== 'bitnet') return { activation: 'relu2', activationWhy: because };
  return [layers, hiddenSize, intermediateSize, vocabSize].join() === '30,2560,6912,128256'
    ? { activation: 'relu2', activationWhy: `${because}, but it has the sizes of BitNet b1.58 2B4T` }
    : { activation: 'silu', activationWhy: because };
}

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

  recognises: ({ model_type: type, architectures, weight_bits: bits, num_hidden_layers: layers }, tensors) =>
    type === 'bitnet' || (Array.isArray(architectures) && architectures.includes('BitnetForCausalLM')) || bits === 1 ||
    subNormsIn(tensors, typeof layers === 'number' ? Math.min(layers, MAX_LAYERS) : 1) !== undefined,

  async blueprint(keys, generation, tensors) {
    if (tensors.has('model.embeddings.weight')) {
      keys.fail('model_type', 'is "bitnet", but the tensors are those of flash-linear-attention\'s BitNet, whose MLP is not ternary; it cannot be run');
    }
    for (const key of ['packed', 'quant_bits']) {
      if (keys.has(key) && keys.value(key) !== false) keys.fail(key, `is ${show(keys.value(key))}: weights of another packing, which cannot be read; take the model that this one was made from`);
    }
    const sizes = readDecoderSizes(keys, generation);
    const { activation, activationWhy } = activationOf(keys, sizes);
    const isGguf = ggufContents(keys) !== undefined;
    const isTied = keys.boolean('tie_word_embeddings', isGguf);
    const ignored = isGguf && isTied && tensors.has('output.weight') ? ['output.weight'] : [];
    const blueprint = describeDecoder(keys, {
      ...sizes,
      architecture: bitnet.architecture,
      rope: readRope(keys, sizes.headDim / 2, 10_000),
      window: Infinity,
      activation,
      isTied,
      subNorms: subNormsIn(tensors, sizes.config.layers),
    });
    const why: Readonly<Record<string, string>> = {
      ...(activationWhy && { activation: activationWhy }),
      ...(isGguf && !keys.has('tie_word_embeddings') && { head: 'GGUF files of this architecture have no other' }),
      ...(ignored.length > 0 && { head: `as llama.cpp has it: the tensor ${ignored.join()} is there, and is ignored` }),
    };
    return { ...blueprint, ignored, switches: blueprint.switches.map((one) => ({ ...one, why: why[one.name] ?? one.why })) };
  },

  keysOf: async (blueprint, layout) => ({ architectures: ['BitNetForCausalLM'], model_type: 'bitnet', ...decoderKeys(blueprint, layout) }),
};
