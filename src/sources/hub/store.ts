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
  /** Notes that the bytes of a span are there for good, even if the power fails. */
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

/** Bytes in a row that are collected in memory before the engine gets them as a Blob, which it may put on disk. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Keys of the Cache API are URLs; this one leads nowhere. */
export const CACHE_ORIGIN = 'https://matmulfree.invalid/';

/**
 * Blobs: in memory and, with a `cache`, in the browser's Cache API, each piece of a file as an entry of its own, so that nothing is
 * copied at the end. What makes a file whole is the list of its pieces, written last.
 */
export function blobStore(cache?: Cache): Store {
  const memory = new Map<string, Blob>();
  const match = async (url: string): Promise<Blob | undefined> => (await cache?.match(url))?.blob();

  return {
    async open(key) {
      const url = addressOf(key);
      const name = key.at(-1)!;
      const inMemory = memory.get(url);
      if (inMemory) return sourceFromContent(name, inMemory);
      const list = await match(url);
      if (!list) return undefined;
      const { id, spans } = JSON.parse(await list.text()) as { id: string; spans: Span[] };
      const pieces = await Promise.all(spans.map((span) => match(pieceAddress(url, id, span))));
      const isWhole = pieces.every((piece, i) => piece?.size === spans[i]![1] - spans[i]![0]);
      return isWhole ? sourceFromContent(name, new Blob(pieces as Blob[])) : undefined;
    },
    readText: async (key) => (await match(addressOf(key)))?.text(),
    async writeText(key, text) {
      await cache?.put(addressOf(key), new Response(text)).catch(() => undefined);
    },
    // What is in this memory nobody else fetches.
    lock: async (key, _id, signal) => (cache ? webLock(addressOf(key), signal) : async () => {}),
    partial: (key, id) => blobPartial(addressOf(key), id, cache, memory),
  };
}

async function blobPartial(url: string, id: string | undefined, cache: Cache | undefined, memory: Map<string, Blob>): Promise<PartialFile> {
  const pieces = new Map<number, Blob>();
  const runs = new Map<number, { blobs: Blob[]; chunks: Uint8Array[]; chunkBytes: number }>();
  let kept = id === undefined ? undefined : cache;
  for (const request of (await cache?.keys(url, { ignoreSearch: true })) ?? []) {
    const span = spanOf(request.url);
    if (!span) continue;
    const blob = request.url === pieceAddress(url, id, span) ? await (await cache!.match(request))?.blob() : undefined;
    if (blob && blob.size === span[1] - span[0]) pieces.set(span[0], blob);
    else await cache!.delete(request); // of another content
  }
  const spans = (): Span[] => [...pieces].map(([from, { size }]): Span => [from, from + size]).sort((a, b) => a[0] - b[0]);
  const whole = (): Blob => new Blob(spans().map(([from]) => pieces.get(from)!));
  return {
    spans: spans(),
    async write(from, _at, bytes) {
      let run = runs.get(from);
      if (!run) runs.set(from, (run = { blobs: [], chunks: [], chunkBytes: 0 }));
      run.chunks.push(bytes);
      run.chunkBytes += bytes.length;
      if (run.chunkBytes < CHUNK_BYTES) return;
      run.blobs.push(new Blob(run.chunks as BlobPart[]));
      run.chunks = [];
      run.chunkBytes = 0;
    },
    async keep(span) {
      const { blobs, chunks } = runs.get(span[0])!;
      runs.delete(span[0]);
      const blob = new Blob([...blobs, ...(chunks as BlobPart[])]);
      pieces.set(span[0], blob);
      // A browser that is out of space, or in a private window, still has memory.
      await kept?.put(pieceAddress(url, id, span), new Response(blob)).catch(() => { kept = undefined; });
    },
    contents: async (name) => sourceFromContent(name, whole()),
    async seal() {
      await kept?.put(url, new Response(JSON.stringify({ id, spans: spans() }))).catch(() => { kept = undefined; });
      if (!kept) memory.set(url, whole());
    },
    async reset() {
      for (const span of spans()) await cache?.delete(pieceAddress(url, id, span));
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
    locks.request(name, signal ? { signal } : {}, turn).catch(reject);
  });
}
