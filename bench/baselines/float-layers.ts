import { BIT_LINEAR_EPS, type Arena } from 'matmulfree';
import type { FloatKernels, FloatMatrix } from './float-kernels.js';

/** Widths of a baseline's vectors. */
export interface FloatWidths {
  readonly hidden: number;
  /** Inside the token mixer. */
  readonly mixer: number;
  /** Inside the channel mixer. */
  readonly intermediate: number;
}

/** Buffers that the layers of one memory share while they work on a chunk of at most `maxTokens` tokens. */
export interface FloatWorkspace {
  readonly maxTokens: number;
  readonly residual: Float32Array; //  [maxTokens, hidden]
  readonly normed: Float32Array; //    [maxTokens, hidden]
  readonly mixed: Float32Array; //     [maxTokens, hidden]
  readonly input: Float32Array; //     [maxTokens, widest]   the normed input of a linear layer that has a norm
  readonly first: Float32Array; //     [maxTokens, mixer]    q; or i, then h
  readonly second: Float32Array; //    [maxTokens, mixer]    k; or f
  readonly third: Float32Array; //     [maxTokens, mixer]    v; or g, then o
  readonly gateUp: Float32Array; //    [maxTokens, 2·intermediate]
  readonly activated: Float32Array; // [maxTokens, intermediate]
}

export function allocateFloatWorkspace(arena: Arena, { hidden, mixer, intermediate }: FloatWidths, maxTokens: number): FloatWorkspace {
  const buffer = (width: number): Float32Array => arena.f32(maxTokens * width);
  return {
    maxTokens,
    residual: buffer(hidden), normed: buffer(hidden), mixed: buffer(hidden), input: buffer(Math.max(hidden, mixer, intermediate)),
    first: buffer(mixer), second: buffer(mixer), third: buffer(mixer), gateUp: buffer(2 * intermediate), activated: buffer(intermediate),
  };
}

/** y = W · x, or W · RMSNorm(x): a BitLinear without its quantisation, of weights and of activations. */
export interface FloatLinear {
  readonly matrix: FloatMatrix;
  readonly norm: Float32Array | undefined;
}

/** Kernels, and the buffers in their memory. */
export interface Workbench {
  readonly kernels: FloatKernels;
  readonly workspace: FloatWorkspace;
}

export function applyLinear({ kernels, workspace }: Workbench, { matrix, norm }: FloatLinear, x: Float32Array, tokens: number, out: Float32Array): void {
  if (norm) kernels.rmsNorm(x, norm, BIT_LINEAR_EPS, tokens, workspace.input);
  kernels.matmul(matrix, norm ? workspace.input : x, tokens, out);
}

/** Mixes along the sequence, with the memory of one text. */
export interface FloatMixer {
  /** x, out: [tokens, hidden], at positions `position` … `position + tokens - 1`. */
  forward(x: Float32Array, tokens: number, position: number, out: Float32Array): void;
  /** Makes the memory what it might be after `position` tokens, for measuring what comes then. */
  pretend(position: number): void;
  reset(): void;
}

export interface FloatLayer {
  readonly tokenNorm: Float32Array;
  readonly mixer: FloatMixer;
  readonly channelNorm: Float32Array;
  readonly gateUp: FloatLinear; // [2·intermediate, hidden]
  readonly down: FloatLinear; //   [hidden, intermediate]
}

/** A pre-norm residual block with a SwiGLU: both baselines' own, and the library's, but for the token mixer and what is a product. */
export function applyLayer(bench: Workbench, layer: FloatLayer, eps: number, tokens: number, position: number): void {
  const { kernels, workspace: { residual, normed, mixed, gateUp, activated } } = bench;
  const count = tokens * layer.tokenNorm.length;
  kernels.rmsNorm(residual, layer.tokenNorm, eps, tokens, normed);
  layer.mixer.forward(normed, tokens, position, mixed);
  kernels.add(residual, mixed, count);
  kernels.rmsNorm(residual, layer.channelNorm, eps, tokens, normed);
  applyLinear(bench, layer.gateUp, normed, tokens, gateUp);
  kernels.swiglu(gateUp, layer.down.matrix.columns, tokens, activated);
  applyLinear(bench, layer.down, activated, tokens, mixed);
  kernels.add(residual, mixed, count);
}
