import { ArgumentError, disposed, show } from '../errors.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Block } from '../layers/block.js';
import type { Lookup } from '../layers/embedding.js';
import { isRecurrent } from '../layers/mixers.js';
import type { RMSNorm } from '../layers/rms-norm.js';
import type { Workspace } from '../layers/workspace.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { Chunk, type SequenceInput } from './chunk.js';
import type { Blueprint } from '../architectures/blueprint.js';
import type { ModelConfig } from '../architectures/config.js';
import type { PageTables } from './page-tables.js';
import type { PagePool } from './pages.js';
import { ModelState, requireShape, requireState, type StateShape } from './state.js';
import type { TernaryCount } from './weights.js';

/** Logits [tokens, vocab] of hidden states [tokens, hidden]: a BitLinear, or a float product. */
export interface Head {
  forward(x: Float32Array, tokens: number, out: Float32Array): void;
}

export interface ModelParts {
  readonly blueprint: Blueprint;
  /** `blueprint.config`. */
  readonly config: ModelConfig;
  readonly kernels: Kernels;
  readonly workspace: Workspace;
  readonly embeddings: Lookup;
  readonly blocks: readonly Pick<Block, 'parts' | 'forward'>[];
  readonly norm: RMSNorm;
  readonly head: Head;
  /** [blocks][sequences, width] the states of the sequences at work: kernels work on their own memory only. Empty for attention, and where there is no token mixer. */
  readonly liveState: readonly Float32Array[];
  /** [sequences] how many tokens each of them has in a chunk. */
  readonly lengths: Uint32Array;
  /** [workspace.maxTokens, vocab] */
  readonly logits: Float32Array;
  readonly stateShape: StateShape;
  /** Memory for keys and values, of a model with attention. */
  readonly pages?: PagePool | undefined;
  readonly tables?: PageTables | undefined;
  readonly counts: readonly TernaryCount[];
  /** How the weights were stored. */
  readonly stored: Checkpoint['stored'];
  /** Bytes of all packed weights and the work space. */
  readonly memoryBytes: number;
}

/**
 * Called for each position whose outcome is wanted, the positions of a sequence in order: `row` is its logits [vocab], or its hidden state
 * [hidden], and is written again after the call; `sequence` and `position` count from 0.
 */
export type RowSink = (row: Float32Array, position: number, sequence: number) => void;

/**
 * The forward pass: ids → embedding → blocks → norm → head → logits (hgrn-bit.md, "Block and model"). Works on chunks of at
 * most `workspace.maxTokens` tokens, of one sequence or of several, so that its memory does not grow with the text. What comes out for a
 * sequence does not depend on how it is cut, or on what is beside it in a chunk.
 */
export class Model {
  readonly parts: ModelParts;
  /** Set by `dispose`. */
  isDisposed = false;
  private chunk: Chunk;
  private rowsOut = 0; // rows that a sink is being handed just now
  private readonly logitsRows: readonly Float32Array[]; // [maxTokens][vocab]
  private readonly hiddenRows: readonly Float32Array[]; // [maxTokens][hidden]

  constructor(parts: ModelParts) {
    const { config, workspace: { maxTokens, normed }, logits } = parts;
    const rowsOf = (array: Float32Array, width: number): Float32Array[] =>
      Array.from({ length: maxTokens }, (_, row) => array.subarray(row * width, (row + 1) * width));
    this.parts = parts;
    this.chunk = new Chunk(maxTokens, parts.stateShape, parts.liveState, parts.lengths, parts.tables);
    this.logitsRows = rowsOf(logits, config.vocabSize);
    this.hiddenRows = rowsOf(normed, config.hiddenSize);
  }

  createState(): ModelState {
    return new ModelState(this.parts.stateShape, this.parts.pages);
  }

  /** Reads what `state.serialize()` wrote. @throws ArgumentError when the bytes are damaged or another model's, or there is no memory for them. */
  restoreState(bytes: Uint8Array, what?: string): ModelState {
    return ModelState.deserialize(bytes, this.parts.stateShape, this.parts.pages, what);
  }

  /** Ends its kernels and lets go of their memory. Passes throw ArgumentError from then on. */
  dispose(): void {
    this.isDisposed = true;
    this.parts.kernels.dispose();
  }

  /** Advances `state` over `ids`, without logits: for all of a prompt but its last token. */
  advance(ids: ArrayLike<number>, state: ModelState, what?: string, holder?: object): void {
    this.forwardSequences([{ ids, state, want: 'nothing', holder, what }], () => {});
  }

  /** Advances `state` over `ids` and writes the logits of the last position to `out` [vocab]. Allocates nothing. */
  forwardLast(ids: ArrayLike<number>, state: ModelState, out: Float32Array): void {
    this.forwardSequences([{ ids, state, want: 'last' }], (logits) => out.set(logits));
  }

  /** Advances `state` over `ids` and hands over the logits of every position. */
  forwardAll(ids: ArrayLike<number>, state: ModelState, sink: RowSink): void {
    this.forwardSequences([{ ids, state, want: 'all' }], sink);
  }

  /**
   * Advances several sequences, each its own state over its own ids, and hands over the logits that they want. The weights are read
   * once for all tokens of a chunk. The sink may use the model itself, with other states.
   * @throws ArgumentError for no ids, an id out of range, another model's state, one state given twice or in use by a generation, a history
   * that cannot be kept; no state has changed then.
   */
  forwardSequences(inputs: readonly SequenceInput[], sink: RowSink): void {
    this.run(inputs, (rows) => {
      this.parts.head.forward(this.parts.workspace.normed, rows, this.parts.logits);
      return this.logitsRows;
    }, sink);
  }

  /** As `forwardSequences`, but hands over hidden states after the final norm: what the head makes logits of. */
  hiddenSequences(inputs: readonly SequenceInput[], sink: RowSink): void {
    this.run(inputs, () => this.hiddenRows, sink);
  }

  private run(inputs: readonly SequenceInput[], finish: (rows: number) => readonly Float32Array[], sink: RowSink): void {
    this.checkInputs(inputs);
    if (this.rowsOut > 0) return this.aside(() => this.run(inputs, finish, sink));
    const { chunk, parts: { pages, norm, workspace: { maxTokens, residual, normed } } } = this;
    const reservation = pages?.reserveFor(inputs, maxTokens);
    try {
      for (let start = chunk.fill(inputs); chunk.tokens > 0; start = chunk.fill(inputs, start)) {
        const pagesTaken = chunk.loadStates(inputs);
        reservation?.took(pagesTaken);
        this.blocks(inputs);
        if (chunk.wantedRows === 0) continue;
        chunk.gatherWanted(residual);
        norm.forward(residual, chunk.wantedRows, normed);
        const rows = finish(chunk.wantedRows);
        this.rowsOut = chunk.wantedRows;
        try {
          chunk.handOver(rows, sink);
        } finally {
          this.rowsOut = 0;
        }
      }
    } finally {
      reservation?.end();
    }
  }

  /** Runs a pass that a sink asks for, and leaves all as it was for the pass around it, which goes on handing over its rows. */
  private aside(run: () => void): void {
    const { chunk, rowsOut, parts: { config, stateShape, liveState, lengths, tables, logits, workspace: { maxTokens, normed } } } = this;
    const keptLogits = logits.slice(0, rowsOut * config.vocabSize);
    const keptHidden = normed.slice(0, rowsOut * config.hiddenSize);
    this.chunk = new Chunk(maxTokens, stateShape, liveState, lengths, tables);
    this.rowsOut = 0;
    try {
      run();
    } finally {
      this.chunk = chunk;
      this.rowsOut = rowsOut;
      logits.set(keptLogits);
      normed.set(keptHidden);
    }
  }

  /** Embedding and blocks of one chunk: fills residual[0, chunk.tokens) and advances the states. */
  private blocks(inputs: readonly SequenceInput[]): void {
    const { chunk } = this;
    const { embeddings, blocks, workspace: { residual } } = this.parts;
    chunk.lookUp(inputs, embeddings, residual);
    for (let n = 0; n < blocks.length; n++) {
      const { tokenMixer } = blocks[n]!.parts;
      blocks[n]!.forward(residual, chunk.tokens, chunk.memory(inputs, n), chunk.lengths);
      if (isRecurrent(tokenMixer)) chunk.keepHistory(inputs, n, tokenMixer);
    }
    chunk.storeStates(inputs);
  }

  private checkInputs(inputs: readonly SequenceInput[]): void {
    for (const { ids, state, history, holder, what = 'forward' } of inputs) {
      this.check(ids, state, what);
      state.checkFree(what, holder);
      history?.check(this.parts, ids.length);
    }
    if (inputs.length > 1 && new Set(inputs.map(({ state }) => state)).size < inputs.length) {
      throw new ArgumentError('forward: two sequences have the same state; give each its own (state.clone())');
    }
  }

  /**
   * @param tokens that the state will have read then, if they are not all of `ids` more.
   * @throws ArgumentError, beginning with `what`, for no ids, an id out of range, another model's state, a text that is too long for the
   * model, or when it has been disposed of.
   */
  check(ids: ArrayLike<number>, state: ModelState, what = 'forward', tokens?: number): void {
    if (this.isDisposed) throw disposed();
    const { vocabSize } = this.parts.config;
    if (typeof ids !== 'object' || ids === null || typeof ids.length !== 'number') {
      throw new ArgumentError(`${what}: the token ids are ${show(ids)}, not a number or an array of numbers`);
    }
    requireState(what, state);
    if (ids.length === 0) throw new ArgumentError(`${what}: no token ids were given`);
    if (!(Number.isSafeInteger(ids.length) && ids.length > 0)) throw new ArgumentError(`${what}: there cannot be ${ids.length} token ids`);
    for (let t = 0; t < ids.length; t++) {
      const id = ids[t]!;
      if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
        throw new ArgumentError(`${what}: token id ${show(id)} at position ${t} is not a whole number from 0 to ${vocabSize - 1}`);
      }
    }
    if (state.shape !== this.parts.stateShape) requireShape(`${what}: the state`, state.shape, this.parts.stateShape);
    this.parts.pages?.requirePositions(tokens ?? state.tokens + ids.length, what);
  }
}
