import { ConfigError, show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';

/** What is known of a model beside its blocks, checked. */
export interface ModelConfig {
  readonly vocabSize: number;
  /** D, the width of the residual stream. */
  readonly hiddenSize: number;
  /** I, the width of a recurrent layer's state. */
  readonly recurrentSize: number;
  /** F, the inner width of the channel mixer. */
  readonly intermediateSize: number;
  readonly layers: number;
  readonly rmsNormEps: number;
  /** The length it was trained with. */
  readonly trainedContext: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
}

export const MAX_LAYERS = 1024;
/** GGUF keeps it in 32 bits; it is only told, never used. */
export const MAX_CONTEXT = 2 ** 32 - 1;
/** Ids are kept in int32 and logits in one float32 array per position. */
export const MAX_VOCABULARY = 2 ** 24;
/**
 * Logits and work space are for 64 positions: the file of a large vocabulary must not be smaller than that by far. Published models
 * have under 200 tokens for each unit of width.
 */
const MAX_TOKENS_PER_WIDTH = 1024;
const MAX_SMALL_VOCABULARY = 65_536;
const MAX_EOS_IDS = 256;

/** @throws ConfigError for a vocabulary that is out of proportion to the model. */
export function checkVocabulary(reader: KeyReader, vocabSize: number, hiddenSize: number): void {
  if (vocabSize > Math.max(MAX_SMALL_VOCABULARY, hiddenSize * MAX_TOKENS_PER_WIDTH)) {
    reader.fail('vocab_size', `is ${vocabSize}, more than ${MAX_TOKENS_PER_WIDTH} times hidden_size, ${hiddenSize}`);
  }
}

/** An epsilon that float32 can hold. */
export function rmsEpsilon(reader: KeyReader, fallback: number): number {
  const eps = reader.positive('rms_norm_eps', fallback);
  if (!(Math.fround(eps) > 0 && Math.fround(eps) < 1e30)) reader.fail('rms_norm_eps', `is ${eps}, beyond float32`);
  return eps;
}

/** The id that begins a text. null means none. */
export function bosId(reader: KeyReader, fallback: number | undefined): number | undefined {
  if (reader.isNull('bos_token_id') || (fallback === undefined && !reader.has('bos_token_id'))) return undefined;
  return reader.integer('bos_token_id', fallback ?? 0, 0, MAX_VOCABULARY);
}

/** generation_config.json decides where the two files disagree, as in Hugging Face transformers. */
export function eosIds(reader: KeyReader, generation: JsonObject, fallback: number | undefined): readonly number[] {
  const value = generation['eos_token_id'] ?? (reader.isNull('eos_token_id') ? null : (reader.value('eos_token_id') ?? fallback));
  if (value === null || value === undefined) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.length > MAX_EOS_IDS || !ids.every(isTokenId)) {
    reader.fail('eos_token_id', `is ${show(value)}, not a token id or a list of at most ${MAX_EOS_IDS}`);
  }
  return ids;
}

function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < MAX_VOCABULARY;
}

/** Reads typed keys of config.json, with defaults. A key that is null counts as absent. */
export class KeyReader {
  readonly file: string;
  private readonly json: JsonObject;

  constructor(file: string, json: JsonObject) {
    this.file = file;
    this.json = json;
  }

  has(key: string): boolean {
    return (this.json[key] ?? undefined) !== undefined;
  }

  isNull(key: string): boolean {
    return this.json[key] === null;
  }

  value(key: string): unknown {
    return this.json[key] ?? undefined;
  }

  /** The value, or the default; NaN is none. */
  private required(key: string, fallback: number): unknown {
    const value = this.json[key] ?? fallback;
    return Number.isNaN(value) ? this.fail(key, 'is missing') : value;
  }

  fail(key: string, complaint: string): never {
    throw new ConfigError(`${this.file}: ${key} ${complaint}`);
  }

  integer(key: string, fallback: number, min: number, max: number): number {
    const value = this.required(key, fallback);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      this.fail(key, `is ${show(value)}, not a whole number from ${min} to ${max}`);
    }
    return value;
  }

  positive(key: string, fallback: number): number {
    const value = this.required(key, fallback);
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
