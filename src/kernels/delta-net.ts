/** Heads of a gated delta net: value heads are shared out evenly among the key heads, in order. */
export interface DeltaHeads {
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** Channels of a key, and of a query. A multiple of 4. */
  readonly keyDim: number;
  /** Channels of a value. A multiple of 4. */
  readonly valueDim: number;
}

/** Inputs that a channel of the convolution sees: its own and so many less one before. */
export const TAPS = 4;

/**
 * What gated delta nets, gates of attention and rotated weights need beside `TransformerKernels`, on the same memory and to the same
 * contract. `lengths` as in `Kernels.mlgruRecurrence`; `state`: [sequences, stateSize], of which a kernel has the floats from `at` on.
 */
export interface DeltaNetKernels {
  /**
   * A normalised Walsh-Hadamard matrix, in Sylvester's order, on each `block` columns, after the signs: out = H(signs · x) / √block. The sums go
   * by pairs that are 1 apart, then 2, 4, …; the factor comes last. x, out: [tokens, width], out may be x; signs: [width] ±1, or undefined for
   * none; block: a power of two from 4 on that divides the width.
   */
  hadamard(x: Float32Array, signs: Float32Array | undefined, block: number, width: number, tokens: number, out: Float32Array): void;

  /**
   * Causal convolution of four taps in each channel, then silu: out[t, c] = silu(Σ_n weights[c, n] · x[t - 3 + n, c]), summed in this order.
   * x: [tokens, channels], of which `count` from `first` on are taken; weights: [channels, 4]; out: [tokens, count]. The state has the last three
   * inputs, [3, channels], the oldest first. `first` and `count` are multiples of 4.
   */
  convolve(
    x: Float32Array, weights: Float32Array, channels: number, first: number, count: number, state: Float32Array, tokens: number, out: Float32Array, lengths?: Uint32Array,
  ): void;

  /**
   * The gated delta rule (Yang et al., 2024; bonsai.md §3.4), for each value head with its S [keyDim, valueDim]:
   *
   *     S ← decay · S;  u = rate · (v - Sᵀk);  S ← S + k uᵀ;  out = Sᵀq        sums in ascending order of the key's channels, from 0 on
   *
   * q, k: [tokens, keyHeads · keyDim]; v, out: [tokens, valueHeads · valueDim]; gates: [tokens, 2 · valueHeads], decays, then rates.
   * The state has S of each value head from `at` on.
   */
  deltaRule(
    q: Float32Array, k: Float32Array, v: Float32Array, gates: Float32Array, heads: DeltaHeads, state: Float32Array, at: number, tokens: number, out: Float32Array,
    lengths?: Uint32Array,
  ): void;

  /** Takes rows of 2 · width apart: the first halves become a, the second ones b. x: [rows, 2 · width]; a, b: [rows, width], width a multiple of 4. */
  split(x: Float32Array, width: number, rows: number, a: Float32Array, b: Float32Array): void;

  /** x[i] ← x[i] · sigmoid(gate[i]) for i < count. */
  gate(x: Float32Array, gate: Float32Array, count: number): void;
}
