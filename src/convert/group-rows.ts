import { FormatError } from '../errors.js';
import { exactFloat16 } from '../formats/floats.js';
import { typeInfo } from '../formats/ggml-types.js';
import { BLOCK_WEIGHTS, isTernaryBlock, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { encodeTernaryRow } from '../formats/ternary-encoder.js';

/** Types of GGUF files that have a scale in each block. */
export type ScaledBlockType = TernaryBlockType | 'Q2_0' | 'PQ2_0';

export interface GroupedRow {
  /** File and tensor, and the row, for messages. */
  readonly where: string;
  readonly row: number;
  readonly trits: Int8Array;
  /** Of each `group` columns. */
  readonly scales: Float32Array;
  readonly group: number;
}

/** Columns that a row is stored with: whole blocks. */
export function storedColumns(type: ScaledBlockType, columns: number): number {
  const { blockSize } = typeInfo(type);
  return columns % blockSize === 0 ? columns : Math.ceil(columns / BLOCK_WEIGHTS) * BLOCK_WEIGHTS;
}

/**
 * Writes a row with scales for groups of columns as blocks, whose scales are float16.
 * @param out zeros, [row bytes] from `at` on.
 * @throws FormatError where a scale is not one, or a block has several: nothing is rounded.
 */
export function encodeGroupedRow(type: ScaledBlockType, { where, row, trits, scales, group }: GroupedRow, columns: number, out: Uint8Array, at: number): void {
  const { blockSize, blockBytes } = typeInfo(type);
  const padded = new Int8Array(columns);
  padded.set(trits);
  const isScaleLast = isTernaryBlock(type);
  if (isScaleLast) encodeTernaryRow(type, padded, out.subarray(at, at + ternaryRowBytes(type, columns)), 0);
  for (let block = 0, to = at; block < columns / blockSize; block++, to += blockBytes) {
    const first = block * blockSize;
    const half = blockScale(type, where, row, scales.subarray(Math.floor(first / group), Math.ceil((first + blockSize) / group)));
    const scaleAt = isScaleLast ? to + blockBytes - 2 : to;
    out[scaleAt] = half & 255;
    out[scaleAt + 1] = half >> 8;
    if (isScaleLast) continue;
    for (let j = 0; j < blockSize; j++) out[to + 2 + (j >> 2)]! |= (padded[first + j]! + 1) << (2 * (j & 3));
  }
}

/** The float16 bits of the one number among `scales` that is not 0. */
function blockScale(type: ScaledBlockType, where: string, row: number, scales: Float32Array): number {
  const scale = scales.find((value) => value !== 0) ?? 0;
  const refuse = (what: string): never => {
    throw new FormatError(`${where}, row ${row}: ${what}; convert it to safetensors, which hold any scales`);
  };
  if (scales.some((value) => value !== 0 && value !== scale)) refuse(`a block of the type ${type} has one scale, but its weights have ${[...new Set(scales)].join(' and ')}${type === 'Q2_0' ? '' : ' (Q2_0 has smaller blocks)'}`);
  const half = exactFloat16(new Uint32Array(Float32Array.of(scale).buffer)[0]!);
  return half >= 0 && half < 0x7c00 ? half : refuse(`the scale ${scale} is no float16, as blocks have it`);
}
