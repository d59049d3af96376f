import { ArgumentError, show } from '../errors.js';
import type { ModelState, StateShape } from './state.js';

/**
 * The states that a sequence went through in one forward pass of at most `positions` tokens, so that it can be taken back to after any of
 * them: a recurrent model cannot forget tokens otherwise.
 */
export class StateHistory {
  readonly shape: StateShape;
  readonly positions: number;
  private readonly layers: readonly Float32Array[]; // [blocks][positions, width], empty for attention

  constructor(shape: StateShape, positions: number) {
    this.shape = shape;
    this.positions = positions;
    this.layers = shape.blocks.map((memory) => new Float32Array('width' in memory ? positions * memory.width : 0));
  }

  /** Notes the states of a layer after `count` positions, `first` and on: rows `row`, … of `states` [tokens, width]. */
  keep(layer: number, first: number, states: Float32Array, row: number, count: number): void {
    const width = this.layers[layer]!.length / this.positions;
    this.layers[layer]!.set(states.subarray(row * width, (row + count) * width), first * width);
  }

  /**
   * Takes `state`, which has gone through all `length` positions of the last pass, back to after `position` (0: the first one).
   * @throws ArgumentError for a position that is not one of these.
   */
  rollBack(state: ModelState, position: number, length: number): void {
    if (!(Number.isInteger(position) && position >= 0 && position < length && length <= this.positions)) {
      throw new ArgumentError(`rollBack: ${show(position)} is not a position from 0 to ${Math.min(length, this.positions) - 1}`);
    }
    state.layers.forEach((layer, n) => layer.set(this.layers[n]!.subarray(position * layer.length, (position + 1) * layer.length)));
    state.forget(state.tokens - (length - 1 - position));
  }
}
