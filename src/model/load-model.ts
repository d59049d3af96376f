import { missingPart } from '../errors.js';
import { isBitLinear, parameters, type TensorSpec } from '../architectures/blueprint.js';
import { measureArena, type Arena } from '../kernels/arena.js';
import type { Kernels } from '../kernels/kernels.js';
import { Embedding } from '../layers/embedding.js';
import { allocateWorkspace, type Workspace } from '../layers/workspace.js';
import { Pace } from '../platform/pace.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { Builder } from './build.js';
import type { AttentionMemory, KeyValueType } from './build-attention.js';
import { fingerprint } from './fingerprint.js';
import { Model } from './model.js';
import type { BlockMemory } from './state.js';
import { allocateWeights, readWeights, type ModelWeights } from './weights.js';

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
  /**
   * Tokens, of all texts together, whose keys and values there is memory for, in a model with attention. Default: 8,192, or as many as the
   * longest text that the model takes if they are fewer and take more than 64 MB.
   */
  readonly contextTokens?: number | undefined;
  /** How keys and values are kept: float16 (default), or float32. */
  readonly kvType?: KeyValueType | undefined;
}

/** What lies in a model's arena. */
interface ModelMemory {
  readonly weights: ModelWeights;
  readonly workspace: Workspace;
  readonly liveState: readonly Float32Array[];
  readonly lengths: Uint32Array;
  readonly logits: Float32Array;
  readonly attention: AttentionMemory | undefined;
}

/** Tokens that a forward pass works on at once: enough to share the work per weight, small enough for the caches. */
const CHUNK_TOKENS = 64;

/** Modules that only models with attention need. */
type AttentionModule = typeof import('./build-attention.js');

async function attentionModule({ blueprint }: Checkpoint): Promise<AttentionModule | undefined> {
  return blueprint.blocks.some(({ tokenMixer }) => tokenMixer.kind === 'attention') ? import('./build-attention.js').catch(missingPart) : undefined;
}

function allocateModel(
  arena: Arena, checkpoint: Checkpoint, kernels: Kernels, attention: AttentionModule | undefined, { contextTokens, kvType = 'f16' }: LoadModelOptions,
): ModelMemory {
  const { blueprint } = checkpoint;
  const { blocks, config: { hiddenSize: hidden, recurrentSize: recurrent, intermediateSize: intermediate, vocabSize } } = blueprint;
  return {
    weights: allocateWeights(arena, kernels, checkpoint),
    workspace: allocateWorkspace(arena, { hidden, recurrent, intermediate, ...attention?.attentionWidths(blueprint) }, CHUNK_TOKENS),
    liveState: blocks.map(({ tokenMixer }) => arena.f32(tokenMixer.kind === 'attention' ? 0 : CHUNK_TOKENS * recurrent)),
    lengths: arena.u32(CHUNK_TOKENS),
    logits: arena.f32(CHUNK_TOKENS * vocabSize),
    attention: attention?.allocateAttention(arena, blueprint, CHUNK_TOKENS, contextTokens, kvType),
  };
}

/** Bytes that a loaded checkpoint takes of an arena: packed weights, work space, keys and values. */
export async function modelBytes(checkpoint: Checkpoint, kernels: Kernels, options: LoadModelOptions = {}): Promise<number> {
  const attention = await attentionModule(checkpoint);
  return measureArena((arena) => allocateModel(arena, checkpoint, kernels, attention, options));
}

/**
 * Packs a checkpoint's weights for `kernels` and builds the model on them. At no time is more than one tensor held beside the
 * packed weights; of one that is stored as ternary blocks, two MB.
 * @throws FormatError, BackendError (memory), or the signal's reason.
 */
export async function loadModel(checkpoint: Checkpoint, kernels: Kernels, options: LoadModelOptions = {}): Promise<Model> {
  const { blueprint } = checkpoint;
  const { config } = blueprint;
  const memoryBytes = await modelBytes(checkpoint, kernels, options);
  const module = await attentionModule(checkpoint);
  const arena = options.arena ?? kernels.createArena(memoryBytes);
  const { weights, workspace, liveState, lengths, logits, attention } = allocateModel(arena, checkpoint, kernels, module, options);

  const total = parameters(blueprint).reduce((sum, { tensor }) => sum + checkpoint.storedBytes(tensor), 0);
  let loaded = 0;
  const onBytes = (bytes: number): void => {
    loaded += bytes;
    options.onProgress?.({ stage: 'load', file: checkpoint.name, loaded, total });
  };
  const counts = await readWeights(checkpoint, kernels, weights, onBytes, new Pace(options.signal));
  const table = (tensor: TensorSpec): Uint8Array => weights.tables.get(tensor)!;
  const embeddings = new Embedding(checkpoint.tableType(blueprint.embeddings), table(blueprint.embeddings), config.vocabSize, config.hiddenSize);
  const attentionBuilder = module && attention && new module.AttentionBuilder(kernels, workspace, blueprint, attention);
  const builder = new Builder(kernels, workspace, blueprint, weights, attentionBuilder);
  const { head } = blueprint;

  return new Model({
    blueprint,
    config,
    kernels,
    workspace,
    embeddings,
    blocks: blueprint.blocks.map((block) => builder.block(block)),
    norm: builder.norm(blueprint.norm),
    head: isBitLinear(head) ? builder.bitLinear(head)
      : new (await import('../layers/float-head.js').catch(missingPart)).FloatHead(kernels, checkpoint.tableType(head.table), table(head.table), config.vocabSize, config.hiddenSize),
    liveState,
    lengths,
    logits,
    stateShape: {
      blocks: blueprint.blocks.map(({ tokenMixer }): BlockMemory =>
        tokenMixer.kind === 'attention' ? tokenMixer : { width: config.recurrentSize }),
      fingerprint: fingerprint(blueprint, weights, embeddings, counts),
    },
    pages: attentionBuilder?.pages,
    tables: attentionBuilder?.tables,
    counts,
    stored: checkpoint.stored,
    memoryBytes,
  });
}
