import { FormatError } from '../errors.js';
import { PIECE_BYTES } from '../formats/bytes.js';
import type { GgufTensorType } from '../formats/gguf.js';
import { decodeGgufFloats } from '../formats/gguf-floats.js';
import { blockScale, decodeTernaryRow, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { Pace } from '../platform/pace.js';
import type { OnRow, TernaryReading } from './checkpoint.js';
import { quantizeRows } from './quantize.js';

/** A ternary weight as a GGUF file has it. */
export interface GgufWeight {
  /** File and tensor, for messages. */
  readonly where: string;
  readonly type: GgufTensorType;
  readonly rows: number;
  readonly columns: number;
  /** `columns`, or more: then zeros follow in each row. */
  readonly storedColumns: number;
  /** What the weights are multiplied by: one number, or one for each row. */
  readonly scale: Float32Array | undefined;
  /** All of it. */
  bytes(): Promise<Uint8Array>;
  /** The same, so much at a time; each piece is good until the next one is asked for. */
  pieces(bytes: number): AsyncIterable<Uint8Array>;
}

export function isTernary(type: GgufTensorType): type is TernaryBlockType {
  return type === 'TQ1_0' || type === 'TQ2_0';
}

/** The scale of a weight of zeros, as `quantizeTernary` has it. */
const SCALE_OF_ZEROS = 1e-5;

/** In rows shorter than this, floats that are no ternary weights could look as if each row were one with a scale of its own. */
const MIN_COLUMNS_FOR_ROW_SCALES = 32;

/**
 * Reads a ternary weight. In TQ blocks it is trit · d · scale: `d` stands in each block, `scale` in a tensor of its own
 * (formats.md, "GGUF"). Floats and Q8_0 that are ternary weights written out, zeros and one number of either sign in each row,
 * are taken as they are: quantising them again would make their scale smaller by the share of zeros. Others are quantised.
 * @param scales [rows], filled.
 * @throws FormatError, for one where a row's blocks have different scales: a BitLinear has one for each row at most.
 */
export async function readTernaryWeight(
  weight: GgufWeight, scales: Float32Array, onRow: OnRow, reading: TernaryReading = {},
): Promise<void> {
  const { type } = weight;
  if (isTernary(type)) return decodeBlocks(weight, type, scales, onRow, reading);
  const { pace = new Pace() } = reading;
  const readRow = rowReader(weight, await weight.bytes());
  if (await findMagnitudes(weight, readRow, scales, pace)) return writtenOut(weight, readRow, scales, onRow, pace);
  if (weight.scale) throw new FormatError(`${weight.where} has a scale tensor, so its rows must be -1, 0 and 1 times one number; they are not`);
  const { where, rows, columns } = weight;
  scales.fill(await quantizeRows(where, readRow, rows, columns, onRow, pace));
}

/** Pieces are so many rows, or twice as many, and so on: backends group rows. */
const PIECE_ROWS = 32;

async function decodeBlocks(
  weight: GgufWeight, type: TernaryBlockType, scales: Float32Array, onRow: OnRow, { pace = new Pace(), onBytes, onBlocks }: TernaryReading,
): Promise<void> {
  const { where, columns, storedColumns } = weight;
  const trits = new Int8Array(storedColumns);
  const rowBytes = ternaryRowBytes(type, storedColumns);
  const pieceRows = Math.max(1, Math.floor(PIECE_BYTES / (PIECE_ROWS * rowBytes))) * PIECE_ROWS;
  let first = 0;
  for await (const bytes of weight.pieces(pieceRows * rowBytes)) {
    const count = bytes.length / rowBytes;
    const taken = onBlocks?.(first, count, type, bytes) ?? false;
    for (let row = first, at = 0; row < first + count; row++, at += rowBytes) {
      if (taken) {
        scales[row] = blockScale(type, bytes, at);
        continue;
      }
      if (pace.isDue) await pace.giveWay();
      const d = decodeTernaryRow(type, bytes, at, trits);
      if (!Number.isFinite(d)) {
        throw new FormatError(`${where}, row ${row}: its blocks have different scales, or a code that no weight has`);
      }
      for (let j = columns; j < storedColumns; j++) if (trits[j] !== 0) throw paddingError(weight, row);
      scales[row] = d;
      onRow(row, trits);
    }
    first += count;
    onBytes?.(bytes.length);
    await pace.giveWay();
  }
  applyScale(weight, scales);
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
  applyScale(weight, scales);
}

/** Gives rows of zeros the scale of another row, so that a weight with one scale keeps one; then multiplies by `scale`. */
function applyScale({ where, scale }: GgufWeight, scales: Float32Array): void {
  const other = scales.find((value) => value !== 0) ?? SCALE_OF_ZEROS;
  for (let row = 0; row < scales.length; row++) {
    const own = scales[row] || other;
    const factor = scale?.[scale.length === 1 ? 0 : row] ?? 1;
    scales[row] = own * factor;
    if (!Number.isFinite(scales[row])) throw new FormatError(`${where}, row ${row}: the scale ${own} · ${factor} is beyond float32`);
  }
}

function paddingError({ where, columns }: GgufWeight, row: number): FormatError {
  return new FormatError(`${where}, row ${row}: the padding after column ${columns} is not zero`);
}
