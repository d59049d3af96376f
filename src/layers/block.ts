import { ArgumentError } from '../errors.js';
import type { Kernels } from '../kernels/kernels.js';
import { requireLength, requireTokens } from './check.js';
import { isRecurrent, type ChannelMixer, type MixerMemory, type TokenMixer } from './mixers.js';
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
   * residual: [tokens, hidden], updated in place; the token mixer's memory is advanced. `lengths` tells how the tokens belong to
   * several sequences (`RecurrentMixer.forward`).
   * @throws ArgumentError when the memory is of another kind of mixer.
   */
  forward(residual: Float32Array, tokens: number, memory: MixerMemory, lengths?: Uint32Array): void {
    const { tokenNorm, tokenMixer, channelNorm, channelMixer } = this.parts;
    const { normed, mixed, maxTokens } = this.workspace;
    requireTokens(tokens, maxTokens);
    const count = tokens * tokenNorm.weight.length;
    tokenNorm.forward(residual, tokens, normed);
    mix(tokenMixer, normed, tokens, memory, mixed, lengths);
    this.kernels.add(residual, mixed, count);
    channelNorm.forward(residual, tokens, normed);
    channelMixer.forward(normed, tokens, mixed);
    this.kernels.add(residual, mixed, count);
  }
}

function mix(mixer: TokenMixer, x: Float32Array, tokens: number, memory: MixerMemory, out: Float32Array, lengths?: Uint32Array): void {
  if (isRecurrent(mixer) && memory instanceof Float32Array) mixer.forward(x, tokens, memory, out, lengths);
  else if (!isRecurrent(mixer) && !(memory instanceof Float32Array)) mixer.forward(x, tokens, memory, out);
  else throw new ArgumentError('Block: the memory is not of the kind that its token mixer has');
}
