import { sourceFromContent, type ByteSource } from '../../formats/bytes.js';
import type { Key } from './names.js';

/** Bytes of a file that are there, `[from, to)`. */
export type Span = readonly [from: number, to: number];

/** A place for files that were fetched. A file is in it whole, or not at all. */
export interface Store {
  open(key: Key): Promise<ByteSource | undefined>;
  readText(key: Key): Promise<string | undefined>;
  writeText(key: Key, text: string): Promise<void>;
  /**
   * Waits until nobody else is fetching this file. `onWait` is told, now and then, how many bytes they have.
   * @returns what ends our turn.
   */
  lock(key: Key, id: string, signal: AbortSignal | undefined, onWait: (loaded: number) => void): Promise<() => Promise<void>>;
  /**
   * The part of a file that is there.
   * @param id stands for the content: with the same one, an earlier fetch is gone on with. Undefined: none can be.
   */
  partial(key: Key, id: string | undefined): Promise<PartialFile>;
}

export interface PartialFile {
  /** What an earlier fetch left. */
  readonly spans: readonly Span[];
  /** `from`: where the span began that these bytes go on with, in order. */
  write(from: number, at: number, bytes: Uint8Array): Promise<void>;
  /** Notes, every few MB, that the bytes of a span are there for good, even if the power fails. The next write begins another. */
  keep(span: Span): Promise<void>;
  /** What was kept, to be read back under `name`. */
  contents(name: string): Promise<ByteSource>;
  /** Puts the file, which is whole with `size` bytes, under its name. */
  seal(size: number): Promise<void>;
  /** Forgets all bytes. */
  reset(): Promise<void>;
  /** Ends the writing; what was kept stays. */
  close(): Promise<void>;
}

/** Keys of the Cache API are URLs; this one leads nowhere. */
export const CACHE_ORIGIN = 'https://matmulfree.invalid/';

/**
 * Blobs: in memory and, with a `cache`, in the browser's Cache API, each piece of a file as an entry of its own, so that nothing is
 * copied at the end. What makes a file whole is the list of its pieces, written last.
 */
export function blobStore(cache?: Cache): Store {
  const memory = new Map<string, Blob>();
  return {
    async open(key) {
      const url = addressOf(key);
      const kept = await attempt(() => readWhole(cache, url));
      const whole = kept ?? memory.get(url);
      if (kept) memory.delete(url);
      return whole && sourceFromContent(key.at(-1)!, whole);
    },
    readText: (key) => attempt(async () => (await cache?.match(addressOf(key)))?.text()),
    async writeText(key, text) {
      await attempt(() => cache?.put(addressOf(key), new Response(text)));
    },
    // What is in this memory nobody else fetches.
    lock: async (key, _id, signal) => (cache ? webLock(addressOf(key), signal) : async () => {}),
    partial: (key, id) => blobPartial(addressOf(key), id, cache, memory),
  };
}

/** What `action` gives; undefined where the engine fails. The Cache API may be there in part only (workerd's cannot list), be full, or forbidden. */
export async function attempt<T>(action: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await action();
  } catch {
    return undefined;
  }
}

/** Undefined unless all of its pieces are there. */
async function readWhole(cache: Cache | undefined, url: string): Promise<Blob | undefined> {
  const list = await cache?.match(url);
  if (!list) return undefined;
  const { id, spans } = JSON.parse(await list.text()) as { id: string; spans: Span[] };
  const pieces = await Promise.all(spans.map(async (span) => (await cache!.match(pieceAddress(url, id, span)))?.blob()));
  const isWhole = pieces.every((piece, i) => piece?.size === spans[i]![1] - spans[i]![0]);
  return isWhole ? new Blob(pieces as Blob[]) : undefined;
}

async function blobPartial(url: string, id: string | undefined, cache: Cache | undefined, memory: Map<string, Blob>): Promise<PartialFile> {
  const pieces = new Map<number, Blob>();
  const runs = new Map<number, Uint8Array[]>();
  let kept = id === undefined ? undefined : cache;
  const put = async (address: string, body: Blob | string): Promise<void> => {
    const isKept = await attempt(async () => kept?.put(address, new Response(body)).then(() => true));
    if (!isKept) kept = undefined; // a browser that is out of space, or in a private window, still has memory
  };
  for (const request of (await attempt(() => cache?.keys(url, { ignoreSearch: true }))) ?? []) {
    const span = spanOf(request.url);
    if (!span) continue;
    const blob = request.url === pieceAddress(url, id, span) ? await attempt(async () => (await cache!.match(request))?.blob()) : undefined;
    if (blob && blob.size === span[1] - span[0]) pieces.set(span[0], blob);
    else await attempt(() => cache!.delete(request)); // of another content
  }
  const spans = (): Span[] => [...pieces].map(([from, { size }]): Span => [from, from + size]).sort((a, b) => a[0] - b[0]);
  const whole = (): Blob => new Blob(spans().map(([from]) => pieces.get(from)!));
  return {
    spans: spans(),
    async write(from, _at, bytes) {
      const run = runs.get(from) ?? [];
      runs.set(from, run);
      run.push(bytes);
    },
    async keep(span) {
      const blob = new Blob(runs.get(span[0]) as BlobPart[]); // which the engine may put on disk
      runs.delete(span[0]);
      pieces.set(span[0], blob);
      await put(pieceAddress(url, id, span), blob);
    },
    contents: async (name) => sourceFromContent(name, whole()),
    async seal() {
      await put(url, JSON.stringify({ id, spans: spans() }));
      memory.set(url, whole()); // until the cache is seen to have it: some take everything and keep nothing
    },
    async reset() {
      for (const span of spans()) await attempt(() => cache?.delete(pieceAddress(url, id, span)));
      pieces.clear();
      runs.clear();
    },
    close: async () => runs.clear(),
  };
}

function addressOf(key: Key): string {
  return CACHE_ORIGIN + key.map(encodeURIComponent).join('/');
}

function pieceAddress(url: string, id: string | undefined, [from, to]: Span): string {
  return `${url}?${id}&${from}-${to}`;
}

/** The bytes that a piece's address names. */
export function spanOf(url: string): Span | undefined {
  const found = /\?\w+&(\d+)-(\d+)$/.exec(url);
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}

/** One tab at a time, where the browser has locks. */
async function webLock(name: string, signal: AbortSignal | undefined): Promise<() => Promise<void>> {
  const locks = typeof navigator === 'undefined' ? undefined : (navigator.locks as LockManager | undefined);
  if (!locks) return async () => {};
  return new Promise((resolve, reject) => {
    const turn = (): Promise<void> => new Promise((end) => resolve(async () => end()));
    const goOn = (): void => (signal?.aborted ? reject(signal.reason) : resolve(async () => {})); // forbidden, as in a sandboxed frame
    void attempt(() => locks.request(name, signal ? { signal } : {}, turn)).then(goOn);
  });
}
