import { FormatError } from '../errors.js';
import type { GgufTensorType } from '../formats/gguf.js';

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

/** The scale of a weight of zeros, as `quantizeTernary` has it. */
const SCALE_OF_ZEROS = 1e-5;

/** Gives rows of zeros the scale of another row, so that a weight with one scale keeps one; then multiplies by `scale`. */
export function applyScale({ where, scale }: GgufWeight, scales: Float32Array): void {
  const other = scales.find((value) => value !== 0) ?? SCALE_OF_ZEROS;
  for (let row = 0; row < scales.length; row++) {
    const own = scales[row] || other;
    const factor = scale?.[scale.length === 1 ? 0 : row] ?? 1;
    scales[row] = own * factor;
    if (!Number.isFinite(scales[row])) throw new FormatError(`${where}, row ${row}: the scale ${own} · ${factor} is beyond float32`);
  }
}

export function paddingError({ where, columns }: GgufWeight, row: number): FormatError {
  return new FormatError(`${where}, row ${row}: the padding after column ${columns} is not zero`);
}
