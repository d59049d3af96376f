import { loadTokenizer } from '../checkpoint/tokenizer.js';
import { FormatError } from '../errors.js';
import { convertExactly, smallestExactType, type FloatType } from '../formats/floats.js';
import type { TensorToWrite } from '../formats/stored-tensor.js';
import type { Checkpoint, OnRow } from '../checkpoint/checkpoint.js';
import type { Progress } from '../model/load-model.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { floatSpecs, ternarySpecs, type BitLinearSpec, type TensorSpec } from '../checkpoint/tensor-names.js';
import { Pace } from '../platform/pace.js';
import { openSource, type ModelSource } from '../sources/source.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface SourceOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** As for `MatMulFreeLM.load`. */
  readonly token?: string | undefined;
  readonly cache?: string | false | undefined;
}

/** How a format keeps a ternary weight. */
export interface TernaryLayout<T extends string> {
  readonly type: T;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Puts a row into `bytes`, which are zeros before the first. */
  readonly putRow: (bytes: Uint8Array, row: number, trits: Int8Array) => void;
}

/** How a format calls and keeps tensors. */
export interface Layout<T extends string> {
  readonly nameOf: (tensor: TensorSpec) => string;
  readonly scaleNameOf: (weight: TensorSpec) => string;
  readonly ternary: (rows: number, columns: number) => TernaryLayout<T>;
}

type Tensors<T extends string> = TensorToWrite<T | FloatType>[];

/**
 * Opens a source, and yields what `write` makes of it and of its tensors in `layout`. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export async function* convertSource<T extends string, Y>(
  what: string, source: ModelSource, options: SourceOptions, layout: Layout<T>,
  write: (checkpoint: Checkpoint, tokenizer: Tokenizer | undefined, tensors: Tensors<T>) => AsyncGenerator<Y, void, undefined>,
): AsyncGenerator<Y, void, undefined> {
  options.signal?.throwIfAborted();
  const checkpoint = await openCheckpoint(await openSource(source, options, what));
  try {
    const tokenizer = await loadTokenizer(checkpoint); // refuses here what `load` would refuse later
    yield* write(checkpoint, tokenizer, await planTensors(checkpoint, layout, options));
  } finally {
    await checkpoint.close();
  }
}

async function planTensors<T extends string>(
  checkpoint: Checkpoint, layout: Layout<T>, { signal, onProgress }: SourceOptions,
): Promise<Tensors<T>> {
  const { spec, embeddingType } = checkpoint;
  const pace = new Pace(signal);
  /** Tells of what is done, in bytes of the source. */
  const counter = (stage: Progress['stage'], specs: readonly TensorSpec[]): ((tensor: TensorSpec) => void) => {
    const total = specs.reduce((sum, tensor) => sum + checkpoint.storedBytes(tensor), 0);
    let loaded = 0;
    return (tensor) => onProgress?.({ stage, file: checkpoint.name, loaded: (loaded += checkpoint.storedBytes(tensor)), total });
  };
  const tellScanned = counter('load', ternarySpecs(spec));
  const tellWritten = counter('convert', [spec.embeddings, ...floatSpecs(spec), ...ternarySpecs(spec)]);

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
  const floats = (tensor: TensorSpec): void => add(tensor, 'F32', tensor.shape, async () => asBytes(await checkpoint.readFloats(tensor)));
  const ternary = async (weight: TensorSpec): Promise<void> => {
    const [rows = 0, columns = 0] = weight.shape;
    const { type, shape, byteLength, putRow } = layout.ternary(rows, columns);
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
      await read((row, trits) => putRow(bytes, row, trits));
      return bytes;
    });
    tensors.push({
      name: layout.scaleNameOf(weight), type: 'F32', shape: [count],
      async bytes() {
        if (!isRead) await read(() => {}); // it comes before the weight
        return asBytes(scales.slice(0, count));
      },
    });
  };
  const linear = async ({ weight, norm }: BitLinearSpec): Promise<void> => {
    floats(norm);
    await ternary(weight);
  };

  const table = smallestExactType(embeddingType, await checkpoint.readEmbeddings(undefined, { pace }));
  add(spec.embeddings, table, spec.embeddings.shape, async () => convertExactly(embeddingType, await checkpoint.readEmbeddings(undefined, { pace }), table));
  if (spec.lowerBounds) floats(spec.lowerBounds);
  for (const layer of spec.layers) {
    floats(layer.tokenNorm);
    await linear(layer.inputProjection);
    await linear(layer.forgetProjection);
    await linear(layer.gateProjection);
    floats(layer.gateNorm);
    await linear(layer.outputProjection);
    floats(layer.channelNorm);
    await linear(layer.mlpGate);
    await linear(layer.mlpDown);
  }
  floats(spec.norm);
  await linear(spec.head);
  return tensors;
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
