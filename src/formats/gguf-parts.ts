import { FormatError, show } from '../errors.js';
import type { ByteSource, FileSet } from './bytes.js';
import { PART, type GgufModel, type StoredGgufTensor } from './gguf-model.js';
import type { GgufFile } from './gguf-reader.js';

/*
 * A GGUF model in parts. The metadata are in the first; each has `split.no` (from 0), `split.count` and `split.tensors.count` (of all
 * parts together).
 */

/** Each is an open file while the model loads. */
const MAX_PARTS = 512;
const NUMBER = 'split.no';
const COUNT = 'split.count';
const TENSORS = 'split.tensors.count';

/**
 * The model that `file`, which is open and says that it is a part, belongs to. The caller closes its source if this fails.
 * @throws FormatError when a part is missing or belongs to another model; SourceError.
 */
export async function openParts<T extends string>(
  files: FileSet, file: string, named: GgufFile<T>, read: (source: ByteSource) => Promise<GgufFile<T>>,
): Promise<GgufModel<T>> {
  const sources: ByteSource[] = [];
  try {
    const count = wholeNumber(named, COUNT)!;
    if (count <= 1) return { ...gather([named]), sources: [named.source] };
    if (count > MAX_PARTS) throw new FormatError(`${file}: ${COUNT} is ${count}, more than ${MAX_PARTS}`);
    const [, stem, , parts, suffix] = PART.exec(file) ?? [];
    if (Number(parts) !== count) {
      throw new FormatError(
        `${file}: is one of ${count} parts (${COUNT}); its name must end in -0000N-of-${digits(count)}.gguf, and the others lie beside it`,
      );
    }
    const opened: GgufFile<T>[] = [];
    for (let n = 1; n <= count; n++) {
      const name = `${stem}-${digits(n)}-of-${digits(count)}${suffix}`;
      const source = name === file ? named.source : await files.open(name);
      if (!source) throw new FormatError(`${files.name}: "${name}", part ${n} of ${count}, is missing`);
      if (source !== named.source) sources.push(source);
      const part = source === named.source ? named : await read(source);
      const [number, total] = [wholeNumber(part, NUMBER), wholeNumber(part, COUNT)];
      if (number !== n - 1 || total !== count) {
        throw new FormatError(
          `${name}: has ${NUMBER} ${number ?? 'none'} and ${COUNT} ${total ?? 'none'}, not ${n - 1} and ${count}: it is not part ${n} of this model`,
        );
      }
      opened.push(part);
    }
    return { ...gather(opened), sources: opened.map((part) => part.source) };
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

function gather<T extends string>(parts: readonly GgufFile<T>[]): Omit<GgufModel<T>, 'sources'> {
  const [first] = parts as readonly [GgufFile<T>];
  const tensors = new Map<string, StoredGgufTensor<T>>();
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

function wholeNumber({ source, metadata }: GgufFile<string>, key: string): number | undefined {
  const value = metadata.get(key)?.value;
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0)) return value;
  throw new FormatError(`${source.name}: ${key} is ${show(value)}, not a count`);
}

function digits(n: number): string {
  return String(n).padStart(5, '0');
}
