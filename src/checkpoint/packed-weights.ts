import { ConfigError, FormatError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { packedRows, unpackRow } from '../formats/packed-rows.js';
import type { StoredTensor } from '../formats/stored-tensor.js';
import { HALF_COLUMNS, tq2FromPacked, tq2RowBytes } from '../formats/tq2-rows.js';
import { Pace } from '../platform/pace.js';
import type { Checkpoint, OnRow, TernaryReading } from './checkpoint.js';
import { PIECE_ROWS } from './gguf-weight.js';
import { hfScaleName, ternaryTensors, type Blueprint, type TensorSpec } from '../architectures/blueprint.js';

/*
 * Checkpoints whose ternary weights are packed as Hugging Face transformers does for BitNet models: `X.weight` in bytes of four
 * weights (formats/packed-rows.ts), `X.weight_scale`, and `quantization_config` in config.json, which tells how the scale is meant.
 */

/** What convert writes: the scale as a factor is the number that the model computes with; a divisor would have to be rounded. */
export const QUANTIZATION_CONFIG = { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'offline' } as const;

/** What is turned into blocks at once, four times: a processor's second-level cache has room for it. */
const STAGE_BYTES = 2 ** 17;

/** The weights of a model that are packed. */
export interface PackedWeights {
  has(tensor: TensorSpec): boolean;
  readonly stored: Checkpoint['stored'] | undefined;
  /** The shape that one is stored with. */
  shapeOf(tensor: TensorSpec): readonly number[];
  readonly scaleNames: ReadonlySet<string>;
  /** What a weight is multiplied by. */
  scaleOf(stored: number): number;
  /**
   * Decodes a packed weight: by the block where kernels take such, else row by row.
   * @param values what is stored as its scale: one number, or one for each row.
   * @param scales [rows], filled.
   * @throws FormatError, `where` in front, naming the row.
   */
  read(where: string, tensor: TensorSpec, bytes: Uint8Array, values: Float32Array, scales: Float32Array, onRow: OnRow, reading?: TernaryReading): Promise<void>;
}

/**
 * Finds the packed weights of a checkpoint.
 * @param quantization `quantization_config` of config.json, if it has one.
 * @throws ConfigError for a quantisation of another kind; for a packed weight without a scale, or with nothing that tells what it means.
 */
export function findPackedWeights(
  where: string, quantization: unknown, blueprint: Blueprint, tensors: ReadonlyMap<string, StoredTensor>,
): PackedWeights {
  const meaning = quantization === undefined ? undefined : scaleMeaning(quantization);
  const scaleOf = (stored: number): number => Math.fround(meaning === 'divisor' ? 1 / stored : stored);
  const packed = new Set(ternaryTensors(blueprint).filter(({ hf }) => tensors.get(hf)?.dtype === 'U8'));
  for (const tensor of packed) {
    const missing = meaning === undefined ? 'config.json has no quantization_config that tells how to read it'
      : tensors.has(hfScaleName(tensor)) ? undefined : `there is no "${hfScaleName(tensor)}"`;
    if (missing !== undefined) throw new ConfigError(`${where}: tensor "${tensor.hf}" is packed (U8), but ${missing}`);
  }
  return {
    has: (tensor) => packed.has(tensor),
    stored: packed.size === 0 ? undefined : {
      value: `four to a byte, ${meaning === 'divisor' ? 'divided' : 'multiplied'} by weight_scale`,
      why: `dtype U8, and quantization_config.linear_class ${meaning === 'divisor' ? '"bitlinear", or none' : '"autobitlinear"'}`,
    },
    shapeOf: ({ shape: [rows = 0, columns = 0] }) => [packedRows(rows), columns],
    scaleNames: new Set([...packed].map(hfScaleName)),
    scaleOf,
    async read(tensorWhere, { shape: [rows = 0, columns = 0] }, bytes, values, scales, onRow, { onBlocks, pace = new Pace() } = {}) {
      const trits = new Int8Array(columns);
      const readRows = async (first: number, end: number, isTaken: boolean): Promise<void> => {
        for (let row = first; row < end; row++) {
          if (pace.isDue) await pace.giveWay();
          if (!isTaken && !unpackRow(bytes, row, rows, columns, trits)) throw new FormatError(`${tensorWhere}, row ${row}: holds a code that no weight has`);
          const value = values[values.length === 1 ? 0 : row]!;
          scales[row] = scaleOf(value);
          if (!Number.isFinite(scales[row])) throw new FormatError(`${tensorWhere}, row ${row}: the scale 1 / ${value} is beyond float32`);
          if (!isTaken) onRow(row, trits);
        }
      };
      const byteRows = packedRows(rows);
      if (!onBlocks || byteRows % PIECE_ROWS !== 0 || 4 * byteRows !== rows || columns % HALF_COLUMNS !== 0) return readRows(0, rows, false);
      const rowBytes = tq2RowBytes(columns);
      const most = Math.min(Math.max(1, Math.floor(STAGE_BYTES / (PIECE_ROWS * rowBytes))) * PIECE_ROWS, byteRows);
      const stages = [0, 1, 2, 3].map(() => new Uint8Array(most * rowBytes));
      for (let first = 0; first < byteRows; first += most) {
        const count = Math.min(most, byteRows - first);
        const blocks = stages.map((stage) => stage.subarray(0, count * rowBytes)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
        tq2FromPacked(bytes.subarray(first * columns, (first + count) * columns), columns, blocks);
        for (const [n, own] of blocks.entries()) {
          const row = first + n * byteRows;
          await readRows(row, row + count, onBlocks(row, count, 'TQ2_0', own));
        }
      }
    },
  };
}

/** weight = trit · scale, as `AutoBitLinear` has it, or trit / scale, as `BitLinear`; undefined where all weights are floats. */
function scaleMeaning(config: unknown): 'factor' | 'divisor' | undefined {
  if (!isJsonObject(config)) throw new ConfigError(`config.json: quantization_config is ${show(config)}, not an object`);
  const { quant_method: method, linear_class: linear = 'bitlinear', quantization_mode: mode = 'offline' } = config;
  const oneOf = (key: string, value: unknown, known: readonly string[]): void => {
    if (known.includes(value as string)) return;
    throw new ConfigError(`config.json: quantization_config.${key} is ${value === undefined ? 'missing' : show(value)}; only ${known.map(show).join(' and ')} can be read`);
  };
  oneOf('quant_method', method, ['bitnet']);
  oneOf('linear_class', linear, ['bitlinear', 'autobitlinear']);
  oneOf('quantization_mode', mode, ['offline', 'online']);
  if (linear === 'bitlinear') return 'divisor';
  return mode === 'offline' ? 'factor' : undefined;
}
