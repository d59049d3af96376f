import { isBitLinear, type BitLinearSpec, type BlockSpec, type Blueprint, type NormSpec } from '../architectures/blueprint.js';
import type { Kernels } from '../kernels/kernels.js';
import type { AttentionParts } from '../layers/attention.js';
import { BitLinear } from '../layers/bit-linear.js';
import { Block } from '../layers/block.js';
import { GLU, type GLUParts } from '../layers/glu.js';
import type { TokenMixer } from '../layers/mixers.js';
import { MLGRU, type MLGRUParts } from '../layers/mlgru.js';
import { RMSNorm } from '../layers/rms-norm.js';
import type { Workspace } from '../layers/workspace.js';
import type { AttentionBuilder } from './build-attention.js';
import { lowerBoundOf } from './lower-bounds.js';
import type { ModelWeights } from './weights.js';

/** Makes layers of what a blueprint says of them, on weights that are in place. */
export class Builder {
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;
  private readonly blueprint: Blueprint;
  private readonly weights: ModelWeights;
  private readonly attention: AttentionBuilder | undefined;

  /** @param attention for a model that has some. */
  constructor(kernels: Kernels, workspace: Workspace, blueprint: Blueprint, weights: ModelWeights, attention?: AttentionBuilder) {
    this.kernels = kernels;
    this.workspace = workspace;
    this.blueprint = blueprint;
    this.weights = weights;
    this.attention = attention;
  }

  norm({ weight, eps }: NormSpec): RMSNorm {
    return new RMSNorm(this.kernels, this.weights.vectors.get(weight)!, eps);
  }

  bitLinear({ weight, norm }: BitLinearSpec): BitLinear {
    return new BitLinear(this.kernels, this.workspace, this.weights.matrices.get(weight)!, norm && this.norm(norm));
  }

  block({ tokenNorm, tokenMixer, channelNorm, channelMixer }: BlockSpec): Block {
    return new Block(this.kernels, this.workspace, {
      tokenNorm: this.norm(tokenNorm),
      tokenMixer: this.tokenMixer(tokenMixer),
      channelNorm: this.norm(channelNorm),
      channelMixer: new GLU(this.kernels, this.workspace, this.parts<GLUParts>(channelMixer.parts), channelMixer.activation),
    });
  }

  private tokenMixer(spec: BlockSpec['tokenMixer']): TokenMixer {
    if (spec.kind === 'attention') return this.attention!.build(spec, this.parts<AttentionParts>(spec.parts));
    const { lowerBounds } = this.blueprint;
    const lowerBound = lowerBounds && spec.boundsRow !== undefined
      ? lowerBoundOf(this.weights.vectors.get(lowerBounds)!, lowerBounds.shape, spec.boundsRow) : undefined;
    return new MLGRU(this.kernels, this.workspace, { ...this.parts<Omit<MLGRUParts, 'lowerBound'>>(spec.parts), lowerBound });
  }

  /** Layers under the names that their specifications have. */
  private parts<Parts>(specs: { readonly [Name in keyof Parts]: NormSpec | BitLinearSpec | undefined }): Parts {
    const named = Object.entries<NormSpec | BitLinearSpec | undefined>(specs)
      .map(([name, spec]) => [name, spec && (isBitLinear(spec) ? this.bitLinear(spec) : this.norm(spec))]);
    return Object.fromEntries(named) as Parts;
  }
}
