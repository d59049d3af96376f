import { measureArena, type Arena } from '../kernels/arena.js';
import type { Kernels } from '../kernels/kernels.js';
import { BitLinear } from '../layers/bit-linear.js';
import { Block } from '../layers/block.js';
import { Embedding } from '../layers/embedding.js';
import { GLU } from '../layers/glu.js';
import { MLGRU } from '../layers/mlgru.js';
import { RMSNorm } from '../layers/rms-norm.js';
import { allocateWorkspace, type Workspace } from '../layers/workspace.js';
import { Pace } from '../platform/pace.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { ModelConfig } from '../checkpoint/config.js';
import { fingerprint } from './fingerprint.js';
import { Model } from './model.js';
import { allocateWeights, readWeights, type BitLinearWeights, type LayerWeights, type ModelWeights } from './weights.js';
import { floatSpecs, ternarySpecs } from '../checkpoint/tensor-names.js';

/** Progress of something that takes time. `loaded` and `total` are bytes. */
export interface Progress {
  readonly stage: 'connect' | 'download' | 'verify' | 'offline' | 'load' | 'convert';
  readonly file: string;
  readonly loaded: number;
  readonly total: number;
}

export interface LoadModelOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Where to put the model, in the kernels' memory: `modelBytes` or more. Default: an arena of its own, which kernels can give once.
   */
  readonly arena?: Arena | undefined;
}

/** What lies in a model's arena. */
interface ModelMemory {
  readonly weights: ModelWeights;
  readonly workspace: Workspace;
  readonly liveState: readonly Float32Array[];
  readonly lengths: Uint32Array;
  readonly logits: Float32Array;
}

/** Tokens that a forward pass works on at once: enough to share the work per weight, small enough for the caches. */
const CHUNK_TOKENS = 64;

function allocateModel(arena: Arena, { config, spec, embeddingType }: Checkpoint, kernels: Kernels): ModelMemory {
  const widths = { hidden: config.hiddenSize, recurrent: config.recurrentSize, intermediate: config.intermediateSize };
  return {
    weights: allocateWeights(arena, kernels, spec, embeddingType),
    workspace: allocateWorkspace(arena, widths, CHUNK_TOKENS),
    liveState: Array.from({ length: config.layers }, () => arena.f32(CHUNK_TOKENS * config.recurrentSize)),
    lengths: arena.u32(CHUNK_TOKENS),
    logits: arena.f32(CHUNK_TOKENS * config.vocabSize),
  };
}

/** Bytes that a loaded checkpoint takes of an arena: packed weights and work space. */
export function modelBytes(checkpoint: Checkpoint, kernels: Kernels): number {
  return measureArena((arena) => allocateModel(arena, checkpoint, kernels));
}

/**
 * Packs a checkpoint's weights for `kernels` and builds the model on them. At no time is more than one tensor held beside the
 * packed weights; of one that is stored as ternary blocks, two MB.
 * @throws FormatError, BackendError (memory), or the signal's reason.
 */
export async function loadModel(checkpoint: Checkpoint, kernels: Kernels, options: LoadModelOptions = {}): Promise<Model> {
  const { config, spec, embeddingType } = checkpoint;
  const memoryBytes = modelBytes(checkpoint, kernels);
  const arena = options.arena ?? kernels.createArena(memoryBytes);
  const { weights, workspace, liveState, lengths, logits } = allocateModel(arena, checkpoint, kernels);

  const tensors = [spec.embeddings, ...floatSpecs(spec), ...ternarySpecs(spec)];
  const total = tensors.reduce((sum, tensor) => sum + checkpoint.storedBytes(tensor), 0);
  let loaded = 0;
  const onBytes = (bytes: number): void => {
    loaded += bytes;
    options.onProgress?.({ stage: 'load', file: checkpoint.name, loaded, total });
  };
  const counts = await readWeights(checkpoint, kernels, weights, onBytes, new Pace(options.signal));
  const embeddings = new Embedding(embeddingType, weights.embeddings, config.vocabSize, config.hiddenSize);

  return new Model({
    config,
    kernels,
    workspace,
    embeddings,
    blocks: weights.layers.map((layer) => buildBlock(kernels, workspace, config, layer)),
    norm: new RMSNorm(kernels, weights.norm, config.rmsNormEps),
    head: buildBitLinear(kernels, workspace, weights.head),
    liveState,
    lengths,
    logits,
    stateShape: {
      layers: config.layers, width: config.recurrentSize, fingerprint: fingerprint(config, weights, embeddings, counts),
    },
    counts,
    memoryBytes,
  });
}

function buildBlock(kernels: Kernels, workspace: Workspace, config: ModelConfig, layer: LayerWeights): Block {
  const linear = (weights: BitLinearWeights): BitLinear => buildBitLinear(kernels, workspace, weights);
  const norm = (weight: Float32Array): RMSNorm => new RMSNorm(kernels, weight, config.rmsNormEps);
  return new Block(kernels, workspace, {
    tokenNorm: norm(layer.tokenNorm),
    tokenMixer: new MLGRU(kernels, workspace, {
      inputProjection: linear(layer.inputProjection),
      forgetProjection: linear(layer.forgetProjection),
      gateProjection: linear(layer.gateProjection),
      gateNorm: norm(layer.gateNorm),
      outputProjection: linear(layer.outputProjection),
      lowerBound: layer.lowerBound,
    }),
    channelNorm: norm(layer.channelNorm),
    channelMixer: new GLU(kernels, workspace, linear(layer.mlpGate), linear(layer.mlpDown)),
  });
}

function buildBitLinear(kernels: Kernels, workspace: Workspace, weights: BitLinearWeights): BitLinear {
  return new BitLinear(kernels, workspace, weights.matrix, weights.norm);
}
