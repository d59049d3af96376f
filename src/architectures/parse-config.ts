import { show } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import type { Blueprint } from './blueprint.js';
import { KeyReader } from './config.js';
import type { Family, TensorNames } from './family.js';
import { architectures, blueprintOf, FAMILIES } from './registry.js';

/** What is known beside config.json. */
export interface ConfigContext {
  /** generation_config.json, whose EOS ids go before. */
  readonly generation?: JsonObject;
  /** The tensors of the checkpoint. Default: none are known. */
  readonly tensors?: TensorNames;
  /** Of the caller's own, which are asked first. */
  readonly families?: readonly Family[] | undefined;
}

/**
 * What the model is that `config.json` describes.
 * @throws ConfigError naming file and key.
 */
export async function parseConfig(file: string, json: JsonObject, { generation = {}, tensors = new Set<string>(), families = [] }: ConfigContext = {}): Promise<Blueprint> {
  const reader = new KeyReader(file, json);
  for (const load of [...families.map((family) => async () => family), ...Object.values(FAMILIES)]) {
    const family = await load();
    if (family.recognises(json, tensors)) return blueprintOf(family, reader, generation, tensors);
  }
  const { model_type: type, architectures: classes } = json;
  return reader.fail('model_type', `is ${show(type)}${Array.isArray(classes) ? `, architectures ${show(classes[0])}` : ''}; only ${architectures()} can be run`);
}
