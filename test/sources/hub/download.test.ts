import { readdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FormatError, SourceError } from '../../../src/errors.js';
import type { DownloadProgress } from '../../../src/sources/hub/download.js';
import { openRemote } from '../../../src/sources/hub/remote.js';
import { sendFile, sha256, startFiles, startHub, type TestServer } from '../../support/servers.js';
import { freshSeed, randomFrom } from '../../support/random.js';
import { allFiles, bytesOf, FAST, fetchBytes, readAll, temporaryFolder, use, wholeFiles } from './setup.js';

const SIZE = 100_000;
const bytes = bytesOf(SIZE, 7);

let cache: string;
beforeEach(async () => { cache = await temporaryFolder(); });

/** A fetch that must fail leaves nothing under a name; the next one, with the server in order again, gets the right bytes. */
async function failsThenWorks(server: TestServer, message: RegExp, kind: new (...args: never[]) => Error = SourceError): Promise<void> {
  const error: unknown = await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(message);
  expect(await wholeFiles(cache)).toEqual([]);
  server.intercept = () => false;
  expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
}

describe('a file under a URL', () => {
  it('is fetched in pieces, and once', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    const ranges = server.seen.slice(1).map(({ range }) => range);
    expect(ranges[0]).toBe('bytes=0-4095');
    expect(ranges).toHaveLength(1 + Math.ceil((SIZE - 4096) / FAST.pieceBytes));
    const before = server.seen.length;
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    expect(server.seen.length - before).toBe(1); // whether it has changed
    expect((await allFiles(cache)).filter((path) => /\.(part|log|lock)$/.test(path))).toEqual([]);
  });

  it.each([0, 1, 4095, 4096, 4097, 4096 + 2 ** 14])('of %i bytes', async (size) => {
    const server = await use(startFiles({ 'm.gguf': bytes.subarray(0, size) }));
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes.slice(0, size));
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: false })).toEqual(bytes.slice(0, size));
  });

  it('never asks for more at once than it may', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    let now = 0;
    let most = 0;
    server.intercept = async (_request, response) => {
      most = Math.max(most, ++now);
      response.on('close', () => now--);
      await wait(5);
      return false;
    };
    await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(FAST.connections);
  });

  it('from a server without ranges', async () => {
    const server = await use(startFiles({}));
    server.intercept = (request, response) => {
      sendFile(request, response, bytes, { ranges: false, headers: { etag: '"x"' } });
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    expect(server.seen).toHaveLength(2);
  });

  it('from a server without ranges, lengths and ETags, that cuts the connection once', async () => {
    const server = await use(startFiles({}));
    server.intercept = (_request, response, n) => {
      response.writeHead(200);
      response.write(bytes.subarray(0, 50_000), () => {
        if (n === 1) response.destroy();
        else response.end(bytes.subarray(50_000));
      });
      return true;
    };
    for (const place of [cache, false] as const) expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: place })).toEqual(bytes);
  });

  it('from a server that begins to refuse ranges half-way', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      if (n < 4) return false;
      sendFile(request, response, bytes, { ranges: false, headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
  });

  it('that has changed is fetched anew', async () => {
    const files = { 'm.gguf': bytes };
    const server = await use(startFiles(files));
    await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache });
    files['m.gguf'] = bytesOf(5000, 8);
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(files['m.gguf']);
  });

  it('of which nothing tells whether it has changed is fetched each time, and kept for when the server is away', async () => {
    const server = await use(startFiles({}));
    let now = bytes;
    server.intercept = (request, response) => {
      sendFile(request, response, now);
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    now = bytesOf(SIZE, 9);
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(now);
    await server.close();
    const stages: DownloadProgress[] = [];
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, onProgress: (progress) => stages.push(progress) })).toEqual(now);
    expect(stages).toEqual([{ stage: 'offline', file: `${server.url}/m.gguf`, loaded: 0, total: 0 }]);
  });

  it('is asked for once, and served from the cache, in a browser that says it is offline', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache });
    let asked = 0;
    server.intercept = (_request, response) => {
      asked++;
      response.writeHead(503).end();
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    expect(asked).toBe(2);
    vi.stubGlobal('navigator', { onLine: false });
    try {
      expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
    } finally {
      vi.unstubAllGlobals();
    }
    expect(asked).toBe(3);
  });

  it('that is not there, or is a web page', async () => {
    const server = await use(startFiles({}));
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).rejects.toThrow(/m\.gguf: there is no such file, or it is a web page/);
    server.intercept = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>');
      return true;
    };
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).rejects.toThrow(/web page/);
    expect(await wholeFiles(cache)).toEqual([]);
  });

  it('on a server that is not there', async () => {
    const server = await use(startFiles({}));
    await server.close();
    await expect(fetchBytes(`${server.url}/m.gguf?secret=1`, 'm.gguf', { cache })).rejects.toThrow(
      new RegExp(`^${server.url}/m\\.gguf: the connection fails: ECONNREFUSED \\(${server.url}/m\\.gguf, tried 2 times\\)$`),
    );
  });
});

describe('a connection', () => {
  const stages: [string, (n: number, isFirstTry: boolean) => number | undefined][] = [
    ['before the headers', (_n, isFirstTry) => (isFirstTry ? -1 : undefined)],
    ['after the headers', (_n, isFirstTry) => (isFirstTry ? 0 : undefined)],
    ['after one byte', (_n, isFirstTry) => (isFirstTry ? 1 : undefined)],
    ['in the first piece', (n) => (n === 1 ? 1000 : undefined)],
    ['in a later piece', (n) => (n === 3 ? 1000 : undefined)],
    ['one byte before the end of every piece', (_n, isFirstTry) => (isFirstTry ? 2 ** 14 - 1 : undefined)],
  ];
  it.each(stages)('cut %s', async (_name, cutAt) => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    const asked = new Set<string>();
    server.intercept = (request, response, n) => {
      const end = /\d+$/.exec(request.headers.range!)![0];
      const cutAfter = cutAt(n, !asked.has(end));
      asked.add(end);
      if (cutAfter === undefined) return false;
      if (cutAfter < 0) response.destroy();
      else sendFile(request, response, bytes, { cutAfter, headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
  });

  const seed = freshSeed();
  it(`cut anywhere, again and again: no byte is fetched twice that was kept (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response) => {
      if (random.unit() < 0.5) return false;
      sendFile(request, response, bytes, { cutAfter: random.integer(0, 5000), headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
      return true;
    };
    for (let tries = 0; tries < 100; tries++) {
      const got = await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }).catch((error: unknown) => error);
      if (got instanceof Uint8Array) return expect(got).toEqual(bytes);
      expect(got).toBeInstanceOf(SourceError);
      expect(await wholeFiles(cache)).toEqual([]);
    }
    throw new Error('never got through');
  });

  it('that is always cut is given up, and gone on with the next time', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      if (n < 3) return false;
      sendFile(request, response, bytes, { cutAfter: 10, headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
      return true;
    };
    await failsThenWorks(server, /m\.gguf: the connection (fails|ends).*tried 4 times/);
    const again = server.seen.slice(server.seen.map(({ range }) => range).lastIndexOf('bytes=0-0') + 1);
    expect(again[0]!.range).not.toMatch(/^bytes=0-/);
  });

  it('that trickles (slow loris), in headers and in bodies', async () => {
    for (const headersToo of [true, false]) {
      cache = await temporaryFolder();
      const server = await use(startFiles({ 'm.gguf': bytes }));
      server.intercept = (request, response, n) => {
        if (n < 2) return false;
        const [, asked, from] = /=((\d+).*)$/.exec(request.headers.range!)!;
        if (!headersToo) response.writeHead(206, { 'content-range': `bytes ${asked}/${SIZE}`, etag: `"${sha256(bytes).slice(0, 12)}"` }).flushHeaders();
        let at = Number(from);
        const drip = setInterval(() => { if (!headersToo) response.write(bytes.subarray(at, ++at)); }, 20);
        response.on('close', () => clearInterval(drip));
        return true;
      };
      await failsThenWorks(server, /stalls/);
    }
  });

  it('that is slow, but not too slow, is waited for', async () => {
    const small = bytes.slice(0, 3000);
    const server = await use(startFiles({ 'm.gguf': small }));
    server.intercept = (_request, response, n) => {
      if (n === 0) return false;
      response.writeHead(206, { 'content-range': 'bytes 0-2999/3000', etag: `"${sha256(small).slice(0, 12)}"` });
      let at = 0;
      const drip = setInterval(() => {
        response.write(small.subarray(at, (at += 100)));
        if (at >= 3000) {
          clearInterval(drip);
          response.end();
        }
      }, 20); // 0.6 s in all, which is longer than the patience with a stall
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }, { ...FAST, stallMs: 400 })).toEqual(small);
    expect(server.seen).toHaveLength(2);
  });
});

describe('a server in trouble', () => {
  it.each([408, 425, 429, 500, 502, 503, 504, 520, 522, 529])('status %i, then well again', async (status) => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    const asked = new Set<string>();
    server.intercept = (request, response) => {
      if (asked.has(request.headers.range!)) return false;
      asked.add(request.headers.range!);
      response.writeHead(status).end('come back later');
      return true;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
  });

  it('that refuses one connection while it serves others', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    let served = 0;
    let refused = 0;
    server.intercept = async (request, response, n) => {
      if (n < 2) return false;
      if (/=4096-/.exec(request.headers.range!) && refused < FAST.attempts + 1) {
        for (const before = served; served === before; ) await wait(2);
        refused++;
        response.writeHead(503).end();
        return true;
      }
      await wait(20);
      response.on('finish', () => served++);
      return false;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }, { ...FAST, progressBytes: 1, pieceBytes: 2048 })).toEqual(bytes);
    expect(refused).toBe(FAST.attempts + 1);
  });

  it('status 503 for ever', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (_request, response, n) => {
      if (n < 2) return false;
      response.writeHead(503).end();
      return true;
    };
    await failsThenWorks(server, /status 503 .*tried 4 times/);
  });

  it('Retry-After is heeded, in seconds and as a date, up to a limit', async () => {
    for (const [value, least] of [['0', 0], ['3600', 400], [new Date(Date.now() + 3.6e6).toUTCString(), 400], ['soon', 0]] as const) {
      const server = await use(startFiles({ 'm.gguf': bytes.subarray(0, 100) }));
      const times: number[] = [];
      server.intercept = (_request, response, n) => {
        times.push(performance.now());
        if (n !== 0) return false;
        response.writeHead(429, { 'retry-after': value }).end();
        return true;
      };
      await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: false });
      expect(times[1]! - times[0]!, value).toBeGreaterThanOrEqual(least - 2); // an hour would be the end of this test
    }
  });

  it('a Retry-After of no time at all is no leave to ask at once', async () => {
    for (const value of ['0', new Date(0).toUTCString()]) {
      const server = await use(startFiles({ 'm.gguf': bytes }));
      server.intercept = (_request, response) => response.writeHead(503, { 'retry-after': value }).end() !== undefined;
      const abort = new AbortController();
      const running = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: abort.signal }, { ...FAST, backoffMs: 4000, maxBackoffMs: 4000 });
      await wait(300); // at once would be now
      abort.abort(new Error('enough'));
      await expect(running).rejects.toThrow('enough');
      expect(server.seen, value).toHaveLength(1);
    }
  });

  it('one that cannot be asked again is not: 400, 401, 403, 501', async () => {
    for (const [status, message] of [[400, /status 400/], [501, /status 501/], [401, /refused \(status 401\).*HF_TOKEN/], [403, /refused/]] as const) {
      const server = await use(startFiles({}));
      server.intercept = (_request, response) => {
        response.writeHead(status).end();
        return true;
      };
      await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).rejects.toThrow(message);
      expect(server.seen).toHaveLength(1);
    }
  });
});

describe('a file that is not what it was said to be', () => {
  const tag = `"${sha256(bytes).slice(0, 12)}"`;

  it('an ETag that changes once in the middle of it', async () => {
    const files = { 'm.gguf': bytes };
    const changed = bytesOf(SIZE, 10);
    const server = await use(startFiles(files));
    server.intercept = (_request, _response, n) => {
      if (n === 4) files['m.gguf'] = changed;
      return false;
    };
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(changed);
    expect(await wholeFiles(cache)).toHaveLength(1);
    expect((await allFiles(cache)).filter((path) => /\.(part|log|lock)$/.test(path))).toEqual([]);
  });

  it('an ETag that changes again and again', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      sendFile(request, response, bytes, { headers: { etag: `"${Math.floor(n / 3)}"` } });
      return true;
    };
    await failsThenWorks(server, /changed on the server while it was fetched \(tried 3 times\)/);
  });

  it('a size that changes, without an ETag to tell', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      sendFile(request, response, bytes.subarray(0, SIZE - n));
      return true;
    };
    await failsThenWorks(server, /the server says it has \d+ bytes; before, it was \d+/);
  });

  it('other bytes than those asked for', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (_request, response, n) => {
      if (n < 2) return false;
      response.writeHead(206, { 'content-range': `bytes 0-9999/${SIZE}`, etag: tag }).end(bytes.subarray(0, 10_000));
      return true;
    };
    await failsThenWorks(server, /other bytes than asked for/);
  });

  it('more bytes than it said', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      const [, from] = /=(\d+)-/.exec(request.headers.range!)!;
      if (n < 2) return false;
      response.writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + 100}/${SIZE}`, etag: tag }).end(new Uint8Array(50_000));
      return true;
    };
    await failsThenWorks(server, /more bytes than it said/);
  });

  it('fewer bytes than it said', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      const [, from] = /=(\d+)-/.exec(request.headers.range!)!;
      if (n < 2) return false;
      response.writeHead(206, { 'content-range': `bytes ${from}-${SIZE - 1}/${SIZE}`, etag: tag }).end();
      return true;
    };
    await failsThenWorks(server, /the connection ends at byte \d+ of 100000/);
  });

  it('a wrong Content-Length on a server without ranges', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (_request, response) => {
      response.writeHead(200, { 'content-length': SIZE + 5, etag: tag });
      response.write(bytes, () => setTimeout(() => response.destroy(), 5));
      return true;
    };
    await failsThenWorks(server, /the connection (fails|ends)/);
  });

  it('no size, and no end', async () => {
    const server = await use(startFiles({}));
    let isOpen = true;
    server.intercept = (_request, response) => {
      response.writeHead(200, { etag: tag });
      const pour = (): void => { if (isOpen && !response.destroyed) response.write(new Uint8Array(2 ** 16), () => setImmediate(pour)); };
      pour();
      return true;
    };
    for (const place of [cache, false] as const) {
      const error = await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: place }, { ...FAST, maxUnsizedBytes: 2 ** 20 }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as Error).message).toBe(
        `${server.url}/m.gguf: has more than 1048576 bytes, and the server does not say how many; download it by other means, and load it from there; nothing was kept of it`,
      );
    }
    isOpen = false;
    expect((await allFiles(cache)).filter((path) => !path.includes('/refs/'))).toEqual([]);
    expect(server.seen).toHaveLength(4);
  });

  it.each([['m.gguf', 2 ** 36], ['config.json', 2 ** 27]])('a size out of proportion for %s', async (name, most) => {
    const server = await use(startFiles({ 'config.json': bytes.subarray(0, 10) }));
    server.intercept = (_request, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-0/${most + 1}`, etag: tag }).end(bytes.subarray(0, 1));
      return true;
    };
    const location = name === 'm.gguf' ? `${server.url}/${name}` : server.url;
    await expect(fetchBytes(location, name, { cache })).rejects.toThrow(`${server.url}/${name}: has ${most + 1} bytes, says the server, more than the ${most} that such a file may have`);
    expect(await wholeFiles(cache)).toEqual([]);
    expect(server.seen).toHaveLength(1);
  });

  it('a size beyond all measure', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (_request, response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-0/9007199254740991', etag: tag }).end(bytes.subarray(0, 1));
      return true;
    };
    await failsThenWorks(server, /m\.gguf: /);
  });
});

describe('a checksum', () => {
  it('that is wrong: one clear error, nothing kept, one download', async () => {
    const files = { 'm.gguf': bytes };
    const hub = await use(startHub(files));
    const wrong = bytesOf(SIZE, 11);
    hub.intercept = (request, response) => {
      if (request.url!.startsWith('/api/')) return false;
      sendFile(request, response, wrong);
      return true;
    };
    vi.stubEnv('HF_ENDPOINT', hub.url);
    const stages = new Set<string>();
    const get = (): Promise<Uint8Array | undefined> =>
      fetchBytes('hf:someone/model/m.gguf', 'm.gguf', { cache, onProgress: ({ stage }) => stages.add(stage) });
    const error = await get().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toBe(`hf:someone/model/m.gguf: its SHA-256 is ${sha256(wrong)}, the server promised ${sha256(bytes)}; nothing was kept of it`);
    expect(await wholeFiles(cache)).toEqual([]);
    expect(hub.seen.filter(({ range }) => range === 'bytes=0-4095')).toHaveLength(1);
    hub.intercept = () => false;
    expect(await get()).toEqual(bytes);
    expect([...stages]).toEqual(['download', 'verify']);
  });
});

describe('stopping', () => {
  it('at once, and going on from there', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (request, response, n) => {
      if (n !== 5) return false;
      sendFile(request, response, bytes, { cutAfter: 5000, headers: { etag: `"${sha256(bytes).slice(0, 12)}"` } });
      response.destroy = () => response; // stays open, and silent
      return true;
    };
    const abort = new AbortController();
    const reason = new Error('enough');
    const started = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: abort.signal }, { ...FAST, stallMs: 60_000 });
    while (server.seen.length < 7) await wait(5);
    await wait(100);
    const at = performance.now();
    abort.abort(reason);
    await expect(started).rejects.toBe(reason);
    expect(performance.now() - at).toBeLessThan(20_000); // without the abort it would hang for a minute
    expect(await wholeFiles(cache)).toEqual([]);
    expect((await allFiles(cache)).filter((path) => path.endsWith('.lock'))).toEqual([]);

    const before = server.seen.length;
    server.intercept = () => false;
    const events: DownloadProgress[] = [];
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, onProgress: (event) => events.push(event) })).toEqual(bytes);
    const ranges = server.seen.slice(before + 1).map(({ range }) => /=(\d+)-(\d+)/.exec(range!)!);
    const fetched = ranges.reduce((sum, [, from, to]) => sum + Number(to) - Number(from) + 1, 0);
    expect(fetched).toBeLessThan(SIZE - 4096 - 5000);
    expect(events[0]!.loaded).toBeGreaterThan(SIZE - fetched);
    expect(events.at(-1)).toEqual({ stage: 'download', file: 'm.gguf', loaded: SIZE, total: SIZE });
  });

  it('while it waits before it tries again, while it waits for another, and before anything', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = (_request, response) => {
      response.writeHead(503).end();
      return true;
    };
    const reason = new Error('enough');
    const slow = { ...FAST, backoffMs: 60_000, maxBackoffMs: 60_000 };
    const first = new AbortController();
    const running = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: first.signal }, slow);
    while (server.seen.length < 1) await wait(5);
    await wait(20);
    first.abort(reason);
    await expect(running).rejects.toBe(reason);
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  const seed = freshSeed();
  it(`at any moment: the reason comes out, nothing stays open or locked, and the next one gets the file (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = async () => {
      await wait(random.integer(0, 5));
      return false;
    };
    const openFiles = async (): Promise<number> => (process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0);
    await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }); // whose connections stay for the others
    const before = await openFiles();
    for (let i = 0; i < 12; i++) {
      const place = await temporaryFolder();
      const reason = new Error('enough');
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(reason), random.unit() * 60);
      const got = await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: place, signal: abort.signal }).catch((error: unknown) => error);
      clearTimeout(timer);
      if (got instanceof Error) expect(got).toBe(reason);
      else expect(got).toEqual(bytes);
      expect((await allFiles(place)).filter((path) => path.endsWith('.lock'))).toEqual([]);
      expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: place })).toEqual(bytes);
      expect((await allFiles(place)).filter((path) => !path.includes('/refs/'))).toHaveLength(1);
    }
    await vi.waitFor(async () => expect(await openFiles()).toBeLessThanOrEqual(before + FAST.connections), 5000); // connections to go
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThan(3); // none of 30 s, or of each attempt
  });

  it('an error that onProgress throws comes out as it is', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    const mine = new Error('mine');
    const onProgress = (): void => { throw mine; };
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, onProgress })).rejects.toBe(mine);
    expect(await wholeFiles(cache)).toEqual([]);
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(bytes);
  });
});

describe('two at once', () => {
  it('share one download, and the second has progress as well', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = async (_request, _response, n) => {
      if (n > 3) await wait(60);
      return false;
    };
    const events: DownloadProgress[][] = [[], []];
    const both = await Promise.all(events.map((list) => fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, onProgress: (event) => list.push(event) })));
    for (const got of both) expect(got).toEqual(bytes);
    expect(server.seen.filter(({ range }) => range === 'bytes=0-4095')).toHaveLength(1);
    for (const list of events) {
      expect(list.at(-1)).toEqual({ stage: 'download', file: 'm.gguf', loaded: SIZE, total: SIZE });
      expect(list.map(({ loaded }) => loaded)).toEqual(list.map(({ loaded }) => loaded).sort((a, b) => a - b));
    }
  });

  it('the second goes on when the first gives up', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    server.intercept = async (_request, _response, n) => {
      if (n > 2) await wait(50);
      return false;
    };
    const abort = new AbortController();
    const first = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, signal: abort.signal });
    while (server.seen.length < 3) await wait(2);
    const second = fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache });
    await wait(30);
    abort.abort();
    await expect(first).rejects.toThrow();
    expect(await second).toEqual(bytes);
  });

  it('different files of one folder at once', async () => {
    const other = bytesOf(50_000, 12);
    const server = await use(startFiles({ 'f/config.json': bytes.subarray(0, 50), 'f/a.gguf': bytes, 'f/b.gguf': other }));
    const files = await openRemote(`${server.url}/f`, { cache }, FAST);
    const [a, b] = await Promise.all([files.open('a.gguf'), files.open('b.gguf')]);
    expect(await readAll(a!)).toEqual(bytes);
    expect(await readAll(b!)).toEqual(other);
  });
});
