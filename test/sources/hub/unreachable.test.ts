import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MatMulFreeLM, SourceError, type Progress } from 'matmulfree';
import { DEFAULT_TUNING } from '../../../src/sources/hub/http.js';
import { openRemote } from '../../../src/sources/hub/remote.js';
import { startFiles } from '../../support/servers.js';
import { bytesOf, FAST, fetchBytes, temporaryFolder, use } from './setup.js';

const bytes = bytesOf(60_000, 51);
/** As by default, but for the pauses. */
const PATIENT = { ...DEFAULT_TUNING, backoffMs: 1 };
let cache: string;
beforeEach(async () => { cache = await temporaryFolder(); });
afterEach(() => vi.unstubAllGlobals());

/** How engines say that there is no getting through. */
const NO_WAY: Record<string, Error> = {
  ...Object.fromEntries(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].map((code) =>
    [`Node: ${code}`, new TypeError('fetch failed', { cause: Object.assign(new Error(`getaddrinfo ${code} h`), { code }) })])),
  'Node: a port that is not for this': new TypeError('fetch failed', { cause: new Error('bad port') }),
  'Chromium, Firefox, Safari': new TypeError('Failed to fetch'),
  Bun: Object.assign(new Error('Unable to connect. Is the computer able to access the url?'), { code: 'ConnectionRefused' }),
  'Deno: no such host': new TypeError('fetch failed', { cause: new Error('error sending request for url (http://h/x?token=secret): client error (Connect): dns error: failed to lookup address information') }),
  'Deno: nobody listens': new TypeError('fetch failed', { cause: new Error('error sending request for url (http://h/x?token=secret): client error (Connect): tcp connect error: Connection refused (os error 111)') }),
  'Deno: no leave': Object.assign(new Error('Requires net access to "h:80", run again with the --allow-net flag'), { name: 'NotCapable' }),
  workerd: new Error('internal error; reference = m5d9ohg0'),
};

/** Stands for a network where every request fails so. @returns how many there were. */
function failing(error: Error): () => number {
  let requests = 0;
  vi.stubGlobal('fetch', async () => {
    requests++;
    throw error;
  });
  return () => requests;
}

describe('a server that there is no way to', () => {
  it.each(Object.entries(NO_WAY))('%s: is given up soon', async (_engine, error) => {
    for (const location of ['hf:someone/model', 'http://h/folder?token=secret']) {
      const requests = failing(error);
      const thrown: unknown = await fetchBytes(location, 'config.json', { cache }, PATIENT).catch((reason: unknown) => reason);
      expect(thrown).toBeInstanceOf(SourceError);
      expect((thrown as Error).message).toMatch(/: the connection fails: .+ \(http.*, tried 2 times\)$/);
      expect((thrown as Error).message).not.toMatch(/secret|error sending/);
      expect(requests()).toBe(2);
    }
  });

  it('says so in plain words when there is no host of that name', async () => {
    for (const engine of ['Node: ENOTFOUND', 'Node: EAI_AGAIN', 'Deno: no such host']) {
      failing(NO_WAY[engine]!);
      await expect(fetchBytes('http://h/x.gguf', 'x.gguf', { cache }, PATIENT)).rejects.toThrow(/\(no host of that name is known here, or there is no network\)/);
    }
  });

  it('once, when the name server takes its time, or the browser says that it is offline', async () => {
    const requests = failing(NO_WAY['Node: EAI_AGAIN']!);
    vi.spyOn(performance, 'now').mockImplementation(() => requests() * 5000); // each took five seconds
    await expect(openRemote('hf:someone/model', { cache }, PATIENT)).rejects.toThrow(/tried 1 times/);
    vi.restoreAllMocks();
    vi.stubGlobal('navigator', { onLine: false });
    const others = failing(NO_WAY['Chromium, Firefox, Safari']!);
    await expect(openRemote('hf:someone/model', { cache }, PATIENT)).rejects.toThrow(/tried 1 times/);
    expect([requests(), others()]).toEqual([1, 1]);
  });

  it.each(['http://127.0.0.1:9', 'http://127.0.0.1:1', 'closed'])('for real: %s', async (endpoint) => {
    const closed = await use(startFiles({}));
    await closed.close();
    vi.stubEnv('HF_ENDPOINT', endpoint === 'closed' ? closed.url : endpoint);
    const began = performance.now();
    await expect(MatMulFreeLM.load('hf:someone/model', { cache })).rejects.toThrow(/^hf:someone\/model: the connection fails: .*tried 2 times/);
    expect(performance.now() - began).toBeLessThan(3000);
  });
});

describe('patience', () => {
  it.each([['a connection that breaks', new TypeError('fetch failed', { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) })]])('%s is tried again and again', async (_what, error) => {
    const requests = failing(error);
    await expect(openRemote('hf:someone/model', { cache }, FAST)).rejects.toThrow(/ECONNRESET .*tried 4 times/);
    expect(requests()).toBe(FAST.attempts);
  });

  it('a server that has answered, and cannot be reached for a while, is waited for', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    const real = fetch;
    let requests = 0;
    vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
      if (++requests >= 3 && requests < 3 + FAST.attempts - 1) throw NO_WAY['Node: ENOTFOUND']!;
      return real(url, init);
    });
    expect(Buffer.compare((await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache }, { ...FAST, connections: 1 }))!, bytes)).toBe(0);
  });
});

describe('progress', () => {
  it('tells, now and then, that a server has not answered yet, until it has', async () => {
    const server = await use(startFiles({ 'm.gguf': bytes }));
    const events: Progress[] = [];
    let answer = (): void => {};
    const told = new Promise<void>((resolve) => { answer = resolve; });
    server.intercept = async (_request, _response, n) => {
      if (n === 0) await told;
      else await new Promise((resolve) => setTimeout(resolve, 30));
      return false;
    };
    const onProgress = (event: Progress): void => {
      events.push(event);
      if (events.length === 3) answer();
    };
    const got = await fetchBytes(`${server.url}/m.gguf?token=secret`, 'm.gguf', { cache, onProgress }, { ...FAST, waitMs: 10, stallMs: 60_000 });
    expect(Buffer.compare(got!, bytes)).toBe(0);
    const first = events.findIndex(({ stage }) => stage !== 'connect');
    expect(first).toBeGreaterThanOrEqual(3);
    for (const event of events.slice(0, first)) expect(event).toEqual({ stage: 'connect', file: `${server.url}/m.gguf`, loaded: 0, total: 0 });
    expect(events.slice(first).some(({ stage }) => stage === 'connect')).toBe(false);
  });

  it('what it throws then comes out, and nothing goes on behind', async () => {
    const mine = new Error('mine');
    const server = await use(startFiles({ 'm.gguf': bytes }));
    let isClosed = (): void => {};
    const closed = new Promise<void>((resolve) => { isClosed = resolve; });
    server.intercept = (request) => {
      request.on('close', isClosed);
      return true; // and never answers
    };
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache, onProgress: () => { throw mine; } }, { ...FAST, waitMs: 10, stallMs: 60_000 })).rejects.toBe(mine);
    await closed;
  });

  it('is told within seconds by default', () => expect(DEFAULT_TUNING.waitMs).toBeLessThanOrEqual(2000));
});
