import { ConfigError, show } from '../errors.js';
import { DROP_KEYS, type Blueprint } from '../architectures/blueprint.js';
import { KeyReader } from '../architectures/config.js';
import { architectures, blueprintOf, familyOf } from '../architectures/registry.js';
import type { Family, GgufContents } from '../architectures/family.js';
import type { JsonObject } from '../formats/bytes.js';
import type { GgufMetadata } from '../formats/gguf.js';

/** Metadata keys of every architecture; spelling follows ggml/docs/gguf.md. Those of a family stand in its file (architectures/). */
export const KEYS = {
  architecture: 'general.architecture',
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
  chatTemplate: 'tokenizer.chat_template',
  tokenizerJson: 'tokenizer.huggingface.json',
  tokenizerConfig: 'matmulfree.tokenizer_config.json',
  generationConfig: 'matmulfree.generation_config.json',
} as const;

/** Ternary rows are padded with zeros to a multiple of this; absent where no row needed it. */
export function rowAlignmentKey(architecture: unknown): string {
  return `${architecture}.ternary_row_alignment`;
}

/** @throws ConfigError naming the key that is missing or wrong, or an architecture that cannot be run. */
export async function blueprintFromMetadata(
  file: string, metadata: GgufMetadata, generation: JsonObject, tensors: GgufContents['tensors'], families: readonly Family[] = [],
): Promise<Blueprint> {
  // Its keys stand behind it; it may be one of several names that a family has.
  const architecture = metadata.get(KEYS.architecture)?.value;
  const family = families.find((own) => own.architecture === architecture) ?? (await familyOf(architecture));
  if (!family) throw new ConfigError(`${file}: ${KEYS.architecture} is ${show(architecture)}; only ${architectures()} can be run`);
  const json: Record<string, unknown> = {
    gguf: { metadata, tensors } satisfies GgufContents,
    bos_token_id: metadata.get(KEYS.bosTokenId)?.value ?? null,
    eos_token_id: eosTokenIds(metadata),
  };
  for (const { json: key, gguf, isRequired } of [...family.metadata, ...DROP_KEYS.map((key) => ({ json: key, gguf: key, isRequired: false }))]) {
    const found = metadata.get(`${architecture}.${gguf}`);
    if (!found && isRequired) throw new ConfigError(`${file}: metadata key ${architecture}.${gguf} is missing`);
    if (found) setPath(json, key, found.type === 'f32' ? shortestDecimal(found.value) : found.value);
  }
  return blueprintOf(family, new KeyReader(`${file} (metadata)`, json), generation, tensors);
}

/** The end of a text, and those of a turn and of a message where the file tells of them: as in llama.cpp, which passes over ids that no token has. */
function eosTokenIds(metadata: GgufMetadata): unknown {
  const tokens = metadata.get(KEYS.tokens)?.value as Record<string, unknown> | undefined;
  const [eos, ...further] = ['eos', 'eot', 'eom'].map((end) => metadata.get(`tokenizer.ggml.${end}_token_id`)?.value);
  const ids = new Set([eos, ...further.filter((id) => tokens?.[String(id)] !== undefined)].filter((id) => id !== undefined));
  return ids.size > 1 ? [...ids] : [...ids][0] ?? null;
}

function setPath(json: Record<string, unknown>, path: string, value: unknown): void {
  const [key = '', rest] = path.split('.');
  json[key] = rest === undefined ? value : { ...(json[key] as JsonObject | undefined), [rest]: value };
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
