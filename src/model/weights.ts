import { FormatError } from '../errors.js';
import { parameters, type TensorSpec } from '../architectures/blueprint.js';
import type { Checkpoint, Reading } from '../checkpoint/checkpoint.js';
import { FLOAT_BYTES } from '../formats/floats.js';
import { BLOCK_WEIGHTS, decodeTernaryRow, type TernaryBlockType } from '../formats/ternary-blocks.js';
import type { Arena } from '../kernels/arena.js';
import type { GroupBlockType, GroupedMatrix, Kernels, TernaryMatrix } from '../kernels/kernels.js';
import type { Pace } from '../platform/pace.js';
import { Hash } from './hash.js';
import { cumulativeLowerBounds } from './lower-bounds.js';

/** How many columns share a scale, of the weights that have scales for groups of columns. */
export type WeightGroups = ReadonlyMap<TensorSpec, number>;

/** All weights of a model, packed, in one arena. */
export interface ModelWeights {
  /** Embeddings, and a float head: [rows, columns] of the checkpoint's type. */
  readonly tables: ReadonlyMap<TensorSpec, Uint8Array>;
  /** Norms, and the lower bounds [layers, width]. */
  readonly vectors: ReadonlyMap<TensorSpec, Float32Array>;
  readonly matrices: ReadonlyMap<TensorSpec, TernaryMatrix>;
}

/** Reserves the memory of all weights, without reading any. */
export function allocateWeights(arena: Arena, kernels: Kernels, { blueprint, tableType }: Checkpoint, groups?: WeightGroups): ModelWeights {
  const tables = new Map<TensorSpec, Uint8Array>();
  const vectors = new Map<TensorSpec, Float32Array>();
  const matrices = new Map<TensorSpec, TernaryMatrix>();
  for (const { tensor, held } of parameters(blueprint)) {
    const [rows = 1, columns = 1] = tensor.shape;
    const group = groups?.get(tensor);
    if (group) matrices.set(tensor, kernels.transformer!.createGrouped(arena, rows, columns, group));
    else if (held === 'ternary') matrices.set(tensor, kernels.createTernary(arena, rows, columns));
    else if (held === 'table') tables.set(tensor, arena.u8(rows * columns * FLOAT_BYTES[tableType(tensor)]));
    else vectors.set(tensor, arena.f32(rows * columns));
  }
  return { tables, vectors, matrices };
}

/** Counts of one ternary weight, known once it has been read. */
export interface TernaryCount {
  readonly name: string;
  readonly weights: number;
  readonly zeros: number;
  /** A hash of some of its rows, for the model's fingerprint. */
  readonly sample: number;
}

/** Rows of each weight that go into its hash: hashing all would take as long as loading. */
const SAMPLED_ROWS = 16;

/**
 * Reads all tensors of `checkpoint` into `weights`, one at a time.
 * @param onBytes is told how much more of what is stored is in place.
 * @throws FormatError at a NaN or infinity, a truncated file; the signal's reason.
 */
export async function readWeights(
  checkpoint: Checkpoint, kernels: Kernels, { tables, vectors, matrices }: ModelWeights, onBytes: (bytes: number) => void, pace: Pace,
): Promise<TernaryCount[]> {
  const counts: TernaryCount[] = [];
  for (const { tensor, held } of parameters(checkpoint.blueprint)) {
    let told = 0;
    const reading: Reading = {
      pace,
      onBytes: (bytes) => {
        told += bytes;
        onBytes(bytes);
      },
    };
    if (held === 'table') {
      const table = tables.get(tensor)!;
      const read = await checkpoint.readTable(tensor, table, reading);
      if (read !== table) table.set(read);
    } else if (held === 'ternary') {
      counts.push(await readTernary(checkpoint, kernels, tensor, matrices.get(tensor)!, reading));
    } else {
      const values = await checkpoint.readFloats(tensor);
      const [layers = 0, width = 0] = tensor.shape;
      vectors.get(tensor)!.set(held === 'bounds' ? cumulativeLowerBounds(values, layers, width) : values);
    }
    const untold = checkpoint.storedBytes(tensor) - told;
    if (untold > 0) onBytes(untold);
    await pace.giveWay();
  }
  return counts;
}

async function readTernary(
  checkpoint: Checkpoint, kernels: Kernels, tensor: TensorSpec, matrix: TernaryMatrix, reading: Reading,
): Promise<TernaryCount> {
  const { rows, columns } = matrix;
  const step = Math.ceil(rows / SAMPLED_ROWS);
  const samples = new Int8Array(Math.ceil(rows / step) * columns);
  let zeros = 0;
  const sample = (row: number, trits: Int8Array): void => samples.set(trits.subarray(0, columns), (row / step) * columns);
  const grouped = 'group' in matrix ? (matrix as GroupedMatrix) : undefined;
  const onRow = (row: number, trits: Int8Array): void => {
    for (let j = 0; j < columns; j++) zeros += 1 - (trits[j]! & 1);
    if (row % step === 0) sample(row, trits);
    if (grouped) kernels.transformer!.packGroupedRow(grouped, row, trits);
    else kernels.packRow(matrix, row, trits);
  };
  const onBlocks = (first: number, count: number, type: TernaryBlockType, bytes: Uint8Array): boolean => {
    const found = kernels.packBlocks!(matrix, first, count, type, bytes);
    if (found < 0) return false;
    zeros += found;
    const trits = new Int8Array(Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS);
    for (let row = Math.ceil(first / step) * step; row < first + count; row += step) {
      decodeTernaryRow(type, bytes, ((row - first) * bytes.length) / count, trits);
      sample(row, trits);
    }
    return true;
  };
  if (grouped) {
    const { packGroups, unpackRow } = kernels.transformer!;
    const onGroups = (first: number, count: number, type: GroupBlockType, bytes: Uint8Array): boolean => {
      const found = packGroups!(grouped, first, count, type, bytes);
      if (found < 0) return false;
      zeros += found;
      const trits = new Int8Array(columns);
      for (let row = Math.ceil(first / step) * step; row < first + count; row += step) {
        unpackRow(grouped, row, trits);
        sample(row, trits);
      }
      return true;
    };
    await checkpoint.readGrouped!(tensor, grouped.group, matrix.scales, onRow, { ...reading, onGroups: packGroups && onGroups });
  }
  else await checkpoint.readTernary(tensor, matrix.scales, onRow, { ...reading, onBlocks: kernels.packBlocks && onBlocks });
  if (zeros === rows * columns) {
    throw new FormatError(
      `${checkpoint.name}: tensor "${tensor.hf}" holds nothing but zeros: take another revision of the files (microsoft/BitNet issue 608), or convert the original again`,
    );
  }
  const hash = new Hash();
  hash.words(new Int32Array(samples));
  return { name: tensor.hf.replace(/\.weight$/, ''), weights: rows * columns, zeros, sample: hash.value };
}
