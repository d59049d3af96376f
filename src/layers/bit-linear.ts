import type { Kernels, TernaryMatrix } from '../kernels/kernels.js';
import { requireLength, requireTokens, requireTransformer } from './check.js';
import type { RMSNorm } from './rms-norm.js';
import type { Workspace } from './workspace.js';

/** The eps of a BitLinear's own norm: the authors' fused kernel runs with 1e-6 whatever the module declares (hgrn-bit.md). */
export const BIT_LINEAR_EPS = 1e-6;

/**
 * BitLinear (paper §3.2; hgrn-bit.md, "Building blocks"; ternary-transformers.md §2.2): in MatMul-free LMs an RMSNorm of its own, then
 * int8 activations with one scale a token, ternary weights; the product is additions and subtractions only. With a norm halves are
 * rounded away from zero, without one to even: so the models do that have it, or have it not.
 */
export class BitLinear {
  readonly weight: TernaryMatrix; // [out, in]
  readonly norm: RMSNorm | undefined; // [in]
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when norm or workspace do not fit the matrix. */
  constructor(kernels: Kernels, workspace: Workspace, weight: TernaryMatrix, norm?: RMSNorm) {
    if (norm) requireLength('BitLinear: norm', norm.weight, weight.columns);
    requireLength('BitLinear: workspace.q', workspace.q, workspace.maxTokens * weight.columns, 'at least');
    if (!norm) requireTransformer('BitLinear without a norm', kernels);
    this.kernels = kernels;
    this.workspace = workspace;
    this.weight = weight;
    this.norm = norm;
  }

  /** x: [tokens, in]; out: [tokens, out]. @throws ArgumentError for more tokens than the workspace holds. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    requireTokens(tokens, this.workspace.maxTokens);
    const { kernels, norm, weight } = this;
    const { q, qScales } = this.workspace;
    if (norm) kernels.rmsNormQuantize(x, norm.weight, norm.eps, tokens, q, qScales);
    else kernels.transformer!.quantize(x, weight.columns, tokens, q, qScales);
    kernels.ternaryMatmul(weight, q, qScales, tokens, out);
  }
}
