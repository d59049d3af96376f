import { configJson, json, randomTensors, safetensors, type Files, type TinyConfig } from '../support/checkpoints.js';
import { decoderConfig, decoderTensors, hybridTensors, TINY_BITNET, TINY_LLAMA, type TinyAttention, type TinyDecoder } from '../support/families.js';
import type { GoldenTensor } from '../support/files.js';
import { floatFolder } from '../support/group-files.js';
import { runDecoderReference } from '../support/reference-decoder.js';
import { runReference } from '../support/reference-model.js';
import type { Watch } from '../support/reference-parts.js';
import { runQwen3Reference } from '../support/reference-qwen3.js';
import { randomQwen3, SMALL_QWEN3, type TernaryModel } from '../support/ternary-models.js';

/** A small random model of three layers, and what a plain implementation of its family computes. */
export interface Example {
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly tensors: Record<string, GoldenTensor>;
  readonly files: Files;
  readonly reference: (ids: readonly number[], watch: Watch) => unknown;
}

const LAYERS = 3;
const RECURRENT: TinyConfig = { hidden: 16, intermediate: 20, layers: LAYERS, vocab: 11, lowerBounds: true };
const ATTENTION: readonly TinyAttention[] = [{ layers: [0], num_heads: 2, window_size: 5 }, { layers: [2], num_heads: 4, num_kv_heads: 1 }];

function matMulFree(name: string, shape: TinyConfig, attn?: readonly TinyAttention[]): Example {
  const config = configJson(shape, attn && { attn });
  const tensors = attn ? hybridTensors(shape, attn, 3) : randomTensors(shape, 3);
  return { name, config, tensors, files: folder(config, tensors), reference: (ids, watch) => runReference(tensors, config, ids, 'int8', watch) };
}

function decoder(name: string, shape: TinyDecoder): Example {
  const config = decoderConfig(shape);
  const tensors = decoderTensors(shape, 3);
  return { name, config, tensors, files: folder(config, tensors), reference: (ids, watch) => runDecoderReference(tensors, config, ids, watch) };
}

function qwen3(name: string, { config, tensors }: TernaryModel): Example {
  return {
    name, config: { ...config }, tensors: { ...tensors } as Record<string, GoldenTensor>, files: floatFolder({ config, tensors }, 'F32'),
    reference: (ids, watch) => runQwen3Reference(tensors as Record<string, GoldenTensor>, config, ids, { activations: 128, watch }),
  };
}

export function folder(config: Record<string, unknown>, tensors: Record<string, GoldenTensor>): Files {
  return { 'config.json': json(config), 'model.safetensors': safetensors(tensors) };
}

export const EXAMPLES: readonly Example[] = [
  matMulFree('a MatMul-free LM', RECURRENT),
  matMulFree('one without bounds, its state wider', { ...RECURRENT, recurrent: 24, lowerBounds: false }),
  matMulFree('a hybrid', RECURRENT, ATTENTION),
  decoder('a BitNet', { ...TINY_BITNET, layers: LAYERS }),
  decoder('a Llama', { ...TINY_LLAMA, layers: LAYERS }),
  qwen3('a Qwen3', randomQwen3({ ...SMALL_QWEN3, layers: LAYERS }, 3)),
];
