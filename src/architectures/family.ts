import type { JsonObject } from '../formats/bytes.js';
import type { GgufMetadata } from '../formats/gguf.js';
import type { Blueprint } from './blueprint.js';
import type { KeyReader } from './config.js';

/**
 * A key of config.json, and where GGUF metadata have it: behind the architecture's name and a dot. `a.b` is the key b of the object a.
 */
export interface MetadataKey {
  readonly json: string;
  readonly gguf: string;
  readonly type: 'u32' | 'f32' | 'bool' | 'string' | 'u32 list' | 'i32 list' | 'f32 list';
  /** A file without it is refused. */
  readonly isRequired?: boolean;
}

/** Names of the tensors that a checkpoint has, as its format calls them. */
export type TensorNames = { has(name: string): boolean };

/** What a GGUF file holds: the key `gguf` beside those that its metadata give. No config.json has a Map there. */
export interface GgufContents {
  readonly metadata: ReadonlyMap<string, { readonly value: unknown }>;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
}

export type Layout = 'hf' | 'gguf';

/** A family of models: one file in this folder. */
export interface Family {
  readonly architecture: string;
  /** In file order. */
  readonly metadata: readonly MetadataKey[];
  /** Whether a config.json is of this family, judged by all that the checkpoint has, for model_type alone often tells wrong. */
  recognises(config: JsonObject, tensors: TensorNames): boolean;
  /**
   * What a model of these keys of config.json is made of.
   * @param generation generation_config.json, whose EOS ids go before.
   * @throws ConfigError naming the key that is wrong, or asks for what cannot be run.
   */
  blueprint(keys: KeyReader, generation: JsonObject, tensors: TensorNames): Promise<Blueprint>;
  /** The keys that give this blueprint again: all of config.json, or those that `metadata` names. */
  keysOf(blueprint: Blueprint, layout: Layout): Promise<JsonObject>;
  /** Metadata of a GGUF file that do not stand behind the architecture's name. */
  metadataOf?(blueprint: Blueprint): Promise<GgufMetadata>;
}
