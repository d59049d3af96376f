import type { Kernels } from '../kernels/kernels.js';
import { requireLength, requireTokens } from './check.js';
import type { ChannelMixer, TokenMixer } from './mixers.js';
import type { RMSNorm } from './rms-norm.js';
import type { Workspace } from './workspace.js';

export interface BlockParts {
  readonly tokenNorm: RMSNorm; //    attn_norm [hidden]
  readonly tokenMixer: TokenMixer;
  readonly channelNorm: RMSNorm; //  mlp_norm [hidden]
  readonly channelMixer: ChannelMixer;
}

/** A pre-norm residual block: r += tokenMixer(norm(r)); r += channelMixer(norm(r)) (hgrn-bit.md, "Block and model"). */
export class Block {
  readonly parts: BlockParts;
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when the norms or the workspace do not fit together. */
  constructor(kernels: Kernels, workspace: Workspace, parts: BlockParts) {
    const hidden = parts.tokenNorm.weight.length;
    requireLength('Block: channel norm', parts.channelNorm.weight, hidden);
    requireLength('Block: workspace.normed', workspace.normed, workspace.maxTokens * hidden, 'at least');
    this.kernels = kernels;
    this.workspace = workspace;
    this.parts = parts;
  }

  /**
   * residual: [tokens, hidden], updated in place; `state` of the token mixer is advanced. `lengths` tells how the tokens belong to
   * several sequences (`TokenMixer.forward`).
   */
  forward(residual: Float32Array, tokens: number, state: Float32Array, lengths?: Uint32Array): void {
    const { tokenNorm, tokenMixer, channelNorm, channelMixer } = this.parts;
    const { normed, mixed, maxTokens } = this.workspace;
    requireTokens(tokens, maxTokens);
    const count = tokens * tokenNorm.weight.length;
    tokenNorm.forward(residual, tokens, normed);
    tokenMixer.forward(normed, tokens, state, mixed, lengths);
    this.kernels.add(residual, mixed, count);
    channelNorm.forward(residual, tokens, normed);
    channelMixer.forward(normed, tokens, mixed);
    this.kernels.add(residual, mixed, count);
  }
}
