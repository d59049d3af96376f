import { ternaryTensors } from '../architectures/blueprint.js';
import { givenOptions } from '../options.js';
import { Pace } from '../platform/pace.js';
import type { ModelSource } from '../sources/source.js';
import { openModel, READING_OPTIONS, type SourceOptions } from './open.js';

export type CountWeightsOptions = SourceOptions;

/** How many weights of a ternary tensor are -1, 0 and +1. */
export interface WeightCounts {
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly number[];
  readonly minus: number;
  readonly zero: number;
  readonly plus: number;
  /** The least and the greatest of its scales; 0 for a group of zeros. */
  readonly scales: readonly [least: number, greatest: number];
}

/**
 * Counts the weights of each ternary tensor of a model, one after another, without loading it: a damaged or an untrained tensor shows.
 * @throws as `MatMulFreeLM.load` does; the signal's reason.
 */
export async function* countWeights(source: ModelSource, options: CountWeightsOptions = {}): AsyncGenerator<WeightCounts, void, undefined> {
  const given = givenOptions('countWeights', options, READING_OPTIONS);
  given.signal?.throwIfAborted();
  const checkpoint = await openModel('countWeights', source, given);
  const pace = new Pace(given.signal);
  const tensors = ternaryTensors(checkpoint.blueprint);
  const total = tensors.reduce((sum, tensor) => sum + checkpoint.storedBytes(tensor), 0);
  let loaded = 0;
  try {
    for (const tensor of tensors) {
      given.signal?.throwIfAborted();
      const [rows = 0, columns = 0] = tensor.shape;
      const group = tensor.isGrouped ? await checkpoint.groupOf!(tensor, { pace }) : columns;
      const scales = new Float32Array(rows * Math.ceil(columns / group));
      let [zero, sum] = [0, 0];
      const onRow = (_row: number, trits: Int8Array): void => {
        for (let j = 0; j < columns; j++) {
          zero += 1 - (trits[j]! & 1);
          sum += trits[j]!;
        }
      };
      if (tensor.isGrouped) await checkpoint.readGrouped!(tensor, group, scales, onRow, { pace });
      else await checkpoint.readTernary(tensor, scales, onRow, { pace });
      const others = rows * columns - zero;
      yield {
        name: tensor.hf.replace(/\.weight$/, ''), shape: tensor.shape, minus: (others - sum) / 2, zero, plus: (others + sum) / 2,
        scales: [scales.reduce((a, b) => Math.min(a, b), Infinity), scales.reduce((a, b) => Math.max(a, b), -Infinity)],
      };
      loaded += checkpoint.storedBytes(tensor);
      given.onProgress?.({ stage: 'load', file: checkpoint.name, loaded, total });
    }
  } finally {
    await checkpoint.close();
  }
}
