import { FormatError, missingPart } from '../errors.js';
import type { ByteSource, FileSet } from './bytes.js';
import type { GgufTensorType } from './gguf.js';
import type { GgufModel } from './gguf-model.js';
import { readGguf, type GgufFile } from './gguf-reader.js';

/** Opens a GGUF model of the types that are read: `openGgufAs`. */
export function openGguf(files: FileSet, file: string): Promise<GgufModel<GgufTensorType>> {
  return openGgufAs(files, file, readGguf);
}

/**
 * Opens the GGUF model that `file` is, or is a part of; the other parts lie beside it.
 * @throws FormatError when a part is missing or belongs to another model; SourceError.
 */
export async function openGgufAs<T extends string>(files: FileSet, file: string, read: (source: ByteSource) => Promise<GgufFile<T>>): Promise<GgufModel<T>> {
  const source = await files.open(file);
  if (!source) throw new FormatError(`${files.name}: "${file}" is missing`);
  try {
    const gguf = await read(source);
    if ((gguf.metadata.get('split.count')?.value ?? 1) !== 1) return await (await import('./gguf-parts.js').catch(missingPart)).openParts(files, file, gguf, read);
    const tensors = new Map([...gguf.tensors].map(([name, tensor]) => [name, { ...tensor, source }]));
    return { name: source.name, version: gguf.version, metadata: gguf.metadata, tensors, sources: [source] };
  } catch (error) {
    await source.close();
    throw error;
  }
}
