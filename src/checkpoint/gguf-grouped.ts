import type { TensorSpec } from '../architectures/blueprint.js';
import { ggufColumns, ggufRows } from '../architectures/gguf-order.js';
import { FormatError } from '../errors.js';
import { PIECE_BYTES } from '../formats/bytes.js';
import { decodeFloats } from '../formats/floats.js';
import { typeInfo } from '../formats/ggml-types.js';
import { decodeGgufFloats, isFloats } from '../formats/gguf-floats.js';
import { rowDecoder } from '../formats/group-blocks.js';
import { digitsOfBytes, pq2FromFives } from '../formats/pq2-rows.js';
import { tq2FromPlain } from '../formats/tq2-rows.js';
import { Pace } from '../platform/pace.js';
import { ACTIVATION_GROUP, type GroupBlockType } from '../kernels/kernels.js';
import type { GroupedReading, OnRow, Reading, TernaryReading } from './checkpoint.js';
import { findFloatScales, FLOAT_STEP, groupOf, normalise, readGroups, sharedScale, type OnGroupedRow, type StoredGroups, type StoredReading } from './grouped.js';
import { applyScale, PIECE_ROWS, pieceBytes, type GgufWeight } from './gguf-weight.js';
import { codeError, paddingError, severalScales } from './gguf-weight-errors.js';

/*
 * Ternary weights in GGUF files that have a scale for each row and group of columns: of all the types that are read. Floats and Q8_0 are
 * such weights written out: zeros, and one number of either sign in every 32 columns.
 */

interface RowReader {
  /** Columns that share a scale. */
  readonly step: number;
  readonly rowBytes: number;
  /** Of I2_S, which has one. */
  readonly matrixScale?: number | undefined;
  /** Fills trits [storedColumns] and scales [⌈storedColumns / step⌉]. @throws FormatError for what is not ternary. */
  read(row: number, bytes: Uint8Array, at: number, trits: Int8Array, scales: Float32Array): void;
}

/**
 * A weight as the file has it. @param tensor whose rows the file may have in pairs.
 * @throws FormatError for an I2_S without its scale.
 */
async function storedGroups(weight: GgufWeight, tensor?: TensorSpec): Promise<StoredGroups> {
  const { where, rows, columns, storedColumns, scale } = weight;
  const reader = await rowReader(weight);
  const { step, rowBytes, matrixScale } = reader;
  const order = tensor && ggufRows(tensor);
  const columnOrder = tensor && ggufColumns(tensor);
  if (columnOrder) return reorderedColumns(await storedGroups(weight, { ...tensor, ggufColumnTiles: undefined }), columnOrder);
  const isTogether = !order || rowsTogether(order, 0, PIECE_ROWS) === PIECE_ROWS; // rows in pairs are apart
  const blocks = scale || !isTogether ? undefined : blocksOf(weight);
  const each = async (onRow: OnGroupedRow, { pace = new Pace(), onBytes, ...takers }: StoredReading): Promise<void> => {
    const take = blocks && takerOf(blocks, takers);
    const trits = new Int8Array(storedColumns);
    const scales = new Float32Array(Math.ceil(storedColumns / step));
    const [own, ownScales] = [trits.subarray(0, columns), scales.subarray(0, Math.ceil(columns / step))];
    let row = 0;
    const readRows = async (bytes: Uint8Array): Promise<void> => {
      for (let at = 0; at < bytes.length; at += rowBytes, row++) {
        if (pace.isDue) await pace.giveWay();
        reader.read(row, bytes, at, trits, scales);
        for (let j = columns; j < storedColumns; j++) if (trits[j] !== 0 && scales[Math.floor(j / step)] !== 0) throw paddingError(weight, row);
        if (scale) {
          const factor = scale[scale.length === 1 ? 0 : row]!;
          for (let n = 0; n < ownScales.length; n++) ownScales[n]! *= factor;
        }
        onRow(order ? order[row]! : row, own, ownScales);
      }
    };
    for await (const piece of weight.pieces(pieceBytes(rowBytes), rows * rowBytes)) {
      for (let from = 0; from < piece.length;) {
        const left = (piece.length - from) / rowBytes;
        const count = order && take ? rowsTogether(order, row, left) : left;
        const bytes = piece.subarray(from, from + count * rowBytes);
        from += bytes.length;
        if (take?.(order ? order[row]! : row, count, bytes)) row += count;
        else await readRows(bytes);
      }
      onBytes?.(piece.length);
      await pace.giveWay();
    }
  };
  return { where, rows, columns, step, matrixScale, each };
}

/** How many rows from `row` on, `most` at most, follow one another in the model too. */
function rowsTogether(order: Int32Array, row: number, most: number): number {
  let count = 1;
  while (count < most && order[row + count] === order[row]! + count) count++;
  return count;
}

/** With column n of the file as column order[n]. Columns keep their places within every `FLOAT_STEP`, or come with scales of their own. */
function reorderedColumns(stored: StoredGroups, order: Int32Array): StoredGroups {
  const { where, columns, step } = stored;
  const places = Array.from({ length: Math.ceil(columns / FLOAT_STEP) }, (_, n) => n * FLOAT_STEP);
  if (step % FLOAT_STEP !== 0) throw new FormatError(`${where} has a scale for ${step} columns, and heads in another order; scales for ${FLOAT_STEP} columns or more can be read`);
  return {
    ...stored, step: FLOAT_STEP,
    each(onRow, reading) {
      const [trits, scales] = [new Int8Array(columns), new Float32Array(places.length)];
      return stored.each((row, found, foundScales) => {
        const scaleOf = new Float32Array(columns);
        for (let n = 0; n < columns; n++) {
          trits[order[n]!] = found[n]!;
          scaleOf[order[n]!] = foundScales[Math.floor(n / step)]!;
        }
        places.forEach((first, n) => {
          const own = scaleOf.subarray(first, first + FLOAT_STEP);
          scales[n] = sharedScale(own, 0, own.length);
          if (Number.isNaN(scales[n]) || own.some((scale, j) => scale === 0 && trits[first + j] !== 0)) {
            throw new FormatError(`${where}, row ${row}: columns ${first} and on have several scales in the order of the model's heads`);
          }
        });
        onRow(row, trits, scales);
      }, { ...reading, onGroups: undefined, onBlocks: undefined });
    },
  };
}

/** `Checkpoint.groupOf`. */
export async function ggufGroupOf(weight: GgufWeight, tensor: TensorSpec, reading?: Reading): Promise<number> {
  return (tensor.ggufColumnTiles ? undefined : await pairedScales(weight, reading)) ?? groupOf(await storedGroups(weight, tensor), reading);
}

/** 128 for Q2_0 all of whose scales come in pairs: what Bonsai's groups are in it. Undefined where the weights tell. */
async function pairedScales({ type, storedColumns, pieces }: GgufWeight, { pace = new Pace() }: Reading = {}): Promise<number | undefined> {
  if (type !== 'Q2_0' || storedColumns % ACTIVATION_GROUP !== 0) return undefined;
  const pairBytes = 2 * typeInfo(type).blockBytes;
  for await (const bytes of pieces(Math.floor(PIECE_BYTES / pairBytes) * pairBytes)) {
    const words = new Uint16Array(bytes.byteOffset % 2 === 0 ? bytes.buffer : bytes.slice().buffer, bytes.byteOffset % 2 === 0 ? bytes.byteOffset : 0, bytes.length / 2);
    const step = pairBytes / 2;
    let differences = 0;
    for (let at = 0; at < words.length; at += step) differences |= words[at]! ^ words[at + step / 2]!;
    if (differences !== 0) return undefined;
    await pace.giveWay();
  }
  return ACTIVATION_GROUP;
}

/** What kernels take of a type, as it is or in another form. */
interface Blocks {
  readonly type: GroupBlockType | 'TQ2_0';
  of(bytes: Uint8Array): Uint8Array;
}

function blocksOf({ type, columns, storedColumns, i2sLayout = 'A' }: GgufWeight): Blocks | undefined {
  if (type === 'Q1_0' || type === 'Q2_0' || type === 'PQ2_0') return { type, of: (bytes) => bytes };
  if (type === 'PTQ1_0') {
    const digits = digitsOfBytes();
    return { type: 'PQ2_0', of: inOneStage((bytes, stage) => pq2FromFives(bytes, digits, stage)) };
  }
  const isPlain = type === 'I2_S' && i2sLayout === 'A' && storedColumns === columns;
  return isPlain ? { type: 'TQ2_0', of: inOneStage((bytes, stage) => tq2FromPlain(bytes, columns, stage)) } : undefined;
}

/** Gives `make` the largest memory that it has taken so far. */
function inOneStage(make: (bytes: Uint8Array, stage: Uint8Array) => Uint8Array): Blocks['of'] {
  let stage = new Uint8Array(0) as Uint8Array;
  return (bytes) => {
    const made = make(bytes, stage);
    if (made.length > stage.length) stage = made;
    return made;
  };
}

/** Who takes such blocks, if anybody does. */
function takerOf({ type, of }: Blocks, { onGroups, onBlocks }: StoredReading): ((first: number, count: number, bytes: Uint8Array) => boolean) | undefined {
  if (type === 'TQ2_0') return onBlocks && ((first, count, bytes) => onBlocks(first, count, type, of(bytes)));
  return onGroups && ((first, count, bytes) => onGroups(first, count, type, of(bytes)));
}

/** `Checkpoint.readGrouped`. */
export async function readGgufGroups(weight: GgufWeight, tensor: TensorSpec, group: number, scales: Float32Array, onRow: OnRow, reading?: GroupedReading): Promise<void> {
  return readGroups(await storedGroups(weight, tensor), group, scales, onRow, reading);
}

/** Reads a weight of which every row has one scale, as ternary weights other than those in groups have. @param scales [rows], filled. */
export async function readRowScales(weight: GgufWeight, scales: Float32Array, onRow: OnRow, { onBlocks, ...reading }: TernaryReading): Promise<void> {
  const stored = await storedGroups({ ...weight, scale: undefined });
  const { matrixScale = NaN } = stored;
  const takeBlocks: TernaryReading['onBlocks'] = onBlocks && matrixScale > 0 && matrixScale < Infinity ? (first, count, type, bytes) => {
    const isTaken = onBlocks(first, count, type, bytes);
    if (isTaken) scales.fill(matrixScale, first, first + count);
    return isTaken;
  } : undefined;
  await stored.each((row, trits, found) => {
    normalise(stored, row, trits, found);
    scales[row] = sharedScale(found, 0, found.length);
    if (Number.isNaN(scales[row])) throw severalScales(weight, row);
    onRow(row, trits);
  }, { ...reading, onBlocks: takeBlocks });
  await applyScale(weight, scales);
}

async function rowReader(weight: GgufWeight): Promise<RowReader> {
  const { type, rows, storedColumns, i2sLayout: layout = 'A' } = weight;
  if (isFloats(type)) return floatRows(weight);
  let matrixScale: number | undefined;
  if (type === 'I2_S') {
    const values = new Float32Array(1);
    decodeFloats('F32', await weight.bytes((rows * storedColumns) / 4, 4), 0, 1, values);
    matrixScale = values[0]!;
  }
  const { step, rowBytes, decode } = rowDecoder(type, storedColumns, { scale: matrixScale ?? 1, layout });
  return {
    step, rowBytes, matrixScale,
    read(row, bytes, at, trits, scales) {
      const column = decode(bytes, at, trits, scales);
      if (column >= 0) throw codeError(weight, row, column);
    },
  };
}

function floatRows({ where, type, storedColumns }: GgufWeight): RowReader {
  const { blockSize, blockBytes } = typeInfo(type);
  const rowBytes = (storedColumns / blockSize) * blockBytes;
  const values = new Float32Array(storedColumns);
  return {
    step: FLOAT_STEP, rowBytes,
    read(row, bytes, at, trits, scales) {
      decodeGgufFloats(type, bytes.subarray(at, at + rowBytes), 0, storedColumns, values);
      findFloatScales(where, row, values, trits, scales);
    },
  };
}
