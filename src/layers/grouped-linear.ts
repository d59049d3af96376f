import type { Arena } from '../kernels/arena.js';
import { ACTIVATION_GROUP, type GroupedMatrix, type Kernels, type TransformerKernels } from '../kernels/kernels.js';
import { requireLength, requireTokens, requireTransformer } from './check.js';
import { DIGITS, splitDigits } from './digits.js';
import type { Linear } from './mixers.js';
import { requireDeltaNet } from './require-delta-net.js';
import type { Rotation } from './rotation.js';
import type { Workspace } from './workspace.js';

/**
 * How activations are rounded for weights whose scales are for groups of columns: to int8, 128 columns at a time; or so finely that it is
 * float32's own precision (digits.ts), at three times the cost.
 */
export type GroupedActivations = 'int8' | 'float';

/** Buffers that such layers share, beside the workspace. */
export interface GroupedWorkspace {
  readonly qScales: Float32Array; //   [maxTokens, ⌈widest / 128⌉]
  readonly digitSums: Float32Array; // [most rows · digits · tokens at a time], of float activations
}

/** @param widest, mostRows of all layers. @param maxTokens of the workspace. */
export function allocateGroupedWorkspace(arena: Arena, widest: number, mostRows: number, maxTokens: number, activations: GroupedActivations): GroupedWorkspace {
  return {
    qScales: arena.f32(maxTokens * Math.ceil(widest / ACTIVATION_GROUP)),
    digitSums: arena.f32(activations === 'float' ? tokensAtOnce(maxTokens) * DIGITS * mostRows : 0),
  };
}

function tokensAtOnce(maxTokens: number): number {
  return Math.floor(maxTokens / DIGITS);
}

/**
 * A linear layer whose ternary weights have a scale for each row and group of columns (bonsai.md §3.1, ternary-transformers.md §1.6).
 * Such models were trained with float activations.
 */
export class GroupedLinear implements Linear {
  readonly weight: GroupedMatrix; // [out, in]
  readonly activations: GroupedActivations;
  private readonly kernels: TransformerKernels;
  private readonly workspace: Workspace;
  private readonly grouped: GroupedWorkspace;
  private readonly rotation: Rotation | undefined;

  /**
   * @param rotation of a weight that is stored in another basis.
   * @throws ArgumentError when the workspaces do not fit the matrix, or hold too few tokens for float activations.
   */
  constructor(kernels: Kernels, workspace: Workspace, grouped: GroupedWorkspace, weight: GroupedMatrix, activations: GroupedActivations = 'int8', rotation?: Rotation) {
    const { maxTokens } = workspace;
    requireLength('GroupedLinear: workspace.q', workspace.q, maxTokens * weight.columns, 'at least');
    requireLength('GroupedLinear: qScales', grouped.qScales, maxTokens * Math.ceil(weight.columns / ACTIVATION_GROUP), 'at least');
    if (activations === 'float') {
      requireLength('GroupedLinear with float activations: workspace.maxTokens', { length: maxTokens }, DIGITS, 'at least');
      requireLength('GroupedLinear: digitSums', grouped.digitSums, tokensAtOnce(maxTokens) * DIGITS * weight.rows, 'at least');
    }
    if (rotation) {
      requireDeltaNet('GroupedLinear with a rotation', kernels);
      requireLength('GroupedLinear: columns, a multiple of the rotation\'s block,', { length: weight.columns % rotation.block }, 0);
      requireLength('GroupedLinear: rotated', rotation.rotated, maxTokens * weight.columns, 'at least');
    }
    this.kernels = requireTransformer('GroupedLinear', kernels);
    this.rotation = rotation;
    this.workspace = workspace;
    this.grouped = grouped;
    this.weight = weight;
    this.activations = activations;
  }

  /** x: [tokens, in]; out: [tokens, out]. @throws ArgumentError for more tokens than the workspace holds. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    requireTokens(tokens, this.workspace.maxTokens);
    const { kernels, weight, rotation, grouped: { qScales }, workspace: { q } } = this;
    let input = x;
    if (rotation) {
      input = rotation.rotated;
      kernels.deltaNet!.hadamard(x, rotation.signs, rotation.block, weight.columns, tokens, input);
    }
    if (this.activations === 'float') return this.forwardFloat(input, tokens, out);
    kernels.quantizeGroups(input, weight.columns, tokens, q, qScales);
    kernels.groupedMatmul(weight, q, qScales, tokens, out);
  }

  /** The digits of a token are tokens of their own, whose results are added up. */
  private forwardFloat(x: Float32Array, tokens: number, out: Float32Array): void {
    const { kernels, weight, grouped: { qScales, digitSums: sums }, workspace: { q, maxTokens } } = this;
    const { rows, columns } = weight;
    const most = tokensAtOnce(maxTokens);
    for (let first = 0; first < tokens; first += most) {
      const count = Math.min(most, tokens - first);
      splitDigits(x, first, columns, count, q, qScales);
      kernels.groupedMatmul(weight, q, qScales, DIGITS * count, sums);
      for (let t = 0; t < count; t++) {
        const [from, to] = [DIGITS * t * rows, (first + t) * rows];
        for (let r = 0; r < rows; r++) out[to + r] = sums[from + r]! + Math.fround(sums[from + rows + r]! + sums[from + 2 * rows + r]!);
      }
    }
  }
}
