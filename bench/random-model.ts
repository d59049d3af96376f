/*
 * Models of the published sizes with random weights, made in memory in seconds: speed does not depend on what the weights are.
 */
import { describeDecoder, KeyReader, loadModel, type Blueprint, type Checkpoint, type Kernels, type Model } from 'matmulfree';
import { describeMatMulFree } from '../src/architectures/matmul-free.js';
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
  const [hidden, intermediate] = SHAPES[shape];
  const blueprint = describeMatMulFree({
    vocabSize: VOCAB, hiddenSize: hidden, recurrentSize: hidden, intermediateSize: intermediate, layers, rmsNormEps: 1e-6, trainedContext: 2048, bosTokenId: 1, eosTokenIds: [2],
  }, true);
  return randomWeightsOf(blueprint);
}

/** BitNet b1.58 2B4T, with fewer layers if wanted, a smaller vocabulary, and room for a longer text than it was trained for. */
export function random2B4T(layers = 30, positions = 8192): Checkpoint {
  return randomWeightsOf(describeDecoder(new KeyReader('2B4T', {}), {
    architecture: '2B4T', heads: 20, kvHeads: 5, headDim: 128, rope: { pairs: 64, theta: 500_000 }, window: Infinity, activation: 'relu2', isTied: true,
    subNorms: { attention: 'attn_sub_norm', feedForward: 'ffn_sub_norm' },
    config: {
      vocabSize: VOCAB, hiddenSize: 2560, recurrentSize: 0, intermediateSize: 6912, layers, rmsNormEps: 1e-5, trainedContext: positions, bosTokenId: 1, eosTokenIds: [2],
    },
  }));
}

function randomWeightsOf(blueprint: Blueprint): Checkpoint {
  const { architecture, config: { hiddenSize: hidden } } = blueprint;
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const pool = Int8Array.from({ length: POOL + 16_384 }, () => Math.floor(random() * 3) - 1);
  return {
    name: `random ${architecture}`,
    blueprint,
    texts: { tokenizer: undefined, tokenizerConfig: undefined, generationConfig: undefined },
    tableType: () => 'BF16',
    stored: { value: 'random', why: 'it is made up' },
    storedBytes: () => 0,
    async readTable() {
      const words = new Uint16Array(VOCAB * hidden);
      for (let i = 0; i < words.length; i++) words[i] = 0x3f80 + 0x8000 * (i & 1) + (Math.imul(i, 40503) & 0x7f); // ±1 … ±2
      return new Uint8Array(words.buffer);
    },
    async readFloats({ shape: dimensions }) {
      return Float32Array.from({ length: dimensions.reduce((product, n) => product * n, 1) }, () => 0.5 + random());
    },
    async readTernary({ shape: [rows = 0, columns = 0] }, scales, onRow) {
      scales.fill(1 / Math.sqrt(columns));
      for (let row = 0; row < rows; row++) {
        const first = Math.floor(random() * POOL);
        onRow(row, pool.subarray(first, first + columns));
      }
    },
    async close() {},
  };
}

/** A model of that shape, with fewer layers if wanted. */
export async function randomModel(kernels: Kernels, shape: ShapeName, layers?: number): Promise<Model> {
  return loadModel(randomCheckpoint(shape, layers), kernels);
}
