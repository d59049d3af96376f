import type { Kernels } from '../kernels/kernels.js';
import { requireLength } from './check.js';
import type { Linear, RecurrentMixer } from './mixers.js';
import type { RMSNorm } from './rms-norm.js';
import type { Workspace } from './workspace.js';

export interface MLGRUParts {
  readonly inputProjection: Linear; //   i_proj [recurrent, hidden]
  readonly forgetProjection: Linear; //  f_proj [recurrent, hidden]
  readonly gateProjection: Linear; //    g_proj [recurrent, hidden]
  readonly gateNorm: RMSNorm; //            g_norm [recurrent]
  readonly outputProjection: Linear; //  o_proj [hidden, recurrent]
  /** [recurrent] the forget gate's lower bound; undefined for none (layer 0, or a model without bounds). */
  readonly lowerBound: Float32Array | undefined;
}

/**
 * The MatMul-free token mixer (paper §3.3.1, "MLGRU"; hgrn-bit.md, "Token mixer"):
 *
 *     i = i_proj(x);  f = sigmoid(f_proj(x));  g = g_proj(x)
 *     f = lb + (1 - lb) · f
 *     h = f · h + i · sigmoid(i) · (1 - f)
 *     out = o_proj(RMSNorm(g) · h · sigmoid(h))
 */
export class MLGRU implements RecurrentMixer {
  readonly parts: MLGRUParts;
  readonly stateSize: number;
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when the parts do not fit together. */
  constructor(kernels: Kernels, workspace: Workspace, parts: MLGRUParts) {
    const width = parts.inputProjection.weight.rows;
    requireLength('MLGRU: f_proj output', { length: parts.forgetProjection.weight.rows }, width);
    requireLength('MLGRU: g_proj output', { length: parts.gateProjection.weight.rows }, width);
    requireLength('MLGRU: g_norm', parts.gateNorm.weight, width);
    requireLength('MLGRU: o_proj input', { length: parts.outputProjection.weight.columns }, width);
    const hidden = parts.inputProjection.weight.columns;
    requireLength('MLGRU: f_proj input', { length: parts.forgetProjection.weight.columns }, hidden);
    requireLength('MLGRU: g_proj input', { length: parts.gateProjection.weight.columns }, hidden);
    requireLength('MLGRU: o_proj output', { length: parts.outputProjection.weight.rows }, hidden);
    requireLength('MLGRU: workspace.inputGate', workspace.inputGate, workspace.maxTokens * width, 'at least');
    if (parts.lowerBound) requireLength('MLGRU: lower bound', parts.lowerBound, width);
    this.kernels = kernels;
    this.workspace = workspace;
    this.parts = parts;
    this.stateSize = width;
  }

  get history(): Float32Array {
    return this.workspace.inputGate;
  }

  forward(x: Float32Array, tokens: number, state: Float32Array, out: Float32Array, lengths?: Uint32Array): void {
    const { inputProjection, forgetProjection, gateProjection, gateNorm, outputProjection, lowerBound } = this.parts;
    const { inputGate: i, forgetGate: f, outputGate: g } = this.workspace;
    inputProjection.forward(x, tokens, i);
    forgetProjection.forward(x, tokens, f);
    gateProjection.forward(x, tokens, g);
    const h = i;
    this.kernels.mlgruRecurrence(i, f, lowerBound, state, tokens, h, lengths);
    const o = g;
    this.kernels.gatedRmsNorm(g, gateNorm.weight, gateNorm.eps, h, tokens, o);
    outputProjection.forward(o, tokens, out);
  }
}
