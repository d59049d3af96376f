import type { Arena } from '../kernels/arena.js';

/** Widths of a model's vectors. */
export interface Widths {
  /** D: the residual stream. */
  readonly hidden: number;
  /** I: the recurrent state of a layer; 0 for none. */
  readonly recurrent?: number;
  /** F: inside the channel mixer. */
  readonly intermediate: number;
  /** All heads' queries of a token; 0 for a model without attention. */
  readonly query?: number;
  /** All heads' keys of a token. */
  readonly key?: number;
}

/**
 * Buffers that the layers of a model share while they work on one chunk of at most `maxTokens` tokens, so that a forward
 * pass allocates nothing.
 */
export interface Workspace {
  readonly maxTokens: number;
  readonly q: Int8Array; //               [maxTokens, widest]      quantised input of the BitLinear at work
  readonly qScales: Float32Array; //      [maxTokens]
  readonly residual: Float32Array; //     [maxTokens, hidden]      the stream that blocks add to
  readonly normed: Float32Array; //       [maxTokens, hidden]      output of a block's pre-norm
  readonly mixed: Float32Array; //        [maxTokens, hidden]      output of a mixer
  readonly inputGate: Float32Array; //    [maxTokens, recurrent]   i, then h
  readonly forgetGate: Float32Array; //   [maxTokens, recurrent]   f
  readonly outputGate: Float32Array; //   [maxTokens, recurrent]   g, then o
  readonly gateUp: Float32Array; //       [maxTokens, 2·intermediate]
  readonly activated: Float32Array; //    [maxTokens, intermediate]
  readonly query: Float32Array; //        [maxTokens, query]
  readonly key: Float32Array; //          [maxTokens, key]
  readonly value: Float32Array; //        [maxTokens, key]
  readonly attended: Float32Array; //     [maxTokens, query]       values, weighted
}

/** A workspace on `arena`, for chunks of at most `maxTokens` tokens. */
export function allocateWorkspace(arena: Arena, widths: Widths, maxTokens: number): Workspace {
  const { hidden, recurrent = 0, intermediate, query = 0, key = 0 } = widths;
  return {
    maxTokens,
    q: arena.i8(maxTokens * Math.max(hidden, recurrent, intermediate, query)),
    qScales: arena.f32(maxTokens),
    residual: arena.f32(maxTokens * hidden),
    normed: arena.f32(maxTokens * hidden),
    mixed: arena.f32(maxTokens * hidden),
    inputGate: arena.f32(maxTokens * recurrent),
    forgetGate: arena.f32(maxTokens * recurrent),
    outputGate: arena.f32(maxTokens * recurrent),
    gateUp: arena.f32(maxTokens * 2 * intermediate),
    activated: arena.f32(maxTokens * intermediate),
    query: arena.f32(maxTokens * query),
    key: arena.f32(maxTokens * key),
    value: arena.f32(maxTokens * key),
    attended: arena.f32(maxTokens * query),
  };
}
