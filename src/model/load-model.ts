import { missingPart } from '../errors.js';
import { isBitLinear, parameters } from '../architectures/blueprint.js';
import { measureArena, type Arena } from '../kernels/arena.js';
import type { Kernels } from '../kernels/kernels.js';
import { Embedding } from '../layers/embedding.js';
import type { RecurrentMixer } from '../layers/mixers.js';
import { allocateWorkspace, type Workspace } from '../layers/workspace.js';
import { Pace } from '../platform/pace.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { Builder } from './build.js';
import { fingerprint } from './fingerprint.js';
import { Model } from './model.js';
import type { BlockMemory } from './state.js';
import type { MemoryOptions, Transformer, TransformerMemory } from './transformer-parts.js';
import { allocateWeights, readWeights, type ModelWeights } from './weights.js';

/** Progress of something that takes time. `loaded` and `total` are bytes. */
export interface Progress {
  readonly stage: 'connect' | 'download' | 'verify' | 'offline' | 'load' | 'convert';
  readonly file: string;
  readonly loaded: number;
  readonly total: number;
}

export interface LoadModelOptions extends MemoryOptions {
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
  readonly transformer: TransformerMemory | undefined;
}

/** Tokens that a forward pass works on at once: enough to share the work per weight, small enough for the caches. */
const CHUNK_TOKENS = 64;

async function transformerOf(checkpoint: Checkpoint, { signal }: LoadModelOptions): Promise<Transformer | undefined> {
  return checkpoint.blueprint.transformer ? (await import('./transformer-parts.js').catch(missingPart)).prepareTransformer(checkpoint, new Pace(signal)) : undefined;
}

function allocateModel(
  arena: Arena, checkpoint: Checkpoint, kernels: Kernels, transformer: Transformer | undefined, options: LoadModelOptions,
): ModelMemory {
  const { blueprint } = checkpoint;
  const { blocks, config: { hiddenSize: hidden, recurrentSize: recurrent, intermediateSize: intermediate, vocabSize } } = blueprint;
  const sequences = Math.min(transformer?.sequences ?? CHUNK_TOKENS, CHUNK_TOKENS);
  return {
    weights: allocateWeights(arena, kernels, checkpoint, transformer?.groups),
    workspace: allocateWorkspace(arena, { hidden, recurrent, intermediate, ...transformer?.widths }, CHUNK_TOKENS),
    liveState: blocks.map(({ tokenMixer }) => arena.f32(tokenMixer && tokenMixer.kind !== 'attention' ? sequences * tokenMixer.stateSize : 0)),
    lengths: arena.u32(sequences),
    logits: arena.f32(CHUNK_TOKENS * vocabSize),
    transformer: transformer?.allocate(arena, CHUNK_TOKENS, options),
  };
}

/** Bytes that a loaded checkpoint takes of an arena: packed weights, work space, keys and values. */
export async function modelBytes(checkpoint: Checkpoint, kernels: Kernels, options: LoadModelOptions = {}): Promise<number> {
  return measure(checkpoint, kernels, await transformerOf(checkpoint, options), options);
}

function measure(checkpoint: Checkpoint, kernels: Kernels, transformer: Transformer | undefined, options: LoadModelOptions): number {
  return measureArena((arena) => allocateModel(arena, checkpoint, kernels, transformer, options));
}

/**
 * Packs a checkpoint's weights for `kernels` and builds the model on them. At no time is more than one tensor held beside the
 * packed weights; of one that is stored as ternary blocks, two MB.
 * @throws FormatError, BackendError (memory), or the signal's reason.
 */
export async function loadModel(checkpoint: Checkpoint, kernels: Kernels, options: LoadModelOptions = {}): Promise<Model> {
  const { blueprint } = checkpoint;
  const { config } = blueprint;
  const parts = await transformerOf(checkpoint, options);
  const memoryBytes = measure(checkpoint, kernels, parts, options);
  const arena = options.arena ?? kernels.createArena(memoryBytes);
  const { weights, workspace, liveState, lengths, logits, transformer } = allocateModel(arena, checkpoint, kernels, parts, options);

  const total = parameters(blueprint).reduce((sum, { tensor }) => sum + checkpoint.storedBytes(tensor), 0);
  let loaded = 0;
  const onBytes = (bytes: number): void => {
    loaded += bytes;
    options.onProgress?.({ stage: 'load', file: checkpoint.name, loaded, total });
  };
  const counts = await readWeights(checkpoint, kernels, weights, onBytes, new Pace(options.signal));
  const more = transformer && parts?.builder(kernels, workspace, weights, transformer);
  const builder = new Builder(kernels, workspace, blueprint, weights, more);
  const { embeddings: table, head } = blueprint;
  const embeddings = table.isGrouped ? more!.embedding(table)
    : new Embedding(checkpoint.tableType(table), weights.tables.get(table)!, config.vocabSize, config.hiddenSize);

  const blocks = blueprint.blocks.map((block) => builder.block(block));
  return new Model({
    blueprint,
    config,
    kernels,
    workspace,
    embeddings,
    blocks,
    norm: builder.norm(blueprint.norm),
    head: isBitLinear(head) ? builder.linear(head) : more!.floatHead(head.table),
    liveState,
    lengths,
    logits,
    stateShape: {
      blocks: blueprint.blocks.map(({ tokenMixer }, n): BlockMemory =>
        tokenMixer?.kind === 'attention' ? tokenMixer : { width: tokenMixer?.stateSize ?? 0, replay: (blocks[n]!.parts.tokenMixer as RecurrentMixer | undefined)?.replay }),
      fingerprint: fingerprint(blueprint, weights, embeddings, counts),
    },
    pages: more?.pages,
    tables: more?.tables,
    counts,
    stored: checkpoint.stored,
    memoryBytes,
  });
}
