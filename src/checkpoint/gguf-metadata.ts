import { ConfigError, show } from '../errors.js';
import type { GgufMetadata, GgufValue } from '../formats/gguf.js';
import { parseConfig, type ModelConfig } from './config.js';

/** The metadata keys of a MatMul-free LM in GGUF; prefix and spelling follow ggml/docs/gguf.md. */
export const ARCHITECTURE = 'hgrn_bit';
export const KEYS = {
  architecture: 'general.architecture',
  blockCount: `${ARCHITECTURE}.block_count`,
  embeddingLength: `${ARCHITECTURE}.embedding_length`,
  recurrentLength: `${ARCHITECTURE}.recurrent_length`,
  feedForwardLength: `${ARCHITECTURE}.feed_forward_length`,
  vocabSize: `${ARCHITECTURE}.vocab_size`,
  contextLength: `${ARCHITECTURE}.context_length`,
  rmsEpsilon: `${ARCHITECTURE}.attention.layer_norm_rms_epsilon`,
  useLowerBound: `${ARCHITECTURE}.use_lower_bound`,
  /** Ternary rows are padded with zeros to a multiple of this; absent where no row needed it. */
  rowAlignment: `${ARCHITECTURE}.ternary_row_alignment`,
  bosTokenId: 'tokenizer.ggml.bos_token_id',
  eosTokenId: 'tokenizer.ggml.eos_token_id',
  tokenizerModel: 'tokenizer.ggml.model',
  pre: 'tokenizer.ggml.pre',
  tokens: 'tokenizer.ggml.tokens',
  tokenTypes: 'tokenizer.ggml.token_type',
  scores: 'tokenizer.ggml.scores',
  merges: 'tokenizer.ggml.merges',
  unknownTokenId: 'tokenizer.ggml.unknown_token_id',
  addBos: 'tokenizer.ggml.add_bos_token',
  addEos: 'tokenizer.ggml.add_eos_token',
  addSpacePrefix: 'tokenizer.ggml.add_space_prefix',
  tokenizerJson: 'tokenizer.huggingface.json',
  tokenizerConfig: 'matmulfree.tokenizer_config.json',
  generationConfig: 'matmulfree.generation_config.json',
} as const;

/** @throws ConfigError naming the key that is missing or wrong. */
export function configFromMetadata(
  file: string, metadata: GgufMetadata, generation: { readonly [key: string]: unknown },
): ModelConfig {
  const architecture = metadata.get(KEYS.architecture)?.value;
  if (architecture !== ARCHITECTURE) {
    throw new ConfigError(`${file}: ${KEYS.architecture} is ${show(architecture)}; only "${ARCHITECTURE}" can be run`);
  }
  const required = (key: string): GgufValue['value'] => {
    const value = metadata.get(key)?.value;
    if (value === undefined) throw new ConfigError(`${file}: metadata key ${key} is missing`);
    return value;
  };
  const hidden = required(KEYS.embeddingLength);
  const recurrent = metadata.get(KEYS.recurrentLength)?.value ?? hidden;
  if (typeof recurrent !== 'number' || !Number.isInteger(recurrent)) {
    throw new ConfigError(`${file}: metadata key ${KEYS.recurrentLength} is ${show(recurrent)}, not a whole number`);
  }
  const epsilon = metadata.get(KEYS.rmsEpsilon);
  return parseConfig(`${file} (metadata)`, {
    model_type: ARCHITECTURE,
    hidden_size: hidden,
    intermediate_size: required(KEYS.feedForwardLength),
    num_hidden_layers: required(KEYS.blockCount),
    vocab_size: required(KEYS.vocabSize),
    max_position_embeddings: metadata.get(KEYS.contextLength)?.value,
    rms_norm_eps: epsilon?.type === 'f32' ? shortestDecimal(epsilon.value) : epsilon?.value,
    use_lower_bound: metadata.get(KEYS.useLowerBound)?.value,
    bos_token_id: metadata.get(KEYS.bosTokenId)?.value ?? null,
    eos_token_id: metadata.get(KEYS.eosTokenId)?.value ?? null,
  }, generation, recurrent);
}

/** 1e-6 as float32 is 9.99999997e-7; the number that was meant is the shortest one that rounds to it. */
function shortestDecimal(value: unknown): unknown {
  if (typeof value !== 'number') return value;
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** A text value, or undefined when the key is absent. @throws ConfigError when it is not text. */
export function textValue(file: string, metadata: GgufMetadata, key: string): string | undefined {
  const value = metadata.get(key)?.value;
  if (value !== undefined && typeof value !== 'string') throw new ConfigError(`${file}: metadata key ${key} is not a string`);
  return value;
}
