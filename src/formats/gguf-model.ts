import type { ByteSource } from './bytes.js';
import type { GgufMetadata, GgufTensorType } from './gguf.js';
import type { GgufTensor } from './gguf-reader.js';

/*
 * A GGUF model in one file, or split as gguf-split does it: `name-00001-of-00003.gguf` and so on, each a GGUF file of its own.
 */

/** A tensor, with the part that holds it. */
export interface StoredGgufTensor<T extends string = GgufTensorType> extends GgufTensor<T> {
  readonly source: ByteSource;
}

export interface GgufModel<T extends string = GgufTensorType> {
  /** The file, or the first part of several. */
  readonly name: string;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, StoredGgufTensor<T>>;
  /** The file, or all parts in order. The caller closes them. */
  readonly sources: readonly ByteSource[];
}

/** stem, number, count, ending */
export const PART = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/is;

/** The GGUF models among the files of a folder: of a split one, the first part that is there. */
export function ggufModels(files: readonly string[]): string[] {
  const models = new Map<string, string>();
  for (const file of files.filter((name) => /\.gguf$/i.test(name)).sort()) {
    const [, stem, , count, suffix] = PART.exec(file) ?? [];
    const model = stem === undefined ? file : JSON.stringify([stem, count, suffix]);
    if (!models.has(model)) models.set(model, file);
  }
  return [...models.values()];
}
