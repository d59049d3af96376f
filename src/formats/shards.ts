import { FormatError, missingPart, show } from '../errors.js';
import { isJsonObject, parseJsonObject, readText, type ByteSource, type FileSet } from './bytes.js';
import { isPlainFileName } from './file-names.js';
import { readSafetensorsHeader } from './safetensors.js';
import type { StoredTensor, TensorEntry } from './stored-tensor.js';
import { WEIGHTS_FILES } from './weights-files.js';

type Reader = (source: ByteSource) => Promise<Map<string, TensorEntry>>;

/** Loaded when there is such a file: most models have none. */
const readTorch: Reader = async (source) => (await import('./torch.js').catch(missingPart)).readTorchTensors(source);

/** weight_map of the largest published models is under 10 MB. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;
/** Each is an open file while the model loads. */
const MAX_SHARDS = 512;

/** The tensors of a folder by name. Whoever has it closes `sources`. */
export interface OpenWeights {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly sources: readonly ByteSource[];
}

/**
 * Opens a folder's weights: `model.safetensors`, its shards, `pytorch_model.bin`, its shards, or the only .bin file, whichever is
 * there first; `undefined` when none is.
 * @throws FormatError for a missing shard, a tensor that the index places elsewhere, a path that leaves the folder.
 */
export async function openWeights(files: FileSet, readSafetensors: Reader = readSafetensorsHeader): Promise<OpenWeights | undefined> {
  for (const file of WEIGHTS_FILES) {
    const read = file === 'model.safetensors' ? readSafetensors : readTorch;
    const single = await files.open(file);
    if (single) return openAll([file], async () => single, read);
    const index = `${file}.index.json`;
    const weightMap = await readWeightMap(files, index);
    if (weightMap) return openShards(files, index, weightMap, read);
  }
  // A file that lost its name on its way; what trainers leave beside the weights is not it.
  const bins = (await files.list()).filter((name) => name.endsWith('.bin') && name !== 'training_args.bin');
  return bins.length === 1 ? openAll(bins, (file) => files.open(file), readTorch) : undefined;
}

async function openShards(files: FileSet, index: string, weightMap: ReadonlyMap<string, string>, read: Reader): Promise<OpenWeights> {
  const shards = [...new Set(weightMap.values())].sort();
  if (shards.length > MAX_SHARDS) throw new FormatError(`${index}: names ${shards.length} shards, more than ${MAX_SHARDS}`);
  const open = async (file: string): Promise<ByteSource> => {
    const source = await files.open(file);
    if (!source) throw new FormatError(`${files.name}: shard ${show(file)}, named in ${index}, is missing`);
    return source;
  };
  return openAll(shards, open, read, (tensors) => {
    for (const [tensor, file] of weightMap) {
      const found = tensors.get(tensor)?.source.name;
      if (found !== file) {
        throw new FormatError(`${index}: tensor ${show(tensor)} is not in ${show(file)}${found ? ` but in ${show(found)}` : ''}`);
      }
    }
  });
}

async function openAll(
  names: readonly string[], open: (file: string) => Promise<ByteSource | undefined>, read: Reader,
  check: (tensors: ReadonlyMap<string, StoredTensor>) => void = () => {},
): Promise<OpenWeights> {
  const sources: ByteSource[] = [];
  const tensors = new Map<string, StoredTensor>();
  try {
    for (const name of names) {
      const source = await open(name);
      if (!source) continue;
      sources.push(source);
      await addTensors(source, read, tensors);
    }
    check(tensors);
    return { tensors, sources };
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function addTensors(source: ByteSource, read: Reader, tensors: Map<string, StoredTensor>): Promise<void> {
  for (const [tensor, entry] of await read(source)) {
    const other = tensors.get(tensor)?.source.name;
    if (other !== undefined) throw new FormatError(`${source.name}: tensor ${show(tensor)} is in ${show(other)} too`);
    tensors.set(tensor, { ...entry, source });
  }
}

async function readWeightMap(files: FileSet, file: string): Promise<Map<string, string> | undefined> {
  const source = await files.open(file);
  if (!source) return undefined;
  const text = await readText(source, MAX_INDEX_BYTES).finally(() => source.close());
  const { weight_map: map } = parseJsonObject(file, text);
  if (!isJsonObject(map)) throw new FormatError(`${file}: "weight_map" is missing or not an object`);
  const result = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !isPlainFileName(shard)) {
      throw new FormatError(`${file}: tensor ${show(tensor)} names ${show(shard)}, not a plain file name`);
    }
    result.set(tensor, shard);
  }
  return result;
}
