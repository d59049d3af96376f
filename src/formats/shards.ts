import { FormatError, show } from '../errors.js';
import { isJsonObject, parseJsonObject, readText, type ByteSource, type FileSet } from './bytes.js';
import { readSafetensorsHeader, type SafetensorsEntry } from './safetensors.js';

/** A tensor of a safetensors checkpoint, with the file that holds it. */
export interface StoredTensor extends SafetensorsEntry {
  readonly source: ByteSource;
}

const INDEX_FILE = 'model.safetensors.index.json';
/** weight_map of the largest published models is under 10 MB. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;
/** Each is an open file while the model loads. */
const MAX_SHARDS = 512;

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names. The caller closes `sources`.
 * @throws FormatError for a missing shard, a tensor that the index places elsewhere, a path that leaves the folder.
 */
export async function openSafetensors(
  files: FileSet,
): Promise<{ tensors: Map<string, StoredTensor>; sources: ByteSource[] } | undefined> {
  const single = await files.open('model.safetensors');
  const sources: ByteSource[] = single ? [single] : [];
  const tensors = new Map<string, StoredTensor>();
  try {
    if (single) {
      await addTensors(single, tensors);
      return { tensors, sources };
    }
    const weightMap = await readWeightMap(files);
    if (!weightMap) return undefined;
    const shards = [...new Set(weightMap.values())].sort();
    if (shards.length > MAX_SHARDS) throw new FormatError(`${INDEX_FILE}: names ${shards.length} shards, more than ${MAX_SHARDS}`);
    for (const file of shards) {
      const source = await files.open(file);
      if (!source) throw new FormatError(`${files.name}: shard "${file}", named in ${INDEX_FILE}, is missing`);
      sources.push(source);
      await addTensors(source, tensors);
    }
    for (const [tensor, file] of weightMap) {
      const found = tensors.get(tensor)?.source.name;
      if (found !== file) {
        throw new FormatError(`${INDEX_FILE}: tensor "${tensor}" is not in "${file}"${found ? ` but in "${found}"` : ''}`);
      }
    }
    return { tensors, sources };
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function addTensors(source: ByteSource, tensors: Map<string, StoredTensor>): Promise<void> {
  for (const [tensor, entry] of await readSafetensorsHeader(source)) {
    const other = tensors.get(tensor)?.source.name;
    if (other !== undefined) throw new FormatError(`${source.name}: tensor "${tensor}" is in "${other}" too`);
    tensors.set(tensor, { ...entry, source });
  }
}

async function readWeightMap(files: FileSet): Promise<Map<string, string> | undefined> {
  const source = await files.open(INDEX_FILE);
  if (!source) return undefined;
  const index = await readText(source, MAX_INDEX_BYTES).finally(() => source.close());
  const { weight_map: map } = parseJsonObject(INDEX_FILE, index);
  if (!isJsonObject(map)) throw new FormatError(`${INDEX_FILE}: "weight_map" is missing or not an object`);
  const result = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isPlainFileName(file)) {
      throw new FormatError(`${INDEX_FILE}: tensor "${tensor}" names ${show(file)}, not a plain file name`);
    }
    result.set(tensor, file);
  }
  return result;
}

/** A name that can only mean a file in the same folder. */
export function isPlainFileName(name: string): boolean {
  return /^[\w][\w.\- ]*$/.test(name) && !name.includes('..');
}
