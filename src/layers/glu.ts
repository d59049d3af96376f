import type { Kernels } from '../kernels/kernels.js';
import type { BitLinear } from './bit-linear.js';
import { requireLength } from './check.js';
import type { ChannelMixer } from './mixers.js';
import type { Workspace } from './workspace.js';

/**
 * The MatMul-free channel mixer (paper §3.3.2; hgrn-bit.md, "Channel mixer"): one BitLinear gives a and b, side by side;
 * out = down_proj(a · sigmoid(a) · b).
 */
export class GLU implements ChannelMixer {
  readonly gateProjection: BitLinear; //  gate_proj [2·intermediate, hidden]
  readonly downProjection: BitLinear; //  down_proj [hidden, intermediate]
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when the projections do not fit together. */
  constructor(kernels: Kernels, workspace: Workspace, gateProjection: BitLinear, downProjection: BitLinear) {
    requireLength('GLU: gate_proj output', { length: gateProjection.weight.rows }, 2 * downProjection.weight.columns);
    requireLength('GLU: down_proj output', { length: downProjection.weight.rows }, gateProjection.weight.columns);
    requireLength(
      'GLU: workspace.activated', workspace.activated, workspace.maxTokens * downProjection.weight.columns, 'at least',
    );
    this.kernels = kernels;
    this.workspace = workspace;
    this.gateProjection = gateProjection;
    this.downProjection = downProjection;
  }

  forward(x: Float32Array, tokens: number, out: Float32Array): void {
    const { gateUp, activated } = this.workspace;
    this.gateProjection.forward(x, tokens, gateUp);
    this.kernels.swiglu(gateUp, this.downProjection.weight.columns, tokens, activated);
    this.downProjection.forward(activated, tokens, out);
  }
}
