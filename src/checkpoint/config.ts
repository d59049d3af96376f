import { ConfigError, show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import { MAX_COLUMNS } from '../kernels/kernels.js';

/** What the model computes with, checked. Defaults: the authors' `HGRNBitConfig` (hgrn-bit.md). */
export interface ModelConfig {
  readonly vocabSize: number;
  /** D, the width of the residual stream. */
  readonly hiddenSize: number;
  /** I = D · expand_ratio, the width of the recurrent state. */
  readonly recurrentSize: number;
  /** F, the inner width of the channel mixer. */
  readonly intermediateSize: number;
  readonly layers: number;
  readonly rmsNormEps: number;
  readonly useLowerBound: boolean;
  /** The length it was trained with; the recurrence itself has no limit. */
  readonly trainedContext: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
}

const MAX_LAYERS = 1024;
/** GGUF keeps it in 32 bits; it is only told, never used. */
const MAX_CONTEXT = 2 ** 32 - 1;
/** Ids are kept in int32 and logits in one float32 array per position. */
const MAX_VOCABULARY = 2 ** 24;
/**
 * Logits and work space are for 64 positions: the file of a large vocabulary must not be smaller than that by far. Published models
 * have under 200 tokens for each unit of width.
 */
const MAX_TOKENS_PER_WIDTH = 1024;
const MAX_SMALL_VOCABULARY = 65_536;
const MAX_EOS_IDS = 256;

/**
 * Reads `config.json`.
 * @param generation generation_config.json, whose EOS ids go before.
 * @param exactRecurrentSize for a format that stores it, in place of hidden_size · expand_ratio.
 * @throws ConfigError naming file and key.
 */
export function parseConfig(
  file: string, json: JsonObject, generation: JsonObject = {}, exactRecurrentSize?: number,
): ModelConfig {
  const reader = new KeyReader(file, json);
  const modelType = json['model_type'] ?? 'hgrn_bit';
  if (modelType !== 'hgrn_bit') {
    reader.fail('model_type', `is ${show(modelType)}; only "hgrn_bit" (MatMul-free LM) can be run`);
  }
  if (reader.boolean('use_short_conv', false)) {
    reader.fail('use_short_conv', 'is true; no published model has it and the authors\' code fails on it');
  }
  if (reader.boolean('tie_word_embeddings', false)) {
    reader.fail('tie_word_embeddings', 'is true; the head of a MatMul-free LM is a BitLinear of its own');
  }
  const activation = json['hidden_act'] ?? 'swish';
  if (activation !== 'swish' && activation !== 'silu') {
    reader.fail('hidden_act', `is ${show(activation)}; only "swish" is known`);
  }
  const hiddenSize = reader.integer('hidden_size', 2048, 1, MAX_COLUMNS);
  const useLowerBound = reader.boolean('use_lower_bound', true);
  const expandRatio = reader.positive('expand_ratio', 1);
  const recurrentSize = exactRecurrentSize ?? Math.trunc(hiddenSize * expandRatio);
  if (recurrentSize < 1 || recurrentSize > MAX_COLUMNS) reader.fail('expand_ratio', `gives the state width ${recurrentSize}`);
  if (useLowerBound && recurrentSize !== hiddenSize) {
    reader.fail('expand_ratio', `gives the state width ${recurrentSize}; with lower bounds it must be hidden_size, ${hiddenSize}`);
  }
  const rmsNormEps = reader.positive('rms_norm_eps', 1e-6);
  if (!(Math.fround(rmsNormEps) > 0 && Math.fround(rmsNormEps) < 1e30)) reader.fail('rms_norm_eps', `is ${rmsNormEps}, beyond float32`);
  const hiddenRatio = reader.positive('hidden_ratio', 4);
  const config: ModelConfig = {
    vocabSize: reader.integer('vocab_size', 32000, 1, MAX_VOCABULARY),
    hiddenSize,
    recurrentSize,
    intermediateSize: isAbsent(json['intermediate_size'])
      ? Math.ceil(Math.trunc((hiddenSize * hiddenRatio * 2) / 3) / 256) * 256
      : reader.integer('intermediate_size', 0, 1, MAX_COLUMNS),
    layers: reader.integer('num_hidden_layers', 24, 1, MAX_LAYERS),
    rmsNormEps,
    useLowerBound,
    trainedContext: reader.integer('max_position_embeddings', 2048, 1, MAX_CONTEXT),
    bosTokenId: 'bos_token_id' in json && json['bos_token_id'] === null ? undefined : reader.integer('bos_token_id', 1, 0, MAX_VOCABULARY),
    eosTokenIds: eosIds(file, json, generation),
  };
  if (config.vocabSize > Math.max(MAX_SMALL_VOCABULARY, hiddenSize * MAX_TOKENS_PER_WIDTH)) {
    reader.fail('vocab_size', `is ${config.vocabSize}, more than ${MAX_TOKENS_PER_WIDTH} times hidden_size, ${hiddenSize}`);
  }
  if (config.intermediateSize > MAX_COLUMNS) reader.fail('intermediate_size', `would be ${config.intermediateSize}`);
  return config;
}

/** generation_config.json decides where the two files disagree, as in Hugging Face transformers. */
function eosIds(file: string, json: JsonObject, generation: JsonObject): readonly number[] {
  const value = generation['eos_token_id'] ?? ('eos_token_id' in json ? json['eos_token_id'] : 2);
  if (value === null || value === undefined) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.length > MAX_EOS_IDS || !ids.every(isTokenId)) {
    throw new ConfigError(`${file}: eos_token_id is ${show(value)}, not a token id or a list of at most ${MAX_EOS_IDS}`);
  }
  return ids;
}

function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < MAX_VOCABULARY;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Reads typed keys of a JSON object with defaults. */
class KeyReader {
  private readonly file: string;
  private readonly json: JsonObject;

  constructor(file: string, json: JsonObject) {
    this.file = file;
    this.json = json;
  }

  fail(key: string, complaint: string): never {
    throw new ConfigError(`${this.file}: ${key} ${complaint}`);
  }

  integer(key: string, fallback: number, min: number, max: number): number {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      this.fail(key, `is ${show(value)}, not a whole number from ${min} to ${max}`);
    }
    return value;
  }

  positive(key: string, fallback: number): number {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'number' || !(value > 0) || value === Infinity) {
      this.fail(key, `is ${show(value)}, not a positive number`);
    }
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'boolean') this.fail(key, `is ${show(value)}, not true or false`);
    return value;
  }
}
