import { isJsonObject, parseJsonObject, readText, type ByteSource, type FileSet } from '../formats/bytes.js';
import { readGgufOfAnyType } from '../formats/gguf-listing.js';
import { openGgufAs } from '../formats/open-gguf.js';
import { isWeightsFile } from '../formats/weights-files.js';
import { readSafetensorsMetadata, readSafetensorsOfAnyType } from '../formats/safetensors.js';
import { openWeights } from '../formats/shards.js';
import type { StoredTensor } from '../formats/stored-tensor.js';
import { readTorchTensors } from '../formats/torch.js';
import { isZip } from '../formats/zip.js';
import { SourceError } from '../errors.js';
import { givenOptions } from '../options.js';
import { findGguf } from '../checkpoint/open-checkpoint.js';
import type { RemoteOptions } from '../sources/hub/remote.js';
import { openSource, SOURCE_OPTIONS, type ModelSource } from '../sources/source.js';

/** What a model file, or several that belong together, say about themselves. */
export interface FileInfo {
  readonly name: string;
  readonly format: 'GGUF v2' | 'GGUF v3' | 'safetensors' | 'PyTorch';
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** GGUF's key-values, or what stands in config.json, in their order, and then in safetensors files under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, MetadataInfo>;
  readonly tensors: readonly TensorInfo[];
}

export interface MetadataInfo {
  /** As the format calls it: u32, string, array of f32 …; in config.json number, string, list …. */
  readonly type: string;
  readonly value: unknown;
}

export interface TensorInfo {
  readonly name: string;
  /** As the format calls it: F32, Q4_K, …; `type 99` for a number of GGUF's that has no name here. */
  readonly type: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** What it takes of the file; of a type whose size is not known, up to the next tensor. */
  readonly bytes: number;
  readonly file: string;
}

/** config.json of the largest published models has some kilobytes. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Lists the metadata and tensors of a model's files (GGUF, in one file or parts; a safetensors or PyTorch file, or a folder of them) without reading
 * any weights, whatever model it is.
 * @throws SourceError (nothing there), FormatError (a broken file), ArgumentError.
 */
export async function inspect(source: ModelSource, options: RemoteOptions = {}): Promise<FileInfo> {
  const files = await openSource(source, givenOptions('inspect', options, SOURCE_OPTIONS), 'inspect');
  const names = await files.list();
  const gguf = await findGguf(files, names);
  if (gguf !== undefined) return inspectGguf(files, gguf);
  const [only = ''] = names;
  if (names.length === 1) {
    const file = await files.open(only);
    if (!file) throw new SourceError(`${files.name}: no such file`);
    try {
      const torch = await isZip(file);
      if (torch || /\.safetensors$/i.test(only)) {
        const entries = await (torch ? readTorchTensors : readSafetensorsOfAnyType)(file);
        const tensors = [...entries].map(([name, entry]): [string, StoredTensor] => [name, { ...entry, source: file }]);
        return weightsInfo(file.name, torch ? 'PyTorch' : 'safetensors', [file], torch ? new Map() : await readMetadata([file]), tensors);
      }
    } finally {
      await file.close();
    }
  }
  // A single file has its folder behind it, which nobody asked for.
  const opened = names.some(isWeightsFile) ? await openWeights(files, readSafetensorsOfAnyType) : undefined;
  if (!opened) {
    const several = names.filter((name) => /\.gguf$/i.test(name)).length > 1 ? ', but several .gguf models: name one' : '';
    throw new SourceError(`${files.name}: is no GGUF, safetensors or PyTorch file, and holds no model.safetensors, pytorch_model.bin or single GGUF model${several}`);
  }
  const { sources, tensors } = opened;
  try {
    const isSafetensors = sources.some(({ name }) => /\.safetensors$/i.test(name));
    const metadata = new Map([...(await readConfig(files)), ...(isSafetensors ? await readMetadata(sources) : [])]);
    return weightsInfo(files.name, isSafetensors ? 'safetensors' : 'PyTorch', sources, metadata, [...tensors]);
  } finally {
    await Promise.all(sources.map((source) => source.close()));
  }
}

async function inspectGguf(files: FileSet, file: string): Promise<FileInfo> {
  const { name, version, metadata, tensors, sources } = await openGgufAs(files, file, readGgufOfAnyType);
  await Promise.all(sources.map((source) => source.close()));
  return {
    name,
    format: version === 2 ? 'GGUF v2' : 'GGUF v3',
    files: sources.map(sizeOf),
    metadata: new Map([...metadata].map(([key, entry]) => [
      key, { type: entry.type === 'array' ? `array of ${entry.of}` : entry.type, value: entry.value },
    ])),
    tensors: [...tensors].map(([tensor, { type, shape, byteLength, source }]) => ({
      name: tensor, type, shape, bytes: byteLength, file: source.name,
    })),
  };
}

function weightsInfo(
  name: string, format: FileInfo['format'], sources: readonly ByteSource[], metadata: ReadonlyMap<string, MetadataInfo>,
  tensors: readonly (readonly [string, StoredTensor])[],
): FileInfo {
  return {
    name,
    format,
    files: sources.map(sizeOf),
    metadata,
    tensors: tensors.map(([tensor, { dtype, shape, byteLength, source }]) => ({
      name: tensor, type: dtype, shape, bytes: byteLength, file: source.name,
    })),
  };
}

/** What the files have under `__metadata__`; what they all have alike is listed once. */
async function readMetadata(sources: readonly ByteSource[]): Promise<ReadonlyMap<string, MetadataInfo>> {
  const metadata = new Map<string, MetadataInfo>();
  for (const source of sources) {
    for (const [name, value] of await readSafetensorsMetadata(source)) {
      const key = `__metadata__.${name}`;
      const other = metadata.get(key);
      if (other?.value !== value) metadata.set(other ? `${source.name}: ${key}` : key, { type: 'string', value });
    }
  }
  return metadata;
}

async function readConfig(files: FileSet): Promise<ReadonlyMap<string, MetadataInfo>> {
  const source = await files.open('config.json');
  if (!source) return new Map();
  const text = await readText(source, MAX_CONFIG_BYTES).finally(() => source.close());
  const kind = (value: unknown): string => (Array.isArray(value) ? 'list' : value === null ? 'null' : isJsonObject(value) ? 'object' : typeof value);
  return new Map(Object.entries(parseJsonObject('config.json', text)).map(([key, value]) => [key, { type: kind(value), value }]));
}

function sizeOf({ name, size }: ByteSource): { name: string; bytes: number } {
  return { name, bytes: size };
}
