import { missingPart, show } from '../errors.js';
import type { Family } from './family.js';
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

/** Names of all families, for messages. */
export function architectures(): string {
  return Object.keys(FAMILIES).map(show).join(', ');
}
