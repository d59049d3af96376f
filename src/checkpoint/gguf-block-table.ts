import type { TensorSpec } from '../architectures/blueprint.js';
import { ggufRows, reordered } from '../architectures/gguf-order.js';
import { FormatError } from '../errors.js';
import { isFloatType } from '../formats/floats.js';
import { typeInfo } from '../formats/ggml-types.js';
import { decodeGgufFloats } from '../formats/gguf-floats.js';
import type { StoredGgufTensor } from '../formats/gguf-model.js';
import { decodeFinite, readTable, type Reading } from './checkpoint.js';

/** So many blocks are decoded at a time: to 4 MB at most. */
const PIECE_BLOCKS = 4096;

/** Reads numbers that a file has in blocks, as float32, checked to be finite. @throws FormatError also for a type that is for weights only. */
export async function readBlockTable(where: string, stored: StoredGgufTensor, into?: Uint8Array, reading?: Reading): Promise<Uint8Array> {
  const { type, byteLength } = stored;
  const { blockSize, blockBytes, tailBytes } = typeInfo(type);
  if (tailBytes !== undefined) throw new FormatError(`${where} is ${type}, a type for ternary weights, but the model has floats there`);
  const bytes = into ?? new Uint8Array((byteLength / blockBytes) * blockSize * 4);
  const decode = (piece: Uint8Array): Uint8Array => {
    const values = new Float32Array((piece.length / blockBytes) * blockSize);
    decodeGgufFloats(type, piece, 0, values.length, values);
    return new Uint8Array(values.buffer);
  };
  await readTable(where, { ...stored, decode, pieceBytes: PIECE_BLOCKS * blockBytes }, 'F32', bytes, reading);
  return bytes;
}

/** Numbers of any type as float32, checked to be finite. @param tensor whose rows the file may have in another order. */
export async function readOtherFloats(where: string, stored: StoredGgufTensor, tensor?: TensorSpec): Promise<Float32Array> {
  const { type, source, offset, byteLength } = stored;
  const values = isFloatType(type) ? decodeFinite(where, type, await source.read(offset, byteLength)) : new Float32Array((await readBlockTable(where, stored)).buffer);
  const order = tensor && ggufRows(tensor);
  return order ? reordered(values, order) : values;
}
