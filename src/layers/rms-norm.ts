import type { Kernels } from '../kernels/kernels.js';

/** RMSNorm(x) = x / sqrt(mean(x²) + eps) · weight, per token (hgrn-bit.md, "Building blocks"). */
export class RMSNorm {
  readonly weight: Float32Array; // [width]
  readonly eps: number;
  private readonly kernels: Kernels;

  constructor(kernels: Kernels, weight: Float32Array, eps: number) {
    this.kernels = kernels;
    this.weight = weight;
    this.eps = eps;
  }

  /** x, out: [tokens, width]; out may be x. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    this.kernels.rmsNorm(x, this.weight, this.eps, tokens, out);
  }
}
