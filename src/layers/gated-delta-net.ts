import type { Arena } from '../kernels/arena.js';
import { TAPS, type DeltaHeads, type DeltaNetKernels } from '../kernels/delta-net.js';
import type { Kernels, TransformerKernels } from '../kernels/kernels.js';
import { exp, log } from '../platform/numeric.js';
import { requireLength, requireTransformer } from './check.js';
import type { Linear, RecurrentMixer, Replay } from './mixers.js';
import { requireDeltaNet } from './require-delta-net.js';
import type { RMSNorm } from './rms-norm.js';

/** Queries, keys and values, of the heads that they are for. */
export type GatedDeltaNetShape = DeltaHeads;

export interface GatedDeltaNetParts {
  readonly inputProjection: Linear; //          in_proj_qkv [2 · keyWidth + valueWidth, hidden]
  readonly gateProjection: Linear; //           in_proj_z [valueWidth, hidden]
  readonly rateProjection: Float32Array; //     in_proj_b [valueHeads, hidden]
  readonly decayProjection: Float32Array; //    in_proj_a [valueHeads, hidden]
  readonly convolution: Float32Array; //        conv1d [2 · keyWidth + valueWidth, 4]
  readonly decayBias: Float32Array; //          dt_bias [valueHeads]
  readonly decay: Float32Array; //              -exp(A_log) [valueHeads]
  readonly norm: RMSNorm; //                    norm [valueDim], for each head
  readonly outputProjection: Linear; //         out_proj [hidden, valueWidth]
}

/** Buffers that such layers share, beside the workspace: [maxTokens, …]. */
export interface DeltaNetWorkspace {
  readonly mixed: Float32Array; //    queries, keys and values, before the convolution
  readonly queries: Float32Array; //  [keyWidth]
  readonly keys: Float32Array; //     [keyWidth]
  readonly values: Float32Array; //   [valueWidth]
  readonly z: Float32Array; //        [valueWidth]
  readonly heads: Float32Array; //    [valueWidth] what the rule gives
  readonly rates: Float32Array; //    [valueHeads]
  readonly decays: Float32Array; //   [valueHeads]
  readonly gates: Float32Array; //    [2 · valueHeads] decays, then rates
  readonly queryScale: Float32Array; // one row of keyDim, as the weight of a norm
  readonly keyScale: Float32Array; //   the same
  readonly state: Float32Array; //      one state
}

/** Floats of a token, and of a state. */
export interface DeltaNetWidths {
  readonly key: number;
  readonly value: number;
  /** Of the convolution: queries, keys and values. */
  readonly channels: number;
  readonly state: number;
}

export function deltaNetWidths({ keyHeads, valueHeads, keyDim, valueDim }: GatedDeltaNetShape): DeltaNetWidths {
  const [key, value] = [keyHeads * keyDim, valueHeads * valueDim];
  const channels = 2 * key + value;
  return { key, value, channels, state: (TAPS - 1) * channels + value * keyDim };
}

/** @param shape of all such layers. @param maxTokens of the workspace. */
export function allocateDeltaNetWorkspace(arena: Arena, shape: GatedDeltaNetShape, maxTokens: number): DeltaNetWorkspace {
  const { key, value, channels, state } = deltaNetWidths(shape);
  const { valueHeads, keyDim } = shape;
  const rows = (width: number): Float32Array => arena.f32(maxTokens * width);
  return {
    mixed: rows(channels), queries: rows(key), keys: rows(key), values: rows(value), z: rows(value), heads: rows(value),
    rates: rows(valueHeads), decays: rows(valueHeads), gates: rows(2 * valueHeads),
    queryScale: arena.f32(keyDim), keyScale: arena.f32(keyDim), state: arena.f32(state),
  };
}

/** In the sums of squares by which queries and keys are divided. */
const NORM_EPS = 1e-6;

/**
 * A recurrent token mixer whose state is a matrix for each head (Yang et al., 2024, "Gated Delta Networks"; bonsai.md §3.4):
 *
 *     q, k, v = silu(conv(in_proj_qkv(x)));  z = in_proj_z(x)
 *     q = q / ‖q‖ / √keyDim,  k = k / ‖k‖                                          of each key head
 *     β = sigmoid(in_proj_b(x)),  α = exp(-exp(A_log) · softplus(in_proj_a(x) + dt_bias))   of each value head
 *     S ← α · S;  u = β · (v - Sᵀk);  S ← S + k uᵀ;  o = Sᵀq
 *     out = out_proj(RMSNorm(o) · silu(z))
 *
 * Its state is the last three inputs of the convolution and then S of each value head: it does not grow with the text.
 */
export class GatedDeltaNet implements RecurrentMixer {
  readonly parts: GatedDeltaNetParts;
  readonly stateSize: number;
  /** Notes what the rule and the convolution were given. */
  readonly replay: Replay;
  private readonly kernels: Kernels;
  private readonly transformer: TransformerKernels;
  private readonly deltaNet: DeltaNetKernels;
  private readonly workspace: DeltaNetWorkspace;
  private readonly shape: GatedDeltaNetShape;
  private readonly hidden: number;
  private readonly widths: DeltaNetWidths;
  private readonly rateBytes: Uint8Array;
  private readonly decayBytes: Uint8Array;

  /** @throws ArgumentError when the parts do not fit together. */
  constructor(kernels: Kernels, workspace: DeltaNetWorkspace, parts: GatedDeltaNetParts, shape: GatedDeltaNetShape) {
    const { inputProjection, gateProjection, rateProjection, decayProjection, convolution, decayBias, decay, norm, outputProjection } = parts;
    const widths = deltaNetWidths(shape);
    const { value, channels, state } = widths;
    const { valueHeads, keyHeads, valueDim, keyDim } = shape;
    const hidden = inputProjection.weight.columns;
    requireLength('GatedDeltaNet: value heads, a multiple of key heads,', { length: valueHeads % keyHeads }, 0);
    requireLength('GatedDeltaNet: in_proj_qkv output', { length: inputProjection.weight.rows }, channels);
    requireLength('GatedDeltaNet: in_proj_z output', { length: gateProjection.weight.rows }, value);
    requireLength('GatedDeltaNet: in_proj_b', rateProjection, valueHeads * hidden);
    requireLength('GatedDeltaNet: in_proj_a', decayProjection, valueHeads * hidden);
    requireLength('GatedDeltaNet: conv1d', convolution, TAPS * channels);
    requireLength('GatedDeltaNet: dt_bias', decayBias, valueHeads);
    requireLength('GatedDeltaNet: A_log', decay, valueHeads);
    requireLength('GatedDeltaNet: norm', norm.weight, valueDim);
    requireLength('GatedDeltaNet: out_proj input', { length: outputProjection.weight.columns }, value);
    requireLength('GatedDeltaNet: out_proj output', { length: outputProjection.weight.rows }, hidden);
    requireLength('GatedDeltaNet: workspace.state', workspace.state, state);
    this.kernels = kernels;
    this.transformer = requireTransformer('GatedDeltaNet', kernels);
    this.deltaNet = requireDeltaNet('GatedDeltaNet', kernels);
    this.workspace = workspace;
    this.parts = parts;
    this.shape = shape;
    this.hidden = hidden;
    this.widths = widths;
    this.stateSize = state;
    this.replay = {
      size: channels + 2 * valueHeads, note: (row, out, at) => this.note(row, out, at), run: (before, noted, tokens) => this.rerun(before, noted, tokens),
    };
    const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
    [this.rateBytes, this.decayBytes] = [bytesOf(rateProjection), bytesOf(decayProjection)];
    // x / ‖x‖ is a norm by the mean square whose weight is 1 / √n.
    workspace.keyScale.fill(1 / Math.sqrt(keyDim));
    workspace.queryScale.fill(1 / keyDim);
  }

  forward(x: Float32Array, tokens: number, state: Float32Array, out: Float32Array, lengths?: Uint32Array): void {
    const { kernels, parts: { inputProjection, gateProjection, norm, outputProjection } } = this;
    const { mixed, z, heads } = this.workspace;
    inputProjection.forward(x, tokens, mixed);
    gateProjection.forward(x, tokens, z);
    this.makeGates(x, tokens);
    this.advance(tokens, state, lengths);
    kernels.gatedRmsNorm(heads, norm.weight, norm.eps, z, tokens * this.shape.valueHeads, heads);
    outputProjection.forward(heads, tokens, out);
  }

  /** In float64, as lower bounds and samplers compute: there are few. */
  private makeGates(x: Float32Array, tokens: number): void {
    const { transformer, hidden, shape: { valueHeads }, parts: { decayBias, decay } } = this;
    const { rates, decays, gates } = this.workspace;
    transformer.floatMatmul(this.rateBytes, 'F32', valueHeads, x, hidden, tokens, rates);
    transformer.floatMatmul(this.decayBytes, 'F32', valueHeads, x, hidden, tokens, decays);
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < valueHeads; h++) {
        const at = t * valueHeads + h;
        gates[at + t * valueHeads] = exp(decay[h]! * softplus(decays[at]! + decayBias[h]!));
        gates[at + (t + 1) * valueHeads] = 1 / (1 + exp(-rates[at]!));
      }
    }
  }

  /** What remembers: from `mixed` and `gates` to `heads`. */
  private advance(tokens: number, state: Float32Array, lengths?: Uint32Array): void {
    const { kernels, deltaNet, shape, shape: { keyHeads }, widths: { key, value, channels }, parts: { convolution } } = this;
    const { mixed, queries, keys, values, gates, heads, queryScale, keyScale } = this.workspace;
    deltaNet.convolve(mixed, convolution, channels, 0, key, state, tokens, queries, lengths);
    deltaNet.convolve(mixed, convolution, channels, key, key, state, tokens, keys, lengths);
    deltaNet.convolve(mixed, convolution, channels, 2 * key, value, state, tokens, values, lengths);
    kernels.rmsNorm(queries, queryScale, NORM_EPS / shape.keyDim, tokens * keyHeads, queries);
    kernels.rmsNorm(keys, keyScale, NORM_EPS / shape.keyDim, tokens * keyHeads, keys);
    deltaNet.deltaRule(queries, keys, values, gates, shape, state, (TAPS - 1) * channels, tokens, heads, lengths);
  }

  private note(row: number, out: Float32Array, at: number): void {
    const { mixed, gates } = this.workspace;
    const { shape: { valueHeads }, widths: { channels } } = this;
    for (let j = 0; j < channels; j++) out[at + j] = mixed[row * channels + j]!;
    for (let j = 0; j < 2 * valueHeads; j++) out[at + channels + j] = gates[row * 2 * valueHeads + j]!;
  }

  private rerun(state: Float32Array, noted: Float32Array, tokens: number): void {
    const { mixed, gates, state: own } = this.workspace;
    const { replay: { size }, widths: { channels } } = this;
    const most = mixed.length / channels;
    own.set(state);
    for (let first = 0; first < tokens; first += most) {
      const count = Math.min(most, tokens - first);
      for (let t = 0, at = first * size; t < count; t++, at += size) {
        mixed.set(noted.subarray(at, at + channels), t * channels);
        gates.set(noted.subarray(at + channels, at + size), t * (size - channels));
      }
      this.advance(count, own);
    }
    state.set(own);
  }
}

/** ln(1 + eˣ) */
function softplus(x: number): number {
  return x > 0 ? x + log(1 + exp(-x)) : log(1 + exp(x));
}
