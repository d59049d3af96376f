/** Mixes along the sequence: the only part of a block with a memory. */
export interface TokenMixer {
  /** Floats of state per sequence, zero at the start of a text. */
  readonly stateSize: number;
  /** x, out: [tokens, hidden]: consecutive tokens of one sequence; `state` is advanced over them. */
  forward(x: Float32Array, tokens: number, state: Float32Array, out: Float32Array): void;
}

/** Mixes the channels of each token by itself. */
export interface ChannelMixer {
  /** x, out: [tokens, hidden]. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void;
}
