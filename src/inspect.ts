import { isJsonObject, parseJsonObject, readText, type ByteSource, type FileSet } from './formats/bytes.js';
import { openGguf } from './formats/gguf-split.js';
import { readSafetensorsHeader, type SafetensorsEntry } from './formats/safetensors.js';
import { openSafetensors } from './formats/shards.js';
import { SourceError } from './errors.js';
import { findGguf } from './model/open-checkpoint.js';
import { openSource, type ModelSource } from './source.js';

/** What a model file, or several that belong together, say about themselves. */
export interface FileInfo {
  readonly name: string;
  readonly format: 'GGUF v2' | 'GGUF v3' | 'safetensors';
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** GGUF's key-values, or what stands in config.json, in their order. */
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
  /** As the format calls it: F32, TQ1_0, …. */
  readonly type: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly file: string;
}

/** config.json of the largest published models has some kilobytes. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Lists the metadata and tensors of a model's files (GGUF, in one file or parts; a safetensors file or folder) without reading
 * any weights, whatever model it is.
 * @throws SourceError (nothing there), FormatError (a broken file), ArgumentError.
 */
export async function inspect(source: ModelSource): Promise<FileInfo> {
  const files = await openSource(source);
  const names = await files.list();
  const gguf = await findGguf(files, names);
  if (gguf !== undefined) return inspectGguf(files, gguf);
  const [only = ''] = names;
  if (names.length === 1 && /\.safetensors$/i.test(only)) {
    const file = (await files.open(only))!;
    const tensors = await readSafetensorsHeader(file).finally(() => file.close());
    return safetensorsInfo(file.name, [file], new Map(), [...tensors].map(([name, entry]) => ({ name, entry, source: file })));
  }
  // A single file has its folder behind it, which nobody asked for.
  const opened = names.some((name) => name.startsWith('model.safetensors')) ? await openSafetensors(files) : undefined;
  if (!opened) {
    const several = names.filter((name) => /\.gguf$/i.test(name)).length > 1 ? ', but several .gguf models: name one' : '';
    throw new SourceError(`${files.name}: is no GGUF or safetensors file, and holds no model.safetensors or single GGUF model${several}`);
  }
  await Promise.all(opened.sources.map((shard) => shard.close()));
  const tensors = [...opened.tensors].map(([name, entry]) => ({ name, entry, source: entry.source }));
  return safetensorsInfo(files.name, opened.sources, await readConfig(files), tensors);
}

async function inspectGguf(files: FileSet, file: string): Promise<FileInfo> {
  const { name, version, metadata, tensors, sources } = await openGguf(files, file);
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

function safetensorsInfo(
  name: string, sources: readonly ByteSource[], metadata: ReadonlyMap<string, MetadataInfo>,
  tensors: readonly { name: string; entry: SafetensorsEntry; source: ByteSource }[],
): FileInfo {
  return {
    name,
    format: 'safetensors',
    files: sources.map(sizeOf),
    metadata,
    tensors: tensors.map(({ name: tensor, entry, source }) => ({
      name: tensor, type: entry.dtype, shape: entry.shape, bytes: entry.byteLength, file: source.name,
    })),
  };
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
