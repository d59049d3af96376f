import { buildFloatModel, CHUNK_TOKENS, type FloatModelOptions, type WeightSource } from './build-model.js';
import { createAttentionMixer, createRotaryAngles } from './float-mixers.js';
import type { FloatModel } from './float-model.js';

/**
 * Baseline (b), the "Transformer++" of the paper: as Llama 2, with RMSNorm, rotary positions, SwiGLU, no biases. With the sizes of a
 * MatMul-free LM it has as many weights, matrix by matrix: q, k, v, o for i, f, g, o.
 */
export interface TransformerConfig {
  readonly name: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  /** Of queries, and of keys and values. */
  readonly heads: number;
  readonly headSize: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
}

/**
 * @param source has the tensors of Hugging Face's LlamaForCausalLM, by their names.
 * @param contextLength positions that the cache has room for; memory that nobody has written to yet is not resident.
 */
export async function buildTransformer(
  config: TransformerConfig, source: WeightSource, contextLength: number, options: FloatModelOptions,
): Promise<FloatModel> {
  const { name, hiddenSize, intermediateSize, layers, heads, headSize, vocabSize, rmsNormEps, ropeTheta } = config;
  const width = heads * headSize;
  return buildFloatModel({
    name, vocabSize, layers, contextLength,
    eps: rmsNormEps,
    widths: { hidden: hiddenSize, mixer: width, intermediate: intermediateSize },
    memory: { fixed: 0, perToken: layers * 2 * width * Float32Array.BYTES_PER_ELEMENT },
    embeddings: 'model.embed_tokens.weight', norm: 'model.norm.weight', head: { weight: 'lm_head.weight' },
    allocateStage(bench, arena) {
      const angles = createRotaryAngles(arena, headSize, ropeTheta, CHUNK_TOKENS);
      return (weights, n) => {
        const layer = `model.layers.${n}`;
        const projection = (which: string) => weights.linear([`${layer}.self_attn.${which}_proj.weight`], width, hiddenSize);
        return {
          tokenNorm: weights.vector(`${layer}.input_layernorm.weight`, hiddenSize),
          mixer: createAttentionMixer(bench, arena, {
            query: projection('q'), key: projection('k'), value: projection('v'),
            output: weights.linear([`${layer}.self_attn.o_proj.weight`], hiddenSize, width),
          }, { heads, headSize, contextLength }, angles),
          channelNorm: weights.vector(`${layer}.post_attention_layernorm.weight`, hiddenSize),
          gateUp: weights.linear([`${layer}.mlp.gate_proj.weight`, `${layer}.mlp.up_proj.weight`], 2 * intermediateSize, hiddenSize),
          down: weights.linear([`${layer}.mlp.down_proj.weight`], hiddenSize, intermediateSize),
        };
      };
    },
  }, source, options);
}
