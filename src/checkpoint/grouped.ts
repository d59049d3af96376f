import { FormatError } from '../errors.js';
import { ACTIVATION_GROUP } from '../kernels/kernels.js';
import { Pace } from '../platform/pace.js';
import type { GroupedReading, OnRow, Reading, TernaryReading } from './checkpoint.js';

/*
 * Ternary weights with a scale for each row and group of columns. Files have the scales of groups of their own: a model is to be the
 * same from each of them, so it has the widest groups that the numbers allow, of 128, 64 or 32 columns.
 */

/** Columns of the groups that there are, widest first. */
export const GROUPS = [ACTIVATION_GROUP, 64, 32] as const;

/** A weight as a file has it. */
export interface StoredGroups {
  /** File and tensor, for messages. */
  readonly where: string;
  readonly rows: number;
  readonly columns: number;
  /** Columns that share a stored scale: 32, 64, 128 or more. */
  readonly step: number;
  /** Of a file that has one scale for all of it. */
  readonly matrixScale?: number | undefined;
  /**
   * Decodes all rows in order, into buffers that are used again; but for those that `onGroups` or `onBlocks` takes.
   * @param onRow is given trits [columns] and scales [⌈columns / step⌉]: any finite numbers, also of either sign, or 0.
   */
  readonly each: (onRow: OnGroupedRow, reading: StoredReading) => Promise<void>;
}

export type StoredReading = GroupedReading & TernaryReading;

export type OnGroupedRow = (row: number, trits: Int8Array, scales: Float32Array) => void;

/** The widest groups in each of which all rows have one scale. */
export async function groupOf(stored: StoredGroups, reading: Reading = {}): Promise<number> {
  const { step } = stored;
  if (step >= ACTIVATION_GROUP) return ACTIVATION_GROUP;
  let candidates: readonly number[] = GROUPS.filter((group) => group > step);
  await stored.each((row, trits, scales) => {
    normalise(stored, row, trits, scales);
    candidates = candidates.filter((group) => isUniform(scales, group / step));
  }, { pace: reading.pace ?? new Pace() });
  return candidates[0] ?? step;
}

/** Whether each `count` scales that follow one another are one number, or 0. */
function isUniform(scales: Float32Array, count: number): boolean {
  for (let n = 0; n < scales.length; n += count) {
    if (Number.isNaN(sharedScale(scales, n, Math.min(n + count, scales.length)))) return false;
  }
  return true;
}

/** The one number in `scales[from, to)` that is not 0; 0 if all are; NaN if there are several. */
export function sharedScale(scales: Float32Array, from: number, to: number): number {
  let shared = 0;
  for (let n = from; n < to; n++) {
    const scale = scales[n]!;
    if (scale === 0 || scale === shared) continue;
    if (shared !== 0) return NaN;
    shared = scale;
  }
  return shared;
}

/** Makes scales positive, and 0 where all weights are; weights 0 where the scale is. */
export function normalise({ where, step, columns }: StoredGroups, row: number, trits: Int8Array, scales: Float32Array): void {
  for (let n = 0; n < scales.length; n++) {
    const scale = scales[n]!;
    if (!Number.isFinite(scale)) throw new FormatError(`${where}, row ${row}: the scale of column ${n * step} and on is ${scale}`);
    const end = Math.min((n + 1) * step, columns);
    let j = n * step;
    if (scale === 0) trits.fill(0, j, end);
    while (j < end && trits[j] === 0) j++;
    if (j === end) scales[n] = 0;
    else if (scale < 0) {
      scales[n] = -scale;
      for (; j < end; j++) trits[j] = -trits[j]!;
    }
  }
}

/** Of floats, whose groups nothing tells: the narrowest that a model may have. */
export const FLOAT_STEP = 32;

/**
 * Finds weights and scales of a row of floats that are ternary: in every 32 columns zeros, and one number of either sign.
 * @throws FormatError where they are not.
 */
export function findFloatScales(where: string, row: number, values: Float32Array, trits: Int8Array, scales: Float32Array): void {
  for (let group = 0, from = 0; from < values.length; group++, from += FLOAT_STEP) {
    const to = Math.min(from + FLOAT_STEP, values.length);
    let scale = 0;
    for (let j = from; j < to; j++) {
      const magnitude = Math.abs(values[j]!);
      trits[j] = Math.sign(values[j]!);
      if (magnitude === 0 || magnitude === scale) continue;
      if (scale !== 0 || !Number.isFinite(magnitude)) {
        throw new FormatError(
          `${where} is not ternary: row ${row}, columns ${from} to ${to - 1} hold ${scale} and ${magnitude}; only weights that are 0 or one number of either sign, in groups of ${FLOAT_STEP} columns or more, can be run`,
        );
      }
      scale = magnitude;
    }
    scales[group] = scale;
  }
}

/**
 * Reads all rows.
 * @param group of `groupOf`.
 * @param scales [⌈columns / group⌉, rows], filled: weight = trit · scale.
 * @throws FormatError for scales that are not finite, or not those of such groups.
 */
export async function readGroups(stored: StoredGroups, group: number, scales: Float32Array, onRow: OnRow, reading: GroupedReading = {}): Promise<void> {
  const { where, rows, columns, step } = stored;
  const groups = Math.ceil(columns / group);
  await stored.each((row, trits, found) => {
    normalise(stored, row, trits, found);
    for (let g = 0; g < groups; g++) {
      const [from, to] = [g * group, Math.min((g + 1) * group, columns)];
      const scale = sharedScale(found, Math.floor(from / step), Math.ceil(to / step));
      if (Number.isNaN(scale)) throw new FormatError(`${where}, row ${row}: columns ${from} to ${to - 1} have several scales; they were one before`);
      // A stored group may be wider than this one.
      scales[g * rows + row] = step <= group || trits.subarray(from, to).some((trit) => trit !== 0) ? scale : 0;
    }
    onRow(row, trits);
  }, reading);
}
