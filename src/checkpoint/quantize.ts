import { FormatError } from '../errors.js';
import { decodeFloats, firstNonFinite, type FloatType } from '../formats/floats.js';
import { Pace } from '../platform/pace.js';

/** A lower limit for mean|W| (hgrn-bit.md, BitLinear step 3). */
const MIN_MEAN = 1e-5;

/**
 * Quantises a float weight [rows, columns] to ternary, as BitLinear does (hgrn-bit.md, step 3): s = 1 / max(mean|W|, 1e-5), in
 * float64; trit = clamp(round(W · s), -1, 1), half to even, so that exactly ±0.5 becomes 0.
 * @param onRow is given each row's trits in a buffer that is used again.
 * @returns the scale: weight ≈ trit · scale.
 * @throws FormatError at a NaN or infinity; `where` begins the message.
 */
export async function quantizeTernary(
  where: string, type: FloatType, bytes: Uint8Array, rows: number, columns: number,
  onRow: (row: number, trits: Int8Array) => void, pace = new Pace(),
): Promise<number> {
  const readRow = (row: number, values: Float32Array): void => decodeFloats(type, bytes, row * columns, columns, values);
  return quantizeRows(where, readRow, rows, columns, onRow, pace);
}

/** As `quantizeTernary`, of a weight in any form. @param readRow fills in the values of a row; it is asked for each twice. */
export async function quantizeRows(
  where: string, readRow: (row: number, values: Float32Array) => void, rows: number, columns: number,
  onRow: (row: number, trits: Int8Array) => void, pace: Pace,
): Promise<number> {
  const values = new Float32Array(columns);
  const trits = new Int8Array(columns);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    if (pace.isDue) await pace.giveWay();
    readRow(row, values);
    for (let j = 0; j < columns; j++) sum += Math.abs(values[j]);
    if (!Number.isFinite(sum)) {
      const j = firstNonFinite(values, columns);
      throw new FormatError(`${where} holds ${values[j]} at [${row}, ${j}]; weights must be finite`);
    }
  }
  const mean = Math.max(sum / (rows * columns), MIN_MEAN);
  const scale = 1 / mean;
  for (let row = 0; row < rows; row++) {
    if (pace.isDue) await pace.giveWay();
    readRow(row, values);
    for (let j = 0; j < columns; j++) {
      const scaled = values[j] * scale;
      trits[j] = Number(scaled > 0.5) - Number(scaled < -0.5); // no branch: on random weights each would be mispredicted
    }
    onRow(row, trits);
  }
  return Math.fround(mean);
}
