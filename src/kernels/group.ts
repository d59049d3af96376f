import { ArgumentError } from '../errors.js';
import { ACTIVATION_GROUP, MAX_COLUMNS } from './kernels.js';

/** Groups that kernels know; one of 128·n columns is n of 128. */
const GROUPS: readonly number[] = [32, 64, ACTIVATION_GROUP];

/** Throws `ArgumentError` unless there are kernels for such a matrix. */
export function checkGroup(columns: number, group: number): void {
  if (!GROUPS.includes(group)) throw new ArgumentError(`a ternary matrix with a scale for each ${group} columns: groups are of ${GROUPS.join(', ')}`);
  if (columns > MAX_COLUMNS) throw new ArgumentError(`a ternary matrix of ${columns} columns: at most ${MAX_COLUMNS}`);
}
