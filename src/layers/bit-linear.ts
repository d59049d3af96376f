import type { Kernels, TernaryMatrix } from '../kernels/kernels.js';
import { requireLength, requireTokens } from './check.js';
import type { Workspace } from './workspace.js';

/** The eps of a BitLinear's own norm: the authors' fused kernel runs with 1e-6 whatever the module declares (hgrn-bit.md). */
export const BIT_LINEAR_EPS = 1e-6;

/**
 * BitLinear (paper §3.2; hgrn-bit.md, "Building blocks"): RMSNorm of its own, int8 activations with one scale a token, ternary
 * weights; the product is additions and subtractions only.
 */
export class BitLinear {
  readonly weight: TernaryMatrix; // [out, in]
  readonly norm: Float32Array; //    [in]
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when norm or workspace do not fit the matrix. */
  constructor(kernels: Kernels, workspace: Workspace, weight: TernaryMatrix, norm: Float32Array) {
    requireLength('BitLinear: norm', norm, weight.columns);
    requireLength('BitLinear: workspace.q', workspace.q, workspace.maxTokens * weight.columns, 'at least');
    this.kernels = kernels;
    this.workspace = workspace;
    this.weight = weight;
    this.norm = norm;
  }

  /** x: [tokens, in]; out: [tokens, out]. @throws ArgumentError for more tokens than the workspace holds. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    requireTokens(tokens, this.workspace.maxTokens);
    const { q, qScales } = this.workspace;
    this.kernels.rmsNormQuantize(x, this.norm, BIT_LINEAR_EPS, tokens, q, qScales);
    this.kernels.ternaryMatmul(this.weight, q, qScales, tokens, out);
  }
}
