import type { PageTable, TernaryMatrix } from '../kernels/kernels.js';

/** A linear layer with ternary weights: a BitLinear, or one whose scales are for groups of columns. */
export interface Linear {
  readonly weight: TernaryMatrix; // [out, in]
  /** x: [tokens, in]; out: [tokens, out]. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void;
}

/** What a token mixer remembers of the sequences in a pass: [sequences, stateSize] vectors, or where their keys and values are. */
export type MixerMemory = Float32Array | readonly PageTable[];

/** Mixes along the sequence: the only part of a block with a memory. */
export type TokenMixer = RecurrentMixer | AttentionMixer;

/** A token mixer whose memory of a text is one vector. */
export interface RecurrentMixer {
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
  /** In place of `history`, of one whose states are too large to keep many. */
  readonly replay?: Replay;
}

/** Takes a state back by going over some tokens again, from what has been noted of them. */
export interface Replay {
  /** Floats that are noted of a token. */
  readonly size: number;
  /** Notes row `row` of the last `forward` in `out[at, at + size)`, until another layer with the same workspace runs. */
  note(row: number, out: Float32Array, at: number): void;
  /** Advances `state` over `tokens` tokens. noted: [tokens, size] */
  run(state: Float32Array, noted: Float32Array, tokens: number): void;
}

/** A token mixer that remembers keys and values of every token, or of the last `window`. */
export interface AttentionMixer {
  /** Tokens that one sees, itself included; Infinity for all. */
  readonly window: number;
  /** x, out: [tokens, hidden]; the tables tell of each sequence which of the tokens are its, and where its keys and values go. */
  forward(x: Float32Array, tokens: number, tables: readonly PageTable[], out: Float32Array): void;
}

export function isRecurrent(mixer: TokenMixer | undefined): mixer is RecurrentMixer {
  return mixer !== undefined && 'stateSize' in mixer;
}

/** Mixes the channels of each token by itself. */
export interface ChannelMixer {
  /** x, out: [tokens, hidden]. */
  forward(x: Float32Array, tokens: number, out: Float32Array): void;
}
