import { ArgumentError } from '../errors.js';
import type { Kernels } from '../kernels/kernels.js';
import { requireLength, requireTokens } from './check.js';
import { isRecurrent, type ChannelMixer, type MixerMemory, type TokenMixer } from './mixers.js';
import type { RMSNorm } from './rms-norm.js';
import type { Workspace } from './workspace.js';

/** A mixer may be left out, and its norm with it. */
export interface BlockParts {
  readonly tokenNorm?: RMSNorm | undefined; //    attn_norm [hidden]
  readonly tokenMixer?: TokenMixer | undefined;
  readonly channelNorm?: RMSNorm | undefined; //  mlp_norm [hidden]
  readonly channelMixer?: ChannelMixer | undefined;
}

/** A pre-norm residual block: r += tokenMixer(norm(r)); r += channelMixer(norm(r)) (hgrn-bit.md, "Block and model"). */
export class Block {
  readonly parts: BlockParts;
  private readonly kernels: Kernels;
  private readonly workspace: Workspace;

  /** @throws ArgumentError when the norms or the workspace do not fit together. */
  constructor(kernels: Kernels, workspace: Workspace, parts: BlockParts) {
    const { tokenNorm, tokenMixer, channelNorm, channelMixer } = parts;
    if (!tokenNorm !== !tokenMixer || !channelNorm !== !channelMixer) throw new ArgumentError('Block: a mixer comes with its norm, or neither');
    const hidden = (tokenNorm ?? channelNorm)?.weight.length ?? 0;
    if (channelNorm) requireLength('Block: channel norm', channelNorm.weight, hidden);
    requireLength('Block: workspace.normed', workspace.normed, workspace.maxTokens * hidden, 'at least');
    this.kernels = kernels;
    this.workspace = workspace;
    this.parts = parts;
  }

  /**
   * residual: [tokens, hidden], updated in place; the token mixer's memory, if there is one, is advanced. `lengths` tells how the tokens
   * belong to several sequences (`RecurrentMixer.forward`).
   * @throws ArgumentError when the memory is of another kind of mixer.
   */
  forward(residual: Float32Array, tokens: number, memory: MixerMemory, lengths?: Uint32Array): void {
    const { tokenNorm, tokenMixer, channelNorm, channelMixer } = this.parts;
    const { normed, mixed, maxTokens } = this.workspace;
    requireTokens(tokens, maxTokens);
    if (tokenNorm && tokenMixer) {
      tokenNorm.forward(residual, tokens, normed);
      mix(tokenMixer, normed, tokens, memory, mixed, lengths);
      this.kernels.add(residual, mixed, tokens * tokenNorm.weight.length);
    }
    if (channelNorm && channelMixer) {
      channelNorm.forward(residual, tokens, normed);
      channelMixer.forward(normed, tokens, mixed);
      this.kernels.add(residual, mixed, tokens * channelNorm.weight.length);
    }
  }
}

function mix(mixer: TokenMixer, x: Float32Array, tokens: number, memory: MixerMemory, out: Float32Array, lengths?: Uint32Array): void {
  if (isRecurrent(mixer) && memory instanceof Float32Array) mixer.forward(x, tokens, memory, out, lengths);
  else if (!isRecurrent(mixer) && !(memory instanceof Float32Array)) mixer.forward(x, tokens, memory, out);
  else throw new ArgumentError('Block: the memory is not of the kind that its token mixer has');
}
