import { ArgumentError, show, SourceError } from '../../errors.js';
import { givenOptions } from '../../options.js';
import { describe, unlessGone } from '../../platform/disk.js';
import { nodeModules, type NodeModules } from '../../platform/node.js';
import { cachePlace } from './cache.js';
import { isLockHeld } from './disk-store.js';
import { attempt, CACHE_ORIGIN, spanOf } from './store.js';

/** A model in the cache, in all of its versions. */
export interface CacheEntry {
  /** What to load: `hf:owner/name`, or a URL. */
  readonly name: string;
  /** Bytes of files that are whole. */
  readonly bytes: number;
  /** Bytes of files whose download was interrupted. */
  readonly partialBytes: number;
  /** Commits, or what stands for an ETag. */
  readonly versions: readonly string[];
  /** Somebody is downloading it just now. */
  readonly inUse: boolean;
  /** In Node, where it is. */
  readonly folder: string | undefined;
}

export interface CacheOptions {
  /** As for `MatMulFreeLM.load`. */
  readonly cache?: string | undefined;
}

/** What the cache holds, sorted by name. @throws ArgumentError, SourceError when it cannot be read. */
export async function listCache(options: CacheOptions = {}): Promise<CacheEntry[]> {
  const { cache } = givenOptions('listCache', options, ['cache']);
  const node = nodeModules();
  const place = cachePlace(node, cache);
  const found = node ? onDisk(node, place) : inBrowser(place).then(({ entries }) => entries);
  const entries = await found.catch((error: unknown) => { throw new SourceError(`cannot read the cache ${place}: ${describe(error)}`); });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Removes downloaded models, but for those that somebody is downloading just now, and nothing else that may lie in the folder.
 * @param options.name the one to remove; all of them by default.
 * @returns what was removed. @throws ArgumentError, SourceError.
 */
export async function clearCache(options: CacheOptions & { readonly name?: string | undefined } = {}): Promise<CacheEntry[]> {
  const { cache: given } = givenOptions('clearCache', options, ['cache', 'name']);
  const { name: only } = options; // null is refused: it may come of a name that was not found, and would clear everything
  if (only !== undefined && typeof only !== 'string') throw new ArgumentError(`clearCache: name is ${show(only)}, not a text`);
  const node = nodeModules();
  const place = cachePlace(node, given);
  const chosen = (await listCache({ cache: given })).filter(({ name, inUse }) => !inUse && (only === undefined || name === only));
  if (node) {
    for (const { folder } of chosen) {
      await node.fs.rm(folder!, { recursive: true, force: true }).catch((error: unknown) => {
        throw new SourceError(`cannot remove ${folder!}: ${describe(error)}`);
      });
    }
  } else {
    const { cache, keys } = await inBrowser(place);
    for (const { name } of chosen) {
      const removals = (keys.get(name) ?? []).map(async (key) => cache?.delete(key));
      await Promise.all(removals).catch((error: unknown) => { throw new SourceError(`cannot remove ${name}: ${describe(error)}`); });
    }
  }
  return chosen;
}

async function onDisk(node: NodeModules, root: string): Promise<CacheEntry[]> {
  const { path } = node;
  const entries: CacheEntry[] = [];
  for (const host of await folders(node, root, /^https?--/)) {
    for (const model of await folders(node, path.join(root, host), /^(models|url)--/)) {
      entries.push(await readEntry(node, path.join(root, host, model)));
    }
  }
  return entries;
}

async function readEntry(node: NodeModules, folder: string): Promise<CacheEntry> {
  const { fs, path } = node;
  let name: string | undefined;
  let bytes = 0;
  let partialBytes = 0;
  let inUse = false;
  const visit = async (at: string, isRefs: boolean): Promise<void> => {
    for (const entry of (await unlessGone(fs.readdir(at, { withFileTypes: true }))) ?? []) {
      const file = path.join(at, entry.name);
      if (entry.isDirectory()) await visit(file, isRefs);
      if (!entry.isFile()) continue; // links are left alone
      if (isRefs) name ??= await fs.readFile(file, 'utf8').then(sourceOf, () => undefined);
      else if (entry.name.endsWith('.lock')) inUse ||= await isLockHeld(node, file);
      else if (!entry.name.startsWith('.')) bytes += (await unlessGone(fs.stat(file)))?.size ?? 0;
      else if (entry.name.endsWith('.part')) {
        const { size = 0, blocks } = (await unlessGone(fs.stat(file))) ?? {};
        partialBytes += Math.min(size, blocks ? blocks * 512 : size); // it has holes where bytes are missing
      }
    }
  };
  const versions = await folders(node, folder, /^[0-9a-f]{7,64}$|^latest$/);
  for (const version of versions) await visit(path.join(folder, version), false);
  for (const refs of await folders(node, folder, /^refs$/)) await visit(path.join(folder, refs), true);
  return { name: name ?? path.basename(folder), bytes, partialBytes, versions, inUse, folder };
}

async function folders({ fs }: NodeModules, parent: string, pattern: RegExp): Promise<string[]> {
  const entries = (await unlessGone(fs.readdir(parent, { withFileTypes: true }))) ?? [];
  return entries.filter((entry) => entry.isDirectory() && pattern.test(entry.name)).map(({ name }) => name).sort();
}

async function inBrowser(place: string): Promise<{ cache: Cache | undefined; entries: CacheEntry[]; keys: Map<string, Request[]> }> {
  const cache = await attempt(() => globalThis.caches?.open(place));
  const models = new Map<string, Request[]>();
  for (const request of (await cache?.keys()) ?? []) {
    const [host = '', model = ''] = request.url.slice(CACHE_ORIGIN.length).split('/');
    const id = `${host}/${model}`;
    models.set(id, [...(models.get(id) ?? []), request]);
  }
  const keys = new Map<string, Request[]>();
  const entries: CacheEntry[] = [];
  for (const [id, requests] of models) {
    let name: string | undefined;
    let bytes = 0;
    let partialBytes = 0;
    const versions = new Set<string>();
    const whole = new Set(requests.map(({ url }) => url));
    for (const request of requests) {
      const version = request.url.slice(CACHE_ORIGIN.length + id.length + 1).split('/')[0]!;
      if (version === 'refs') name ??= sourceOf((await (await cache!.match(request))?.text()) ?? '');
      else versions.add(version);
      const [from, to] = spanOf(request.url) ?? [0, 0];
      if (whole.has(request.url.replace(/\?.*/, ''))) bytes += to - from;
      else partialBytes += to - from;
    }
    keys.set(name ?? id, [...(keys.get(name ?? id) ?? []), ...requests]);
    entries.push({ name: name ?? id, bytes, partialBytes, versions: [...versions], inUse: false, folder: undefined });
  }
  return { cache, entries, keys };
}

function sourceOf(saved: string): string | undefined {
  try {
    const { source } = JSON.parse(saved) as { source?: unknown };
    return typeof source === 'string' ? source.replace(/[?#].*/s, '') : undefined; // not to be shown, whoever wrote it
  } catch {
    return undefined;
  }
}
