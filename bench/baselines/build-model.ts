import { measureArena, type Arena } from 'matmulfree';
import { createFloatKernels, type FloatKernelOptions } from './create.js';
import type { FloatKernels, FloatMatrix } from './float-kernels.js';
import { allocateFloatWorkspace, type Workbench, type FloatLayer, type FloatLinear, type FloatWidths } from './float-layers.js';
import { FloatModel, type Stage } from './float-model.js';

/** Where weights come from, by name. */
export interface WeightSource {
  /** The rows of a matrix, in order, in a buffer that may be used again. */
  readRows(name: string, rows: number, columns: number, onRow: (row: number, values: Float32Array) => void): Promise<void>;
  readVector(name: string, width: number): Promise<Float32Array>;
}

/** Reserves the memory of weights, to be read into later. */
export interface WeightAllocator {
  vector(name: string, width: number): Float32Array;
  /** The rows of several matrices of one size, one below the other; and the norm of a linear layer that has one. */
  linear(names: readonly string[], rows: number, columns: number, norm?: string): FloatLinear;
}

/** Weights that have their memory. */
interface Slot {
  readonly bytes: number;
  read(source: WeightSource): Promise<void>;
}

function allocatorOn(kernels: FloatKernels, arena: Arena, slots: Slot[]): WeightAllocator {
  const vector = (name: string, width: number): Float32Array => {
    const values = arena.f32(width);
    slots.push({ bytes: values.byteLength, read: async (source) => values.set(await source.readVector(name, width)) });
    return values;
  };
  const readInto = async (matrix: FloatMatrix, names: readonly string[], source: WeightSource): Promise<void> => {
    const rows = matrix.rows / names.length;
    for (const [n, name] of names.entries()) {
      await source.readRows(name, rows, matrix.columns, (row, values) => kernels.setRow(matrix, n * rows + row, values));
    }
  };
  return {
    vector,
    linear(names, rows, columns, norm) {
      const matrix = kernels.createMatrix(arena, rows, columns);
      slots.push({ bytes: matrix.values.byteLength, read: (source) => readInto(matrix, names, source) });
      return { matrix, norm: norm === undefined ? undefined : vector(norm, columns) };
    },
  };
}

/** What a baseline's model is made of. `allocateStage` is also run on an arena that only measures: it must not look at arrays. */
export interface Architecture {
  readonly name: string;
  readonly widths: FloatWidths;
  readonly vocabSize: number;
  readonly layers: number;
  readonly eps: number;
  readonly contextLength: number;
  readonly memory: { readonly fixed: number; readonly perToken: number };
  readonly embeddings: string;
  readonly norm: string;
  readonly head: { readonly weight: string; readonly norm?: string };
  /** A function that makes the layers of one stage, and reserves what they share. */
  allocateStage(bench: Workbench, arena: Arena): (weights: WeightAllocator, layer: number) => FloatLayer;
}

/** Tokens that are worked on at once, as in the library. */
export const CHUNK_TOKENS = 64;
/** What one WebAssembly memory can address, but for the work space of threads and a margin. */
const MAX_MEMORY_BYTES = 3.75 * 2 ** 30;

export interface FloatModelOptions extends FloatKernelOptions {
  /** No memory is larger than that. Default: nearly the 4 GiB that WebAssembly can address. */
  readonly maxMemoryBytes?: number;
  /** Stands between the model and its kernels, to look on. */
  readonly watch?: (kernels: FloatKernels) => FloatKernels;
}

/** Makes the model, in as many memories as it takes. @throws RangeError when one layer does not fit one. */
export async function buildFloatModel(architecture: Architecture, source: WeightSource, options: FloatModelOptions): Promise<FloatModel> {
  const { name, widths, vocabSize, layers, eps, contextLength, memory } = architecture;
  const { maxMemoryBytes = MAX_MEMORY_BYTES, watch = (kernels) => kernels } = options;
  const first = watch(await createFloatKernels(options));

  /** Allocates the layers from `from` to `to`, and what comes after the last one. */
  const allocate = (kernels: FloatKernels, arena: Arena, from: number, to: number, slots: Slot[]) => {
    const workspace = allocateFloatWorkspace(arena, widths, CHUNK_TOKENS);
    const bench = { kernels, workspace };
    const weights = allocatorOn(kernels, arena, slots);
    const allocateLayer = architecture.allocateStage(bench, arena);
    const stage: Stage = { ...bench, layers: Array.from({ length: to - from }, (_, n) => allocateLayer(weights, from + n)) };
    if (to < layers) return { stage, end: undefined };
    const end = {
      norm: weights.vector(architecture.norm, widths.hidden),
      head: weights.linear([architecture.head.weight], vocabSize, widths.hidden, architecture.head.norm),
      logits: arena.f32(CHUNK_TOKENS * vocabSize),
    };
    return { stage, end };
  };
  const bytesOf = (from: number, to: number): number => measureArena((arena) => { allocate(first, arena, from, to, []); });

  const slots: Slot[] = [];
  const stages: Stage[] = [];
  let end: ReturnType<typeof allocate>['end'];
  try {
    for (let from = 0; from < layers; ) {
      let to = layers;
      while (to > from && bytesOf(from, to) > maxMemoryBytes) to--;
      if (to === from) throw new RangeError(`${name}: one layer with ${contextLength} tokens of context takes more than one memory`);
      const kernels = from === 0 ? first : watch(await createFloatKernels(options));
      const part = allocate(kernels, kernels.createArena(bytesOf(from, to)), from, to, slots);
      stages.push(part.stage);
      end = part.end;
      from = to;
    }
    if (!end) throw new RangeError(`${name} has no layers`);

    const embeddings = new Float32Array(vocabSize * widths.hidden);
    await source.readRows(architecture.embeddings, vocabSize, widths.hidden, (row, values) => embeddings.set(values, row * widths.hidden));
    for (const slot of slots) await slot.read(source);
    const weightBytes = slots.reduce((sum, { bytes }) => sum + bytes, embeddings.byteLength);
    return new FloatModel({ name, vocabSize, eps, embeddings, stages, ...end, contextLength, memory, weightBytes });
  } catch (error) {
    for (const { kernels } of [{ kernels: first }, ...stages]) kernels.dispose();
    throw error;
  }
}
