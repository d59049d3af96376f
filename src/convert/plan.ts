import { loadTokenizer } from '../checkpoint/tokenizer.js';
import { FormatError } from '../errors.js';
import { convertExactly, smallestExactType, type FloatType } from '../formats/floats.js';
import type { TensorToWrite } from '../formats/stored-tensor.js';
import type { Checkpoint, OnRow } from '../checkpoint/checkpoint.js';
import type { Progress } from '../model/load-model.js';
import { parameters, ternaryTensors, type Blueprint, type TensorSpec } from '../architectures/blueprint.js';
import { inverted, reordered } from '../architectures/gguf-order.js';
import { Pace } from '../platform/pace.js';
import type { ModelSource } from '../sources/source.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { openModel, type SourceOptions } from './open.js';

/** How a format keeps a ternary weight. */
export interface TernaryLayout<T extends string> {
  readonly type: T;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Puts a row into `bytes`, which are zeros before the first. */
  readonly putRow: (bytes: Uint8Array, row: number, trits: Int8Array) => void;
}

/** How a format keeps a weight with scales for groups of columns. */
export interface GroupedLayout<T extends string> extends Omit<TernaryLayout<T>, 'putRow'> {
  /** @param scales of the row, one for each group. */
  readonly putRow: (bytes: Uint8Array, row: number, trits: Int8Array, scales: Float32Array) => void;
  /** Whether scales are in a tensor of their own, [rows, groups]. */
  readonly hasScaleTensor: boolean;
}

/** How a format calls and keeps tensors. */
export interface Layout<T extends string> {
  readonly nameOf: (tensor: TensorSpec) => string;
  readonly scaleNameOf: (weight: TensorSpec) => string;
  readonly ternary: (rows: number, columns: number) => TernaryLayout<T>;
  /** Of a weight with scales for groups of columns. */
  readonly grouped: (weight: TensorSpec, group: number) => GroupedLayout<T>;
  /** Which row of the model each row of a weight is, where they are not the same. */
  readonly rowsOf?: (weight: TensorSpec) => Int32Array | undefined;
  readonly columnsOf?: (weight: TensorSpec) => Int32Array | undefined;
}

/** What is written of a model, where that is not all of it. */
export type Change = (blueprint: Blueprint) => Blueprint;

type Tensors<T extends string> = TensorToWrite<T | FloatType>[];

/**
 * Opens a source, and yields what `write` makes of it and of its tensors in a layout. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export async function* convertSource<T extends string, Y>(
  what: string, source: ModelSource, options: SourceOptions, layoutOf: (checkpoint: Checkpoint) => Layout<T>,
  write: (checkpoint: Checkpoint, tokenizer: Tokenizer | undefined, tensors: Tensors<T>) => AsyncGenerator<Y, void, undefined>, change: Change = (all) => all,
): AsyncGenerator<Y, void, undefined> {
  options.signal?.throwIfAborted();
  const opened = await openModel(what, source, options);
  try {
    const checkpoint = { ...opened, blueprint: change(opened.blueprint) };
    const tokenizer = await loadTokenizer(checkpoint); // refuses here what `load` would refuse later
    yield* write(checkpoint, tokenizer, await planTensors(checkpoint, layoutOf(checkpoint), options));
  } finally {
    await opened.close();
  }
}

async function planTensors<T extends string>(
  checkpoint: Checkpoint, layout: Layout<T>, { signal, onProgress }: SourceOptions,
): Promise<Tensors<T>> {
  const { blueprint } = checkpoint;
  const pace = new Pace(signal);
  /** Tells of what is done, in bytes of the source. */
  const counter = (stage: Progress['stage'], specs: readonly TensorSpec[]): ((tensor: TensorSpec) => void) => {
    const total = specs.reduce((sum, tensor) => sum + checkpoint.storedBytes(tensor), 0);
    let loaded = 0;
    return (tensor) => onProgress?.({ stage, file: checkpoint.name, loaded: (loaded += checkpoint.storedBytes(tensor)), total });
  };
  const tellScanned = counter('load', ternaryTensors(blueprint));
  const tellWritten = counter('convert', parameters(blueprint).map(({ tensor }) => tensor));

  const tensors: Tensors<T> = [];
  const add = (tensor: TensorSpec, type: T | FloatType, shape: readonly number[], bytes: () => Promise<Uint8Array>): void => {
    tensors.push({
      name: layout.nameOf(tensor), type, shape,
      async bytes() {
        await pace.giveWay();
        const result = await bytes();
        tellWritten(tensor);
        return result;
      },
    });
  };
  const floats = (tensor: TensorSpec): void => add(tensor, 'F32', tensor.shape, async () => {
    const order = layout.rowsOf?.(tensor);
    const values = await checkpoint.readFloats(tensor);
    return asBytes(order ? reordered(values, inverted(order)) : values);
  });
  const ternary = async (weight: TensorSpec): Promise<void> => {
    const [rows = 0, columns = 0] = weight.shape;
    const { type, shape, byteLength, putRow } = layout.ternary(rows, columns);
    const order = layout.rowsOf?.(weight);
    const place = order && inverted(order);
    const scales = new Float32Array(rows);
    let isRead = false;
    const read = async (onRow: OnRow): Promise<void> => {
      await checkpoint.readTernary(weight, scales, onRow, { pace });
      isRead = true;
    };
    // The file's header, which comes first, tells how many scales there are.
    if (checkpoint.hasRowScales) {
      await read(() => {});
      tellScanned(weight);
    }
    const count = scales.some((scale) => scale !== scales[0]) ? rows : 1;
    add(weight, type, shape, async () => {
      const bytes = new Uint8Array(byteLength);
      await read((row, trits) => putRow(bytes, place ? place[row]! : row, trits));
      return bytes;
    });
    tensors.push({
      name: layout.scaleNameOf(weight), type: 'F32', shape: [count],
      async bytes() {
        if (!isRead) await read(() => {}); // it comes before the weight
        return asBytes(order && count > 1 ? Float32Array.from(order, (row) => scales[row]!) : scales.slice(0, count));
      },
    });
  };
  const grouped = async (weight: TensorSpec): Promise<void> => {
    const [rows = 0, columns = 0] = weight.shape;
    const group = await checkpoint.groupOf!(weight, { pace });
    const groups = Math.ceil(columns / group);
    const { type, shape, byteLength, putRow, hasScaleTensor } = layout.grouped(weight, group);
    const order = layout.rowsOf?.(weight);
    const place = order && inverted(order);
    const columnOrder = layout.columnsOf?.(weight);
    const scales = new Float32Array(groups * rows);
    const read = (onRow: OnRow): Promise<void> => checkpoint.readGrouped!(weight, group, scales, onRow, { pace });
    tellScanned(weight);
    add(weight, type, shape, async () => {
      const bytes = new Uint8Array(byteLength);
      const own = new Float32Array(groups);
      await read((row, trits) => {
        for (let g = 0; g < groups; g++) own[g] = scales[g * rows + row]!;
        if (columnOrder) putRow(bytes, place ? place[row]! : row, ...reorderColumns(layout.nameOf(weight), row, trits, own, group, columnOrder));
        else putRow(bytes, place ? place[row]! : row, trits, own);
      });
      return bytes;
    });
    if (!hasScaleTensor) return;
    tensors.push({
      name: layout.scaleNameOf(weight), type: 'F32', shape: [rows, groups],
      async bytes() {
        await read(() => {}); // it may come before the weight
        return asBytes(Float32Array.from({ length: rows * groups }, (_, n) => scales[(n % groups) * rows + Math.floor(n / groups)]!));
      },
    });
  };
  const table = async (tensor: TensorSpec): Promise<void> => {
    const stored = checkpoint.tableType(tensor);
    const type = smallestExactType(stored, await checkpoint.readTable(tensor, undefined, { pace }));
    add(tensor, type, tensor.shape, async () => convertExactly(stored, await checkpoint.readTable(tensor, undefined, { pace }), type));
  };

  for (const { tensor, held } of parameters(blueprint)) {
    if (held === 'table') await table(tensor);
    else if (held === 'ternary') await (tensor.isGrouped ? grouped : ternary)(tensor);
    else floats(tensor);
  }
  return tensors;
}

/** Trits and scales with column order[n] in place n. @throws FormatError where groups do not stay whole. */
function reorderColumns(name: string, row: number, trits: Int8Array, scales: Float32Array, group: number, order: Int32Array): [Int8Array, Float32Array] {
  const placed = Int8Array.from(order, (column) => trits[column]!);
  const found = Float32Array.from(scales, (_, g) => {
    const own = new Set(Array.from(order.subarray(g * group, (g + 1) * group), (column) => scales[Math.floor(column / group)]!).filter((scale) => scale !== 0));
    if (own.size > 1) throw new FormatError(`tensor "${name}", row ${row}: a group of ${group} columns would have several scales in the order of heads that GGUF files have; convert it to safetensors`);
    return [...own][0] ?? 0;
  });
  return [placed, found];
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** @throws FormatError for what is nested too deep to be written. */
export function toJson(file: string, value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, null, indent);
  } catch {
    throw new FormatError(`${file}: is nested too deep to be written again`);
  }
}
