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
  return source.size >= 4 && reader(await source.read(0, 4)).u32(0) === LOCAL_HEADER;
}

/**
 * Reads the central directory of a zip or zip64 archive whose entries are stored, not compressed. What two readers could read in
 * two ways is refused: a comment, bytes in the directory that are no entry, entries that overlap or have one name.
 * @throws FormatError naming file and entry.
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const file = source.name;
  const { count, offset, length } = await findDirectory(source);
  if (count > MAX_ENTRIES || length > MAX_DIRECTORY_BYTES) {
    throw new FormatError(`${file}: the zip directory has ${count} entries in ${length} bytes, at most ${MAX_ENTRIES} in ${MAX_DIRECTORY_BYTES} are read`);
  }
  const directory = reader(await source.read(offset, length));
  const found: Omit<ZipEntry, 'limit'>[] = [];
  let at = 0;
  for (let i = 1; i <= count; i++) {
    const where = `${file}: zip entry ${i} of ${count}`;
    const end = at + DIRECTORY_ENTRY_BYTES <= length && directory.u32(at) === DIRECTORY_ENTRY
      ? at + DIRECTORY_ENTRY_BYTES + directory.u16(at + 28) + directory.u16(at + 30) + directory.u16(at + 32) : Infinity;
    if (end > length) throw new FormatError(`${where}: there is no entry at byte ${offset + at} of the directory`);
    found.push(readEntry(where, directory, at));
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
  const header = reader(await source.read(headerOffset, LOCAL_HEADER_BYTES + nameBytes.length)); // checkLayout saw that it is inside
  const flags = header.u16(6);
  const offset = headerOffset + LOCAL_HEADER_BYTES + nameBytes.length + header.u16(28);
  const agrees =
    header.u32(0) === LOCAL_HEADER && !(flags & IS_ENCRYPTED) && header.u16(8) === 0 &&
    (flags & SIZES_FOLLOW || [18, 22].every((at) => header.u32(at) === byteLength || header.u32(at) === IN_ZIP64_32)) &&
    header.u16(26) === nameBytes.length && nameBytes.every((byte, i) => byte === header.bytes[LOCAL_HEADER_BYTES + i]);
  if (!agrees || offset + byteLength > limit) {
    throw new FormatError(`${source.name}: zip entry ${show(entry.name)}: the header at byte ${headerOffset} does not agree with the directory`);
  }
  return offset;
}

/** The end record, or the zip64 one in front of it, tells where the directory is; it must end where they begin. */
async function findDirectory(source: ByteSource): Promise<{ count: number; offset: number; length: number }> {
  const { name: file, size } = source;
  const tailBytes = Math.min(size, LOCATOR_64_BYTES + END_BYTES);
  const tail = reader(await source.read(size - tailBytes, tailBytes));
  const end = tailBytes - END_BYTES;
  if (end < 0 || tail.u32(end) !== END || tail.u16(end + 20) !== 0) {
    throw new FormatError(`${file}: does not end with the end record of a zip archive (truncated download?)`);
  }
  // This part of the archive, the directory's part, entries here, entries in all, bytes and offset of the directory.
  let fields = [...[4, 6, 8, 10].map((at) => tail.u16(end + at)), ...[12, 16].map((at) => tail.u32(end + at))];
  const isElsewhere = (value: number, i: number): boolean => value === (i < 4 ? IN_ZIP64_16 : IN_ZIP64_32);
  let directoryEnd = size - END_BYTES;
  let agree = true;
  if (end === LOCATOR_64_BYTES && tail.u32(0) === LOCATOR_64) {
    directoryEnd -= LOCATOR_64_BYTES + END_64_BYTES;
    const record = reader(await source.read(Math.max(0, directoryEnd), END_64_BYTES));
    const long = [...[16, 20].map(record.u32), ...[24, 32, 40, 48].map(record.u64)];
    agree = tail.u64(8) === directoryEnd && record.u32(0) === END_64 && record.u64(4) === END_64_BYTES - 12 &&
      fields.every((value, i) => value === long[i] || isElsewhere(value, i));
    fields = long;
  }
  const [part, directoryPart, here, count, length, offset] = fields as [number, number, number, number, number, number];
  if (!agree || part !== 0 || directoryPart !== 0 || here !== count || offset + length !== directoryEnd) {
    throw new FormatError(`${file}: the end records of the zip archive contradict each other or the size of the file`);
  }
  return { count, offset, length };
}

function readEntry(where: string, directory: Reader, at: number): Omit<ZipEntry, 'limit'> {
  const extra = at + DIRECTORY_ENTRY_BYTES + directory.u16(at + 28);
  const nameBytes = directory.bytes.slice(at + DIRECTORY_ENTRY_BYTES, extra);
  const name = decodeUtf8(`${where}: its name`, nameBytes);
  const entry = `${where}, ${show(name)}`;
  if (!isPlainPath(name)) throw new FormatError(`${entry}: the name is not a plain path inside the archive`);
  // Size, size as stored and offset: each in 32 bits, or, in this order, in the zip64 extra field.
  let long = findZip64Field(directory, extra, extra + directory.u16(at + 30));
  const [byteLength, stored, headerOffset] = [24, 20, 42].map((field) => {
    const short = directory.u32(at + field);
    if (short !== IN_ZIP64_32) return short;
    if (long.length < 8) throw new FormatError(`${entry}: its zip64 sizes are missing`);
    long = { start: long.start + 8, length: long.length - 8 };
    return directory.u64(long.start - 8);
  }) as [number, number, number];
  if (directory.u16(at + 8) & IS_ENCRYPTED || directory.u16(at + 10) !== 0 || stored !== byteLength) {
    throw new FormatError(`${entry}: is compressed or encrypted; load it in PyTorch and save it again with torch.save, which does neither`);
  }
  return { name, nameBytes, headerOffset, byteLength };
}

function findZip64Field(directory: Reader, start: number, end: number): { start: number; length: number } {
  for (let at = start; at + 4 <= end; at += 4 + directory.u16(at + 2)) {
    const length = directory.u16(at + 2);
    if (directory.u16(at) === 1 && at + 4 + length <= end) return { start: at + 4, length };
  }
  return { start, length: 0 };
}

/** Nothing is ever written under these names; they are checked so that no message or listing passes a trick on. */
function isPlainPath(name: string): boolean {
  const parts = name.replace(/\/$/, '').split('/');
  return !/[\\\p{Cc}]|^\p{L}:/u.test(name) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

function checkLayout(file: string, found: Omit<ZipEntry, 'limit'>[], directory: number): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  let limit = directory;
  for (const entry of found.sort((a, b) => b.headerOffset - a.headerOffset)) {
    const where = `${file}: zip entry ${show(entry.name)}`;
    if (entries.has(entry.name)) throw new FormatError(`${where} occurs twice`);
    if (entry.headerOffset + LOCAL_HEADER_BYTES + entry.nameBytes.length + entry.byteLength > limit) {
      throw new FormatError(`${where}: ${entry.byteLength} bytes from byte ${entry.headerOffset} on overlap what begins at byte ${limit}`);
    }
    entries.set(entry.name, { ...entry, limit });
    limit = entry.headerOffset;
  }
  return entries;
}

interface Reader {
  readonly bytes: Uint8Array;
  readonly u16: (at: number) => number;
  readonly u32: (at: number) => number;
  /** Beyond 2⁵³ it is rounded: still far more than any file has. */
  readonly u64: (at: number) => number;
}

function reader(bytes: Uint8Array): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u32 = (at: number): number => view.getUint32(at, true);
  return { bytes, u32, u16: (at) => view.getUint16(at, true), u64: (at) => u32(at) + u32(at + 4) * 2 ** 32 };
}
