import { isBitLinear, type AnyPartSpec, type BitLinearSpec, type BlockSpec, type Blueprint, type NormSpec } from '../architectures/blueprint.js';
import type { Kernels } from '../kernels/kernels.js';
import { BitLinear } from '../layers/bit-linear.js';
import { Block } from '../layers/block.js';
import { GLU, type GLUParts } from '../layers/glu.js';
import type { Linear, TokenMixer } from '../layers/mixers.js';
import { MLGRU, type MLGRUParts } from '../layers/mlgru.js';
import { RMSNorm } from '../layers/rms-norm.js';
import type { Workspace } from '../layers/workspace.js';
import { lowerBoundOf } from './lower-bounds.js';
import type { TransformerBuilder } from './transformer-parts.js';
import type { ModelWeights } from './weights.js';

/** Makes layers of what a blueprint says of them, on weights that are in place. */
export class Builder {
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;
  private readonly blueprint: Blueprint;
  private readonly weights: ModelWeights;
  private readonly transformer: TransformerBuilder | undefined;

  /** @param transformer for a model that has layers of Transformers. */
  constructor(kernels: Kernels, workspace: Workspace, blueprint: Blueprint, weights: ModelWeights, transformer?: TransformerBuilder) {
    this.kernels = kernels;
    this.workspace = workspace;
    this.blueprint = blueprint;
    this.weights = weights;
    this.transformer = transformer;
  }

  norm({ weight, eps }: NormSpec): RMSNorm {
    return new RMSNorm(this.kernels, this.weights.vectors.get(weight)!, eps);
  }

  linear(spec: BitLinearSpec): Linear {
    const { weight, norm } = spec;
    return weight.isGrouped ? this.transformer!.linear(spec) : new BitLinear(this.kernels, this.workspace, this.weights.matrices.get(weight)!, norm && this.norm(norm));
  }

  block({ tokenNorm, tokenMixer, channelNorm, channelMixer }: BlockSpec): Block {
    return new Block(this.kernels, this.workspace, {
      tokenNorm: tokenNorm && this.norm(tokenNorm),
      tokenMixer: tokenMixer && this.tokenMixer(tokenMixer),
      channelNorm: channelNorm && this.norm(channelNorm),
      channelMixer: channelMixer && new GLU(this.kernels, this.workspace, this.parts<GLUParts>(channelMixer.parts), channelMixer.activation),
    });
  }

  private tokenMixer(spec: NonNullable<BlockSpec['tokenMixer']>): TokenMixer {
    if (spec.kind !== 'mlgru') return this.transformer!.mixer(spec, (specs) => this.parts(specs));
    const { lowerBounds } = this.blueprint;
    const lowerBound = lowerBounds && spec.boundsRow !== undefined
      ? lowerBoundOf(this.weights.vectors.get(lowerBounds)!, lowerBounds.shape, spec.boundsRow) : undefined;
    return new MLGRU(this.kernels, this.workspace, { ...this.parts<Omit<MLGRUParts, 'lowerBound'>>(spec.parts), lowerBound });
  }

  /** Layers under the names that their specifications have. */
  private parts<Parts>(specs: { readonly [Name in keyof Parts]: AnyPartSpec | undefined }): Parts {
    const named = Object.entries<AnyPartSpec | undefined>(specs)
      .map(([name, spec]) => [name, spec && (isBitLinear(spec) ? this.linear(spec) : spec.eps === undefined ? this.weights.vectors.get(spec.weight) : this.norm(spec))]);
    return Object.fromEntries(named) as Parts;
  }
}
