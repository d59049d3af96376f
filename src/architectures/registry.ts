import { missingPart, show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import { DROP_KEYS, type Blueprint } from './blueprint.js';
import type { KeyReader } from './config.js';
import type { Family, TensorNames } from './family.js';
import { matmulFree } from './matmul-free.js';

const bitnet = async (): Promise<Family> => (await import('./bitnet.js').catch(missingPart)).bitnet;

/** Families by the names that GGUF files have for them. All but the first load when a model is of them. */
export const FAMILIES: Readonly<Record<string, () => Promise<Family>>> = {
  hgrn_bit: async () => matmulFree,
  'bitnet-b1.58': bitnet,
  'bitnet-25': bitnet,
  bitnet,
  llama: async () => (await import('./llama.js').catch(missingPart)).llama,
  qwen3: async () => (await import('./qwen3.js').catch(missingPart)).qwen3,
  qwen35: async () => (await import('./qwen35.js').catch(missingPart)).qwen35,
};

/** The family that GGUF files call so. */
export async function familyOf(architecture: unknown): Promise<Family | undefined> {
  return typeof architecture === 'string' && Object.hasOwn(FAMILIES, architecture) ? FAMILIES[architecture]!() : undefined;
}

/** What a family makes of these keys, without the mixers that they leave out. @throws ConfigError as `family.blueprint` does. */
export async function blueprintOf(family: Family, keys: KeyReader, generation: JsonObject, tensors: TensorNames): Promise<Blueprint> {
  const blueprint = await family.blueprint(keys, generation, tensors);
  return DROP_KEYS.some((key) => keys.has(key)) ? (await import('./dropped.js').catch(missingPart)).withoutDropped(keys, blueprint) : blueprint;
}

/** Names of all families, for messages. */
export function architectures(): string {
  return Object.keys(FAMILIES).map(show).join(', ');
}
