import { FormatError, show } from '../errors.js';
import { decodeUtf8, type ByteSource } from './bytes.js';

/** One file inside a zip archive, as the central directory tells it. Its data lies somewhere in `[headerOffset, limit)`. */
export interface ZipEntry {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly headerOffset: number;
  readonly byteLength: number;
  /** Where the next entry, or the directory, begins. */
  readonly limit: number;
}

const LOCAL_HEADER = 0x04034b50; // "PK" and the kind of record
const DIRECTORY_ENTRY = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const LOCAL_HEADER_BYTES = 30;
const DIRECTORY_ENTRY_BYTES = 46;
const END_BYTES = 22;
const END_64_BYTES = 56;
const LOCATOR_64_BYTES = 20;

const IS_ENCRYPTED = 0x2041; // any of the flag bits for it
const SIZES_FOLLOW = 0x8; // sizes stand in a descriptor behind the data, and in the directory; torch.save writes so
/** In a 16- or 32-bit field: the value is in the zip64 record or extra field. */
const IN_ZIP64_16 = 0xffff;
const IN_ZIP64_32 = 0xffffffff;

/** A PyTorch file has an entry for each tensor and a few beside: some hundreds. */
const MAX_ENTRIES = 16_384;
const MAX_DIRECTORY_BYTES = 8 * 1024 * 1024;

export async function isZip(source: ByteSource): Promise<boolean> {
  return source.size >= 4 && viewOf(await source.read(0, 4)).getUint32(0, true) === LOCAL_HEADER;
}

/**
 * Reads the central directory of a zip or zip64 archive whose entries are stored, not compressed. What the archive allows but
 * two readers could read in two ways is refused: comments, gaps in the directory, entries that overlap or have one name.
 * @throws FormatError naming file and entry.
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const file = source.name;
  const { count, offset, length } = await findDirectory(source);
  if (count > MAX_ENTRIES || length > MAX_DIRECTORY_BYTES) {
    throw new FormatError(`${file}: the zip directory has ${count} entries in ${length} bytes, at most ${MAX_ENTRIES} in ${MAX_DIRECTORY_BYTES} are read`);
  }
  const bytes = await source.read(offset, length);
  const view = viewOf(bytes);
  const found: Omit<ZipEntry, 'limit'>[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const where = `${file}: zip entry ${i + 1} of ${count}`;
    if (at + DIRECTORY_ENTRY_BYTES > length || view.getUint32(at, true) !== DIRECTORY_ENTRY) {
      throw new FormatError(`${where}: there is no directory entry at byte ${offset + at}`);
    }
    const nameEnd = at + DIRECTORY_ENTRY_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const end = extraEnd + view.getUint16(at + 32, true);
    if (end > length) throw new FormatError(`${where}: its directory entry leaves the directory at byte ${offset + at}`);
    found.push(readEntry(where, bytes, view, at, nameEnd, extraEnd));
    at = end;
  }
  if (at !== length) throw new FormatError(`${file}: ${length - at} bytes of the zip directory belong to no entry`);
  return checkLayout(file, found, offset);
}

/**
 * Where an entry's data begins: checks the header in front of the data against the directory.
 * @throws FormatError naming file and entry.
 */
export async function zipDataOffset(source: ByteSource, entry: ZipEntry): Promise<number> {
  const { nameBytes, headerOffset, byteLength, limit } = entry;
  const where = `${source.name}: zip entry ${show(entry.name)}`;
  const header = await source.read(headerOffset, LOCAL_HEADER_BYTES + nameBytes.length); // checkLayout saw that it is inside
  const view = viewOf(header);
  if (view.getUint32(0, true) !== LOCAL_HEADER) throw new FormatError(`${where}: there is no entry at byte ${headerOffset}`);
  const flags = view.getUint16(6, true);
  const sameName = view.getUint16(26, true) === nameBytes.length && nameBytes.every((byte, i) => byte === header[LOCAL_HEADER_BYTES + i]);
  const sizes = [view.getUint32(18, true), view.getUint32(22, true)];
  const sameSizes = flags & SIZES_FOLLOW ? true : sizes.every((size) => size === byteLength || size === IN_ZIP64_32);
  if (!sameName || !sameSizes || flags & IS_ENCRYPTED || view.getUint16(8, true) !== 0) {
    throw new FormatError(`${where}: the header at byte ${headerOffset} does not agree with the zip directory`);
  }
  const offset = headerOffset + LOCAL_HEADER_BYTES + nameBytes.length + view.getUint16(28, true);
  if (offset + byteLength > limit) throw new FormatError(`${where}: its ${byteLength} bytes from byte ${offset} overlap what begins at byte ${limit}`);
  return offset;
}

/** The end record, or the zip64 one in front of it, tells where the directory is; it must end where they begin. */
async function findDirectory(source: ByteSource): Promise<{ count: number; offset: number; length: number }> {
  const { name: file, size } = source;
  const tailBytes = Math.min(size, LOCATOR_64_BYTES + END_BYTES);
  const tail = viewOf(await source.read(size - tailBytes, tailBytes));
  const end = tailBytes - END_BYTES;
  if (end < 0 || tail.getUint32(end, true) !== END || tail.getUint16(end + 20, true) !== 0) {
    throw new FormatError(`${file}: does not end with the end record of a zip archive (truncated download?)`);
  }
  // This part of the archive, the directory's part, entries here, entries in all, bytes and offset of the directory.
  let fields = [4, 6, 8, 10].map((at) => tail.getUint16(end + at, true)).concat([12, 16].map((at) => tail.getUint32(end + at, true)));
  const isElsewhere = (value: number, i: number): boolean => value === (i < 4 ? IN_ZIP64_16 : IN_ZIP64_32);
  let directoryEnd = size - END_BYTES;
  if (end === LOCATOR_64_BYTES && tail.getUint32(0, true) === LOCATOR_64) {
    directoryEnd = readU64(tail, 8);
    const record = directoryEnd === size - tailBytes - END_64_BYTES ? viewOf(await source.read(directoryEnd, END_64_BYTES)) : undefined;
    if (!record || record.getUint32(0, true) !== END_64 || readU64(record, 4) !== END_64_BYTES - 12) {
      throw new FormatError(`${file}: there is no zip64 end record at byte ${directoryEnd}`);
    }
    const long = [16, 20].map((at) => record.getUint32(at, true)).concat([24, 32, 40, 48].map((at) => readU64(record, at)));
    if (fields.some((value, i) => value !== long[i] && !isElsewhere(value, i))) {
      throw new FormatError(`${file}: the two end records of the zip archive do not agree`);
    }
    fields = long;
  } else if (fields.some(isElsewhere)) {
    throw new FormatError(`${file}: the zip64 end record is missing`);
  }
  const [part, directoryPart, here, count, length, offset] = fields as [number, number, number, number, number, number];
  if (part !== 0 || directoryPart !== 0 || here !== count) throw new FormatError(`${file}: is one part of a zip archive in several parts`);
  if (offset + length !== directoryEnd) {
    throw new FormatError(`${file}: the zip directory takes bytes ${offset} to ${offset + length}; it should end at ${directoryEnd}`);
  }
  return { count, offset, length };
}

function readEntry(
  where: string, bytes: Uint8Array, view: DataView, at: number, nameEnd: number, extraEnd: number,
): Omit<ZipEntry, 'limit'> {
  const nameBytes = bytes.slice(at + DIRECTORY_ENTRY_BYTES, nameEnd);
  const name = decodeUtf8(`${where}: its name`, nameBytes);
  const entry = `${where}, ${show(name)}`;
  if (!isPlainPath(name)) throw new FormatError(`${entry}: the name is not a plain path inside the archive`);
  if (view.getUint16(at + 8, true) & IS_ENCRYPTED) throw new FormatError(`${entry}: is encrypted`);
  if (view.getUint16(at + 10, true) !== 0) {
    throw new FormatError(`${entry}: is compressed; load it in PyTorch and save it again with torch.save, which does not compress`);
  }
  // Size, size as stored and offset: each 32 bits, or, in this order, in the zip64 extra field.
  const long = findZip64Field(view, nameEnd, extraEnd);
  let used = 0;
  const [byteLength, stored, headerOffset] = [24, 20, 42].map((field) => {
    const short = view.getUint32(at + field, true);
    if (short !== IN_ZIP64_32) return short;
    used += 8;
    if (!long || used > long.length) throw new FormatError(`${entry}: its zip64 sizes are missing`);
    return readU64(view, long.start + used - 8);
  }) as [number, number, number];
  const disk = view.getUint16(at + 34, true);
  if (stored !== byteLength || (disk !== 0 && disk !== IN_ZIP64_16)) {
    throw new FormatError(`${entry}: ${byteLength} bytes are stored in ${stored}, in part ${disk} of the archive`);
  }
  return { name, nameBytes, headerOffset, byteLength };
}

function findZip64Field(view: DataView, start: number, end: number): { start: number; length: number } | undefined {
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    const length = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1 && at + 4 + length <= end) return { start: at + 4, length };
  }
  return undefined;
}

/** Nothing is ever written under these names; they are checked so that no message or listing passes a trick on. */
function isPlainPath(name: string): boolean {
  const parts = name.replace(/\/$/, '').split('/');
  return !/[\\\p{Cc}]|^\p{L}:/u.test(name) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

function checkLayout(file: string, found: Omit<ZipEntry, 'limit'>[], directory: number): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  let limit = directory;
  let next = 'the directory';
  for (const entry of found.sort((a, b) => b.headerOffset - a.headerOffset)) {
    const where = `${file}: zip entry ${show(entry.name)}`;
    if (entries.has(entry.name)) throw new FormatError(`${where} occurs twice`);
    if (entry.headerOffset + LOCAL_HEADER_BYTES + entry.nameBytes.length + entry.byteLength > limit) {
      throw new FormatError(`${where}: ${entry.byteLength} bytes from byte ${entry.headerOffset} on overlap ${next}`);
    }
    entries.set(entry.name, { ...entry, limit });
    limit = entry.headerOffset;
    next = show(entry.name);
  }
  return entries;
}

/** Beyond 2⁵³ it is rounded: still far more than any file has. */
function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
