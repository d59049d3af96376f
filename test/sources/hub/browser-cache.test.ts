import { beforeEach, describe, expect, it, vi } from 'vitest';
import { clearCache, listCache, SourceError } from 'matmulfree';
import { startFiles, type TestServer } from '../../support/servers.js';
import { withoutFiles } from '../../support/browser-like.js';
import { bytesOf, fetchBytes, use } from './setup.js';

/*
 * The Cache API as engines have it: some methods missing (workerd's cannot list), some that fail, or do nothing. What cannot be kept is
 * loaded all the same.
 */

const bytes = bytesOf(60_000, 41);
let server: TestServer;
beforeEach(async () => { server = await use(startFiles({ 'm.gguf': bytes })); });

type Method = 'match' | 'put' | 'delete' | 'keys';
const METHODS: readonly Method[] = ['match', 'put', 'delete', 'keys'];

/** One that works. */
function cache(): Record<Method, (...args: never[]) => unknown> {
  const entries = new Map<string, Blob>();
  const url = (request: Request | string): string => (typeof request === 'string' ? request : request.url);
  return {
    match: async (request: Request | string) => (entries.has(url(request)) ? new Response(entries.get(url(request))) : undefined),
    put: async (request: Request | string, response: Response) => void entries.set(url(request), await response.blob()),
    delete: async (request: Request | string) => entries.delete(url(request)),
    keys: async (request?: string) => [...entries.keys()].filter((key) => request === undefined || key.replace(/\?.*/, '') === request).map((key) => new Request(key)),
  };
}

const refuses = (): never => { throw new TypeError("Failed to execute on 'Cache': the method is not implemented."); };
const FAULTS: Record<string, (() => unknown) | undefined> = {
  'is missing': undefined,
  'throws at once': refuses,
  rejects: async () => refuses(),
  'gives nothing': async () => undefined,
};

/** Twice, with what the first may have left behind. */
async function loads(globals: Record<string, unknown>): Promise<void> {
  const end = withoutFiles(globals);
  try {
    for (let time = 0; time < 2; time++) expect(Buffer.compare((await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', {}))!, bytes)).toBe(0);
  } finally {
    end();
  }
}

describe.each(Object.keys(FAULTS))('a Cache whose method %s', (fault) => {
  it.each([...METHODS, 'put match', 'keys delete', METHODS.join(' ')])('%s: the model loads', async (names) => {
    const methods = names.split(' ');
    const broken = { ...cache(), ...Object.fromEntries(methods.map((method) => [method, FAULTS[fault]])) };
    await loads({ caches: { open: async () => broken } });
  });
});

it('a Cache that fails now and then, at any of its calls', async () => {
  for (let fails = 0; fails < 24; fails++) {
    let calls = 0;
    const working = cache();
    const flaky = Object.fromEntries(METHODS.map((method) => [method, async (...args: never[]) => (calls++ === fails ? refuses() : working[method](...args))]));
    await loads({ caches: { open: async () => flaky } });
  }
});

describe('where there is', () => {
  const forbidden = (): never => { throw new DOMException('The operation is insecure.', 'SecurityError'); };
  it.each<[string, Record<string, unknown>]>([
    ['no Cache at all', { caches: undefined }],
    ['one that may not be opened', { caches: { open: async () => forbidden() } }],
    ['one whose opening throws at once', { caches: { open: forbidden } }],
    ['one without a method to open', { caches: {} }],
    ['one, and locks that are forbidden', { caches: { open: async () => cache() }, navigator: { locks: { request: async () => forbidden() } } }],
    ['one, and locks that throw at once', { caches: { open: async () => cache() }, navigator: { locks: { request: forbidden } } }],
    ['one, and no navigator', { caches: { open: async () => cache() }, navigator: undefined }],
    ['one with nonsense in it', { caches: { open: async () => ({ ...cache(), match: async () => new Response('{"id":7}') }) } }],
  ])('%s: the model loads', async (_what, globals) => loads(globals));
});

it('a lock that is waited for can be given up', async () => {
  const reason = new Error('enough');
  const abort = new AbortController();
  const request = (_name: string, { signal }: { signal: AbortSignal }): Promise<never> => new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
    abort.abort(reason);
  });
  const end = withoutFiles({ caches: { open: async () => cache() }, navigator: { locks: { request } } });
  try {
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { signal: abort.signal })).rejects.toBe(reason);
  } finally {
    end();
  }
});

it('a Cache that cannot be listed or cleared: an error of ours', async () => {
  for (const method of ['keys', 'delete'] as const) {
    for (const fault of [undefined, refuses, async () => refuses()]) {
      const working = cache();
      await (working.put as unknown as Cache['put'])('https://matmulfree.invalid/h/m/refs/x.json', new Response('{"source":"https://h/m?token=secret"}'));
      const end = withoutFiles({ caches: { open: async () => ({ ...working, [method]: fault }) } });
      try {
        const error: unknown = await (method === 'keys' ? listCache() : clearCache()).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(SourceError);
        expect((error as Error).message).toMatch(method === 'keys' ? /^cannot read the cache matmulfree: / : /^cannot remove https:\/\/h\/m: /);
        if (method === 'delete') expect((await listCache()).map(({ name }) => name)).toEqual(['https://h/m']); // as an older version may have written it
      } finally {
        end();
        vi.unstubAllGlobals();
      }
    }
  }
});
