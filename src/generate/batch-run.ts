import type { SequenceInput } from '../model/chunk.js';
import type { Model } from '../model/model.js';
import type { Sequence } from './batch-sequence.js';

/** Texts that are written side by side: a pass reads the weights once for all of them. Others may join, and leave, between two passes. */
export class BatchRun {
  private readonly model: Model;
  private readonly inTurn: boolean;
  private active: Sequence[] = [];

  /** @param inTurn read one prompt after another: what it leaves in a prefix cache is there for the next one. */
  constructor(model: Model, inTurn: boolean) {
    this.model = model;
    this.inTurn = inTurn;
  }

  /** Texts at work. */
  get size(): number {
    return this.active.length;
  }

  add(sequence: Sequence): void {
    this.active.push(sequence);
  }

  /** Takes a text out before its end. */
  remove(sequence: Sequence): void {
    this.active = this.active.filter((each) => each !== sequence);
    sequence.state.release();
  }

  /** The one that came last. */
  get newest(): Sequence | undefined {
    return this.active.at(-1);
  }

  /** Reads what each has to read, and chooses what comes next in those that write. @throws as `model.forwardSequences`: nothing has changed then. */
  pass(): void {
    const { inputs, sequences } = this.nextPass(this.model.parts.workspace.maxTokens);
    this.model.forwardSequences(inputs, (logits, _position, n) => sequences[n]!.choose(logits));
    sequences.forEach((sequence, n) => sequence.haveRead(inputs[n]!));
  }

  /** Those that are over, which are told so and leave. */
  takeEnded(): readonly Sequence[] {
    const ended = this.active.filter(({ isOver }) => isOver);
    if (ended.length === 0) return ended;
    this.active = this.active.filter(({ isOver }) => !isOver);
    for (const sequence of ended) {
      sequence.end();
      sequence.state.release();
    }
    return ended;
  }

  /** Lets go of all that is left. */
  close(): void {
    for (const { state } of this.active) state.release();
    this.active = [];
  }

  /**
   * All that write, and as much of the prompts as fits beside them: a pass is one chunk, or two where those that write take more than half of
   * one, however many long prompts there are.
   */
  private nextPass(maxTokens: number): { inputs: SequenceInput[]; sequences: Sequence[] } {
    const { active, inTurn } = this;
    const writing = active.filter(({ isWriting }) => isWriting).length;
    let room = (writing > maxTokens / 2 ? 2 : 1) * maxTokens - writing;
    const inputs: SequenceInput[] = [];
    const sequences = active.filter((sequence) => {
      if (!sequence.isWriting && room <= 0) return false;
      const isPrompt = !sequence.isWriting;
      const input = sequence.input(room);
      inputs.push(input);
      if (isPrompt) room -= inTurn && input.want === 'nothing' ? room : input.ids.length;
      return true;
    });
    return { inputs, sequences };
  }
}
