import { FormatError } from '../errors.js';
import { PIECE_BYTES, readPieces } from '../formats/bytes.js';
import { decodeFloats, FLOAT_BYTES, roundF64, type FloatType } from '../formats/floats.js';
import { DTYPE_BYTES, readTensor, type StoredTensor } from '../formats/stored-tensor.js';
import { Pace } from '../platform/pace.js';
import type { TensorSpec } from '../architectures/blueprint.js';
import type { Reading } from './checkpoint.js';
import { findFloatScales, FLOAT_STEP, GROUPS, type OnGroupedRow, type StoredGroups } from './grouped.js';
import type { PackedWeights } from './packed-weights.js';

/* Weights with scales for groups of columns in safetensors and PyTorch files: floats that are ternary, and packed ones. */

/** Floats of which all in 32 columns of a row are 0 or one number, of either sign. @param type as which they are read. */
export function floatGroups(where: string, { shape: [rows = 0, columns = 0] }: TensorSpec, stored: StoredTensor, type: FloatType): StoredGroups {
  return {
    where, rows, columns, step: FLOAT_STEP,
    async each(onRow, reading) {
      const [values, trits] = [new Float32Array(columns), new Int8Array(columns)];
      const scales = new Float32Array(Math.ceil(columns / FLOAT_STEP));
      let row = 0;
      for await (const piece of rowPieces(where, stored, columns, reading)) {
        const count = piece.length / (columns * FLOAT_BYTES[type]);
        for (let n = 0; n < count; n++, row++) {
          if (reading.pace?.isDue) await reading.pace.giveWay();
          decodeFloats(type, piece, n * columns, columns, values);
          findFloatScales(where, row, values, trits, scales);
          onRow(row, trits, scales);
        }
      }
    },
  };
}

/** Whole rows, some at a time. */
async function* rowPieces(where: string, stored: StoredTensor, columns: number, { pace = new Pace(), onBytes }: Reading): AsyncGenerator<Uint8Array> {
  const { source, dtype, offset, byteLength, strides } = stored;
  const decode = dtype === 'F64' ? roundF64 : (piece: Uint8Array) => piece;
  if (strides) return yield decode(await readTensor(where, stored));
  const rowBytes = columns * DTYPE_BYTES.get(dtype)!;
  for await (const piece of readPieces(source, offset, byteLength, Math.max(1, Math.floor(PIECE_BYTES / rowBytes)) * rowBytes)) {
    yield decode(piece);
    onBytes?.(piece.length);
    await pace.giveWay();
  }
}

/**
 * Packed weights, whose scales are one, one a row, or [rows, groups], which is ours.
 * @param values what is stored as scales.
 * @throws FormatError for another number of scales.
 */
export function packedGroups(where: string, tensor: TensorSpec, packed: PackedWeights, bytes: () => Promise<Uint8Array>, values: Float32Array): StoredGroups {
  const { shape: [rows = 0, columns = 0] } = tensor;
  const groups = values.length === 1 ? 1 : values.length / rows;
  const step = groups === 1 ? Math.max(columns, FLOAT_STEP) : GROUPS.find((group) => Math.ceil(columns / group) === groups);
  if (step === undefined) throw new FormatError(`${where}: has ${values.length} scales for ${rows} rows of ${columns} columns; it must be one, one a row, or one for each ${GROUPS.join(', ')} columns`);
  return {
    where, rows, columns, step,
    async each(onRow: OnGroupedRow, { pace = new Pace() }) {
      const scales = new Float32Array(groups);
      await packed.read(where, tensor, await bytes(), Float32Array.of(1), new Float32Array(rows), (row, trits) => {
        const first = values.length === 1 ? 0 : row * groups;
        for (let g = 0; g < groups; g++) scales[g] = packed.scaleOf(values[first + g]!);
        onRow(row, trits, scales);
      }, { pace });
    },
  };
}
