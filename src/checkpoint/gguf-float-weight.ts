import { FormatError } from '../errors.js';
import { decodeGgufFloats, isFloats } from '../formats/gguf-floats.js';
import { Pace } from '../platform/pace.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import { readRowScales } from './gguf-grouped.js';
import { applyScale, type GgufWeight } from './gguf-weight.js';
import { paddingError } from './gguf-weight-errors.js';
import { quantizeRows } from './quantize.js';

/** In rows shorter than this, floats that are no ternary weights could look as if each row were one with a scale of its own. */
const MIN_COLUMNS_FOR_ROW_SCALES = 32;

/** A weight in other types than TQ1_0 and TQ2_0: see `readTernaryWeight`. */
export async function readOtherWeight(weight: GgufWeight, scales: Float32Array, onRow: OnRow, reading: TernaryReading): Promise<void> {
  if (!isFloats(weight.type)) return readRowScales(weight, scales, onRow, reading);
  const { pace = new Pace() } = reading;
  const readRow = rowReader(weight, await weight.bytes());
  if (await findMagnitudes(weight, readRow, scales, pace)) return writtenOut(weight, readRow, scales, onRow, pace);
  if (weight.scale) throw new FormatError(`${weight.where} has a scale tensor, so its rows must be -1, 0 and 1 times one number; they are not`);
  const { where, rows, columns, blueprint } = weight;
  if (blueprint.refusesFloats) throw new FormatError(`${where} is not ternary: a row of it holds several magnitudes; this is a model of floats, or one whose groups have scales of their own, and neither can be run`);
  scales.fill(await quantizeRows(where, readRow, rows, columns, onRow, pace));
}

type ReadRow = (row: number, values: Float32Array) => void;

/** Reads as much of a row as `values` takes. */
function rowReader({ type, storedColumns }: GgufWeight, bytes: Uint8Array): ReadRow {
  const stored = new Float32Array(storedColumns);
  return (row, values) => {
    decodeGgufFloats(type, bytes, row * storedColumns, storedColumns, stored);
    values.set(stored.subarray(0, values.length));
  };
}

/** Whether in every row all numbers but zeros are `±scales[row]`, which it sets; 0 for a row of zeros. */
async function findMagnitudes(weight: GgufWeight, readRow: ReadRow, scales: Float32Array, pace: Pace): Promise<boolean> {
  const { rows, columns, storedColumns } = weight;
  const values = new Float32Array(storedColumns);
  const isPadded = storedColumns > columns;
  let isTernaryWeight = true;
  for (let row = 0; row < rows && (isTernaryWeight || isPadded); row++) {
    if (pace.isDue) await pace.giveWay();
    readRow(row, values);
    if (isPadded && values.subarray(columns).some((value) => value !== 0)) throw paddingError(weight, row);
    scales[row] = magnitude(values);
    isTernaryWeight &&= Number.isFinite(scales[row]);
  }
  return isTernaryWeight && (columns >= MIN_COLUMNS_FOR_ROW_SCALES || new Set(scales.filter((scale) => scale !== 0)).size <= 1);
}

/** The one magnitude of all numbers that are not zero, 0 if all are, NaN if there are several. */
function magnitude(values: Float32Array): number {
  let found = 0;
  for (let j = 0; j < values.length; j++) {
    const value = Math.abs(values[j]!);
    if (value === 0 || value === found) continue;
    if (found !== 0) return NaN;
    found = value;
  }
  return found;
}

async function writtenOut(weight: GgufWeight, readRow: ReadRow, scales: Float32Array, onRow: OnRow, pace: Pace): Promise<void> {
  const values = new Float32Array(weight.columns);
  const trits = new Int8Array(weight.columns);
  for (let row = 0; row < weight.rows; row++) {
    if (pace.isDue) await pace.giveWay();
    readRow(row, values);
    for (let j = 0; j < trits.length; j++) trits[j] = Math.sign(values[j]!);
    onRow(row, trits);
  }
  await applyScale(weight, scales);
}
