import type { Arena } from '../kernels/arena.js';

/** Widths of a model's vectors. */
export interface Widths {
  /** D: the residual stream. */
  readonly hidden: number;
  /** I: the recurrent state of a layer. */
  readonly recurrent: number;
  /** F: inside the channel mixer. */
  readonly intermediate: number;
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
}

/** A workspace on `arena`, for chunks of at most `maxTokens` tokens. */
export function allocateWorkspace(arena: Arena, widths: Widths, maxTokens: number): Workspace {
  const { hidden, recurrent, intermediate } = widths;
  return {
    maxTokens,
    q: arena.i8(maxTokens * Math.max(hidden, recurrent, intermediate)),
    qScales: arena.f32(maxTokens),
    residual: arena.f32(maxTokens * hidden),
    normed: arena.f32(maxTokens * hidden),
    mixed: arena.f32(maxTokens * hidden),
    inputGate: arena.f32(maxTokens * recurrent),
    forgetGate: arena.f32(maxTokens * recurrent),
    outputGate: arena.f32(maxTokens * recurrent),
    gateUp: arena.f32(maxTokens * 2 * intermediate),
    activated: arena.f32(maxTokens * intermediate),
  };
}
