import type { Blueprint } from '../architectures/blueprint.js';
import { familyOf } from '../architectures/registry.js';
import { missingPart } from '../errors.js';
import { isJsonObject, type JsonObject } from '../formats/bytes.js';
import type { GgufMetadata, GgufValue } from '../formats/gguf.js';

/** The metadata of which `blueprintFromMetadata` makes this blueprint, but for those of every architecture. */
export async function metadataOf(blueprint: Blueprint): Promise<GgufMetadata> {
  const { DROP_METADATA, droppedKeys } = await import('../architectures/dropped.js').catch(missingPart);
  const family = (await familyOf(blueprint.architecture))!;
  const { architecture, metadata } = family;
  const keys = { ...(await family.keysOf(blueprint.full ?? blueprint, 'gguf')), ...droppedKeys(blueprint) };
  const entries = [...metadata, ...DROP_METADATA].map(({ json, gguf, type }) => {
    const value = getPath(keys, json);
    const [element, isList] = type.split(' ');
    return [`${architecture}.${gguf}`, (isList ? { type: 'array', of: element, value } : { type, value }) as GgufValue] as const;
  });
  return new Map([...entries.filter(([, { value }]) => value !== undefined), ...(await family.metadataOf?.(blueprint)) ?? []]);
}

function getPath(json: JsonObject, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isJsonObject(value) ? value[key] : undefined), json);
}
