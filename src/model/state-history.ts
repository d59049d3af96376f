import { ArgumentError } from '../errors.js';
import type { ModelState, StateShape } from './state.js';

/**
 * The states that a sequence went through in one forward pass of at most `positions` tokens, so that it can be taken back to after any of
 * them: a recurrent model cannot forget tokens otherwise.
 */
export class StateHistory {
  readonly positions: number;
  private readonly width: number;
  private readonly layers: readonly Float32Array[]; // [layers][positions, width]

  constructor(shape: StateShape, positions: number) {
    this.positions = positions;
    this.width = shape.width;
    this.layers = Array.from({ length: shape.layers }, () => new Float32Array(positions * shape.width));
  }

  /** Notes the states of a layer after `count` positions, `first` and on: rows `row`, … of `states` [tokens, width]. */
  keep(layer: number, first: number, states: Float32Array | undefined, row: number, count: number): void {
    const { width } = this;
    if (!states) throw new ArgumentError(`layer ${layer}: its token mixer keeps no history, so the model cannot be rolled back`);
    if (first + count > this.positions) throw new ArgumentError(`a history of ${this.positions} positions cannot hold ${first + count}`);
    this.layers[layer]!.set(states.subarray(row * width, (row + count) * width), first * width);
  }

  /**
   * Takes `state`, which has gone through all `length` positions of the last pass, back to after `position` (0: the first one).
   */
  rollBack(state: ModelState, position: number, length: number): void {
    const { width } = this;
    state.layers.forEach((layer, n) => layer.set(this.layers[n]!.subarray(position * width, (position + 1) * width)));
    state.tokens -= length - 1 - position;
  }
}
