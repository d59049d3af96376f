/*
 * Models of the published sizes with random weights, made in memory in seconds: speed does not depend on what the weights are.
 */
import { describeDecoder, KeyReader, loadModel, type Blueprint, type Checkpoint, type Kernels, type Model, type ModelConfig } from 'matmulfree';
import { readHybrid } from '../src/architectures/hybrid.js';
import { describeMatMulFree } from '../src/architectures/matmul-free.js';
import type { OnRow } from '../src/checkpoint/checkpoint.js';
import { ACTIVATION_GROUP } from '../src/kernels/kernels.js';
import type { Sizes } from './operations.js';

/** hidden size, intermediate size, layers (MMfreeLM on the Hugging Face Hub); the vocabulary has 32,000 entries. */
export const SHAPES = {
  '370M': [1024, 2816, 24],
  '1.3B': [2048, 5632, 24],
  '2.7B': [2560, 6912, 32],
} as const;
export type ShapeName = keyof typeof SHAPES;

const VOCAB = 32_000;
/** Channels of a transformer's head, as in Llama models of such sizes. */
export const HEAD_SIZES: Readonly<Record<ShapeName, number>> = { '370M': 64, '1.3B': 128, '2.7B': 128 };

export function sizesOf(shape: ShapeName, layers: number = SHAPES[shape][2]): Sizes {
  const [hidden, intermediate] = SHAPES[shape];
  return { hidden, mixer: hidden, intermediate, layers, vocab: VOCAB, heads: hidden / HEAD_SIZES[shape] };
}
/** Rows are cut from this many random trits, at shifting places. */
const POOL = 1 << 20;

export function randomCheckpoint(shape: ShapeName, layers: number = SHAPES[shape][2]): Checkpoint {
  return randomWeightsOf(describeMatMulFree(matMulFreeConfig(shape, layers), true));
}

function matMulFreeConfig(shape: ShapeName, layers: number): ModelConfig {
  const [hidden, intermediate] = SHAPES[shape];
  return {
    vocabSize: VOCAB, hiddenSize: hidden, recurrentSize: hidden, intermediateSize: intermediate, layers, rmsNormEps: 1e-6, trainedContext: 2048, bosTokenId: 1, eosTokenIds: [2],
  };
}

/** A token mixer that remembers a text in another way than the MatMul-free LM's, or only in most layers as that one. */
export const KINDS = ['hybrid', 'BitNet'] as const;
export type Kind = (typeof KINDS)[number];

/** Where hybrid-9m has attention: in every fourth layer, over the last 128 tokens, two heads of queries on one of keys and values. */
const HYBRID = { every: 4, window: 128 };
/** Of BitNet b1.58 2B4T: heads of queries on one of keys and values. */
const BITNET_GROUP = 4;

/**
 * A model of another kind with the hidden size, layers and number of ternary weights of the MatMul-free LM of that name.
 * @param positions of the longest text.
 */
export function randomKind(kind: Kind, shape: ShapeName, layers: number = SHAPES[shape][2], positions = 2048): Checkpoint {
  const [hidden, intermediate] = SHAPES[shape];
  const heads = hidden / HEAD_SIZES[shape];
  if (kind === 'BitNet') {
    // What smaller keys and values leave of the weights goes to the channel mixer, which has three matrices.
    const wider = (2 * (hidden - hidden / BITNET_GROUP)) / 3;
    return randomWeightsOf(describeBitNet({ vocab: VOCAB, hidden, intermediate: intermediate + wider, layers, heads, positions }));
  }
  const config = { ...matMulFreeConfig(shape, layers), trainedContext: positions };
  const attention = Array.from({ length: layers }, (_, n) => n).filter((n) => n % HYBRID.every === HYBRID.every - 1);
  const keys = new KeyReader(kind, { attn: { layers: attention, num_heads: heads, num_kv_heads: heads / 2, window_size: HYBRID.window, rope_theta: 10_000 } });
  return randomWeightsOf(describeMatMulFree(config, true, readHybrid(keys, config)));
}

interface BitNetSizes extends Omit<Sizes, 'mixer'> {
  readonly positions: number;
}

/** As BitNet b1.58 2B4T is built. */
function describeBitNet({ vocab, hidden, intermediate, layers, heads, positions }: BitNetSizes): Blueprint {
  const headDim = hidden / heads;
  return describeDecoder(new KeyReader('BitNet', {}), {
    architecture: 'bitnet-b1.58', heads, kvHeads: heads / BITNET_GROUP, headDim, rope: { pairs: headDim / 2, theta: 500_000 }, window: Infinity, activation: 'relu2', isTied: true,
    subNorms: { attention: 'attn_sub_norm', feedForward: 'ffn_sub_norm' },
    config: {
      vocabSize: vocab, hiddenSize: hidden, recurrentSize: 0, intermediateSize: intermediate, layers, rmsNormEps: 1e-5, trainedContext: positions, bosTokenId: 1, eosTokenIds: [2],
    },
  });
}

/** BitNet b1.58 2B4T, with fewer layers if wanted, and room for a longer text than it was trained for. @param vocab of the model: 128,256. */
export function random2B4T(layers = 30, positions = 8192, vocab = VOCAB): Checkpoint {
  return randomWeightsOf(describeBitNet({ vocab, hidden: 2560, intermediate: 6912, layers, heads: 20, positions }));
}

/** A number of a float tensor, by its name in GGUF files: norms are about 1, decays of gated delta nets below 0 (else their state grows without end), others small. */
export function randomFloat(gguf: string, random: () => number): number {
  return /norm\.weight$/.test(gguf) ? 0.5 + random() : gguf.endsWith('ssm_a') ? -random() : 0.1 * (random() - 0.5);
}

/** Random weights for whatever a blueprint describes; ternary ones that have scales for groups have them for 128 columns. */
export function randomWeightsOf(blueprint: Blueprint): Checkpoint {
  const { architecture } = blueprint;
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const pool = Int8Array.from({ length: POOL + 16_384 }, () => Math.floor(random() * 3) - 1);
  const rowsOf = (rows: number, columns: number, onRow: OnRow): void => {
    for (let row = 0; row < rows; row++) {
      const first = Math.floor(random() * POOL);
      onRow(row, pool.subarray(first, first + columns));
    }
  };
  return {
    name: `random ${architecture}`,
    blueprint,
    texts: { tokenizer: undefined, tokenizerConfig: undefined, generationConfig: undefined },
    tableType: () => 'BF16',
    stored: { value: 'random', why: 'it is made up' },
    storedBytes: () => 0,
    async readTable({ shape: [rows = 0, columns = 0] }) {
      const words = new Uint16Array(rows * columns);
      for (let i = 0; i < words.length; i++) {
        const bits = Math.imul(i, 0x9e3779b1) >>> 24; // no two rows are alike
        words[i] = 0x3f80 | ((bits & 0x80) << 8) | (bits & 0x7f); // ±1 … ±2
      }
      return new Uint8Array(words.buffer);
    },
    async readFloats({ gguf, shape: dimensions }) {
      return Float32Array.from({ length: dimensions.reduce((product, n) => product * n, 1) }, () => randomFloat(gguf, random));
    },
    async readTernary({ shape: [rows = 0, columns = 0] }, scales, onRow) {
      scales.fill(1 / Math.sqrt(columns));
      rowsOf(rows, columns, onRow);
    },
    groupOf: async () => ACTIVATION_GROUP,
    async readGrouped({ shape: [rows = 0, columns = 0] }, _group, scales, onRow) {
      for (let n = 0; n < scales.length; n++) scales[n] = (0.5 + random()) / Math.sqrt(columns);
      rowsOf(rows, columns, onRow);
    },
    async close() {},
  };
}

/** A model of that shape, with fewer layers if wanted. */
export async function randomModel(kernels: Kernels, shape: ShapeName, layers?: number): Promise<Model> {
  return loadModel(randomCheckpoint(shape, layers), kernels);
}
