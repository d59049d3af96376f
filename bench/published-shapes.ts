import { KeyReader, type Blueprint } from 'matmulfree';
import { ternaryTensors } from '../src/architectures/blueprint.js';
import { qwen3 } from '../src/architectures/qwen3.js';
import { familyOf } from '../src/architectures/registry.js';
import { random2B4T } from './random-model.js';

/** Ternary Bonsai (bonsai.md §1.1): Qwen3, all of it ternary. */
const BONSAI = {
  '1.7B': { layers: 28, hidden: 2048, intermediate: 6144, heads: 16, theta: 1e6, original: 8192, isTied: true },
  '4B': { layers: 36, hidden: 2560, intermediate: 9728, heads: 32, theta: 5e6, original: 8192, isTied: true },
  '8B': { layers: 36, hidden: 4096, intermediate: 12288, heads: 32, theta: 1e6, original: 16384, isTied: false },
} as const;
type BonsaiShape = keyof typeof BONSAI;
const [VOCAB, KV_HEADS, HEAD_DIM] = [151_669, 8, 128];

/** @param layers fewer, for a quicker one. */
function bonsaiBlueprint(shape: BonsaiShape, layers: number = BONSAI[shape].layers): Promise<Blueprint> {
  const { hidden, intermediate, heads, theta, original, isTied } = BONSAI[shape];
  return qwen3.blueprint(new KeyReader(shape, {
    vocab_size: VOCAB, hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: KV_HEADS,
    head_dim: HEAD_DIM, rms_norm_eps: 1e-6, max_position_embeddings: 4 * original, rope_theta: theta, tie_word_embeddings: isTied, eos_token_id: 2,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: original },
  }), {}, new Set());
}

/** Ternary Bonsai 2 (bonsai.md §1.3): Qwen3.5, three layers of gated delta nets and one of attention, weights rotated in blocks. */
const BONSAI_2 = {
  '2B': { layers: 24, hidden: 2048, intermediate: 6144, heads: 8, kvHeads: 2, valueHeads: 16, block: 2048 },
  '4B': { layers: 32, hidden: 2560, intermediate: 9216, heads: 16, kvHeads: 4, valueHeads: 32, block: 512 },
} as const;
type Bonsai2Shape = keyof typeof BONSAI_2;

/** @returns undefined in a version that does not know the family. */
async function bonsai2Blueprint(shape: Bonsai2Shape, layers: number = BONSAI_2[shape].layers): Promise<Blueprint | undefined> {
  const { hidden, intermediate, heads, kvHeads, valueHeads, block } = BONSAI_2[shape];
  const widths = [...new Set([hidden, intermediate, heads * 256, valueHeads * 128])];
  const family = await familyOf('qwen35');
  const read = async (more: object): Promise<Blueprint | undefined> => family?.blueprint(new KeyReader(shape, {
    vocab_size: 248_320, hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads,
    head_dim: 256, rms_norm_eps: 1e-6, max_position_embeddings: 262_144, rope_theta: 1e7, tie_word_embeddings: true, eos_token_id: 2, linear_conv_kernel_dim: 4,
    linear_key_head_dim: 128, linear_value_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: valueHeads, ...more,
  }), {}, new Set());
  const plain = await read({});
  return plain && read({
    prism_hadamard: {
      version: 2, tied_output: true, block_size: block, transform: 'normalized-sylvester-walsh-hadamard', axis: 'input-last-dimension', sign_mode: 'explicit',
      sign_widths: widths, sign_values: '+-'.repeat(widths.reduce((sum, width) => sum + width / 2, 0)),
      weight_names: ternaryTensors(plain).filter((tensor) => tensor !== plain.embeddings).map(({ gguf }) => gguf), inverse_weight_names: [plain.embeddings.gguf], gdn_v_grouped: true,
    },
  });
}

/** The shape of a model that people use, to be filled with random weights. */
export interface PublishedShape {
  readonly name: string;
  readonly layers: number;
  /** @param layers fewer, for a quicker one. @returns undefined where the library does not know the family. */
  blueprint(layers: number): Promise<Blueprint | undefined>;
}

/** Of BitNet 2B4T: the whole vocabulary, whose float table is a third of what a token reads; room for a text of 4,096 tokens and a prompt. */
const [BITNET_VOCAB, BITNET_POSITIONS] = [128_256, 8192];

/** Those that Ternary Bonsai's files have; of Bonsai 2, with "2-" before. */
export const BONSAI_SHAPES: ReadonlyMap<string, Omit<PublishedShape, 'name'>> = new Map<string, Omit<PublishedShape, 'name'>>([
  ...(Object.keys(BONSAI) as BonsaiShape[]).map((shape) => [shape, { layers: BONSAI[shape].layers, blueprint: (layers: number) => bonsaiBlueprint(shape, layers) }] as const),
  ...(Object.keys(BONSAI_2) as Bonsai2Shape[]).map((shape) => [`2-${shape}`, { layers: BONSAI_2[shape].layers, blueprint: (layers: number) => bonsai2Blueprint(shape, layers) }] as const),
]);

export const PUBLISHED_SHAPES: readonly PublishedShape[] = [
  { name: 'Ternary Bonsai 1.7B', ...BONSAI_SHAPES.get('1.7B')! },
  { name: 'BitNet 2B4T', layers: 30, blueprint: async (layers) => random2B4T(layers, BITNET_POSITIONS, BITNET_VOCAB).blueprint },
  { name: 'Bonsai 2 2B', ...BONSAI_SHAPES.get('2-2B')! },
  { name: 'Ternary Bonsai 4B', ...BONSAI_SHAPES.get('4B')! },
];

export function publishedShape(name: string): PublishedShape {
  const found = PUBLISHED_SHAPES.find((one) => one.name === name);
  if (!found) throw new TypeError(`a shape is one of ${PUBLISHED_SHAPES.map((one) => one.name).join(', ')}, not "${name}"`);
  return found;
}
