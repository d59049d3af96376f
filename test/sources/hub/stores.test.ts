import fs, { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { clearCache, listCache } from 'matmulfree';
import { ArgumentError, SourceError } from '../../../src/errors.js';
import { cachePlace } from '../../../src/sources/hub/cache.js';
import { fetchFile, type DownloadProgress, type Fetcher, type RemoteFile } from '../../../src/sources/hub/download.js';
import { diskStore } from '../../../src/sources/hub/disk-store.js';
import { blobStore, type PartialFile, type Store } from '../../../src/sources/hub/store.js';
import { nodeModules } from '../../../src/platform/node.js';
import { sendFile, sha256, startFiles, startHub, type TestServer } from '../../support/servers.js';
import { allFiles, bytesOf, FAST, fetchBytes, readAll, temporaryFolder, use, wholeFiles } from './setup.js';

const SIZE = 100_000;
const bytes = bytesOf(SIZE, 31);
const etag = `"${sha256(bytes).slice(0, 12)}"`;

let cache: string;
let server: TestServer;
beforeEach(async () => {
  cache = await temporaryFolder();
  server = await use(startFiles({ 'm.gguf': bytes }));
});
const get = (): Promise<Uint8Array | undefined> => fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache });

/** Leaves a download with some pieces. */
async function interrupt(): Promise<void> {
  server.seen.length = 0;
  server.intercept = (request, response, n) => {
    if (n < 4) return false;
    sendFile(request, response, bytes, { cutAfter: 0, headers: { etag } });
    return true;
  };
  await expect(get()).rejects.toThrow(SourceError);
  server.intercept = () => false;
  server.seen.length = 0;
}

async function find(pattern: RegExp): Promise<string> {
  const found = (await allFiles(cache)).filter((path) => pattern.test(path));
  expect(found, String(pattern)).toHaveLength(1);
  return join(cache, found[0]!);
}

describe('the folder of downloads', () => {
  it('keeps what an interrupted download has, and no more than that is fetched', async () => {
    await interrupt();
    const log = await readFile(await find(/\.log$/), 'utf8');
    expect(log).toMatch(/^0-4096\n(\d+-\d+\n)+$/);
    expect(await get()).toEqual(bytes);
    expect(server.seen.slice(1).some(({ range }) => range!.startsWith('bytes=0-'))).toBe(false);
  });

  it.each([
    ['cut off in its last line', (log: string) => `${log}4096-20`],
    ['with lines that make no sense', (log: string) => `hello\n99999999999999999999-1\n7-3\n-5-5\n${log}`],
    ['that claims more than there is', (log: string) => `${log}90000-${2 ** 40}\n${SIZE}-${SIZE + 10}\n`],
    ['that repeats itself', (log: string) => `${log}${log}0-10\n5-4096\n`],
    ['that is empty', () => ''],
  ])('a log %s', async (_what, edit) => {
    await interrupt();
    const file = await find(/\.log$/);
    await writeFile(file, edit(await readFile(file, 'utf8')));
    expect(await get()).toEqual(bytes);
  });

  it('a part that somebody cut short or removed', async () => {
    await interrupt();
    await writeFile(await find(/\.part$/), bytes.subarray(0, 5000));
    expect(await get()).toEqual(bytes);
    await rm(cache, { recursive: true });
    await interrupt();
    await rm(await find(/\.part$/));
    expect(await get()).toEqual(bytes);
  });

  it('a part that was damaged is found out by its checksum, and fetched anew', async () => {
    const hub = await use(startHub({ 'm.gguf': bytes }));
    vi.stubEnv('HF_ENDPOINT', hub.url);
    hub.intercept = (request, response, n) => {
      if (n < 3) return false;
      sendFile(request, response, bytes, { cutAfter: 0 });
      return true;
    };
    const fromHub = (): Promise<Uint8Array | undefined> => fetchBytes('hf:someone/model', 'm.gguf', { cache });
    await expect(fromHub()).rejects.toThrow(SourceError);
    hub.intercept = () => false;
    const part = await find(/\.part$/);
    const damaged = await readFile(part);
    damaged[100]! ^= 1;
    await writeFile(part, damaged);
    expect(await fromHub()).toEqual(bytes);
  });

  it('a file that was cut short afterwards is fetched anew', async () => {
    await get();
    await writeFile(await find(/\/m\.gguf$/), bytes.subarray(0, 10));
    expect(await get()).toEqual(bytes);
  });

  it('parts of an older content go when a newer one is fetched from the same place', async () => {
    await interrupt();
    const part = await find(/\.part$/);
    const old = part.replace(/\.\w+\.part$/, '.0123456789abcdef.part');
    await writeFile(old, 'old');
    await get();
    expect(await readdir(dirname(part))).toEqual(['m.gguf']);
  });

  it('links that lead out of it are not followed, neither to read nor to write', async () => {
    const outside = await temporaryFolder();
    await get();
    const file = await find(/\/m\.gguf$/);
    const folder = dirname(file);
    await writeFile(join(outside, 'm.gguf'), new Uint8Array(SIZE));
    await rm(file);
    await symlink(join(outside, 'm.gguf'), file);
    expect(await get()).toEqual(bytes); // the link is replaced
    expect(await readFile(join(outside, 'm.gguf'))).toEqual(Buffer.alloc(SIZE));

    await rm(folder, { recursive: true });
    await symlink(outside, folder);
    await expect(get()).rejects.toThrow(/cannot write to the cache .* leads out of it/);
    expect(await readdir(outside)).toEqual(['m.gguf']);

    await rm(folder);
    await interrupt();
    const part = await find(/\.part$/);
    await rm(part);
    await symlink(join(outside, 'm.gguf'), part);
    await expect(get()).rejects.toThrow(/cannot write to the cache/);
    expect(await readFile(join(outside, 'm.gguf'))).toEqual(Buffer.alloc(SIZE));

    await rm(cache, { recursive: true });
    await interrupt();
    const log = await find(/\.log$/);
    await rm(log);
    await symlink(join(outside, 'm.gguf'), log);
    await expect(get()).rejects.toThrow(/cannot write to the cache/);
    expect(await readFile(join(outside, 'm.gguf'))).toEqual(Buffer.alloc(SIZE));
  });

  it('may itself be a link', async () => {
    const link = join(await temporaryFolder(), 'link');
    await symlink(cache, link);
    cache = link;
    expect(await get()).toEqual(bytes);
    const requests = server.seen.length;
    expect(await get()).toEqual(bytes);
    expect(server.seen.length).toBe(requests + 1);
  });

  it('that cannot be written to', async () => {
    cache = join(cache, 'file');
    await writeFile(cache, 'x');
    await expect(get()).rejects.toThrow(/cannot write to the cache .*; set MATMULFREE_CACHE, or the option cache/);
  });

  it('a lock of a process that is gone, or that is silent for long, is no lock', async () => {
    for (const [content, age] of [[`999999999 ${hostname()}`, 0], ['1 another-machine', 60], [`${process.pid} ${hostname()}`, 60]] as const) {
      await interrupt();
      const part = await find(/\.part$/);
      const lock = join(dirname(part), '.m.gguf.lock');
      await writeFile(lock, content);
      await utimes(lock, Date.now() / 1000 - age, Date.now() / 1000 - age);
      expect(await get(), content).toEqual(bytes);
      await rm(cache, { recursive: true });
    }
  });

  it('a lock of another machine is waited for, and the wait can be ended', async () => {
    await interrupt();
    const part = await find(/\.part$/);
    const lock = join(dirname(part), '.m.gguf.lock');
    await writeFile(lock, '1 another-machine');
    const abort = new AbortController();
    const events: DownloadProgress[] = [];
    const waiting = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: abort.signal, onProgress: (event) => events.push(event) });
    while (events.length === 0) await wait(5);
    expect(events[0]!.loaded).toBeGreaterThanOrEqual(4096);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(await readFile(lock, 'utf8')).toBe('1 another-machine');
    const again = get();
    await wait(50);
    await rm(lock);
    expect(await again).toEqual(bytes);
  });

  it('an abandoned lock that cannot be taken away is an error, not a wait without end', async () => {
    await interrupt();
    await writeFile((await find(/\.part$/)).replace(/m\.gguf\..*$/, 'm.gguf.lock'), `999999999 ${hostname()}`);
    const { rename } = fs;
    let renames = 0;
    vi.spyOn(fs, 'rename').mockImplementation(async (from, to) => {
      if (!String(from).endsWith('.lock') || ++renames > 50) return rename(from, to); // as it is in the folder of somebody else
      throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
    });
    try {
      await expect(get()).rejects.toThrow(/cannot write to the cache .*EPERM/);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('a lock that cannot be read is an error that says where', async () => {
    await interrupt();
    await mkdir((await find(/\.part$/)).replace(/m\.gguf\..*$/, 'm.gguf.lock'));
    const error = await get().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SourceError);
    expect((error as Error).message).toMatch(/cannot read the cache .*EISDIR/);
  });

  it('a turn that somebody else took meanwhile is theirs to end', async () => {
    const store = diskStore(nodeModules()!, cache);
    const key = ['h', 'm', 'v', 'm.gguf'];
    const unlock = await store.lock(key, 'id', undefined, () => undefined);
    const lock = await find(/\.lock$/);
    await writeFile(lock, '1 another-machine');
    await unlock();
    expect(await readFile(lock, 'utf8')).toBe('1 another-machine');
    await rm(lock);
    await (await store.lock(key, 'id', undefined, () => undefined))();
    expect(await allFiles(cache)).toEqual([]);
  });

  // As after a night's sleep of the machine: nobody renewed a lock, and all wake at once.
  it.each(['the other forgets', 'the other is done as well', 'one forgets before'])('two that take a turn at once cannot spoil the file: %s', async (what) => {
    const store = diskStore(nodeModules()!, cache);
    const key = ['h', 'm', 'v', 'm.gguf'];
    const open = async (): Promise<PartialFile> => {
      const partial = await store.partial(key, 'id');
      await partial.write(0, 0, bytes.subarray(0, 5000));
      await partial.keep([0, 5000]);
      return partial;
    };
    const [one, other] = [await open(), await open()];
    if (what === 'one forgets before') {
      await one.reset();
      await one.write(0, 0, bytes.subarray(0, 10)); // the beginning of what it does anew
      await other.write(0, 5000, bytes.subarray(5000));
      await expect(other.seal(SIZE)).rejects.toThrow(/cannot write to the cache .*another process/);
      await other.close();
      expect(await store.open(key)).toBeUndefined();
      await one.write(0, 10, bytes.subarray(10));
      await one.seal(SIZE);
    } else {
      await one.write(0, 5000, bytes.subarray(5000));
      await one.seal(SIZE);
      await one.close();
      if (what === 'the other forgets') await other.reset();
      else await other.seal(SIZE);
      await other.close();
    }
    await one.close();
    expect(await readAll((await store.open(key))!)).toEqual(bytes);
    expect(await allFiles(cache)).toEqual(['h/m/v/m.gguf']);
  });

  it('is where the system keeps such things, or where one says', () => {
    const node = nodeModules()!;
    expect(cachePlace(node, 'x/y')).toBe(join(process.cwd(), 'x/y'));
    vi.stubEnv('MATMULFREE_CACHE', '/some/where');
    expect(cachePlace(node, undefined)).toBe('/some/where');
    vi.stubEnv('MATMULFREE_CACHE', '');
    vi.stubEnv('XDG_CACHE_HOME', '/my/cache');
    vi.stubEnv('LOCALAPPDATA', '/local');
    const home = node.os.homedir();
    const places = { linux: '/my/cache/matmulfree', darwin: `${home}/Library/Caches/matmulfree`, win32: '/local/matmulfree/Cache' };
    for (const [platform, place] of Object.entries(places)) {
      vi.spyOn(process, 'platform', 'get').mockReturnValue(platform as NodeJS.Platform);
      expect(cachePlace(node, undefined)).toBe(place);
    }
    vi.restoreAllMocks();
    vi.stubEnv('XDG_CACHE_HOME', 'not/absolute');
    if (process.platform === 'linux') expect(cachePlace(node, undefined)).toBe(`${home}/.cache/matmulfree`);
    expect(cachePlace(undefined, undefined)).toBe('matmulfree');
  });
});

describe('listCache and clearCache', () => {
  it('tell and remove what was downloaded, and nothing else', async () => {
    expect(await listCache({ cache: join(cache, 'nowhere') })).toEqual([]);
    const hub = await use(startHub({ 'm.gguf': bytes }));
    vi.stubEnv('HF_ENDPOINT', hub.url);
    await fetchBytes('hf:someone/model', 'm.gguf', { cache });
    await interrupt();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'precious'), 'x');
    await writeFile(join(cache, 'precious'), 'x');
    await mkdir(join(cache, 'https--mine'));
    await writeFile(join(cache, 'https--mine', 'precious'), 'x');
    await symlink(outside, join(cache, 'https--link'));

    const url = `${server.url}/m.gguf`;
    const [ofHub, ofUrl] = await listCache({ cache }).then((entries) => entries.sort((a, b) => b.bytes - a.bytes));
    expect(ofHub).toMatchObject({ name: 'hf:someone/model', bytes: SIZE, partialBytes: 0, inUse: false });
    expect(ofUrl).toMatchObject({ bytes: 0, inUse: false });
    expect(ofUrl!.partialBytes).toBeGreaterThanOrEqual(4096);
    await get();
    expect((await listCache({ cache })).map(({ name, bytes: size, partialBytes }) => [name, size, partialBytes])).toEqual([['hf:someone/model', SIZE, 0], [url, SIZE, 0]]);

    expect(await clearCache({ cache, name: 'hf:no/such' })).toEqual([]);
    expect((await clearCache({ cache, name: url })).map(({ name }) => name)).toEqual([url]);
    expect((await listCache({ cache })).map(({ name }) => name)).toEqual(['hf:someone/model']);

    const lock = (await find(/\/m\.gguf$/)).replace(/m\.gguf$/, '.m.gguf.lock');
    await writeFile(lock, `${process.pid} ${hostname()}`);
    expect((await listCache({ cache }))[0]!.inUse).toBe(true);
    expect(await clearCache({ cache })).toEqual([]);
    await rm(lock);
    expect(await clearCache({ cache })).toHaveLength(1);
    expect(await wholeFiles(cache)).toEqual(['https--link', 'https--mine/precious', 'precious']);
    expect(await readdir(outside)).toEqual(['precious']);
  });
});

describe('listCache and clearCache, when', () => {
  it('a file goes while they look', async () => {
    await interrupt();
    await get();
    await interruptAnother();
    for (const name of ['stat', 'readdir'] as const) {
      const real = fs[name] as (...args: unknown[]) => unknown;
      vi.spyOn(fs as unknown as Record<string, (...args: unknown[]) => unknown>, name).mockImplementation((...args) => {
        const isGone = name === 'stat' ? String(args[0]).endsWith('.part') : /url--.*\/\w{16}$/.test(String(args[0]));
        return isGone ? Promise.reject(Object.assign(new Error('ENOENT'), { code: 'ENOENT' })) : real.apply(fs, args);
      });
      try {
        const entries = await listCache({ cache });
        expect(entries.map(({ bytes: size, partialBytes }) => [size, partialBytes])).toContainEqual(name === 'stat' ? [SIZE, 0] : [0, 0]);
      } finally {
        vi.restoreAllMocks();
      }
    }
  });

  /** Of another address. */
  async function interruptAnother(): Promise<void> {
    const folder = dirname(dirname(await find(/\/m\.gguf$/)));
    await mkdir(join(folder, '0123456789abcdef'));
    await writeFile(join(folder, '0123456789abcdef', '.m.gguf.0123456789abcdef.part'), bytes);
  }

  it('something cannot be read or removed: an error of ours', async () => {
    await get();
    const denied = (): Promise<never> => Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
    try {
      vi.spyOn(fs, 'rm').mockImplementation(denied);
      await expect(clearCache({ cache })).rejects.toThrow(/^cannot remove .*url--.*: EACCES/);
      await expect(clearCache({ cache })).rejects.toBeInstanceOf(SourceError);
      vi.spyOn(fs, 'stat').mockImplementation(denied);
      await expect(listCache({ cache })).rejects.toThrow(/^cannot read the cache .*: EACCES/);
      await expect(listCache({ cache })).rejects.toBeInstanceOf(SourceError);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('an option is misspelt: nothing is removed', async () => {
    await get();
    for (const options of [{ cache, model: 'hf:a/b' }, { cache, name: 7 }, { cache, name: null }, 'hf:a/b']) {
      await expect(clearCache(options as never), JSON.stringify(options)).rejects.toBeInstanceOf(ArgumentError);
    }
    await expect(listCache({ cach: cache } as never)).rejects.toThrow('listCache: unknown option "cach"');
    expect(await wholeFiles(cache)).toHaveLength(1);
  });
});

/** The browser's Cache, as far as it is used. */
function fakeCache(fail: () => boolean = () => false): Cache {
  const entries = new Map<string, Blob>();
  const url = (request: RequestInfo | URL): string => (request instanceof Request ? request.url : String(request));
  const bare = (address: string): string => address.replace(/\?.*/, '');
  return {
    match: async (request: RequestInfo | URL) => (entries.has(url(request)) ? new Response(entries.get(url(request))) : undefined),
    put: async (request: RequestInfo | URL, response: Response) => {
      if (fail()) throw new DOMException('full', 'QuotaExceededError');
      entries.set(url(request), await response.blob());
    },
    delete: async (request: RequestInfo | URL) => entries.delete(url(request)),
    keys: async (request?: RequestInfo | URL, options?: CacheQueryOptions) =>
      [...entries.keys()].filter((key) => request === undefined || (options?.ignoreSearch ? bare(key) === bare(url(request)) : key === url(request))).map((key) => new Request(key)),
  } as unknown as Cache;
}

describe('the cache of a browser', () => {
  const events: DownloadProgress[] = [];
  const fetcher = (store: Store): Fetcher => ({
    store, net: { token: undefined, tokenOrigin: undefined, signal: undefined, tuning: FAST, contact: { isMade: false, onWait() {} } }, onProgress: (event) => events.push(event),
  });
  const file = (version: string | undefined = 'v1', promised = sha256(bytes)): RemoteFile => ({
    name: 'm.gguf', label: 'm', url: `${server.url}/m.gguf`, key: ['host', 'model', 'v', 'm.gguf'], size: SIZE, sha256: promised, version, tag: undefined,
  });
  beforeEach(() => { events.length = 0; });

  it('keeps files in pieces, whole or not at all', async () => {
    const browser = fakeCache();
    expect(await readAll(await fetchFile(fetcher(blobStore(browser)), file()))).toEqual(bytes);
    const requests = server.seen.length;
    const again = await fetchFile(fetcher(blobStore(browser)), file());
    expect(again.size).toBe(SIZE);
    expect(await again.read(16_380, 10_000)).toEqual(bytes.slice(16_380, 26_380));
    expect(server.seen.length).toBe(requests);
  });

  it('goes on with an interrupted download, unless it is of another content', async () => {
    const browser = fakeCache();
    server.intercept = (request, response, n) => {
      if (n < 3) return false;
      sendFile(request, response, bytes, { cutAfter: 0, headers: { etag } });
      return true;
    };
    await expect(fetchFile(fetcher(blobStore(browser)), file())).rejects.toThrow(SourceError);
    expect(await blobStore(browser).open(file().key)).toBeUndefined();
    server.intercept = () => false;
    server.seen.length = 0;
    expect(await readAll(await fetchFile(fetcher(blobStore(browser)), file()))).toEqual(bytes);
    expect(server.seen.some(({ range }) => range!.startsWith('bytes=0-'))).toBe(false);

    server.seen.length = 0;
    const other = fakeCache();
    await other.put('https://matmulfree.invalid/host/model/v/m.gguf?0123456789abcdef&0-4096', new Response(new Uint8Array(4096)));
    expect(await readAll(await fetchFile(fetcher(blobStore(other)), file()))).toEqual(bytes);
    expect(server.seen[0]!.range).toBe('bytes=0-4095');
  });

  it('with a piece that the browser threw away: fetched anew', async () => {
    const browser = fakeCache();
    await fetchFile(fetcher(blobStore(browser)), file());
    const piece = (await browser.keys()).find(({ url }) => url.includes('?'))!;
    await browser.delete(piece);
    expect(await blobStore(browser).open(file().key)).toBeUndefined();
    expect(await readAll(await fetchFile(fetcher(blobStore(browser)), file()))).toEqual(bytes);
  });

  it('without a cache there is nothing to wait for', async () => {
    vi.stubGlobal('navigator', { locks: { request: () => new Promise(() => undefined) } }); // somebody else's turn, for ever
    try {
      expect(await readAll(await fetchFile(fetcher(blobStore()), file()))).toEqual(bytes);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('that is full: the file is there for this time', async () => {
    let puts = 0;
    const browser = fakeCache(() => ++puts > 2);
    expect(await readAll(await fetchFile(fetcher(blobStore(browser)), file()))).toEqual(bytes);
    expect(await blobStore(browser).open(file().key)).toBeUndefined();
  });

  it('a wrong checksum leaves nothing', async () => {
    const browser = fakeCache();
    await expect(fetchFile(fetcher(blobStore(browser)), file('v1', '0'.repeat(64)))).rejects.toThrow(/SHA-256/);
    expect(await browser.keys()).toEqual([]);
  });

  it('is listed and cleared', async () => {
    const browser = fakeCache();
    vi.stubGlobal('caches', { open: async () => browser });
    const { getBuiltinModule } = process;
    Object.assign(process, { getBuiltinModule: undefined });
    vi.spyOn(process, 'versions', 'get').mockReturnValue({} as never);
    try {
      await blobStore(browser).writeText(['host', 'model', 'refs', 'x.json'], '{"source":"hf:a/b"}');
      await fetchFile(fetcher(blobStore(browser)), file());
      expect(await listCache()).toEqual([{ name: 'hf:a/b', bytes: SIZE, partialBytes: 0, versions: ['v'], inUse: false, folder: undefined }]);
      expect(await clearCache({ name: 'hf:a/b' })).toHaveLength(1);
      expect(await browser.keys()).toEqual([]);
    } finally {
      Object.assign(process, { getBuiltinModule });
      vi.restoreAllMocks();
      vi.unstubAllGlobals();
    }
  });
});
