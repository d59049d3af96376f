import { ArgumentError, show } from '../errors.js';
import type { Block } from '../layers/block.js';
import { isRecurrent, type RecurrentMixer } from '../layers/mixers.js';
import { requireShape, type ModelState, type StateShape } from './state.js';

/** Of a model. */
interface Parts {
  readonly blocks: readonly Pick<Block, 'parts'>[];
  readonly stateShape: StateShape;
}

/** Whether states can be taken back to the middle of a pass. */
export function keepsHistory({ blocks }: Pick<Parts, 'blocks'>): boolean {
  return blocks.every(({ parts: { tokenMixer } }) => !tokenMixer || !isRecurrent(tokenMixer) || (tokenMixer.history ?? tokenMixer.replay) !== undefined);
}

/**
 * The states that a sequence went through in one forward pass of at most `positions` tokens, so that it can be taken back to after any of
 * them: a recurrent model cannot forget tokens otherwise.
 */
export class StateHistory {
  readonly shape: StateShape;
  readonly positions: number;
  private readonly layers: readonly Float32Array[]; // [blocks][positions, width], or what is noted of positions; empty for attention
  private readonly before: readonly (Float32Array | undefined)[]; // [blocks][width] the states before, where positions are noted

  constructor(shape: StateShape, positions: number) {
    this.shape = shape;
    this.positions = positions;
    this.layers = shape.blocks.map((memory) => new Float32Array('width' in memory ? positions * (memory.replay?.size ?? memory.width) : 0));
    this.before = shape.blocks.map((memory) => ('width' in memory && memory.replay ? new Float32Array(memory.width) : undefined));
  }

  /** @internal @throws ArgumentError when it is no history for a pass of that model over `length` tokens. */
  check(parts: Parts, length: number): void {
    requireShape('forward: the history', this.shape, parts.stateShape);
    if (!keepsHistory(parts)) throw new ArgumentError('forward: a token mixer of this model keeps no history, so no state can be taken back');
    if (length > this.positions) throw new ArgumentError(`forward: a history of ${this.positions} positions cannot hold ${length}`);
  }

  /** Notes the states of a layer after `count` positions, `first` and on: rows `row`, … of the mixer's last pass. @param before what the state was before it. */
  keep(layer: number, first: number, { history, replay }: RecurrentMixer, row: number, count: number, before: ModelState): void {
    const width = this.layers[layer]!.length / this.positions;
    if (!replay) return this.layers[layer]!.set(history!.subarray(row * width, (row + count) * width), first * width);
    if (first === 0) this.before[layer]!.set(before.layers[layer]!);
    for (let n = 0; n < count; n++) replay.note(row + n, this.layers[layer]!, (first + n) * width);
  }

  /**
   * Takes `state`, which has gone through all `length` positions of the last pass, back to after `position` (0: the first one).
   * @throws ArgumentError for a position that is not one of these.
   */
  rollBack(state: ModelState, position: number, length: number): void {
    if (!(Number.isInteger(position) && position >= 0 && position < length && length <= this.positions)) {
      throw new ArgumentError(`rollBack: ${show(position)} is not a position from 0 to ${Math.min(length, this.positions) - 1}`);
    }
    state.layers.forEach((layer, n) => {
      const [before, noted, memory] = [this.before[n], this.layers[n]!, this.shape.blocks[n]!];
      if (!before) return layer.set(noted.subarray(position * layer.length, (position + 1) * layer.length));
      layer.set(before);
      if ('width' in memory) memory.replay!.run(layer, noted, position + 1);
    });
    state.forget(state.tokens - (length - 1 - position));
  }
}
