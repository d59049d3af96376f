import { blockParts, isBitLinear, type AnyPartSpec, type AttentionSpec, type BitLinearSpec, type Blueprint, type GatedDeltaNetSpec, type TensorSpec } from '../architectures/blueprint.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { missingPart } from '../errors.js';
import type { Arena } from '../kernels/arena.js';
import type { GroupedMatrix, Kernels } from '../kernels/kernels.js';
import type { AttentionParts } from '../layers/attention.js';
import type { Lookup } from '../layers/embedding.js';
import { FloatHead } from '../layers/float-head.js';
import { allocateGroupedWorkspace, GroupedLinear, type GroupedWorkspace } from '../layers/grouped-linear.js';
import type { GatedDeltaNetParts } from '../layers/gated-delta-net.js';
import type { TokenMixer } from '../layers/mixers.js';
import { TernaryEmbedding } from '../layers/ternary-embedding.js';
import type { Widths, Workspace } from '../layers/workspace.js';
import type { Pace } from '../platform/pace.js';
import { allocateAttention, AttentionBuilder, attentionWidths, type AttentionMemory, type KeyValueType } from './build-attention.js';
import type { DeltaNetBuilder, DeltaNetMemory } from './delta-net-parts.js';
import type { PageTables } from './page-tables.js';
import type { PagePool } from './pages.js';
import type { ModelWeights, WeightGroups } from './weights.js';

/* What models other than MatMul-free LMs are made of besides: it loads with the first of them. */

/** Of keys and values. */
export interface MemoryOptions {
  /**
   * Of a model with attention: tokens, of all texts together, whose keys and values there is memory for. Default: 8,192, or as many as
   * the longest text that the model takes if they are fewer and take more than 64 MB. A MatMul-free LM needs none of it.
   */
  readonly contextTokens?: number | undefined;
  /** How keys and values are kept: 'f16' (default), or 'f32', twice as large. */
  readonly kvType?: KeyValueType | undefined;
}

/** In a model's arena, beside weights and work space. */
export interface TransformerMemory {
  readonly attention: AttentionMemory | undefined;
  readonly grouped: GroupedWorkspace | undefined;
  readonly deltaNet: DeltaNetMemory | undefined;
}

/** What a model needs that has layers of Transformers. */
export interface Transformer {
  readonly groups: WeightGroups;
  /** Of the work space. */
  readonly widths: Pick<Widths, 'query' | 'key'>;
  /** That there is room for in a pass; undefined for as many as there are tokens. */
  readonly sequences: number | undefined;
  allocate(arena: Arena, maxTokens: number, options: MemoryOptions): TransformerMemory;
  builder(kernels: Kernels, workspace: Workspace, weights: ModelWeights, memory: TransformerMemory): TransformerBuilder;
}

export async function prepareTransformer(checkpoint: Checkpoint, pace: Pace): Promise<Transformer> {
  const { blueprint } = checkpoint;
  const shapes = groupedTensors(blueprint).map(({ shape }) => shape);
  const most = (dimension: 0 | 1): number => Math.max(...shapes.map((shape) => shape[dimension]!));
  const deltaNet = blueprint.transformer === 'delta-net' ? await import('./delta-net-parts.js').catch(missingPart) : undefined;
  const { query = 0, key = 0 } = hasAttention(blueprint) ? attentionWidths(blueprint) : {};
  return {
    groups: await findGroups(checkpoint, pace),
    widths: { query: Math.max(query, deltaNet?.widestInput(blueprint) ?? 0), key },
    sequences: deltaNet?.sequencesAtOnce(blueprint),
    allocate: (arena, maxTokens, { contextTokens, kvType = 'f16' }) => ({
      attention: hasAttention(blueprint) ? allocateAttention(arena, blueprint, maxTokens, contextTokens, kvType) : undefined,
      grouped: shapes.length > 0 ? allocateGroupedWorkspace(arena, most(1), most(0), maxTokens, blueprint.activations ?? 'int8') : undefined,
      deltaNet: deltaNet?.allocateDeltaNet(arena, blueprint, maxTokens),
    }),
    builder: (kernels, workspace, weights, memory) =>
      new TransformerBuilder(kernels, workspace, checkpoint, weights, memory, deltaNet && new deltaNet.DeltaNetBuilder(kernels, blueprint, memory.deltaNet!)),
  };
}

function hasAttention({ blocks }: Blueprint): boolean {
  return blocks.some(({ tokenMixer }) => tokenMixer?.kind === 'attention');
}

function groupedTensors({ embeddings, blocks, head }: Blueprint): TensorSpec[] {
  const linears = [...blocks.flatMap(blockParts), head].filter((part) => !('table' in part)).filter(isBitLinear);
  return [...new Set([embeddings, ...linears.map(({ weight }) => weight)])].filter(({ isGrouped }) => isGrouped);
}

/** What was found: measuring a model asks for it, and then loading it. */
const found = new WeakMap<Checkpoint, WeightGroups>();

async function findGroups(checkpoint: Checkpoint, pace: Pace): Promise<WeightGroups> {
  const known = found.get(checkpoint);
  if (known) return known;
  const groups = new Map<TensorSpec, number>();
  for (const tensor of groupedTensors(checkpoint.blueprint)) groups.set(tensor, await checkpoint.groupOf!(tensor, { pace }));
  found.set(checkpoint, groups);
  return groups;
}

/** Makes layers of specifications, under their names. */
export type BuildParts = <Parts>(specs: { readonly [Name in keyof Parts]: AnyPartSpec | undefined }) => Parts;

/** Builds layers of Transformers, on memory and weights that are in place. */
export class TransformerBuilder {
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;
  private readonly checkpoint: Checkpoint;
  private readonly weights: ModelWeights;
  private readonly grouped: GroupedWorkspace | undefined;
  private readonly attention: AttentionBuilder | undefined;
  private readonly deltaNet: DeltaNetBuilder | undefined;

  constructor(
    kernels: Kernels, workspace: Workspace, checkpoint: Checkpoint, weights: ModelWeights, memory: TransformerMemory, deltaNet: DeltaNetBuilder | undefined,
  ) {
    this.kernels = kernels;
    this.workspace = workspace;
    this.checkpoint = checkpoint;
    this.weights = weights;
    this.grouped = memory.grouped;
    this.deltaNet = deltaNet;
    this.attention = memory.attention && new AttentionBuilder(kernels, workspace, checkpoint.blueprint, memory.attention);
  }

  get pages(): PagePool | undefined {
    return this.attention?.pages;
  }

  get tables(): PageTables | undefined {
    return this.attention?.tables;
  }

  linear({ weight }: BitLinearSpec): GroupedLinear {
    return new GroupedLinear(this.kernels, this.workspace, this.grouped!, this.matrix(weight), this.checkpoint.blueprint.activations, this.deltaNet?.rotation(weight));
  }

  mixer(spec: AttentionSpec | GatedDeltaNetSpec, build: BuildParts): TokenMixer {
    return spec.kind === 'attention' ? this.attention!.build(spec, build<AttentionParts>(spec.parts)) : this.deltaNet!.build(spec, build<GatedDeltaNetParts>(spec.parts));
  }

  embedding(tensor: TensorSpec): Lookup {
    const embedding = new TernaryEmbedding(this.kernels, this.matrix(tensor));
    return this.deltaNet?.embedding(embedding) ?? embedding;
  }

  floatHead(table: TensorSpec): FloatHead {
    const [rows = 0, columns = 0] = table.shape;
    return new FloatHead(this.kernels, this.checkpoint.tableType(table), this.weights.tables.get(table)!, rows, columns);
  }

  private matrix(weight: TensorSpec): GroupedMatrix {
    return this.weights.matrices.get(weight) as GroupedMatrix; // it is grouped, so it was made so
  }
}
