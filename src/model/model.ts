import { ArgumentError, show } from '../errors.js';
import type { Kernels } from '../kernels/kernels.js';
import type { BitLinear } from '../layers/bit-linear.js';
import type { Block } from '../layers/block.js';
import type { Embedding } from '../layers/embedding.js';
import type { RMSNorm } from '../layers/rms-norm.js';
import type { Workspace } from '../layers/workspace.js';
import type { ModelConfig } from './config.js';
import { ModelState, requireShape, type StateShape } from './state.js';
import type { TernaryCount } from './weights.js';

export interface ModelParts {
  readonly config: ModelConfig;
  readonly kernels: Kernels;
  readonly workspace: Workspace;
  readonly embeddings: Embedding;
  readonly blocks: readonly Block[];
  readonly norm: RMSNorm;
  readonly head: BitLinear;
  /** The state of the sequence at work, a vector for each layer: kernels work on their own memory only. */
  readonly liveState: readonly Float32Array[];
  /** [workspace.maxTokens, vocab] */
  readonly logits: Float32Array;
  readonly stateShape: StateShape;
  readonly counts: readonly TernaryCount[];
  /** Bytes of all packed weights and the work space. */
  readonly memoryBytes: number;
}

/** Called with the logits of some consecutive positions: `logits` is [tokens, vocab] from its start, and is written again after that. */
export type LogitsSink = (logits: Float32Array, tokens: number) => void;

/**
 * The forward pass: ids → embedding → blocks → norm → head → logits (hgrn-bit.md, "Block and model"). Works on chunks of at
 * most `workspace.maxTokens` tokens, so that its memory does not grow with the text.
 */
export class Model {
  readonly parts: ModelParts;
  private readonly lastLogits: Float32Array; // [vocab]

  constructor(parts: ModelParts) {
    this.parts = parts;
    this.lastLogits = parts.logits.subarray(0, parts.config.vocabSize);
  }

  createState(): ModelState {
    return new ModelState(this.parts.stateShape);
  }

  /** Advances `state` over `ids`, without logits: for all of a prompt but its last token. */
  advance(ids: ArrayLike<number>, state: ModelState): void {
    this.check(ids, state);
    this.hiddenOfLast(ids, state);
  }

  /** Advances `state` over `ids` and writes the logits of the last position to `out[0, vocab)`. Allocates nothing. */
  forwardLast(ids: ArrayLike<number>, state: ModelState, out: Float32Array): void {
    this.check(ids, state);
    const { config: { hiddenSize }, workspace: { residual } } = this.parts;
    const last = this.hiddenOfLast(ids, state);
    if (last > 0) residual.copyWithin(0, last * hiddenSize, (last + 1) * hiddenSize);
    this.logits(1);
    out.set(this.lastLogits);
  }

  /**
   * Advances `state` over `ids` and hands over the logits of every position, at most `maxTokens` at a time.
   */
  forwardAll(ids: ArrayLike<number>, state: ModelState, sink: LogitsSink): void {
    this.check(ids, state);
    const { maxTokens } = this.parts.workspace;
    for (let first = 0; first < ids.length; first += maxTokens) {
      const tokens = Math.min(maxTokens, ids.length - first);
      this.hidden(ids, first, tokens, state);
      this.logits(tokens);
      sink(this.parts.logits, tokens);
    }
  }

  /** @returns the row of `residual` that holds the last position. */
  private hiddenOfLast(ids: ArrayLike<number>, state: ModelState): number {
    const { maxTokens } = this.parts.workspace;
    let tokens = 0;
    for (let first = 0; first < ids.length; first += tokens) {
      tokens = Math.min(maxTokens, ids.length - first);
      this.hidden(ids, first, tokens, state);
    }
    return tokens - 1;
  }

  /** Embedding and blocks of one chunk: fills residual[0, tokens) and advances the state. */
  private hidden(ids: ArrayLike<number>, first: number, tokens: number, state: ModelState): void {
    const { embeddings, blocks, config, liveState, workspace: { residual } } = this.parts;
    for (let t = 0; t < tokens; t++) embeddings.lookUp(ids[first + t], residual, t * config.hiddenSize);
    for (let n = 0; n < blocks.length; n++) liveState[n].set(state.layers[n]);
    for (let n = 0; n < blocks.length; n++) blocks[n].forward(residual, tokens, liveState[n]);
    for (let n = 0; n < blocks.length; n++) state.layers[n].set(liveState[n]);
    state.tokens += tokens;
  }

  /** Final norm and head over residual[0, tokens): fills logits[0, tokens). */
  private logits(tokens: number): void {
    const { norm, head, logits, workspace } = this.parts;
    norm.forward(workspace.residual, tokens, workspace.normed);
    head.forward(workspace.normed, tokens, logits);
  }

  /** @throws ArgumentError for no ids, an id out of range, another model's state. */
  check(ids: ArrayLike<number>, state: ModelState): void {
    const { vocabSize } = this.parts.config;
    if (typeof ids !== 'object' || ids === null || typeof ids.length !== 'number') {
      throw new ArgumentError(`forward: the token ids are ${show(ids)}, not a number or an array of numbers`);
    }
    if (!(state instanceof ModelState)) throw new ArgumentError('forward: the state is not one of createState()');
    if (!(ids.length > 0)) throw new ArgumentError('forward: no token ids were given');
    for (let t = 0; t < ids.length; t++) {
      const id = ids[t];
      if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
        throw new ArgumentError(`forward: token id ${show(id)} at position ${t} is not a whole number from 0 to ${vocabSize - 1}`);
      }
    }
    if (state.shape !== this.parts.stateShape) requireShape('forward: the state', state.shape, this.parts.stateShape);
  }
}
