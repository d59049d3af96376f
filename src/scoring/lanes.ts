import type { SequenceInput } from '../model/chunk.js';
import type { Model } from '../model/model.js';
import { hasRoomFor } from '../model/room.js';
import type { ModelState } from '../model/state.js';
import type { Pace } from '../platform/pace.js';

/** A sequence some of whose tokens are to be predicted. */
export interface LaneInput {
  readonly ids: ArrayLike<number>;
  /** The first position that is predicted, at least 1: `ids[from]` and all after it are. */
  readonly from: number;
  /** The state after `ids[0, start.tokens)`, at most `from` of them, to start from a copy of; after `from` of them the first prediction was the caller's. */
  readonly start?: ModelState;
}

/** Called for each predicted position, those of a sequence in order: `logits` [vocab], written again after the call, predict `id`. */
export type PredictionSink = (logits: Float32Array, id: number, position: number, sequence: number) => void;

interface Lane {
  readonly sequence: number;
  readonly state: ModelState;
  /** The first id that has not been read. */
  position: number;
}

/**
 * Takes any number of sequences through the model side by side: each pass is filled with the next tokens of several, so that the weights
 * are read once for all of them. There are never more states than tokens in a pass, however many sequences there are.
 */
export class Lanes {
  /** Tokens read so far, of all sequences. */
  read = 0;
  private readonly model: Model;
  private readonly inputs: readonly LaneInput[];
  private readonly sink: PredictionSink;
  private readonly what: string;
  private readonly spare: ModelState[] = [];
  private lanes: Lane[] = [];
  private admitted = 0;

  /** @param what the caller's function. @throws ArgumentError for an id out of range, or a text that is too long for the model, in any of them. */
  constructor(model: Model, inputs: readonly LaneInput[], sink: PredictionSink, what: string) {
    this.what = what;
    this.model = model;
    this.inputs = inputs;
    this.sink = sink;
    const state = model.createState();
    for (const { ids } of inputs) model.check(ids, state, what, ids.length - 1);
  }

  /** Reads all there is. @throws the signal's reason. */
  async run(pace: Pace, onRead?: (tokens: number) => void): Promise<void> {
    try {
      for (;;) {
        await pace.giveWay();
        if (!this.step()) return;
        onRead?.(this.read);
      }
    } finally {
      for (const { state } of this.lanes) state.release();
    }
  }

  /** One pass. @returns false when nothing was left to do. */
  private step(): boolean {
    const pieces: SequenceInput[] = [];
    let room = this.model.parts.workspace.maxTokens;
    for (let n = 0; room > 0 && (n < this.lanes.length || this.admit()); n++) {
      const piece = this.nextPiece(this.lanes[n]!, room);
      pieces.push(piece);
      room -= piece.ids.length;
    }
    if (pieces.length === 0) return false;
    this.model.forwardSequences(pieces, (logits, at, piece) => {
      const { sequence, position } = this.lanes[piece]!;
      const predicted = position + at + 1;
      this.sink(logits, this.inputs[sequence]!.ids[predicted]!, predicted, sequence);
    });
    pieces.forEach(({ ids }, n) => {
      this.lanes[n]!.position += ids.length;
      this.read += ids.length;
    });
    this.lanes = this.lanes.filter((lane) => !this.retire(lane));
    return true;
  }

  /** Up to the first token whose successor is predicted no logits are wanted; the last token has no successor. */
  private nextPiece({ sequence, position, state }: Lane, room: number): SequenceInput {
    const { ids, from } = this.inputs[sequence]!;
    const isContext = position < from - 1;
    const end = Math.min(isContext ? from - 1 : ids.length - 1, position + room);
    return { ids: Array.prototype.slice.call(ids, position, end) as number[], state, what: this.what, want: isContext ? 'nothing' : 'all' };
  }

  /** Opens a lane for the next sequence of which there is something to read. */
  private admit(): boolean {
    while (this.admitted < this.inputs.length) {
      const sequence = this.admitted;
      const { ids, start } = this.inputs[sequence]!;
      const position = start?.tokens ?? 0;
      if (position >= ids.length - 1) {
        this.admitted++;
        continue;
      }
      const state = this.spare.pop() ?? this.model.createState();
      if (start) state.copyFrom(start);
      else state.reset();
      this.lanes.push({ sequence, state, position });
      if (this.lanes.length > 1 && !this.canFinish()) {
        this.retire(this.lanes.pop()!, true);
        return false; // when others have ended
      }
      this.admitted++;
      return true;
    }
    return false;
  }

  /** Whether there is memory for all lanes to their ends. */
  private canFinish(): boolean {
    return hasRoomFor(this.model, this.lanes.map(({ sequence, state, position }) => ({ ids: { length: this.inputs[sequence]!.ids.length - 1 - position }, state })));
  }

  private retire({ sequence, state, position }: Lane, isDone = position >= this.inputs[sequence]!.ids.length - 1): boolean {
    if (isDone) {
      state.release();
      this.spare.push(state);
    }
    return isDone;
  }
}
