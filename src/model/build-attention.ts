import type { AttentionSpec, BlockSpec, Blueprint } from '../architectures/blueprint.js';
import type { Arena } from '../kernels/arena.js';
import { PAGE_POSITIONS, type Kernels, type KeyValuePages } from '../kernels/kernels.js';
import { Attention, type AttentionParts } from '../layers/attention.js';
import { Rope, type RopeSpec } from '../layers/rope.js';
import type { Widths, Workspace } from '../layers/workspace.js';
import { PageTables } from './page-tables.js';
import { pagesFor } from './keys-and-values.js';
import { PagePool } from './pages.js';

/** How keys and values are kept. */
export type KeyValueType = 'f16' | 'f32';

/** What attention needs of a model's memory. */
export interface AttentionMemory {
  readonly elements: Uint16Array | Float32Array; // [pages][pageElements]
  readonly pageElements: number;
  /** [workspace.maxTokens][pages of the longest text] */
  readonly tables: readonly Uint32Array[];
  /** [workspace.maxTokens, 2·pairs] of each of `ropes` */
  readonly angles: readonly Float32Array[];
}

function attentionSpecs({ blocks }: Blueprint): AttentionSpec[] {
  return blocks.map(({ tokenMixer }: BlockSpec) => tokenMixer).filter((mixer) => mixer?.kind === 'attention');
}

/** What attention needs of the work space. */
export function attentionWidths(blueprint: Blueprint): Pick<Widths, 'query' | 'key'> {
  const most = (part: 'queryProjection' | 'keyProjection'): number => Math.max(...attentionSpecs(blueprint).map(({ parts }) => parts[part].weight.shape[0]!));
  return { query: most('queryProjection'), key: most('keyProjection') };
}

/** The different ones. */
function ropes(specs: readonly AttentionSpec[]): RopeSpec[] {
  const known = new Map(specs.map(({ rope }) => [JSON.stringify(rope), rope]));
  return [...known.values()];
}

const DEFAULT_CONTEXT = 8192;
/** So much memory is taken for `DEFAULT_CONTEXT` tokens, also where one text has fewer. */
const SMALL_BYTES = 64 * 2 ** 20;

/** @param contextTokens of all texts together. @param maxTokens of a pass. */
export function allocateAttention(
  arena: Arena, blueprint: Blueprint, maxTokens: number, contextTokens: number | undefined, type: KeyValueType,
): AttentionMemory {
  const specs = attentionSpecs(blueprint);
  const pageElements = 2 * PAGE_POSITIONS * Math.max(...specs.map(({ kvHeads, headDim }) => kvHeads * headDim));
  const isSmall = specs.length * pagesFor(DEFAULT_CONTEXT) * pageElements * (type === 'f16' ? 2 : 4) <= SMALL_BYTES;
  const pages = specs.length * pagesFor(contextTokens ?? (isSmall ? DEFAULT_CONTEXT : Math.min(blueprint.maxPositions, DEFAULT_CONTEXT)));
  const length = pages * pageElements;
  return {
    elements: type === 'f16' ? arena.u16(length) : arena.f32(length),
    pageElements,
    tables: Array.from({ length: maxTokens }, () => arena.u32(Math.min(pages, pagesFor(blueprint.maxPositions)))),
    angles: ropes(specs).map(({ pairs }) => arena.f32(maxTokens * 2 * pairs)),
  };
}

/** Builds attention layers on that memory. */
export class AttentionBuilder {
  readonly pages: PagePool;
  readonly tables: PageTables;
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;
  private readonly memory: AttentionMemory;
  private readonly ropes: ReadonlyMap<string, Rope>;

  constructor(kernels: Kernels, workspace: Workspace, blueprint: Blueprint, memory: AttentionMemory) {
    const specs = attentionSpecs(blueprint);
    this.kernels = kernels;
    this.workspace = workspace;
    this.memory = memory;
    this.ropes = new Map(ropes(specs).map((spec, n) => [JSON.stringify(spec), new Rope(spec, memory.angles[n]!)]));
    this.pages = new PagePool(memory, specs, blueprint.maxPositions);
    this.tables = new PageTables(memory.tables);
  }

  build(spec: AttentionSpec, parts: AttentionParts): Attention {
    return new Attention(this.kernels, this.workspace, parts, this.ropes.get(JSON.stringify(spec.rope))!, this.pagesOf(spec), spec.window);
  }

  private pagesOf({ kvHeads, headDim }: AttentionSpec): KeyValuePages {
    const { elements, pageElements } = this.memory;
    return { elements, pageElements, kvHeads, headDim };
  }
}
