/** Mixes along the sequence: the only part of a block with a memory. */
export interface TokenMixer {
  /** Floats of state per sequence, zero at the start of a text. */
  readonly stateSize: number;
  /**
   * x, out: [tokens, hidden]: consecutive tokens of one sequence; `state` [stateSize] is advanced over them. With `lengths`: so many
   * tokens of a first sequence, then of a second, …, and `state` is [lengths.length, stateSize].
   */
  forward(x: Float32Array, tokens: number, state: Float32Array, out: Float32Array, lengths?: Uint32Array): void;
  /**
   * [tokens, stateSize] of the last `forward`: the state after each token, until another layer with the same workspace runs. A mixer
   * without it works, but cannot be rolled back to the middle of a forward pass (speculative decoding).
   */
  readonly history?: Float32Array;
}

/** Mixes the channels of each token by itself. */
export interface ChannelMixer {
  /** x, out: [tokens, hidden]. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void;
}
