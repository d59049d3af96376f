import type { Lookup } from '../layers/embedding.js';
import type { MixerMemory, RecurrentMixer } from '../layers/mixers.js';
import type { PageTables } from './page-tables.js';
import type { ModelState, StateShape } from './state.js';
import type { StateHistory } from './state-history.js';

/** One sequence of a forward pass. */
export interface SequenceInput {
  readonly ids: ArrayLike<number>;
  /** Advanced over `ids`. */
  readonly state: ModelState;
  /** The positions whose logits (or hidden states) are wanted. */
  readonly want: 'nothing' | 'last' | 'all';
  /** Remembers the state after each position. */
  readonly history?: StateHistory;
  /** Who has taken the state into use, if it is. */
  readonly holder?: object | undefined;
  /** The caller's function, for messages; default 'forward'. */
  readonly what?: string | undefined;
}

/** Where in the inputs a chunk begins. */
interface Place {
  sequence: number;
  position: number;
}

const START: Place = { sequence: 0, position: 0 };

/**
 * The tokens of one pass through the blocks, at most `maxTokens`: pieces of one sequence or of several, as many as there is room for states, one after another. Row r of the
 * residual is token r of the chunk. Nothing is allocated after the first pass with as many sequences.
 */
export class Chunk {
  tokens = 0;
  /** Rows that are wanted of this chunk; `gatherWanted` brings them to the front. */
  wantedRows = 0;
  private pieces = 0;
  private readonly maxTokens: number;
  private readonly liveState: readonly Float32Array[]; // [blocks][pieces, width], empty for attention and for none
  private readonly tables: PageTables | undefined; //     for models with attention
  private readonly attentionIndex: readonly number[]; //  [blocks] which of the blocks of attention it is, or -1
  private readonly allLengths: Uint32Array; //            [most pieces] tokens of each piece, in the kernels' memory
  private readonly lengthsOf: Uint32Array[] = []; //      [pieces] the first so many of allLengths
  private readonly statesOf: Float32Array[][] = []; //    [pieces][layers] the first so many rows of liveState
  private readonly sequence: Int32Array; //               [maxTokens] of each piece: which input it is of,
  private readonly first: Int32Array; //                  and the position in it where the piece begins
  private readonly wantedRow: Int32Array; //              [maxTokens] of each wanted row: where it is in the residual,
  private readonly wantedPosition: Int32Array; //         its position in its sequence,
  private readonly wantedSequence: Int32Array; //         and that sequence
  private readonly next: Place = { ...START };

  constructor(maxTokens: number, { blocks }: StateShape, liveState: readonly Float32Array[], lengths: Uint32Array, tables?: PageTables) {
    this.tables = tables;
    let attention = 0;
    this.attentionIndex = blocks.map((memory) => ('width' in memory ? -1 : attention++));
    this.maxTokens = maxTokens;
    this.liveState = liveState;
    this.allLengths = lengths;
    this.sequence = new Int32Array(maxTokens);
    this.first = new Int32Array(maxTokens);
    this.wantedRow = new Int32Array(maxTokens);
    this.wantedPosition = new Int32Array(maxTokens);
    this.wantedSequence = new Int32Array(maxTokens);
  }

  /** Takes up the next tokens of `inputs`, from `start` on; none are left when `tokens` is 0. @returns where the following chunk starts. */
  fill(inputs: readonly SequenceInput[], start: Readonly<Place> = START): Place {
    let { sequence, position } = start;
    this.tokens = 0;
    this.pieces = 0;
    this.wantedRows = 0;
    while (sequence < inputs.length && this.tokens < this.maxTokens && this.pieces < this.allLengths.length) {
      const { ids, want } = inputs[sequence]!;
      const count = Math.min(this.maxTokens - this.tokens, ids.length - position);
      this.sequence[this.pieces] = sequence;
      this.first[this.pieces] = position;
      this.allLengths[this.pieces++] = count;
      for (let p = position; p < position + count; p++) {
        if (want === 'all' || (want === 'last' && p === ids.length - 1)) this.addWanted(this.tokens + p - position, p, sequence);
      }
      this.tokens += count;
      position += count;
      if (position === ids.length) {
        sequence++;
        position = 0;
      }
    }
    this.next.sequence = sequence;
    this.next.position = position;
    return this.next;
  }

  private addWanted(row: number, position: number, sequence: number): void {
    this.wantedRow[this.wantedRows] = row;
    this.wantedPosition[this.wantedRows] = position;
    this.wantedSequence[this.wantedRows++] = sequence;
  }

  /** Tokens of each sequence; undefined for one sequence. */
  get lengths(): Uint32Array | undefined {
    const { pieces } = this;
    return pieces === 1 ? undefined : (this.lengthsOf[pieces] ??= this.allLengths.subarray(0, pieces));
  }

  /** What block `n` remembers of the sequences: [sequences, width] states to be advanced, or where keys and values are. */
  memory(inputs: readonly SequenceInput[], n: number): MixerMemory {
    const attention = this.attentionIndex[n]!;
    return attention < 0 ? this.state(n) : this.keysAndValues(inputs, attention);
  }

  private keysAndValues(inputs: readonly SequenceInput[], attention: number): MixerMemory {
    for (let piece = 0, row = 0; piece < this.pieces; row += this.allLengths[piece++]!) {
      this.tables!.set(piece, inputs[this.sequence[piece]!]!.state, attention, row, this.allLengths[piece]!);
    }
    return this.tables!.of(this.pieces);
  }

  /** [sequences, width] the states that block `n` advances. */
  private state(n: number): Float32Array {
    const { pieces } = this;
    const views = (this.statesOf[pieces] ??= this.liveState.map((all) => all.subarray(0, (all.length / this.allLengths.length) * pieces)));
    return views[n]!;
  }

  /** The embeddings of the tokens, one a row. */
  lookUp(inputs: readonly SequenceInput[], embeddings: Lookup, residual: Float32Array): void {
    for (let piece = 0, row = 0; piece < this.pieces; piece++) {
      const { ids } = inputs[this.sequence[piece]!]!;
      const first = this.first[piece]!;
      for (let t = 0; t < this.allLengths[piece]!; t++, row++) embeddings.lookUp(ids[first + t]!, residual, row * embeddings.width);
    }
  }

  /** Copies the states' vectors to where kernels work, and makes room for keys and values. @returns how many pages fewer are free. */
  loadStates(inputs: readonly SequenceInput[]): number {
    let pages = 0;
    for (let piece = 0; piece < this.pieces; piece++) {
      const { state } = inputs[this.sequence[piece]!]!;
      const { layers } = state;
      for (let n = 0; n < layers.length; n++) this.state(n).set(layers[n]!, piece * layers[n]!.length);
      pages += state.keysAndValues?.grow(state.tokens, this.allLengths[piece]!) ?? 0;
    }
    return pages;
  }

  storeStates(inputs: readonly SequenceInput[]): void {
    for (let piece = 0; piece < this.pieces; piece++) {
      const { state } = inputs[this.sequence[piece]!]!;
      for (let n = 0; n < state.layers.length; n++) copyRow(this.state(n), piece, state.layers[n]!);
      state.tokens += this.allLengths[piece]!;
    }
  }

  /** Notes, for the sequences that ask for it, the states of a layer that its token mixer has just gone through. */
  keepHistory(inputs: readonly SequenceInput[], layer: number, mixer: RecurrentMixer): void {
    for (let piece = 0, row = 0; piece < this.pieces; row += this.allLengths[piece++]!) {
      const { history, state } = inputs[this.sequence[piece]!]!;
      history?.keep(layer, this.first[piece]!, mixer, row, this.allLengths[piece]!, state);
    }
  }

  /** Moves the rows that are wanted to the front of the residual, in their order. */
  gatherWanted(residual: Float32Array): void {
    const width = residual.length / this.maxTokens;
    for (let k = 0; k < this.wantedRows; k++) {
      const row = this.wantedRow[k]!;
      if (row !== k) residual.copyWithin(k * width, row * width, (row + 1) * width);
    }
  }

  handOver(rows: readonly Float32Array[], sink: (row: Float32Array, position: number, sequence: number) => void): void {
    for (let k = 0; k < this.wantedRows; k++) sink(rows[k]!, this.wantedPosition[k]!, this.wantedSequence[k]!);
  }
}

/** out = row `row` of `rows`. A loop, because a view for each would be garbage in the hottest of loops; but for rows that take longer than that. */
function copyRow(rows: Float32Array, row: number, out: Float32Array): void {
  const start = row * out.length;
  if (out.length > 1e4) return out.set(rows.subarray(start, start + out.length));
  for (let j = 0; j < out.length; j++) out[j] = rows[start + j]!;
}
