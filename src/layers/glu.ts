import type { Activation, Kernels } from '../kernels/kernels.js';
import { requireLength, requireTransformer } from './check.js';
import type { ChannelMixer, Linear } from './mixers.js';
import type { RMSNorm } from './rms-norm.js';
import type { Workspace } from './workspace.js';

export interface GLUParts {
  readonly gateProjection: Linear; //             gate_proj [intermediate, hidden]; without an up_proj [2·intermediate, hidden], both
  readonly upProjection?: Linear | undefined; //  up_proj [intermediate, hidden]
  readonly subNorm?: RMSNorm | undefined; //         ffn_sub_norm [intermediate]
  readonly downProjection: Linear; //             down_proj [hidden, intermediate]
}

/**
 * The channel mixer, a gated linear unit (Shazeer, 2020; of MatMul-free LMs: paper §3.3.2; hgrn-bit.md, "Channel mixer"):
 *
 *     a = gate_proj(x);  b = up_proj(x)
 *     out = down_proj(subNorm(act(a) · b))
 */
export class GLU implements ChannelMixer {
  readonly parts: GLUParts;
  readonly activation: Activation;
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;
  private readonly up: Float32Array; // [maxTokens, intermediate], behind what gate_proj gives

  /** @throws ArgumentError when the projections do not fit together. */
  constructor(kernels: Kernels, workspace: Workspace, parts: GLUParts, activation: Activation = 'silu') {
    const { gateProjection, upProjection, subNorm, downProjection } = parts;
    const width = downProjection.weight.columns;
    requireLength('GLU: gate_proj output', { length: gateProjection.weight.rows }, upProjection ? width : 2 * width);
    if (upProjection) {
      requireTransformer('GLU with an up projection', kernels);
      requireLength('GLU: up_proj output', { length: upProjection.weight.rows }, width);
    }
    if (subNorm) requireLength('GLU: sub-norm', subNorm.weight, width);
    requireLength('GLU: down_proj output', { length: downProjection.weight.rows }, gateProjection.weight.columns);
    requireLength('GLU: workspace.activated', workspace.activated, workspace.maxTokens * width, 'at least');
    this.kernels = kernels;
    this.workspace = workspace;
    this.parts = parts;
    this.activation = activation;
    this.up = workspace.gateUp.subarray(workspace.maxTokens * width, 2 * workspace.maxTokens * width);
  }

  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    const { kernels, activation, up, parts: { gateProjection, upProjection, subNorm, downProjection } } = this;
    const { gateUp, activated } = this.workspace;
    const width = downProjection.weight.columns;
    gateProjection.forward(x, tokens, gateUp);
    if (upProjection) {
      upProjection.forward(x, tokens, up);
      kernels.transformer!.glu(gateUp, up, activation, tokens * width, activated);
    } else kernels.swiglu(gateUp, width, tokens, activated);
    subNorm?.forward(activated, tokens, activated);
    downProjection.forward(activated, tokens, out);
  }
}
