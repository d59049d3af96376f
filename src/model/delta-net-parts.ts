import { blockParts, isBitLinear, type Blueprint, type GatedDeltaNetSpec, type TensorSpec } from '../architectures/blueprint.js';
import type { Arena } from '../kernels/arena.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Lookup } from '../layers/embedding.js';
import { allocateDeltaNetWorkspace, GatedDeltaNet, type DeltaNetWorkspace, type GatedDeltaNetParts } from '../layers/gated-delta-net.js';
import { RotatedEmbedding } from '../layers/rotated-embedding.js';
import type { Rotation } from '../layers/rotation.js';

/* What models with gated delta nets, or rotated weights, are made of besides: it loads with the first of them. */

/** In a model's arena. */
export interface DeltaNetMemory {
  readonly workspace: DeltaNetWorkspace | undefined;
  readonly rotated: Float32Array; // [maxTokens, widest input of a rotated weight]
  /** [width] by their length. */
  readonly signs: ReadonlyMap<number, Float32Array>;
}

/** The states of the sequences of a pass may take so much: a batch of more goes through in several. */
const STATES_BYTES = 128 * 2 ** 20;

/** How many sequences there is room for in one pass. */
export function sequencesAtOnce(blueprint: Blueprint): number {
  const bytes = 4 * deltaNets(blueprint).reduce((sum, { stateSize }) => sum + stateSize, 0);
  return Math.max(1, Math.floor(STATES_BYTES / Math.max(1, bytes)));
}

/** Of all products. */
export function widestInput({ blocks }: Blueprint): number {
  return Math.max(...blocks.flatMap(blockParts).filter(isBitLinear).map(({ weight }) => weight.shape[1]!));
}

function deltaNets({ blocks }: Blueprint): GatedDeltaNetSpec[] {
  return blocks.map(({ tokenMixer }) => tokenMixer).filter((mixer) => mixer?.kind === 'gated-delta-net');
}

export function allocateDeltaNet(arena: Arena, blueprint: Blueprint, maxTokens: number): DeltaNetMemory {
  const [shape] = deltaNets(blueprint); // all have one
  const { rotation } = blueprint;
  return {
    workspace: shape && allocateDeltaNetWorkspace(arena, shape, maxTokens),
    rotated: arena.f32(rotation ? maxTokens * widestInput(blueprint) : 0),
    signs: new Map([...rotation?.signs ?? []].map(([width]) => [width, arena.f32(width)])),
  };
}

/** Builds layers on that memory. */
export class DeltaNetBuilder {
  private readonly kernels: Kernels;
  private readonly blueprint: Blueprint;
  private readonly memory: DeltaNetMemory;

  constructor(kernels: Kernels, blueprint: Blueprint, memory: DeltaNetMemory) {
    this.kernels = kernels;
    this.blueprint = blueprint;
    this.memory = memory;
    for (const [width, signs] of blueprint.rotation?.signs ?? []) memory.signs.get(width)!.set(signs);
  }

  build(spec: GatedDeltaNetSpec, parts: GatedDeltaNetParts): GatedDeltaNet {
    return new GatedDeltaNet(this.kernels, this.memory.workspace!, parts, spec);
  }

  /** What the input of a weight is to be brought to. */
  rotation({ gguf, shape }: TensorSpec): Rotation | undefined {
    const { rotation } = this.blueprint;
    return rotation?.weights.has(gguf) ? { block: rotation.block, signs: this.memory.signs.get(shape[1]!), rotated: this.memory.rotated } : undefined;
  }

  /** The embeddings in the model's own basis. */
  embedding(stored: Lookup): Lookup {
    const { rotation } = this.blueprint;
    return rotation?.hasEmbeddings ? new RotatedEmbedding(stored, rotation.block, this.memory.signs.get(stored.width)) : stored;
  }
}
