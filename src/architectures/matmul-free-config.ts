import { show } from '../errors.js';
import { MAX_COLUMNS } from '../kernels/kernels.js';
import type { KeyReader } from './config.js';

/** Sizes that config.json gives as ratios. */
export interface DerivedSizes {
  readonly recurrentSize?: number;
  readonly intermediateSize?: number;
}

/**
 * Of a published config.json: the sizes that it gives as ratios.
 * @throws ConfigError for options that no published model has.
 */
export function readPublished(keys: KeyReader, hiddenSize: number): DerivedSizes {
  refuseOptions(keys);
  const recurrentSize = Math.trunc(hiddenSize * keys.positive('expand_ratio', 1));
  if (!keys.has('recurrent_size') && (recurrentSize < 1 || recurrentSize > MAX_COLUMNS)) keys.fail('expand_ratio', `gives the state width ${recurrentSize}`);
  const intermediateSize = Math.ceil(Math.trunc((hiddenSize * keys.positive('hidden_ratio', 4) * 2) / 3) / 256) * 256;
  if (!keys.has('intermediate_size') && intermediateSize > MAX_COLUMNS) keys.fail('intermediate_size', `would be ${intermediateSize}`);
  return { recurrentSize, intermediateSize };
}

function refuseOptions(keys: KeyReader): void {
  if (keys.boolean('use_short_conv', false)) {
    keys.fail('use_short_conv', 'is true; no published model has it'); // and the authors' code fails on it
  }
  if (keys.boolean('tie_word_embeddings', false)) {
    keys.fail('tie_word_embeddings', 'is true; the head of a MatMul-free LM is a BitLinear of its own');
  }
  const activation = keys.value('hidden_act') ?? 'swish';
  if (activation !== 'swish' && activation !== 'silu') keys.fail('hidden_act', `is ${show(activation)}; only "swish" is known`);
}
