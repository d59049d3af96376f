import { FormatError, show } from '../errors.js';
import type { ByteSource, FileSet } from './bytes.js';
import type { GgufMetadata } from './gguf.js';
import { readGguf, type GgufFile, type GgufTensor } from './gguf-reader.js';

/*
 * A GGUF model in one file, or split as gguf-split does it: `name-00001-of-00003.gguf` and so on, each a GGUF file of its own. The
 * metadata are in the first; each has `split.no` (from 0), `split.count` and `split.tensors.count` (of all parts together).
 */

/** A tensor, with the part that holds it. */
export interface StoredGgufTensor extends GgufTensor {
  readonly source: ByteSource;
}

export interface GgufModel {
  /** The file, or the first part of several. */
  readonly name: string;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, StoredGgufTensor>;
  /** The file, or all parts in order. The caller closes them. */
  readonly sources: readonly ByteSource[];
}

const PART = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/is;
/** Each is an open file while the model loads. */
const MAX_PARTS = 512;
const NUMBER = 'split.no';
const COUNT = 'split.count';
const TENSORS = 'split.tensors.count';

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

/**
 * Opens the GGUF model that `file` is, or is a part of; the other parts lie beside it.
 * @throws FormatError when a part is missing or belongs to another model; SourceError.
 */
export async function openGguf(files: FileSet, file: string): Promise<GgufModel> {
  const sources: ByteSource[] = [];
  const open = async (name: string): Promise<GgufFile | undefined> => {
    const source = await files.open(name);
    if (!source) return undefined;
    sources.push(source);
    return readGguf(source);
  };
  try {
    const named = await open(file);
    if (!named) throw new FormatError(`${files.name}: "${file}" is missing`);
    const count = wholeNumber(named, COUNT) ?? 1;
    if (count <= 1) return { ...gather([named]), sources };
    if (count > MAX_PARTS) throw new FormatError(`${file}: ${COUNT} is ${count}, more than ${MAX_PARTS}`);
    const [, stem, , parts, suffix] = PART.exec(file) ?? [];
    if (Number(parts) !== count) {
      throw new FormatError(
        `${file}: is one of ${count} parts (${COUNT}); its name must end in -0000N-of-${digits(count)}.gguf, and the others lie beside it`,
      );
    }
    const opened: GgufFile[] = [];
    for (let n = 1; n <= count; n++) {
      const name = `${stem}-${digits(n)}-of-${digits(count)}${suffix}`;
      const part = name === file ? named : await open(name);
      if (!part) throw new FormatError(`${files.name}: "${name}", part ${n} of ${count}, is missing`);
      const [number, total] = [wholeNumber(part, NUMBER), wholeNumber(part, COUNT)];
      if (number !== n - 1 || total !== count) {
        throw new FormatError(
          `${name}: has ${NUMBER} ${number ?? 'none'} and ${COUNT} ${total ?? 'none'}, not ${n - 1} and ${count}: it is not part ${n} of this model`,
        );
      }
      opened.push(part);
    }
    return { ...gather(opened), sources };
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

function gather(parts: readonly GgufFile[]): Omit<GgufModel, 'sources'> {
  const [first] = parts as [GgufFile];
  const tensors = new Map<string, StoredGgufTensor>();
  for (const { source, tensors: own } of parts) {
    for (const [name, tensor] of own) {
      const other = tensors.get(name)?.source.name;
      if (other !== undefined) throw new FormatError(`${source.name}: tensor ${show(name)} is in ${show(other)} too`);
      tensors.set(name, { ...tensor, source });
    }
  }
  const expected = parts.length > 1 ? wholeNumber(first, TENSORS) : undefined;
  if (expected !== undefined && expected !== tensors.size) {
    throw new FormatError(`${first.source.name}: ${TENSORS} is ${expected}, but the parts have ${tensors.size}`);
  }
  return { name: first.source.name, version: first.version, metadata: first.metadata, tensors };
}

function wholeNumber({ source, metadata }: GgufFile, key: string): number | undefined {
  const value = metadata.get(key)?.value;
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0)) return value;
  throw new FormatError(`${source.name}: ${key} is ${show(value)}, not a count`);
}

function digits(n: number): string {
  return String(n).padStart(5, '0');
}
