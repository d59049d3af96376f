import { createWriteStream, existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeyReader } from 'matmulfree';
import { parameters, type Blueprint } from '../src/architectures/blueprint.js';
import { qwen3 } from '../src/architectures/qwen3.js';
import { qwen35 } from '../src/architectures/qwen35.js';
import { KEYS } from '../src/checkpoint/gguf-metadata.js';
import { metadataOf } from '../src/convert/gguf-keys.js';
import { typeInfo } from '../src/formats/ggml-types.js';
import type { GgufMetadata, GgufValue } from '../src/formats/gguf.js';
import { writeGguf, type GgufTensorToWrite } from '../src/formats/gguf-writer.js';

/* Files of the shapes of Ternary Bonsai (bonsai.md §1.1) with random weights, as they are published: everything ternary, in blocks. */

export const BONSAI = {
  '1.7B': { layers: 28, hidden: 2048, intermediate: 6144, heads: 16, theta: 1e6, original: 8192, isTied: true },
  '4B': { layers: 36, hidden: 2560, intermediate: 9728, heads: 32, theta: 5e6, original: 8192, isTied: true },
  '8B': { layers: 36, hidden: 4096, intermediate: 12288, heads: 32, theta: 1e6, original: 16384, isTied: false },
} as const;
export type BonsaiShape = keyof typeof BONSAI;

/** Ternary Bonsai 2 (bonsai.md §1.3): three layers of four are gated delta nets, weights are rotated in blocks. */
export const BONSAI_2 = {
  '2B': { layers: 24, hidden: 2048, intermediate: 6144, heads: 8, kvHeads: 2, valueHeads: 16, block: 2048 },
  '4B': { layers: 32, hidden: 2560, intermediate: 9216, heads: 16, kvHeads: 4, valueHeads: 32, block: 512 },
} as const;
export type Bonsai2Shape = keyof typeof BONSAI_2;
export type BonsaiType = 'Q2_0' | 'PQ2_0' | 'TQ2_0';

const VOCAB = 151_669;
const VOCAB_2 = 248_320;
const KV_HEADS = 8;
const HEAD_DIM = 128;
/** Blocks are cut from this many random bytes, at shifting places. */
const POOL = 1 << 20;

/** Written once, and kept. @param layers fewer, for a quicker one. */
export async function bonsaiFile(path: string, shape: BonsaiShape, type: BonsaiType, layers: number = BONSAI[shape].layers): Promise<string> {
  if (existsSync(path)) return path;
  const { hidden, intermediate, heads, theta, original, isTied } = BONSAI[shape];
  const blueprint = await qwen3.blueprint(new KeyReader(shape, {
    vocab_size: VOCAB, hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: KV_HEADS,
    head_dim: HEAD_DIM, rms_norm_eps: 1e-6, max_position_embeddings: 4 * original, rope_theta: theta, tie_word_embeddings: isTied, eos_token_id: 2,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: original },
  }), {}, new Set());
  const metadata = new Map<string, GgufValue>([
    [KEYS.architecture, { type: 'string', value: blueprint.architecture }], ...(await metadataOf(blueprint)), [KEYS.eosTokenId, { type: 'u32', value: 2 }], ...tokenizer(),
  ]) satisfies GgufMetadata;
  return write(path, blueprint, type, metadata);
}

/** The same of Bonsai 2, without a tokenizer. */
export async function bonsai2File(path: string, shape: Bonsai2Shape, type: BonsaiType, layers: number = BONSAI_2[shape].layers): Promise<string> {
  if (existsSync(path)) return path;
  const { hidden, intermediate, heads, kvHeads, valueHeads, block } = BONSAI_2[shape];
  const widths = [...new Set([hidden, intermediate, heads * 256, valueHeads * 128])];
  const config = {
    vocab_size: VOCAB_2, hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: kvHeads,
    head_dim: 256, rms_norm_eps: 1e-6, max_position_embeddings: 262_144, rope_theta: 1e7, tie_word_embeddings: true, eos_token_id: 2, linear_conv_kernel_dim: 4,
    linear_key_head_dim: 128, linear_value_head_dim: 128, linear_num_key_heads: 16, linear_num_value_heads: valueHeads,
  };
  const read = (more: object): Promise<Blueprint> => qwen35.blueprint(new KeyReader(shape, { ...config, ...more }), {}, new Set());
  const plain = await read({});
  const names = parameters(plain).filter(({ held, tensor }) => held === 'ternary' && tensor !== plain.embeddings).map(({ tensor }) => tensor.gguf);
  const blueprint = await read({
    prism_hadamard: {
      version: 2, tied_output: true, block_size: block, transform: 'normalized-sylvester-walsh-hadamard', axis: 'input-last-dimension', sign_mode: 'explicit',
      sign_widths: widths, sign_values: '+-'.repeat(widths.reduce((sum, width) => sum + width / 2, 0)), weight_names: names, inverse_weight_names: ['token_embd.weight'],
      gdn_v_grouped: true,
    },
  });
  const metadata = new Map<string, GgufValue>([
    [KEYS.architecture, { type: 'string', value: blueprint.architecture }], ...(await metadataOf(blueprint)), [KEYS.eosTokenId, { type: 'u32', value: 2 }],
  ]) satisfies GgufMetadata;
  return write(path, blueprint, type, metadata);
}

async function write(path: string, blueprint: Blueprint, type: BonsaiType, metadata: GgufMetadata): Promise<string> {
  const random = createRandom();
  const pool = Uint8Array.from({ length: POOL + (1 << 16) }, () => [0, 2, 4, 6].reduce((byte, shift) => byte | (Math.floor(random() * 3) << shift), 0));
  const tensors = parameters(blueprint).map(({ tensor, held }): GgufTensorToWrite => held === 'ternary' ? {
    name: tensor.gguf, type, shape: tensor.shape, bytes: async () => blocks(type, tensor.shape, pool, random),
  } : {
    name: tensor.gguf, type: 'F32', shape: tensor.shape,
    bytes: async () => new Uint8Array(Float32Array.from({ length: tensor.shape.reduce((product, n) => product * n) }, () => floatOf(tensor.gguf, random)).buffer),
  });
  await pipeline(Readable.from(writeGguf(metadata, tensors)), createWriteStream(`${path}.part`));
  await rename(`${path}.part`, path);
  return path;
}

/** Norms are about 1, decays below 0, and others small. */
function floatOf(name: string, random: () => number): number {
  return /norm\.weight$/.test(name) ? 0.5 + random() : name.endsWith('ssm_a') ? -random() : 0.1 * (random() - 0.5);
}

/** Scales are those of 128 columns in Q2_0's blocks of 64, and of 256 in TQ2_0's. */
function blocks(type: BonsaiType, [rows = 0, columns = 0]: readonly number[], pool: Uint8Array, random: () => number): Uint8Array {
  const { blockSize, blockBytes } = typeInfo(type);
  const bytes = new Uint8Array((rows * columns * blockBytes) / blockSize);
  const isScaleLast = type === 'TQ2_0';
  const perScale = Math.max(1, 128 / blockSize);
  for (let at = 0, block = 0, half = 0; at < bytes.length; at += blockBytes, block++) {
    if (block % perScale === 0) half = 0x2400 + Math.floor(random() * 0x400); // 1/64 to 1/32
    const codes = at + (isScaleLast ? 0 : 2);
    const from = Math.floor(random() * POOL);
    bytes.set(pool.subarray(from, from + blockBytes - 2), codes);
    const scale = isScaleLast ? at + blockBytes - 2 : at;
    bytes[scale] = half & 255;
    bytes[scale + 1] = half >> 8;
  }
  return bytes;
}

/** A vocabulary of that size: bytes, pairs of bytes, and some of three. */
function tokenizer(): [string, GgufValue][] {
  const printable = [...Array.from({ length: 94 }, (_, n) => 33 + n), ...Array.from({ length: 12 }, (_, n) => 161 + n), ...Array.from({ length: 82 }, (_, n) => 174 + n)];
  const characters = Array.from({ length: 256 }, (_, n) => String.fromCharCode(printable[n] ?? 256 + n - printable.length));
  const tokens = [...characters];
  const merges: string[] = [];
  for (let n = 0; tokens.length < VOCAB; n++) {
    const [left, right] = n < 65_536 ? [characters[n % 256]!, characters[n >> 8]!] : [tokens[256 + n - 65_536]!, characters[n % 256]!];
    tokens.push(left + right);
    merges.push(`${left} ${right}`);
  }
  return [
    [KEYS.tokenizerModel, { type: 'string', value: 'gpt2' }], [KEYS.pre, { type: 'string', value: 'qwen2' }],
    [KEYS.tokens, { type: 'array', of: 'string', value: tokens }],
    [KEYS.tokenTypes, { type: 'array', of: 'i32', value: tokens.map(() => 1) }],
    [KEYS.merges, { type: 'array', of: 'string', value: merges }], [KEYS.addBos, { type: 'bool', value: false }],
  ];
}

function createRandom(): () => number {
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
