import { FormatError, SourceError } from '../../errors.js';
import type { ByteSource } from '../../formats/bytes.js';
import { Pace } from '../../platform/pace.js';
import { nodeModules } from '../../platform/node.js';
import { Broken, refusal } from './failures.js';
import { childController, get, type Net, type Reply } from './http.js';
import type { Key } from './names.js';
import { createSha256, shortHash, type Hasher } from './sha256.js';
import type { PartialFile, Span, Store } from './store.js';

/**
 * What `onProgress` is told: bytes of `file`; `total` is 0 where the server does not say. 'connect': the server has not answered yet,
 * told once a second. 'offline': it cannot be reached, and what is in the cache is used.
 */
export interface DownloadProgress {
  readonly stage: 'connect' | 'download' | 'verify' | 'offline';
  readonly file: string;
  readonly loaded: number;
  readonly total: number;
}

export interface Fetcher {
  readonly net: Net;
  readonly store: Store;
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
}

/** A file on a server, and what is known of it before it is fetched. */
export interface RemoteFile {
  readonly name: string;
  /** For messages: the file and where it comes from. */
  readonly label: string;
  readonly url: string;
  /** Of these bytes and no others. */
  readonly key: Key;
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  /** Changes when the content does; undefined: nothing tells, and what was fetched before is of no use. */
  readonly version: string | undefined;
  /** What the replies' `tag` must be, if that is known. */
  readonly tag: string | undefined;
}

/** The file is not, or no longer, what we took it for: what is there of it is of no use. Never leaves this folder. */
class Changed extends Error {}

const MAX_RESTARTS = 2;
const HASH_BYTES = 1024 * 1024;
/** The largest of a file that could be run here, as float32 weights, has fewer. A server must not fill the disk. */
export const MAX_FILE_BYTES = 64 * 2 ** 30;
/** More than that, no reader here takes. */
const MAX_JSON_BYTES = 128 * 2 ** 20;

/** Starts anew, a few times, when the file changes under our hands. @throws SourceError when it goes on changing. */
export async function untilStable<T>(label: string, action: () => Promise<T>): Promise<T> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      if (restarts === MAX_RESTARTS) throw new SourceError(`${label}: ${error.message} (tried ${restarts + 1} times)`);
    }
  }
}

/**
 * The file from the store, or else from the network by way of the store, checked.
 * @throws Changed, SourceError, Unreachable, FormatError for a wrong checksum, or the signal's reason; what was fetched by then is
 * gone on with the next time.
 */
export async function fetchFile(fetcher: Fetcher, file: RemoteFile): Promise<ByteSource> {
  const { net, store } = fetcher;
  const id = file.version && shortHash(`${file.version} ${file.sha256}`);
  const find = async (): Promise<ByteSource | undefined> => {
    if (id === undefined) return undefined;
    const found = await store.open(file.key);
    if (found && file.size !== undefined && found.size !== file.size) {
      await found.close(); // somebody tampered with it
      return undefined;
    }
    return found;
  };
  const atOnce = await find();
  if (atOnce) return atOnce;
  const report = (loaded: number, total = file.size ?? 0): void => {
    fetcher.onProgress?.({ stage: 'download', file: file.name, loaded, total });
  };
  const unlock = await store.lock(file.key, id ?? '', net.signal, (loaded) => report(loaded));
  try {
    const byAnother = await find();
    if (byAnother) {
      report(byAnother.size, byAnother.size);
      return byAnother;
    }
    const partial = await store.partial(file.key, id);
    try {
      await partial.seal(await fillAndCheck(fetcher, file, partial));
    } catch (error) {
      if (error instanceof Changed || error instanceof FormatError) await partial.reset();
      throw error;
    } finally {
      await partial.close();
    }
    const whole = await store.open(file.key);
    if (!whole) throw new SourceError(`${file.label}: somebody removed it from the cache`);
    return whole;
  } finally {
    await unlock();
  }
}

/** @returns the file's size. */
async function fillAndCheck({ net, onProgress }: Fetcher, file: RemoteFile, partial: PartialFile): Promise<number> {
  const wasResumed = partial.spans.length > 0;
  const report = (stage: DownloadProgress['stage'], loaded: number, total: number): void => onProgress?.({ stage, file: file.name, loaded, total });
  const meter = throttle(net.tuning.progressMs);
  const { size, sha256 } = await transfer(net, file, partial, (loaded, total) => {
    if (meter.isDue()) report('download', loaded, total);
  });
  report('download', size, size);
  if (sha256 === undefined) return size;

  const source = await partial.contents(file.name);
  const hasher = createHasher();
  const pace = new Pace(net.signal);
  try {
    for (let at = 0; at < size; at += HASH_BYTES) {
      hasher.update(await source.read(at, Math.min(HASH_BYTES, size - at)));
      await pace.giveWay();
      if (meter.isDue()) report('verify', at, size);
    }
  } finally {
    await source.close();
  }
  const found = hasher.hex();
  if (found === sha256) return size;
  const message = `${file.label}: its SHA-256 is ${found}, the server promised ${sha256}`;
  if (wasResumed) throw new Changed(message); // perhaps the earlier part was damaged
  throw new FormatError(`${message}; nothing was kept of it`);
}

/** Fetches what is missing: the first piece alone, to see whether the server does ranges, then the others side by side. */
async function transfer(
  net: Net, file: RemoteFile, partial: PartialFile, onBytes: (loaded: number, total: number) => void,
): Promise<{ size: number; sha256: string | undefined }> {
  const { tuning } = net;
  const most = /\.json$/i.test(file.name) ? MAX_JSON_BYTES : MAX_FILE_BYTES;
  const mostUnsized = Math.min(most, tuning.maxUnsizedBytes);
  let { size, sha256, tag } = file;
  let loaded = partial.spans.reduce((sum, [from, to]) => sum + to - from, 0);
  let mostLoaded = loaded;
  let askForRange = true;

  const checkSize = (): void => {
    if (size !== undefined && size > most) {
      throw new FormatError(`${file.label}: has ${size} bytes, says the server, more than the ${most} that such a file may have`);
    }
  };
  const learn = (reply: Reply): void => {
    const { linkedSize, range, status, length } = reply;
    const total = range?.total ?? (status === 200 ? length : undefined);
    for (const claim of [linkedSize, total]) {
      if (claim !== undefined && size !== undefined && claim !== size) {
        throw new Changed(`the server says it has ${claim} bytes; before, it was ${size}`);
      }
      size ??= claim;
    }
    checkSize();
    if (tag !== undefined && reply.tag !== undefined && reply.tag !== tag) throw new Changed('it changed on the server while it was fetched');
    tag ??= reply.tag;
    if (sha256 !== undefined && reply.sha256 !== undefined && reply.sha256 !== sha256) throw new Changed('the server promises two checksums');
    sha256 ??= reply.sha256;
  };

  /** @returns the end of what was fetched: past `to` when the server sent all of the file, as only `isFirst` lets it. */
  const fetchPiece = async (signal: AbortSignal | undefined, from: number, to: number, isFirst: boolean): Promise<number> => {
    let start = from;
    let at = from;
    let end = to;
    const keep = async (): Promise<void> => {
      const span: Span = [start, at];
      start = at; // before it is awaited, should it fail
      if (span[1] > span[0]) await partial.keep(span);
    };
    const range = (): string | undefined => (askForRange ? `${at}-${end === Infinity ? '' : end - 1}` : undefined);
    const use = async (reply: Reply): Promise<void> => {
      const { status } = reply;
      if (status === 416 && isFirst && askForRange) {
        askForRange = false; // an empty file, for one
        throw new Broken('the server refuses the range');
      }
      if (status === 416) throw new Changed('the server no longer has all of its bytes');
      if (status !== 200 && status !== 206) throw refusal(net.token, file.label, reply);
      learn(reply);
      if (status === 206) {
        if (!reply.range && isFirst) askForRange = false; // a page may not be allowed to see which bytes these are
        if (reply.range?.start !== at) throw new Broken('the server sends other bytes than asked for');
        end = Math.min(end, size!);
      } else {
        if (!isFirst) throw new Changed('the server no longer sends parts of it');
        if (at > 0 || partial.spans.length > 0) await partial.reset();
        start = at = loaded = 0;
        end = size ?? Infinity;
      }
      await reply.read(async (bytes) => {
        if (bytes.length > end - at) throw new Broken('the server sends more bytes than it said');
        if (size === undefined && at + bytes.length > mostUnsized) {
          throw new FormatError(`${file.label}: has more than ${mostUnsized} bytes, and the server does not say how many; download it by other means, and load it from there; nothing was kept of it`);
        }
        await partial.write(start, at, bytes);
        at += bytes.length;
        loaded += bytes.length;
        mostLoaded = Math.max(mostLoaded, loaded);
        onBytes(loaded, size ?? 0);
        if (at - start >= tuning.keepBytes) await keep();
      });
      if (end === Infinity) size = end = at;
      if (at < end) throw new Broken(`the connection ends at byte ${at} of ${size}`);
    };
    try {
      await get({ ...net, signal }, file.label, file.url, range, use, () => mostLoaded);
    } finally {
      await keep();
    }
    return at;
  };

  checkSize();
  const [first] = gaps(partial.spans, size ?? Infinity);
  if (first) {
    const end = await fetchPiece(net.signal, first[0], Math.min(first[1], first[0] + tuning.firstPieceBytes), true);
    const missing = gaps([...partial.spans, [0, end]], size!);
    await sideBySide(net, pieces(missing, tuning.pieceBytes), (signal, [from, to]) => fetchPiece(signal, from, to, false));
  }
  return { size: size!, sha256 };
}

/** Does `work` on all of `items`, a few at a time; the first failure stops the others, and is thrown when they have stopped. */
async function sideBySide<T>(net: Net, items: Iterator<T>, work: (signal: AbortSignal, item: T) => Promise<unknown>): Promise<void> {
  const { controller, end } = childController(net.signal);
  const worker = async (): Promise<void> => {
    try {
      for (let item = items.next(); !item.done; item = items.next()) await work(controller.signal, item.value);
    } catch (error) {
      controller.abort(error); // what fails after this is of our making, and carries this reason
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: net.tuning.connections }, worker));
  end();
  if (ends.some(({ status }) => status === 'rejected')) throw controller.signal.reason;
}

/** What of `[0, size)` is in none of `spans`. */
function gaps(spans: readonly Span[], size: number): Span[] {
  const found: Span[] = [];
  let at = 0;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (from > at) found.push([at, Math.min(from, size)]);
    at = Math.max(at, to);
  }
  if (at < size) found.push([at, size]);
  return found.filter(([from, to]) => from < to);
}

/** One by one: a server may claim any size. */
function* pieces(spans: readonly Span[], most: number): Generator<Span, void, undefined> {
  for (const [from, to] of spans) {
    for (let at = from; at < to; at += most) yield [at, Math.min(to, at + most)];
  }
}

/** Says whether it is time, at most every so many milliseconds. */
export function throttle(ms: number): { isDue: () => boolean } {
  let last = -Infinity;
  const isDue = (): boolean => {
    const now = performance.now();
    if (now - last < ms) return false;
    last = now;
    return true;
  };
  return { isDue };
}

/** The engine's own where it streams, which is several times faster. */
function createHasher(): Hasher {
  const hash = nodeModules()?.crypto.createHash('sha256');
  return hash ? { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') } : createSha256();
}
