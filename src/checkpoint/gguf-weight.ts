import type { Blueprint } from '../architectures/blueprint.js';
import { missingPart } from '../errors.js';
import { PIECE_BYTES } from '../formats/bytes.js';
import type { GgufTensorType } from '../formats/gguf.js';
import type { I2SLayout } from '../formats/group-blocks.js';

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
  readonly blueprint: Pick<Blueprint, 'refusesFloats'>;
  /** Of I2_S. */
  readonly i2sLayout: I2SLayout | undefined;
  /** All of it, or a stretch. */
  bytes(from?: number, length?: number): Promise<Uint8Array>;
  /** The same, or the first `length` bytes, so much at a time; each piece is good until the next one is asked for. */
  pieces(bytes: number, length?: number): AsyncIterable<Uint8Array>;
}

/** Pieces are so many rows, or twice as many, and so on: backends group rows. */
export const PIECE_ROWS = 32;

export function pieceBytes(rowBytes: number): number {
  return Math.max(1, Math.floor(PIECE_BYTES / (PIECE_ROWS * rowBytes))) * PIECE_ROWS * rowBytes;
}

/** The scale of a weight of zeros, as `quantizeTernary` has it. */
const SCALE_OF_ZEROS = 1e-5;

/**
 * Gives rows of zeros the scale of another row, so that a weight with one scale keeps one; then multiplies by `scale`.
 * @throws FormatError for a product that float32 does not hold.
 */
export async function applyScale(weight: GgufWeight, scales: Float32Array): Promise<void> {
  const { scale } = weight;
  const other = scales.find((value) => value !== 0) ?? SCALE_OF_ZEROS;
  for (let row = 0; row < scales.length; row++) {
    const own = scales[row] || other;
    const factor = scale?.[scale.length === 1 ? 0 : row] ?? 1;
    scales[row] = own * factor;
    if (!Number.isFinite(scales[row])) throw (await import('./gguf-weight-errors.js').catch(missingPart)).rangeError(weight, row, own, factor);
  }
}
