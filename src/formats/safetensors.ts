import { FormatError, show } from '../errors.js';
import { checkRange, decodeUtf8, isJsonObject, parseJsonObject, type ByteSource, type JsonObject } from './bytes.js';
import { refuseLfsPointer } from './lfs.js';
import { DTYPE_BYTES, type TensorEntry } from './stored-tensor.js';

/** One tensor of a safetensors file; its elements follow each other. */
export type SafetensorsEntry = Omit<TensorEntry, 'strides'>;

/** The format's own limit on its header (safetensors README). */
const MAX_HEADER_BYTES = 100_000_000;

/** The largest published models have a few thousand. */
const MAX_TENSORS = 65_536;
const MAX_DIMENSIONS = 8;
/** Of the format's other types, which are listed, but not read (safetensors 0.8, `Dtype`). */
const OTHER_DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ['C64', 8], ['U64', 8], ['U32', 4], ['U16', 2], ['F8_E5M2', 1], ['F8_E4M3', 1], ['F8_E8M0', 1], ['F8_E5M2FNUZ', 1], ['F8_E4M3FNUZ', 1],
  ['F6_E2M3', 6 / 8], ['F6_E3M2', 6 / 8], ['F4', 4 / 8],
]);
/** The one key of the header that is no tensor. */
const METADATA = '__metadata__';

/**
 * Reads and checks the header of a safetensors file: every tensor lies inside the file, sizes agree with shapes,
 * no overlap, no hole. Tensor data is not read.
 * @throws FormatError naming file, tensor and bytes.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<Map<string, SafetensorsEntry>> {
  return readEntries(source, false);
}

/** As `readSafetensorsHeader`, with tensors of any dtype; of one that is not in the format's list the size is not checked. */
export async function readSafetensorsOfAnyType(source: ByteSource): Promise<Map<string, SafetensorsEntry>> {
  return readEntries(source, true);
}

async function readEntries(source: ByteSource, anyType: boolean): Promise<Map<string, SafetensorsEntry>> {
  const { name, size } = source;
  const { header, dataStart } = await readHeader(source);
  const entries = new Map<string, SafetensorsEntry>();
  for (const [tensor, info] of Object.entries(header)) {
    if (tensor === METADATA) continue;
    entries.set(tensor, readEntry(name, tensor, info, dataStart, size, anyType));
  }
  checkLayout(name, entries, dataStart, size);
  return entries;
}

/**
 * What a safetensors file says about itself: the texts under `__metadata__`, most often none.
 * @throws FormatError when they are not texts, or the header is broken.
 */
export async function readSafetensorsMetadata(source: ByteSource): Promise<Map<string, string>> {
  const metadata = (await readHeader(source)).header[METADATA] ?? {}; // null is none, as in the reference
  const entries = isJsonObject(metadata) ? Object.entries(metadata) : [];
  if (!isJsonObject(metadata) || entries.some(([, value]) => typeof value !== 'string')) {
    throw new FormatError(`${source.name}: ${METADATA} in the header must be an object of texts`);
  }
  return new Map(entries as [string, string][]);
}

async function readHeader(source: ByteSource): Promise<{ header: JsonObject; dataStart: number }> {
  const { name, size } = source;
  await refuseLfsPointer(source);
  if (size < 8) throw new FormatError(`${name}: ${size} bytes are too few for a safetensors file (truncated download?)`);
  const prefix = await source.read(0, 8);
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (headerBytes > MAX_HEADER_BYTES || headerBytes + 8 > size) {
    throw new FormatError(
      `${name}: the header claims ${headerBytes} bytes but the file has ${size} (truncated, or not a safetensors file)`,
    );
  }
  const text = decodeUtf8(`${name}: header`, await source.read(8, headerBytes));
  const header = parseJsonObject(`${name}: header`, text);
  const twice = firstRepeatedKey(text);
  if (twice !== undefined) throw new FormatError(`${name}: tensor ${show(twice)} occurs twice in the header`);
  const count = Object.keys(header).length;
  if (count > MAX_TENSORS) throw new FormatError(`${name}: the header lists ${count} tensors, more than ${MAX_TENSORS}`);
  return { header, dataStart: 8 + headerBytes };
}

/** The first key that valid JSON text of an object has twice at its outermost level; `JSON.parse` keeps the last of them silently. */
function firstRepeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let last = '""';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (char === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      last = depth === 1 ? text.slice(start, i + 1) : last;
    } else if (char === ':' && depth === 1) {
      const key = JSON.parse(last) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

function readEntry(file: string, tensor: string, info: unknown, dataStart: number, size: number, anyType: boolean): SafetensorsEntry {
  const where = `${file}: tensor ${show(tensor)}`;
  if (!isJsonObject(info)) throw new FormatError(`${where}: its header entry is not an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  const itemBytes = DTYPE_BYTES.get(dtype as string) ?? (anyType ? OTHER_DTYPE_BYTES.get(dtype as string) : undefined);
  if (typeof dtype !== 'string' || (itemBytes === undefined && !anyType)) {
    throw new FormatError(`${where}: unknown dtype ${show(dtype)} (known: ${[...DTYPE_BYTES.keys()].join(', ')})`);
  }
  if (!isNaturals(shape) || shape.length > MAX_DIMENSIONS) {
    throw new FormatError(`${where}: shape ${show(shape)} is not a list of at most ${MAX_DIMENSIONS} sizes`);
  }
  if (!isNaturals(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw new FormatError(`${where}: data_offsets ${show(offsets)} is not [begin, end]`);
  }
  const byteLength = offsets[1]! - offsets[0]!;
  const expected = itemBytes === undefined ? byteLength : shape.reduce((product, n) => product * n, itemBytes);
  if (byteLength !== expected) {
    throw new FormatError(`${where}: ${dtype} [${shape}] needs ${expected} bytes but its data_offsets span ${byteLength}`);
  }
  const offset = dataStart + offsets[0]!;
  checkRange(where, size, offset, byteLength);
  return { dtype, shape, offset, byteLength };
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function checkLayout(file: string, entries: ReadonlyMap<string, SafetensorsEntry>, dataStart: number, size: number): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  let before = 'the header';
  for (const [tensor, entry] of sorted) {
    if (entry.offset < end) throw new FormatError(`${file}: tensor ${show(tensor)} overlaps ${before}`);
    if (entry.offset > end) {
      throw new FormatError(`${file}: ${entry.offset - end} bytes before tensor ${show(tensor)} belong to no tensor`);
    }
    end = entry.offset + entry.byteLength;
    before = `tensor ${show(tensor)}`;
  }
  if (end !== size) throw new FormatError(`${file}: ${size - end} bytes after ${before} belong to no tensor`);
}
