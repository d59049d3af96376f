import type { Kernels, KeyValuePages, PageTable, TransformerKernels } from '../kernels/kernels.js';
import { requireLength, requireTransformer } from './check.js';
import type { AttentionMixer, Linear } from './mixers.js';
import type { RMSNorm } from './rms-norm.js';
import type { Rope } from './rope.js';
import type { Workspace } from './workspace.js';

export interface AttentionParts {
  readonly queryProjection: Linear; //         q_proj [heads·headDim, hidden]
  readonly keyProjection: Linear; //           k_proj [kvHeads·headDim, hidden]
  readonly valueProjection: Linear; //         v_proj [kvHeads·headDim, hidden]
  readonly queryNorm?: RMSNorm | undefined; //    q_norm [headDim], for each head
  readonly keyNorm?: RMSNorm | undefined; //      k_norm [headDim]
  readonly subNorm?: RMSNorm | undefined; //      attn_sub_norm [heads·headDim]
  readonly outputProjection: Linear; //        o_proj [hidden, heads·headDim]
}

/**
 * Causal self-attention with grouped queries (Ainslie et al., 2023; ternary-transformers.md §2.3):
 *
 *     q, k = RoPE(norm(q_proj(x))), RoPE(norm(k_proj(x)));  v = v_proj(x)
 *     o = softmax(q · kᵀ / √headDim) · v                     over the last `window` tokens
 *     out = o_proj(subNorm(o))
 */
export class Attention implements AttentionMixer {
  readonly parts: AttentionParts;
  readonly window: number;
  private readonly kernels: TransformerKernels;
  private readonly workspace: Workspace;
  private readonly rope: Rope;
  private readonly pages: KeyValuePages;
  private readonly heads: number;

  /**
   * @param pages where its keys and values lie.
   * @param window tokens that one sees, itself included; Infinity for all.
   * @throws ArgumentError when the parts do not fit together.
   */
  constructor(kernels: Kernels, workspace: Workspace, parts: AttentionParts, rope: Rope, pages: KeyValuePages, window = Infinity) {
    const { queryProjection, keyProjection, valueProjection, queryNorm, keyNorm, subNorm, outputProjection } = parts;
    const { headDim, kvHeads } = pages;
    const width = queryProjection.weight.rows;
    const kvWidth = kvHeads * headDim;
    requireLength('Attention: k_proj output', { length: keyProjection.weight.rows }, kvWidth);
    requireLength('Attention: v_proj output', { length: valueProjection.weight.rows }, kvWidth);
    requireLength('Attention: o_proj input', { length: outputProjection.weight.columns }, width);
    requireLength('Attention: o_proj output', { length: outputProjection.weight.rows }, queryProjection.weight.columns);
    requireLength('Attention: q_proj output, a multiple of kv heads,', { length: width % kvWidth }, 0);
    for (const norm of [queryNorm, keyNorm]) if (norm) requireLength('Attention: QK norm', norm.weight, headDim);
    if (subNorm) requireLength('Attention: sub-norm', subNorm.weight, width);
    requireLength('Attention: workspace.query', workspace.query, workspace.maxTokens * width, 'at least');
    requireLength('Attention: workspace.key', workspace.key, workspace.maxTokens * kvWidth, 'at least');
    this.kernels = requireTransformer('Attention', kernels);
    this.workspace = workspace;
    this.parts = parts;
    this.rope = rope;
    this.pages = pages;
    this.window = window;
    this.heads = width / headDim;
  }

  forward(x: Float32Array, tokens: number, tables: readonly PageTable[], out: Float32Array): void {
    const { kernels, rope, pages, heads, window } = this;
    const { queryProjection, keyProjection, valueProjection, queryNorm, keyNorm, subNorm, outputProjection } = this.parts;
    const { query, key, value, attended } = this.workspace;
    const { kvHeads, headDim } = pages;
    const { pairs } = rope.spec;
    queryProjection.forward(x, tokens, query);
    keyProjection.forward(x, tokens, key);
    valueProjection.forward(x, tokens, value);
    queryNorm?.forward(query, tokens * heads, query);
    keyNorm?.forward(key, tokens * kvHeads, key);
    rope.turn(tables);
    kernels.rotate(query, heads, headDim, pairs, rope.angles, tokens);
    kernels.rotate(key, kvHeads, headDim, pairs, rope.angles, tokens);
    for (const table of tables) {
      kernels.storeKeysValues(key, value, pages, table);
      kernels.attention(query, heads, pages, table, window, attended);
    }
    subNorm?.forward(attended, tokens, attended);
    outputProjection.forward(attended, tokens, out);
  }
}
