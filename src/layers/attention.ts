import type { Kernels, KeyValuePages, PageTable, TransformerKernels } from '../kernels/kernels.js';
import { requireLength, requireTransformer } from './check.js';
import type { AttentionMixer, Linear } from './mixers.js';
import { requireDeltaNet } from './require-delta-net.js';
import type { RMSNorm } from './rms-norm.js';
import type { Rope } from './rope.js';
import type { Workspace } from './workspace.js';

export interface AttentionParts {
  readonly queryProjection: Linear; //         q_proj [heads·headDim, hidden]; with a gate [heads·2·headDim, hidden]: each head's queries, then its gate
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
 *     out = o_proj(subNorm(o)), or o_proj(o · sigmoid(gate)) (bonsai.md §3.4)
 */
export class Attention implements AttentionMixer {
  readonly parts: AttentionParts;
  readonly window: number;
  private readonly kernels: TransformerKernels;
  private readonly workspace: Workspace;
  private readonly rope: Rope;
  private readonly pages: KeyValuePages;
  private readonly heads: number;
  private readonly outputGate: Float32Array | undefined; // [maxTokens, heads·headDim], behind the queries

  /**
   * @param pages where its keys and values lie.
   * @param window tokens that one sees, itself included; Infinity for all.
   * @throws ArgumentError when the parts do not fit together.
   */
  constructor(kernels: Kernels, workspace: Workspace, parts: AttentionParts, rope: Rope, pages: KeyValuePages, window = Infinity) {
    const { queryProjection, keyProjection, valueProjection, queryNorm, keyNorm, subNorm, outputProjection } = parts;
    const { headDim, kvHeads } = pages;
    const width = outputProjection.weight.columns;
    const { rows } = queryProjection.weight;
    const kvWidth = kvHeads * headDim;
    requireLength('Attention: k_proj output', { length: keyProjection.weight.rows }, kvWidth);
    requireLength('Attention: v_proj output', { length: valueProjection.weight.rows }, kvWidth);
    if (rows === 2 * width) requireDeltaNet('Attention with a gate', kernels);
    else requireLength('Attention: o_proj input', { length: width }, rows);
    requireLength('Attention: o_proj output', { length: outputProjection.weight.rows }, queryProjection.weight.columns);
    requireLength('Attention: q_proj output, a multiple of kv heads,', { length: width % kvWidth }, 0);
    for (const norm of [queryNorm, keyNorm]) if (norm) requireLength('Attention: QK norm', norm.weight, headDim);
    if (subNorm) requireLength('Attention: sub-norm', subNorm.weight, width);
    requireLength('Attention: workspace.query', workspace.query, workspace.maxTokens * rows, 'at least');
    requireLength('Attention: workspace.key', workspace.key, workspace.maxTokens * kvWidth, 'at least');
    this.kernels = requireTransformer('Attention', kernels);
    this.workspace = workspace;
    this.parts = parts;
    this.rope = rope;
    this.pages = pages;
    this.window = window;
    this.heads = width / headDim;
    this.outputGate = rows === width ? undefined : workspace.query.subarray(workspace.maxTokens * width, workspace.maxTokens * rows);
  }

  forward(x: Float32Array, tokens: number, tables: readonly PageTable[], out: Float32Array): void {
    const { kernels, rope, pages, heads, window, outputGate } = this;
    const { queryProjection, keyProjection, valueProjection, queryNorm, keyNorm, subNorm, outputProjection } = this.parts;
    const { query, key, value, attended } = this.workspace;
    const { kvHeads, headDim } = pages;
    const { pairs } = rope.spec;
    if (outputGate) {
      queryProjection.forward(x, tokens, attended);
      kernels.deltaNet!.split(attended, headDim, tokens * heads, query, outputGate);
    } else queryProjection.forward(x, tokens, query);
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
    if (outputGate) kernels.deltaNet!.gate(attended, outputGate, tokens * heads * headDim);
    subNorm?.forward(attended, tokens, attended);
    outputProjection.forward(attended, tokens, out);
  }
}
