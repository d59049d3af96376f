import { FormatError } from '../errors.js';
import type { FileSet } from './bytes.js';
import type { GgufModel } from './gguf-model.js';
import { readGguf } from './gguf-reader.js';

/**
 * Opens the GGUF model that `file` is, or is a part of; the other parts lie beside it.
 * @throws FormatError when a part is missing or belongs to another model; SourceError.
 */
export async function openGguf(files: FileSet, file: string): Promise<GgufModel> {
  const source = await files.open(file);
  if (!source) throw new FormatError(`${files.name}: "${file}" is missing`);
  try {
    const gguf = await readGguf(source);
    if ((gguf.metadata.get('split.count')?.value ?? 1) !== 1) return await (await import('./gguf-parts.js')).openParts(files, file, gguf);
    const tensors = new Map([...gguf.tensors].map(([name, tensor]) => [name, { ...tensor, source }]));
    return { name: source.name, version: gguf.version, metadata: gguf.metadata, tensors, sources: [source] };
  } catch (error) {
    await source.close();
    throw error;
  }
}
