import { ConfigError, FormatError, show } from '../errors.js';
import type { TensorSpec } from '../architectures/blueprint.js';
import { BLOCK_WEIGHTS } from '../formats/ternary-blocks.js';
import type { GgufTensor } from '../formats/gguf-reader.js';

/** A weight, for messages. */
interface GgufWeight {
  readonly where: string;
  readonly columns: number;
}

export function paddingError({ where, columns }: GgufWeight, row: number): FormatError {
  return new FormatError(`${where}, row ${row}: the padding after column ${columns} is not zero`);
}

/** Of a weight that has one scale a row at most. */
export function severalScales({ where }: GgufWeight, row: number): FormatError {
  return new FormatError(
    `${where}, row ${row}: its blocks have different scales, or one that is not finite; a scale for each group of columns can be run in a "qwen3" model, or a "llama" whose metadata have llama.ternary_activations, "float" (TriLM)`,
  );
}

export function codeError({ where }: GgufWeight, row: number, column: number): FormatError {
  return new FormatError(`${where}, row ${row}: column ${column} holds the code 3, a code that no weight has: it is not ternary`);
}

/** What is wrong with a row of ternary blocks, that have been decoded. @param scale of all of its blocks; not finite if there is none. */
export function rowError(weight: GgufWeight, row: number, trits: Int8Array, scale: number): FormatError {
  const code = trits.findIndex((trit) => trit > 1);
  if (code >= 0) return codeError(weight, row, code);
  return Number.isFinite(scale) ? paddingError(weight, row) : severalScales(weight, row);
}

/** @param tensor that it is the scale of. */
export function scaleError(where: string, { type, shape }: GgufTensor, tensor: TensorSpec): FormatError {
  return new FormatError(`${where} must be one number or ${tensor.shape[0]}, F32, F16 or BF16; it is ${type} [${shape}]`);
}

export function rangeError({ where }: GgufWeight, row: number, own: number, factor: number): FormatError {
  return new FormatError(`${where}, row ${row}: the scale ${own} · ${factor} is beyond float32`);
}

/** What rows are padded to that is not `BLOCK_WEIGHTS`, as files of ours have it. @throws ConfigError */
export function otherAlignment(file: string, key: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 65536 && value % BLOCK_WEIGHTS === 0) return value;
  throw new ConfigError(`${file}: metadata key ${key} is ${show(value)}, not a multiple of ${BLOCK_WEIGHTS} up to 65536`);
}
